"""The preflight: each thing that forbids a deployment has its reason code, and unknown forbids as well."""

from datetime import timedelta

import pytest

from bot.clients.elb import Rule, TargetGroup, TargetHealth
from bot.clients.service import Answer
from commands.checks import Verdict, stopping
from commands.rollout import plans, preflight
from commands.rollout.preflight import Wish
from commands.rollout.records import Plan, dump, restore
from commands.rollout.survey import Read
from tests.builders import BLUE, DIGEST, GREEN, changed, colour_facts, config, environment, facts, service_state

WISH = Wish(environment="production", version="v0.1.0")
AWAY = Read(problem="AWS does not answer")
STICKY = TargetGroup(
    arn=BLUE, sticky=True, deregistration_delay=timedelta(0), interval=timedelta(seconds=10), healthy_threshold=2
)


def examined(found=None, wish=WISH):
    return preflight.examine(found or facts(), wish, environment(), config())


def test_a_sound_environment_gives_a_plan_from_the_live_to_the_idle_colour():
    result = examined()
    assert not stopping(result.findings)
    assert (result.plan.live.colour, result.plan.idle.colour) == ("blue", "green")
    assert result.plan.image == f"registry/storage@{DIGEST}"
    assert result.plan.desired == 6


def test_with_green_live_the_plan_goes_to_blue():
    found = facts(
        rule=Read(value=Rule(arn="arn:rule", weights={BLUE: 0, GREEN: 100}, sticky=False)), green=colour_facts("green")
    )
    assert examined(found).plan.idle.colour == "blue"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"digest": Read(problem="no image", absent=True)}, "image_missing"),
        ({"rule": Read(problem="no rule", absent=True)}, "rule_missing"),
        ({"rule": Read(value=Rule(arn="r", weights={BLUE: 95, GREEN: 5}, sticky=False))}, "weights"),
        ({"rule": Read(value=Rule(arn="r", weights={BLUE: 100}, sticky=False))}, "rule_groups"),
        ({"rule": Read(value=Rule(arn="r", weights={BLUE: 100, GREEN: 0}, sticky=True))}, "sticky"),
        ({"blue": colour_facts("blue", group=Read(value=STICKY))}, "sticky"),
        ({"blue": colour_facts("blue", health=Read(value=TargetHealth(states={"healthy": 5})))}, "live_unhealthy"),
        ({"blue": colour_facts("blue", version="v0.1.0")}, "already_live"),
        ({"green": colour_facts("green", service=Read(value=service_state(deployments=2)))}, "rollout_running"),
        ({"series": Read(value=None)}, "no_series"),
        ({"test_rule": Read(value=Answer(status=503, seconds=0.1, body="", json=None))}, "test_rule"),
    ],
)
def test_what_forbids_a_deployment_is_named(change, code):
    result = examined(facts(**change))
    assert result.plan is None
    assert code in [finding.code for finding in stopping(result.findings)]


@pytest.mark.parametrize("name", ["digest", "rule", "series", "test_rule", "schema", "alerts"])
def test_what_cannot_be_read_is_unknown_and_forbids_too(name):
    result = examined(facts(**{name: AWAY}))
    assert result.plan is None
    assert Verdict.UNKNOWN in {finding.verdict for finding in result.findings}


def test_an_older_version_is_called_a_downgrade_and_allowed():
    result = examined(wish=changed(WISH, version="v0.0.8"))
    assert result.plan is not None
    assert "downgrade" in [finding.code for finding in result.findings]


def test_a_version_known_to_be_bad_is_refused():
    assert examined(wish=changed(WISH, standing="known bad")).plan is None


def test_a_held_way_back_needs_consent():
    held = changed(WISH, holder="dep_old")
    assert examined(wish=held).plan is None
    assert examined(wish=changed(held, gives_up_hold=True)).plan.gives_up_hold == "dep_old"


def test_the_hash_covers_every_field_of_the_plan():
    plan = examined().plan
    hashes = {plans.fingerprint(plan)}
    for name, value in {"version": "v9.9.9", "digest": "sha256:1", "desired": 7, "ticket": "X", "limits": ()}.items():
        hashes.add(plans.fingerprint(changed(plan, **{name: value})))
    assert len(hashes) == 6


def test_a_plan_survives_the_way_through_json():
    plan = examined().plan
    assert restore(Plan, dump(plan)) == plan
    assert plans.fingerprint(restore(Plan, dump(plan))) == plans.fingerprint(plan)


def test_differences_between_plans_are_named():
    plan = examined().plan
    assert plans.differences(plan, changed(plan, digest="sha256:1")) == (f"digest: {DIGEST} → sha256:1",)
