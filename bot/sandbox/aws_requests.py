"""Reads what an AWS request asks for, in the two protocols our services speak (JSON 1.1 and Query), and refuses it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

_READS = ("Describe", "List", "Get", "BatchGet", "BatchCheck")
# Of these the log shows the value; the rest of a request is noise to a reader of a transcript.
_TOLD = ("cluster", "service", "desiredCount", "taskDefinition", "family", "ResourceId", "RuleArn", "TargetGroupArn")
_ERRORS = {
    "throttle": ("ThrottlingException", "Throttling", "Rate exceeded"),
    "deny": ("AccessDeniedException", "AccessDenied", "User is not authorized to perform: {operation}"),
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request: its operation, the arguments worth telling, and the protocol in which it must be answered."""

    operation: str
    arguments: str
    query: bool

    @property
    def writes(self) -> bool:
        """Tell whether it may change something."""
        return bool(self.operation) and not self.operation.startswith(_READS)


def read(environ: Mapping[str, Any], body: bytes) -> Call:
    """Read one request; an unreadable one has no operation."""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        try:
            given = json.loads(body or b"{}")
        except ValueError:
            given = {}
        return Call(operation=target.rpartition(".")[2], arguments=_json_arguments(given), query=False)
    pairs = dict(parse_qsl(body.decode("utf-8", "replace")))
    return Call(operation=pairs.get("Action", ""), arguments=_query_arguments(pairs), query=True)


def errors(call: Call, fault: str) -> tuple[str, str, bytes]:
    """Return status, content type and body with which AWS refuses the call."""
    json_code, query_code, message = _ERRORS[fault]
    message = message.format(operation=call.operation)
    status = "403 Forbidden" if fault == "deny" and call.query else "400 Bad Request"
    if not call.query:
        body = json.dumps({"__type": json_code, "message": message})
        return status, "application/x-amz-json-1.1", body.encode()
    xml = (
        '<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><Error><Type>Sender</Type>'
        f"<Code>{query_code}</Code><Message>{message}</Message></Error><RequestId>sandbox</RequestId></ErrorResponse>"
    )
    return status, "text/xml", xml.encode()


def _json_arguments(given: Mapping[str, Any]) -> str:
    told = [f"{key}={_short(given[key])}" for key in _TOLD if key in given]
    told += [f"image={_short(container.get('image', ''))}" for container in given.get("containerDefinitions", ())]
    if "SuspendedState" in given:
        told.append(f"scale-in suspended={given['SuspendedState'].get('DynamicScalingInSuspended')}")
    return " ".join(told)


def _query_arguments(pairs: Mapping[str, str]) -> str:
    told = [f"{key}={_short(pairs[key])}" for key in _TOLD if key in pairs]
    for key, value in pairs.items():
        if key.endswith(".Weight"):
            group = pairs.get(key.removesuffix("Weight") + "TargetGroupArn", "?")
            told.append(f"{_short(group)}={value}")
        elif key.startswith(("Targets.member", "Attributes.member")) and key.endswith((".Id", ".Value")):
            told.append(_short(value))
    return " ".join(told)


def _short(value: object) -> str:
    """Return the telling part of an ARN or an image."""
    text = str(value)
    if ":targetgroup/" in text:
        return text.split("/")[1]
    if ":listener-rule/" in text:
        return "rule of " + text.split("/")[2]
    if text.startswith("arn:"):
        return text.rpartition("/")[2]
    name, at, digest = text.partition("@sha256:")
    return f"{name.rpartition('/')[2]}@{digest[:12]}" if at else text
