"""What is said in a deployment's thread and sent with its page, composed from records. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bot import blocks
from commands.rollout import plans, words
from commands.rollout.records import Deployment, Outcome, Plan, Progress, State, Status
from escalation.records import Trouble

_CHANNEL_MENTION = "<!here>"


def asked(deployment: Deployment) -> str:
    """Ask for approval in the thread."""
    expires = blocks.time(deployment.expires_at, "{time_secs}") if deployment.expires_at else "soon"
    needed = deployment.plan.approvals if deployment.plan else 1
    return (
        f":hourglass_flowing_sand: Waiting for {needed} approval{'s' if needed > 1 else ''} of this plan "
        f"(`{deployment.plan_hash[:8]}`) until {expires}. Use the buttons above, "
        f"or mention me here: `approve {deployment.id} {deployment.plan_hash[:8]}`."
    )


def plan_changed(changes: tuple[str, ...]) -> str:
    """Say why the approval does not count any more."""
    shown = [f"• {blocks.escape(change)}" for change in changes[:8]]
    more = [f"• and {len(changes) - 8} more"] if len(changes) > 8 else []  # noqa: PLR2004 - a screenful
    head = ":warning: *The plan has changed since it was approved*, so the approval is void. Please decide again:"
    return "\n".join([head, *shown, *more])


def started(deployment: Deployment) -> str:
    """Say that work begins."""
    by = (
        f", approved by {', '.join(blocks.escape(name) for name in deployment.approvers)}"
        if deployment.approvers
        else ""
    )
    return f":rocket: Started: {deployment.version} to {deployment.environment}{by}."


def step_ended(deployment: Deployment, step: str) -> str:
    """Say what a step observed."""
    item = _progress(deployment, step)
    title = _title(deployment, step)
    sign = ":white_check_mark:" if item.status is Status.DONE else ":x:"
    took = f" ({words.span(item.finished_at - item.started_at)})" if item.started_at and item.finished_at else ""
    return f"{sign} *{title}*: {blocks.escape(item.detail)}{took}"


def question(deployment: Deployment, reason: str, answer: timedelta) -> str:
    """Ask for a decision; silence goes back."""
    return (
        f":rotating_light: {_CHANNEL_MENTION} {deployment.version} on {deployment.environment} is doubtful: "
        f"{blocks.escape(reason)}. Decide on the card; without an answer in {words.span(answer)} the traffic goes back."
    )


def live(deployment: Deployment) -> str:
    """Announce the success."""
    plan = _plan(deployment)
    old = f"{plan.live.colour} `{blocks.escape(plan.live.version)}`"
    until = blocks.time(deployment.hold_until, "{date_short_pretty} {time}") if deployment.hold_until else "later"
    return (
        f":white_check_mark: *{deployment.version} is live on {deployment.environment}* ({plan.idle.colour}), "
        f"traffic observed and watched. {old} is held ready for rollback until {until}."
    )


def ended(deployment: Deployment) -> str:
    """Announce the end."""
    outcome = deployment.outcome
    assert outcome is not None
    reason = blocks.escape(outcome.reason)
    what = f"{deployment.version} to {deployment.environment}"
    head = {
        State.SUCCEEDED: f":white_check_mark: *Finished {what}*",
        State.PLANNED: f":clipboard: *Planned {what}*",
        State.REFUSED: f":x: *Not started {what}*",
        State.DENIED: f":x: *Denied {what}*",
        State.EXPIRED: f":hourglass: *Expired {what}*",
        State.ABORTED: f":leftwards_arrow_with_hook: *Aborted {what}*",
        State.FAILED: f":x: *Failed {what}*",
        State.ROLLED_BACK: f":leftwards_arrow_with_hook: *Rolled back {what}*",
        State.DEGRADED: f":rotating_light: {_CHANNEL_MENTION} *Needs a person now {what}*",
    }[outcome.state]
    nothing = " Nothing was changed." if outcome.state in {State.REFUSED, State.DENIED, State.EXPIRED} else ""
    lines = [f"{head}: {reason.rstrip('.')}.{nothing}"]
    # A single piece of evidence is the reason over again.
    if len(outcome.evidence) > 1 or outcome.state is not State.REFUSED:
        lines += [f"• {blocks.escape(item)}" for item in outcome.evidence]
    if outcome.state is State.PLANNED:
        lines.append(plan_text(deployment))
    if outcome.state is State.DEGRADED and deployment.plan is not None:
        lines += _by_hand(deployment.plan)
    return "\n".join(lines)


def trouble(deployment: Deployment, outcome: Outcome) -> Trouble:
    """Say what on-call must know, in the words of a page."""
    what = f"{deployment.version} to {deployment.environment}"
    plan = deployment.plan
    facts = {
        "deployment": deployment.id,
        "version": deployment.version,
        "environment": deployment.environment,
        "asked_by": deployment.requested_by_name,
        "approved_by": ", ".join(deployment.approvers) or "nobody",
        "live_now": f"{plan.live.version} on {plan.live.colour}"
        if plan and outcome.state is not State.DEGRADED
        else "see thread",
    }
    return Trouble(
        key=f"opsbot:{deployment.environment}:{deployment.id}",
        severity="P0" if outcome.state is State.DEGRADED else "P1",
        environment=deployment.environment,
        title=f"Deploy {what} {outcome.state}: {outcome.reason}",
        reason=outcome.code,
        evidence=outcome.evidence or (outcome.reason,),
        card=deployment.id,
        deployment=deployment.id,
        facts=tuple(facts.items()),
    )


def change_event(deployment: Deployment, now: datetime) -> Mapping[str, object]:
    """Tell PagerDuty that production has changed, for the correlation there."""
    return {
        "summary": f"Deployed {deployment.version} to {deployment.environment}",
        "timestamp": now.isoformat(),
        "source": "opsbot",
        "custom_details": {"deployment": deployment.id, "environment": deployment.environment},
    }


def record(deployment: Deployment, now: datetime) -> str:
    """Write the runbook's deployment record (appendix C) from what was observed."""
    outcome, plan = deployment.outcome, _plan(deployment)
    rolled = outcome is not None and outcome.touched and outcome.state is not State.SUCCEEDED
    lines = [
        f"*Record of deployment {deployment.id}: {deployment.version} to {deployment.environment}*",
        f"*Date:* {deployment.created_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        f"*Deployed by:* {blocks.escape(deployment.requested_by_name)}",
        f"*Approved by:* {blocks.escape(', '.join(deployment.approvers) or 'not required')}",
        f"*Change ticket:* {blocks.escape(deployment.ticket or 'none given')}",
        f"*Image:* `{plan.digest}`",
        "*Process*",
        f"• preflight: {plans.all_checks(deployment.findings)}",
        *(f"• {_line(deployment, item)}" for item in deployment.progress if item.status is not Status.PENDING),
        f"*Issues:* {blocks.escape(outcome.reason) if outcome else 'none'}",
        f"*Rollback performed:* {'yes' if rolled else 'no'}",
    ]
    if deployment.started_at:
        lines.append(f"*Time since approval:* {words.span(now - deployment.started_at)}")
    return "\n".join(lines)


def plan_text(deployment: Deployment) -> str:
    """Show the whole plan, as `Show plan` and `--dry-run` do."""
    plan = _plan(deployment)
    lines = [
        f"*Plan of {deployment.id}* (`{deployment.plan_hash[:8]}`)",
        f"Image `{blocks.escape(plan.image)}` for {plan.idle.service} ({plan.desired} tasks)",
        f"Task definition: `{plan.idle.task_definition.rpartition('/')[2]}` with its image replaced",
        f"Traffic: {plan.live.colour} 100 % → {plan.idle.colour} 100 % on the rule `{plan.rule.rpartition('/')[2]}`",
        f"Way back: {plan.live.colour} `{blocks.escape(plan.live.version)}` keeps its {plan.live.desired} tasks",
    ]
    if plan.gives_up_hold:
        lines.append(f":warning: Gives up the held way back of {plan.gives_up_hold}")
    lines += [
        f"{number}. {item.title}: about {words.span(item.expected)}, at most {words.span(item.limit)}"
        for number, item in enumerate(plan.steps, start=1)
    ]
    return "\n".join(lines)


def _by_hand(plan: Plan) -> list[str]:
    back = f"{plan.live.colour} = 100, {plan.idle.colour} = 0"
    actions = (
        f'[{{"Type":"forward","ForwardConfig":{{"TargetGroups":['
        f'{{"TargetGroupArn":"{plan.live.target_group}","Weight":100}},'
        f'{{"TargetGroupArn":"{plan.idle.target_group}","Weight":0}}]}}}}]'
    )
    return [
        "Look: " + f"`aws elbv2 describe-rules --rule-arns {plan.rule}`",
        f"Go back by hand ({back}): `aws elbv2 modify-rule --rule-arn {plan.rule} --actions '{actions}'`",
    ]


def _line(deployment: Deployment, item: Progress) -> str:
    took = f" ({words.span(item.finished_at - item.started_at)})" if item.started_at and item.finished_at else ""
    state = "" if item.status is Status.DONE else f" [{'failed' if item.status is Status.FAILED else 'running'}]"
    detail = f": {blocks.escape(item.detail)}" if item.detail else ""
    return f"{_title(deployment, item.step)}{state}{detail}{took}"


def _progress(deployment: Deployment, step: str) -> Progress:
    return next(item for item in deployment.progress if item.step == step)


def _title(deployment: Deployment, step: str) -> str:
    return next((item.title for item in _plan(deployment).steps if item.step == step), step)


def _plan(deployment: Deployment) -> Plan:
    assert deployment.plan is not None
    return deployment.plan
