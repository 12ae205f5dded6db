"""What the bot is told about the sandbox: the same variables and the same TOML file as in production."""

import json
from collections.abc import Mapping
from typing import Any

from bot.sandbox import pager, places, releases

GROUPS: Mapping[str, str] = {
    "deployer": "obs-deployers",
    "approver": "obs-approvers",
    "dba": "obs-dba",
    "oncall": "obs-oncall",
}


def variables(url: str, endpoint: str, *, speed: float) -> dict[str, str]:
    """Return the environment variables that point at this world."""
    return {
        **places.CREDENTIALS,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": releases.REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PROMETHEUS_URL": f"{url}/prometheus",
        "PAGERDUTY_API_KEY": pager.API_KEY,
        "PAGERDUTY_ROUTING_KEY": pager.ROUTING_KEY,
        "PAGERDUTY_SERVICE_ID": pager.SERVICE,
        "PAGERDUTY_ESCALATION_POLICY_ID": pager.POLICY,
        "PAGERDUTY_FROM": pager.ROSTER[0].email,
        "PAGERDUTY_API_URL": f"{url}/pagerduty/rest",
        "PAGERDUTY_EVENTS_URL": f"{url}/pagerduty/events",
        "OPSBOT_TIME_SCALE": f"{speed:g}",
    }


def toml(url: str, environments: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the TOML file: environments and roles; everything else is the runbook's default."""
    parts = ["# The sandbox's world, written when it starts.", "[roles]"]
    parts += [f"{role} = [{json.dumps(handle)}]" for role, handle in GROUPS.items()]
    for name, built in environments.items():
        parts += _environment(name, url, built)
    return "\n".join(parts) + "\n"


def _environment(name: str, url: str, built: Mapping[str, Any]) -> list[str]:
    lines = _table(
        f"environments.{name}",
        cluster=places.PLACES[name].cluster,
        region=releases.REGION,
        repository=releases.REPOSITORY,
        listener_rule=built["listener_rule"],
        url=f"{url}/{name}",
        test_header=places.TEST_HEADER,
        database_url_variable=f"{name.upper()}_DATABASE_URL",
    )
    for colour in places.COLOURS:
        lines += _table(
            f"environments.{name}.{colour}",
            service=places.service_name(colour),
            target_group=built["groups"][colour],
            selector=f'job="{places.JOB}",environment="{name}",color="{colour}"',
            container=places.CONTAINER,
        )
    return lines


def _table(table: str, **values: str) -> list[str]:
    # A TOML basic string and a JSON string are written alike for the texts that occur here.
    return ["", f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
