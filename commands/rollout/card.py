"""The one live card of a deployment, a pure function of its record (rules: facts slack.md section 5.2)."""

from bot import blocks
from bot.contract import Block, Card
from commands import grammar
from commands.checks import Verdict, count
from commands.rollout import plans, words
from commands.rollout.records import Deployment, Plan, State, Status

APPROVE, REJECT, SHOW_PLAN = "deploy_approve", "deploy_reject", "deploy_plan"
PAUSE, RESUME, ABORT = "deploy_pause", "deploy_resume", "deploy_abort"
KEEP, BACK = "deploy_keep", "deploy_back"
HASH_SHOWN = 16

_SIGNS = {
    State.PLANNING: ":mag:",
    State.WAITING: ":hourglass_flowing_sand:",
    State.RUNNING: ":large_blue_circle:",
    State.PAUSED: ":double_vertical_bar:",
    State.HOLDING: ":white_check_mark:",
    State.SUCCEEDED: ":white_check_mark:",
    State.PLANNED: ":clipboard:",
    State.REFUSED: ":x:",
    State.DENIED: ":x:",
    State.EXPIRED: ":hourglass:",
    State.ABORTED: ":leftwards_arrow_with_hook:",
    State.FAILED: ":x:",
    State.ROLLED_BACK: ":leftwards_arrow_with_hook:",
    State.DEGRADED: ":rotating_light:",
}


def render(deployment: Deployment) -> Card:
    """Return the card as the record has it now."""
    parts: list[Block] = [blocks.header(_title(deployment)), blocks.section(_headline(deployment))]
    if deployment.question:
        parts.append(blocks.section(f":rotating_light: *Decide:* {blocks.escape(deployment.question)}"))
    if deployment.plan is not None and deployment.state in {State.WAITING, State.PLANNED}:
        parts.append(_facts(deployment, deployment.plan))
    if deployment.findings and not deployment.progress:
        parts.append(blocks.section(_checks(deployment)))
    if deployment.plan is not None and deployment.progress:
        parts.append(_progress(deployment, deployment.plan))
    parts += [*_buttons(deployment), _small_print(deployment)]
    return Card(text=sentence(deployment), blocks=tuple(parts))


def sentence(deployment: Deployment) -> str:
    """Return the card in one sentence: state, version, environment, what is next."""
    what = f"{deployment.version} to {deployment.environment}"
    if deployment.outcome is not None:
        reason = _capital(blocks.escape(deployment.outcome.reason.rstrip(".")))
        return f"Deploy {what}: {deployment.state}. {reason}."
    if deployment.state is State.WAITING:
        missing = _missing(deployment)
        if not missing:
            return f"Deploy {what}: approved, looking at everything once more."
        name = blocks.escape(deployment.requested_by_name)
        return f"Approval needed: deploy {what}, asked by {name}. {missing} more to approve."
    if deployment.state is State.HOLDING and deployment.plan is not None:
        plan = deployment.plan
        return f"Deploy {what}: live on {plan.idle.colour}, {plan.live.colour} is held ready for rollback."
    return f"Deploy {what}: {deployment.state}, {blocks.escape(_now(deployment))}."


def _title(deployment: Deployment) -> str:
    verb = {
        State.RUNNING: "Deploying",
        State.HOLDING: "Deployed",
        State.SUCCEEDED: "Deployed",
        State.PLANNED: "Plan: deploy",
    }.get(deployment.state, "Deploy")
    return f"{verb} {deployment.version} to {deployment.environment}"


def _headline(deployment: Deployment) -> str:
    sign = _SIGNS[deployment.state]
    if deployment.outcome is not None:
        reason = _capital(blocks.escape(deployment.outcome.reason))
        return f"{sign} *{_capital(deployment.state)}* · {reason}"
    if deployment.state is State.WAITING:
        missing = _missing(deployment)
        if not missing:
            return f"{sign} *Approved* · looking at everything once more"
        return (
            f"{sign} *Waiting for approval* · needs {missing} approver{'s' if missing > 1 else ''}, not the requester"
        )
    if deployment.state is State.HOLDING and deployment.plan is not None:
        until = blocks.time(deployment.hold_until) if deployment.hold_until else ""
        live, old = deployment.plan.idle.colour, deployment.plan.live
        return f"{sign} *Live on {live}* · {old.colour} `{blocks.escape(old.version)}` is held ready until {until}"
    return f"{sign} *{_capital(deployment.state)}* · {blocks.escape(_now(deployment))}"


def _missing(deployment: Deployment) -> int:
    needed = deployment.plan.approvals if deployment.plan else 1
    return max(0, needed - len(deployment.approvers))


def _now(deployment: Deployment) -> str:
    if deployment.plan is None:
        return "running the preflight checks"
    running = [item for item in deployment.progress if item.status is Status.RUNNING]
    titles = {str(item.step): item.title for item in deployment.plan.steps}
    if running:
        names = list(titles)
        number = names.index(running[-1].step) + 1 if running[-1].step in titles else 0
        title = titles.get(running[-1].step, running[-1].step)
        return f"step {number} of {len(names)}, {title[:1].lower()}{title[1:]}"
    ended = sum(1 for item in deployment.progress if item.status is Status.DONE)
    return f"{ended} of {len(deployment.plan.steps)} steps done" if ended else "about to start"


def _facts(deployment: Deployment, plan: Plan) -> Block:
    old = f"`{blocks.escape(plan.live.version or 'unknown')}` on {plan.live.colour}, {plan.live.desired} tasks"
    quick = f"traffic after about {words.span(plans.until_traffic(plan))}"
    image = f"`{plan.digest[:19]}…`"
    ticket = blocks.escape(deployment.ticket) if deployment.ticket else "none given"
    return blocks.fields(
        ("Strategy", f"{plan.strategy}, {quick}, in all {words.span(plans.until_done(plan))}"),
        ("Now live", old),
        ("Image", image),
        ("Ticket", ticket),
    )


def _checks(deployment: Deployment) -> str:
    found = count(deployment.findings)
    bad = found[Verdict.FAIL] + found[Verdict.UNKNOWN]
    counted = ((":white_check_mark:", "passed", found[Verdict.PASS]), (":warning:", "to look at", found[Verdict.WARN]))
    parts = [f"{sign} {number} {word}" for sign, word, number in (*counted, (":x:", "failed", bad)) if number]
    lines = [f"*Checks*  {' · '.join(parts)}"]
    lines += [
        f"{words.MARKS[finding.verdict]} {finding.check}: {blocks.escape(finding.evidence)}"
        for finding in deployment.findings
        if finding.verdict is not Verdict.PASS
    ]
    return "\n".join(lines)


def _progress(deployment: Deployment, plan: Plan) -> Block:
    known = {item.step: item for item in deployment.progress}
    tasks = []
    for item in plan.steps:
        seen = known.get(str(item.step))
        status = seen.status if seen else Status.PENDING
        took = ""
        if seen and seen.started_at and seen.finished_at:
            took = f" · {words.span(seen.finished_at - seen.started_at)}"
        detail = f"{seen.detail}{took}" if seen else ""
        ended = status in {Status.DONE, Status.FAILED}
        texts = {"output": detail} if ended else {"details": detail}
        tasks.append(blocks.task(str(item.step), item.title, status.value, **texts))
    finished = sum(1 for item in known.values() if item.status is Status.DONE)
    return blocks.plan(f"{finished} of {len(plan.steps)} steps done", tasks)


def _buttons(deployment: Deployment) -> list[Block]:
    what = f"{deployment.version} to {deployment.environment}"
    elements: list[Block] = []
    if deployment.state is State.WAITING and _missing(deployment):
        elements = _approval_buttons(deployment, what)
    elif deployment.state in {State.RUNNING, State.PAUSED, State.HOLDING}:
        elements = _running_buttons(deployment, what)
    if not elements:
        return []
    return [blocks.actions(f"deployment:{deployment.id}", *elements)]


def _approval_buttons(deployment: Deployment, what: str) -> list[Block]:
    shown = f"{deployment.id}:{deployment.plan_hash[:HASH_SHOWN]}"
    text = f"{deployment.version} goes to *{deployment.environment}* (blue-green). You are recorded as approver."
    sure = blocks.confirm("Approve this deployment?", text, yes="Approve", no="Not yet")
    return [
        blocks.button("Approve", APPROVE, shown, style="primary", confirm=sure, label=f"Approve deploy of {what}"),
        blocks.button("Reject", REJECT, shown, label=f"Reject deploy of {what}"),
        blocks.button("Show plan", SHOW_PLAN, deployment.id, label=f"Show the plan of {what}"),
    ]


def _running_buttons(deployment: Deployment, what: str) -> list[Block]:
    plan = deployment.plan
    old = f"{plan.live.colour} `{blocks.escape(plan.live.version)}`" if plan else "the old colour"
    name, back = "Abort", f"*{deployment.environment}* stays on {old} and {deployment.version} gets no traffic."
    if plan and deployment.touched:
        name = f"Go back to {plan.live.colour}"
        back = f"All traffic of *{deployment.environment}* goes to {old} and {deployment.version} gets none."
    sure = blocks.confirm(f"{name}?", back, yes=name, no="Let it run", style="danger")
    abort = blocks.button(name, ABORT, deployment.id, style="danger", confirm=sure, label=f"Abort deploy of {what}")
    if deployment.question:
        keep = blocks.confirm(
            "Keep it?", f"*{deployment.environment}* stays on {deployment.version}.", yes="Keep", no="Wait"
        )
        return [
            blocks.button("Go back", BACK, deployment.id, style="danger", confirm=sure, label=f"Go back from {what}"),
            blocks.button("Keep it and go on", KEEP, deployment.id, confirm=keep, label=f"Keep {what}"),
        ]
    if deployment.state is State.HOLDING:
        return [abort]
    if deployment.state is State.PAUSED:
        return [
            blocks.button("Resume", RESUME, deployment.id, style="primary", label=f"Resume deploy of {what}"),
            abort,
        ]
    return [blocks.button("Pause", PAUSE, deployment.id, label=f"Pause deploy of {what}"), abort]


def _small_print(deployment: Deployment) -> Block:
    parts = [
        f"Asked by <@{deployment.requested_by}>"
        if _is_slack(deployment)
        else blocks.escape(deployment.requested_by_name)
    ]
    if deployment.approvers:
        parts.append("approved by " + ", ".join(blocks.escape(name) for name in deployment.approvers))
    parts.append(blocks.time(deployment.created_at))
    if deployment.state is State.WAITING and deployment.expires_at:
        parts.append(f"expires {blocks.time(deployment.expires_at, '{time_secs}')}")
    parts.append(f"`{deployment.id}`")
    return blocks.context(" · ".join(parts))


def _is_slack(deployment: Deployment) -> bool:
    return deployment.requested_by.startswith(("U", "W")) and deployment.requested_by.isalnum()


def _capital(text: str) -> str:
    """Begin a sentence; a version at its beginning stays as it is written everywhere else."""
    return text if grammar.is_version(text.partition(" ")[0]) else text[:1].upper() + text[1:]
