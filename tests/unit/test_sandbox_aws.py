"""What stands before and around moto: requests read and refused, faults, weights that AWS would not take."""

import io
import json
import threading
import time
from urllib.parse import urlencode

import pytest
from moto.core.exceptions import ServiceException

from bot.sandbox import faults, weights
from bot.sandbox.aws_front import Front, Switchboard
from bot.sandbox.aws_requests import errors, read

BLUE = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/storage-production-blue/1"
GREEN = BLUE.replace("blue", "green")


def forward(blue, green, **more):
    groups = [{"TargetGroupArn": BLUE, "Weight": blue}, {"TargetGroupArn": GREEN, "Weight": green}]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups, **more}}


def request(path="/", *, body=b"", target="", query="", method="POST"):
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_X_AMZ_TARGET": target,
        "wsgi.input": io.BytesIO(body),
    }


UPDATE = {
    "target": "AmazonEC2ContainerServiceV20141113.UpdateService",
    "body": json.dumps({"cluster": "c", "service": "storage-green", "desiredCount": 6}).encode(),
}
MODIFY = {
    "body": urlencode(
        {
            "Action": "ModifyRule",
            "RuleArn": "arn:aws:elasticloadbalancing:us-east-1:1:listener-rule/app/llm-observatory-production/1/2/3",
            "Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn": BLUE,
            "Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight": "0",
            "Actions.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn": GREEN,
            "Actions.member.1.ForwardConfig.TargetGroups.member.2.Weight": "100",
        }
    ).encode()
}


class Counting:
    """An application that counts what reached it."""

    def __init__(self):
        self.calls = 0

    def __call__(self, environ, start):
        self.calls += 1
        start("200 OK", [("Content-Type", "application/json")])
        return [b"{}"]


def answered(front, environ):
    said = []
    body = b"".join(front(environ, lambda status, headers, *_: said.append(status)))
    return said[0], body


@pytest.fixture
def front():
    board, inner = Switchboard(), Counting()
    made = Front(inner, board, lock=threading.RLock(), snapshot=lambda: {"revision": board.revision})
    made.board, made.inner = board, inner
    return made


def test_writes_are_told_in_few_words():
    call = read(request(**UPDATE), UPDATE["body"])
    assert (call.operation, call.arguments, call.writes) == (
        "UpdateService", "cluster=c service=storage-green desiredCount=6", True,
    )  # fmt: skip
    call = read(request(**MODIFY), MODIFY["body"])
    assert call.arguments == (
        "RuleArn=rule of llm-observatory-production storage-production-blue=0 storage-production-green=100"
    )


@pytest.mark.parametrize("operation", ["DescribeServices", "ListTasks", "BatchGetImage"])
def test_reads_are_not_logged(front, operation):
    answered(front, request(target=f"X.{operation}", body=b"{}"))
    assert front.board.log == []
    assert front.inner.calls == 1


def test_a_write_is_logged_with_its_outcome(front):
    answered(front, request(**UPDATE))
    assert [(each.operation, each.outcome) for each in front.board.log] == [("UpdateService", "200")]


def test_an_unreadable_body_is_passed_on(front):
    assert answered(front, request(target="X.UpdateService", body=b"{"))[0] == "200 OK"


@pytest.mark.parametrize(
    ("fault", "given", "status", "code"),
    [
        ("throttle", UPDATE, "400 Bad Request", b"ThrottlingException"),
        ("throttle", MODIFY, "400 Bad Request", b"<Code>Throttling</Code>"),
        ("deny", UPDATE, "400 Bad Request", b"AccessDeniedException"),
        ("deny", MODIFY, "403 Forbidden", b"<Code>AccessDenied</Code>"),
    ],
)
def test_a_refused_call_changes_nothing(front, fault, given, status, code):
    setattr(front.board.faults, fault, True)
    said, body = answered(front, request(**given))
    assert (said, code in body, front.inner.calls) == (status, True, 0)
    assert len(front.board.log) == 1


@pytest.mark.parametrize(("fault", "carried_out"), [("timeout", 0), ("lost_reply", 1)])
def test_a_call_without_answer_may_or_may_not_have_happened(front, fault, carried_out):
    setattr(front.board.faults, fault, True)
    waiting = threading.Thread(target=answered, args=(front, request(**UPDATE)), daemon=True)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    answered(front, request("/_sandbox/faults", body=json.dumps({fault: False}).encode()))
    waiting.join(5)
    assert not waiting.is_alive()
    assert front.inner.calls == carried_out


def test_the_state_waits_for_news(front):
    answered(front, request("/_sandbox/state", method="GET"))
    threading.Timer(0.1, front.board.change).start()
    before = time.monotonic()
    _, body = answered(front, request("/_sandbox/state", method="GET", query="revision=0&wait=5"))
    assert 0.05 < time.monotonic() - before < 4
    assert json.loads(body)["revision"] == 1


def test_the_state_tells_only_calls_that_are_new(front):
    for _ in range(3):
        answered(front, request(**UPDATE))
    _, body = answered(front, request("/_sandbox/state", method="GET", query="calls=2"))
    assert [call["number"] for call in json.loads(body)["calls"]] == [3]


def test_an_unknown_fault_and_an_unknown_control_are_refused(front):
    assert answered(front, request("/_sandbox/faults", body=b'{"flood": true}'))[0] == "400 Bad Request"
    assert answered(front, request("/_sandbox/nothing", method="GET"))[0] == "404 Not Found"


def test_an_unknown_refusal_is_a_mistake_of_the_caller():
    with pytest.raises(KeyError):
        errors(read(request(**UPDATE), UPDATE["body"]), "flood")


@pytest.mark.parametrize(
    "action",
    [
        forward(1000, 0),
        forward(-1, 1),
        forward(0, 0),
        forward(1, 1, TargetGroupStickinessConfig={"Enabled": True}),
        {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": BLUE}, {"TargetGroupArn": BLUE}]}},
    ],
)
def test_weights_that_aws_refuses_are_refused(action):
    with pytest.raises(ServiceException):
        weights.check(action)


@pytest.mark.parametrize("action", [forward(999, 0), forward(0, 100), {"Type": "fixed-response"}])
def test_good_weights_pass(action):
    weights.check(action)


def test_weights_are_read_from_both_shapes_of_a_forward():
    assert weights.of(forward(95, 5)) == {BLUE: 95, GREEN: 5}
    assert weights.of({"Type": "forward", "TargetGroupArn": BLUE}) == {BLUE: 1}
    assert weights.of({"Type": "fixed-response"}) == {}


def test_a_switched_off_fault_is_told_its_zero():
    assert faults.told(faults.FAULTS["slow_propagation"], on=True) == {"slow_propagation": 60.0}
    assert faults.told(faults.FAULTS["slow_propagation"], on=False) == {"slow_propagation": 0.0}
    assert faults.told(faults.FAULTS["aws_throttled"], on=False) == {"throttle": False}
