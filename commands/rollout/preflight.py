"""What the survey means: findings with reason codes, and the plan where nothing forbids it. Pure.

The checks are those of facts deploy.md section 5.0; the ones that other courses own add their findings there.
"""

from dataclasses import dataclass
from typing import TypeVar

from bot.settings import Colour, Config, Environment
from commands import grammar
from commands.checks import Finding, failed, passed, stopping, unknown, warned
from commands.rollout import plans
from commands.rollout.records import Plan, Preflight, Rules, Side
from commands.rollout.survey import Facts, Read

Value = TypeVar("Value")

WHOLE = 100


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What was asked for, and what the records say about it."""

    environment: str
    version: str
    standing: str | None = None
    holder: str = ""
    gives_up_hold: bool = False
    ticket: str = ""
    incidents: tuple[str, ...] = ()


def examine(facts: Facts, wish: Wish, environment: Environment, config: Config) -> Preflight:
    """Return the findings, and the plan where every one of them allows to go on."""
    live = facts.live(environment)
    findings = [_image(facts, wish), _standing(wish), _rule(facts, environment)]
    if live is not None:
        idle: Colour = "green" if live == "blue" else "blue"
        findings += [
            _version_order(facts, wish, live),
            _sticky(facts),
            _live_healthy(facts, live),
            _idle_ready(facts, idle),
            _no_rollout(facts),
            _metrics(facts, live, environment),
            _test_rule(facts, live),
            _schema(facts),
            _alerts(facts),
            _incidents(wish),
        ]
        if wish.holder:
            findings.append(_hold(wish, idle))
    found = tuple(findings)
    allowed = live is not None and not stopping(found)
    plan = _plan(facts, wish, environment, config) if allowed else None
    return Preflight(findings=found, plan=plan, rules=Rules(durations=config.durations, thresholds=config.thresholds))


def _plan(facts: Facts, wish: Wish, environment: Environment, config: Config) -> Plan:
    live_colour = facts.live(environment)
    assert live_colour is not None
    live = _side(facts, environment, live_colour)
    idle = _side(facts, environment, "green" if live_colour == "blue" else "blue")
    group = facts.colour(idle.colour).group.value
    assert group is not None
    return Plan(
        environment=wish.environment,
        version=wish.version,
        strategy="blue-green",
        image=f"{facts.uri.value}@{facts.digest.value}",
        digest=facts.digest.value or "",
        cluster=environment.cluster,
        rule=environment.listener_rule,
        live=live,
        idle=idle,
        desired=live.desired,
        steps=plans.blue_green(config.durations, idle=idle, healthy_after=group.interval * group.healthy_threshold),
        deregistration_delay=group.deregistration_delay,
        approvals=environment.approvals,
        limits=plans.limits(config.thresholds),
        ticket=wish.ticket,
        schema_version=facts.schema.value or "",
        gives_up_hold=wish.holder,
    )


def _side(facts: Facts, environment: Environment, name: Colour) -> Side:
    settings, found = environment.colour(name), facts.colour(name)
    service = found.service.value
    assert service is not None
    return Side(
        colour=name,
        service=settings.service,
        target_group=settings.target_group,
        selector=settings.selector,
        container=settings.container,
        task_definition=service.task_definition,
        image=found.image.value or "",
        desired=service.desired,
        version=found.version,
    )


def _image(facts: Facts, wish: Wish) -> Finding:
    if facts.digest.value is None:
        return _missing("image", facts.digest, "image_missing")
    if facts.uri.value is None:
        return _missing("image", facts.uri, "repository_missing")
    return passed("image", f"{wish.version} is in the registry as {facts.digest.value[:19]}…")


def _standing(wish: Wish) -> Finding:
    if wish.standing == "known bad":
        return failed("release", "known_bad", f"{wish.version} was rolled back in {wish.environment} before")
    return passed("release", f"{wish.version} is not known to be bad in {wish.environment}")


def _version_order(facts: Facts, wish: Wish, live: Colour) -> Finding:
    now = facts.colour(live).version
    if not now:
        return warned(
            "version", "live_version_unknown", f"the version that is live on {live} has no tag in the registry"
        )
    if now == wish.version:
        return failed("version", "already_live", f"{wish.version} is already live on {live}; there is nothing to do")
    if grammar.order(wish.version) < grammar.order(now):
        return warned("version", "downgrade", f"{wish.version} is older than {now}, which is live: this is a downgrade")
    return passed("version", f"{now} on {live} → {wish.version}")


def _rule(facts: Facts, environment: Environment) -> Finding:
    rule = facts.rule.value
    if rule is None:
        return _missing("traffic rule", facts.rule, "rule_missing")
    groups = {environment.blue.target_group, environment.green.target_group}
    if set(rule.weights) != groups:
        return failed(
            "traffic rule", "rule_groups", "the rule does not hold exactly the blue and the green target group"
        )
    if sorted(rule.weights.values()) != [0, WHOLE]:
        split = ", ".join(str(weight) for weight in rule.weights.values())
        return failed("traffic rule", "weights", f"weights are {split}, not 100 and 0: another change is under way")
    return passed("traffic rule", "one colour has 100 % of the traffic, the other 0 %")


def _sticky(facts: Facts) -> Finding:
    groups = (facts.blue.group, facts.green.group)
    for read in groups:
        if read.value is None:
            return _missing("stickiness", read, "group_missing")
    on_rule = facts.rule.value is not None and facts.rule.value.sticky
    if on_rule or any(read.value is not None and read.value.sticky for read in groups):
        sentence = "stickiness is on: clients would stay on a bad colour after a rollback; turn it off first"
        return failed("stickiness", "sticky", sentence)
    return passed("stickiness", "off on the rule and on both target groups")


def _live_healthy(facts: Facts, live: Colour) -> Finding:
    side = facts.colour(live)
    if side.service.value is None:
        return _missing("live colour", side.service, "service_missing")
    if side.health.value is None:
        return _missing("live colour", side.health, "group_missing")
    healthy, desired = side.health.value.healthy, side.service.value.desired
    if healthy < desired or desired == 0:
        return failed("live colour", "live_unhealthy", f"only {healthy} of {desired} tasks of {live} are healthy")
    return passed("live colour", f"{healthy} of {desired} tasks of {live} are healthy")


def _idle_ready(facts: Facts, idle: Colour) -> Finding:
    side = facts.colour(idle)
    if side.image.value is None:
        return _missing("idle colour", side.image, "service_missing")
    service = side.service.value
    assert service is not None
    return passed("idle colour", f"{service.name} is there with {service.running} tasks")


def _no_rollout(facts: Facts) -> Finding:
    for read in (facts.blue.service, facts.green.service):
        if read.value is None:
            return _missing("ECS", read, "service_missing")
        if read.value.deployments != 1 or read.value.rollout == "IN_PROGRESS":
            return failed("ECS", "rollout_running", f"an ECS deployment of {read.value.name} is still in progress")
    return passed("ECS", "no ECS deployment is in progress")


def _metrics(facts: Facts, live: Colour, environment: Environment) -> Finding:
    if facts.series.problem:
        return _missing("metrics", facts.series, "metrics_unreadable")
    if not facts.series.value:
        selector = environment.colour(live).selector
        return failed("metrics", "no_series", f"no request series matches {{{selector}}}: the watch would be blind")
    return passed("metrics", f"{facts.series.value:.0f} request series of {live} are read")


def _test_rule(facts: Facts, live: Colour) -> Finding:
    answer = facts.test_rule.value
    if answer is None:
        return _missing("test rule", facts.test_rule, "test_rule_unreachable")
    if answer.status != 200:  # noqa: PLR2004 - HTTP OK
        return failed("test rule", "test_rule", f"/health of {live} through the test rule answers {answer.status}")
    return passed("test rule", f"reaches {live} in {answer.seconds * 1000:.0f} ms")


def _schema(facts: Facts) -> Finding:
    if facts.schema.absent:
        return warned("database", "not_configured", "no database URL is configured: the schema version is not checked")
    if facts.schema.problem:
        return _missing("database", facts.schema, "database_unreachable")
    return passed("database", f"schema version {facts.schema.value or 'none recorded'}")


def _alerts(facts: Facts) -> Finding:
    if facts.alerts.value is None:
        return _missing("alerts", facts.alerts, "alerts_unreadable")
    if facts.alerts.value:
        return warned("alerts", "firing", f"firing: {', '.join(facts.alerts.value[:5])}")
    return passed("alerts", "none is firing")


def _incidents(wish: Wish) -> Finding:
    if wish.incidents:
        return warned("incidents", "open", f"open: {', '.join(wish.incidents[:5])}")
    return passed("incidents", "none is open")


def _hold(wish: Wish, idle: Colour) -> Finding:
    sentence = f"{idle} is held for the rollback of {wish.holder}; deploying onto it destroys that way back"
    if wish.gives_up_hold:
        return warned("hold", "hold_given_up", f"{sentence} (consent given with --replace-hold)")
    return failed("hold", "hold_open", f"{sentence}; add --replace-hold to consent")


def _missing(check: str, read: Read[Value], code: str) -> Finding:
    if read.absent:
        return failed(check, code, read.problem)
    return unknown(check, "unreadable", read.problem)
