"""Builders: records with every field filled in, so that a test names only what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.clients.ecs import ServiceState
from bot.clients.elb import Rule, TargetGroup, TargetHealth
from bot.clients.service import Answer
from bot.contract import Person, Role
from bot.settings import ColourSettings, Config, Durations, Environment, Thresholds
from commands.approval.records import Approval, ApprovalState, Policy
from commands.rollout import plans
from commands.rollout.records import Deployment, DeploymentId, Plan, Side, State
from commands.rollout.survey import ColourFacts, Facts, Read

NOON = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32
BLUE, GREEN = "arn:tg/blue", "arn:tg/green"

JANE = Person(id="U0JANE", name="Jane Doe", email="jane@company.com", roles=frozenset({Role.DEPLOYER, Role.APPROVER}))
BOB = Person(id="U0BOB", name="Bob Williams", email="bob@company.com", roles=frozenset({Role.DEPLOYER, Role.APPROVER}))
CHARLIE = Person(id="U0CHARLIE", name="Charlie Brown", email="charlie@company.com", roles=frozenset({Role.ONCALL}))


def environment(**changes):
    """Production, with blue and green."""
    values = {
        "cluster": "llm-observatory",
        "repository": "llm-observatory/storage",
        "listener_rule": "arn:rule",
        "url": "http://127.0.0.1:1",
        "blue": ColourSettings(service="storage-blue", target_group=BLUE, selector='color="blue"'),
        "green": ColourSettings(service="storage-green", target_group=GREEN, selector='color="green"'),
    }
    return Environment(**(values | changes))


def config(**changes):
    """The runbook's defaults with one environment."""
    return Config(environments={"production": environment()}, **changes)


def side(colour="blue", **changes):
    """One colour of a plan."""
    values = {
        "colour": colour,
        "service": f"storage-{colour}",
        "target_group": BLUE if colour == "blue" else GREEN,
        "selector": f'color="{colour}"',
        "container": "storage",
        "task_definition": f"arn:task-definition/storage-{colour}:3",
        "image": "registry/storage:v0.0.9",
        "desired": 6,
        "version": "v0.0.9",
    }
    return Side(**(values | changes))


def plan(**changes):
    """A blue-green plan from blue to green."""
    idle = side("green", desired=0)
    values = {
        "environment": "production",
        "version": "v0.1.0",
        "strategy": "blue-green",
        "image": f"registry/storage@{DIGEST}",
        "digest": DIGEST,
        "cluster": "llm-observatory",
        "rule": "arn:rule/1",
        "live": side("blue"),
        "idle": idle,
        "desired": 6,
        "steps": plans.blue_green(Durations(), idle=idle, healthy_after=timedelta(seconds=30)),
        "deregistration_delay": timedelta(seconds=300),
        "approvals": 1,
        "limits": plans.limits(Thresholds()),
    }
    return Plan(**(values | changes))


def deployment(**changes):
    """A deployment that waits for approval."""
    made = plan()
    values = {
        "id": DeploymentId("dep_1"),
        "environment": "production",
        "version": "v0.1.0",
        "strategy": "blue-green",
        "state": State.WAITING,
        "requested_by": JANE.id,
        "requested_by_name": JANE.name,
        "requested_by_email": JANE.email,
        "channel": "C0ALERTS",
        "created_at": NOON,
        "plan": made,
        "plan_hash": plans.fingerprint(made),
        "expires_at": NOON + timedelta(minutes=30),
    }
    return Deployment(**(values | changes))


def approval(**changes):
    """An open request by Jane for one approver."""
    values = {
        "id": "dep_1:1",
        "subject": "dep_1",
        "plan_hash": "abc123",
        "policy": Policy(needed=1),
        "asked_by": JANE.id,
        "asked_by_email": JANE.email,
        "state": ApprovalState.OPEN,
        "created_at": NOON,
        "expires_at": NOON + timedelta(minutes=30),
    }
    return Approval(**(values | changes))


def service_state(name="storage-blue", **changes):
    """A steady ECS service."""
    values = {
        "name": name,
        "task_definition": f"arn:task-definition/{name}:3",
        "desired": 6,
        "running": 6,
        "pending": 0,
        "deployments": 1,
        "rollout": "COMPLETED",
        "failed_tasks": 0,
    }
    return ServiceState(**(values | changes))


def colour_facts(colour="blue", **changes):
    """One healthy side."""
    group = TargetGroup(
        arn=BLUE if colour == "blue" else GREEN,
        sticky=False,
        deregistration_delay=timedelta(seconds=300),
        interval=timedelta(seconds=10),
        healthy_threshold=3,
    )
    values = {
        "service": Read(value=service_state(f"storage-{colour}")),
        "group": Read(value=group),
        "health": Read(value=TargetHealth(states={"healthy": 6})),
        "image": Read(value="registry/storage:v0.0.9"),
        "version": "v0.0.9",
    }
    return ColourFacts(**(values | changes))


def facts(**changes):
    """An environment with nothing to complain about: blue is live, green is empty."""
    values = {
        "digest": Read(value=DIGEST),
        "uri": Read(value="registry/storage"),
        "rule": Read(value=Rule(arn="arn:rule", weights={BLUE: 100, GREEN: 0}, sticky=False)),
        "blue": colour_facts("blue"),
        "green": colour_facts("green", service=Read(value=service_state("storage-green", desired=0, running=0))),
        "series": Read(value=6.0),
        "test_rule": Read(value=Answer(status=200, seconds=0.01, body="", json=None)),
        "schema": Read(value="8"),
        "alerts": Read(value=()),
    }
    return Facts(**(values | changes))


def changed(record, **changes):
    """A copy of any record with some fields replaced."""
    return replace(record, **changes)
