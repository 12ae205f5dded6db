from datetime import timedelta

import pytest

from bot.clients.elb import Elb, Rule, TargetGroup, TargetHealth
from bot.errors import NotFound, Refused

RULE = "arn:aws:elasticloadbalancing:us-east-1:1:listener-rule/app/lb/1/2/3"
BLUE = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/blue/1"
GREEN = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/green/2"


def forward(blue, green, **stickiness):
    groups = [{"TargetGroupArn": BLUE, "Weight": blue}, {"TargetGroupArn": GREEN, "Weight": green}]
    return {
        "Type": "forward",
        "Order": 1,
        "ForwardConfig": {"TargetGroups": groups, "TargetGroupStickinessConfig": {"Enabled": False, **stickiness}},
    }


def described(script, *actions):
    script("elbv2", "describe_rules", {"RuleArns": [RULE]}, {"Rules": [{"RuleArn": RULE, "Actions": list(actions)}]})


async def test_a_rule_tells_the_weight_of_each_group_and_whether_it_is_sticky(aws, script):
    described(script, forward(75, 25, Enabled=True, DurationSeconds=60))
    assert await Elb(aws).rule(RULE) == Rule(arn=RULE, weights={BLUE: 75, GREEN: 25}, sticky=True)


async def test_a_rule_with_one_plain_group_has_that_group(aws, script):
    described(script, {"Type": "forward", "TargetGroupArn": BLUE})
    assert await Elb(aws).rule(RULE) == Rule(arn=RULE, weights={BLUE: 1}, sticky=False)


async def test_a_rule_that_is_not_there_is_not_found(aws, script):
    script("elbv2", "describe_rules", {"RuleArns": [RULE]}, {"Rules": []})
    with pytest.raises(NotFound, match="listener_rule"):
        await Elb(aws).rule(RULE)


async def test_a_rule_that_forwards_nowhere_is_refused(aws, script):
    described(script, {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}})
    with pytest.raises(Refused, match="forwards nowhere"):
        await Elb(aws).rule(RULE)


async def test_weights_are_written_whole_and_stickiness_is_left_as_it_was(aws, script):
    described(script, forward(100, 0, Enabled=True, DurationSeconds=60))
    wanted = forward(0, 100, Enabled=True, DurationSeconds=60)
    script("elbv2", "modify_rule", {"RuleArn": RULE, "Actions": [wanted]}, {"Rules": []})
    await Elb(aws).set_weights(RULE, {BLUE: 0, GREEN: 100})


async def test_a_login_before_the_forwarding_survives_a_change_of_weights(aws, script):
    oidc = {
        "Issuer": "https://id",
        "AuthorizationEndpoint": "https://id/a",
        "TokenEndpoint": "https://id/t",
        "UserInfoEndpoint": "https://id/u",
        "ClientId": "opsbot",
    }
    login = {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": oidc}
    kept = {**login, "AuthenticateOidcConfig": {**oidc, "UseExistingClientSecret": True}}
    described(script, login, {**forward(100, 0), "Order": 2})
    actions = [kept, {**forward(95, 5), "Order": 2}]
    script("elbv2", "modify_rule", {"RuleArn": RULE, "Actions": actions}, {"Rules": []})
    await Elb(aws).set_weights(RULE, {BLUE: 95, GREEN: 5})


@pytest.mark.parametrize(
    "weights",
    [
        {BLUE: 0, GREEN: 0},
        {BLUE: 50, GREEN: 49},
        {BLUE: 60, GREEN: 60},
        {BLUE: 110, GREEN: -10},
        {BLUE: 100},
        {BLUE: 100, "arn:other": 0},
        {BLUE: 50, GREEN: 50, "arn:other": 0},
        {},
    ],
)
async def test_weights_that_do_not_share_the_traffic_between_both_groups_are_refused_unwritten(aws, script, weights):
    described(script, forward(100, 0))
    with pytest.raises(Refused, match="nothing was changed"):
        await Elb(aws).set_weights(RULE, weights)


async def test_targets_are_counted_by_state(aws, script):
    states = ["healthy", "healthy", "initial", "unhealthy", "draining"]
    targets = [{"Target": {"Id": str(n)}, "TargetHealth": {"State": state}} for n, state in enumerate(states)]
    script("elbv2", "describe_target_health", {"TargetGroupArn": BLUE}, {"TargetHealthDescriptions": targets})
    health = await Elb(aws).health(BLUE)
    assert (health.healthy, health.total) == (2, 5)
    assert health.states == {"healthy": 2, "initial": 1, "unhealthy": 1, "draining": 1}


def test_a_group_without_targets_has_none_healthy():
    assert (TargetHealth(states={}).healthy, TargetHealth(states={}).total) == (0, 0)


async def test_a_group_tells_what_decides_about_draining_and_health(aws, script):
    group = {"TargetGroupArn": GREEN, "HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 3}
    values = {"stickiness.enabled": "true", "deregistration_delay.timeout_seconds": "30"}
    attributes = [{"Key": key, "Value": value} for key, value in values.items()]
    script("elbv2", "describe_target_groups", {"TargetGroupArns": [GREEN]}, {"TargetGroups": [group]})
    script("elbv2", "describe_target_group_attributes", {"TargetGroupArn": GREEN}, {"Attributes": attributes})
    assert await Elb(aws).group(GREEN) == TargetGroup(
        arn=GREEN,
        sticky=True,
        deregistration_delay=timedelta(seconds=30),
        interval=timedelta(seconds=10),
        healthy_threshold=3,
    )
