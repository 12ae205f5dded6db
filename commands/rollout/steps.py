"""The effects of a deployment: each sets an absolute state or carries a key, and reads first where in doubt."""

from bot import audit, outbox
from bot.errors import OpsError, Unavailable
from bot.services import Services
from commands.rollout import messages, scene, store, traffic
from commands.rollout.records import Done, Outcome, Shift, State, Status
from commands.rollout.scene import Scene
from escalation import incidents


async def prepare(services: Services, deployment_id: str) -> Done:
    """Start the idle colour with the pinned image at the live colour's size; keep autoscaling from shrinking either."""
    at = await scene.enter(services, deployment_id)
    plan = at.plan
    try:
        revision = await at.place.ecs.revision_for(plan.idle.task_definition, plan.idle.container, plan.image)
        await at.place.ecs.update(plan.cluster, plan.idle.service, task_definition=revision, desired=plan.desired)
        for side in (plan.live, plan.idle):
            await at.place.scaling.suspend_scale_in(plan.cluster, side.service)
    except Unavailable as error:
        return Done(code="retry", sentence=error.sentence)
    except OpsError as error:
        return Done(code=error.code, sentence=error.sentence)
    return Done(
        code="ok", sentence=f"{plan.idle.service} runs {plan.version} ({plan.desired} tasks wanted)", value=revision
    )


async def switch(services: Services, deployment_id: str) -> Shift:
    """Send all traffic to the new colour. From here on production may be touched, and the record says so first."""
    at = await scene.enter(services, deployment_id)
    async with services.database.transaction() as session:
        deployment = await store.change(session, deployment_id, touched=True)
    plan = at.plan
    return await traffic.shift(
        services.database, at.place.elb, deployment, traffic.to_idle(plan), expected=traffic.to_live(plan)
    )


async def switch_back(services: Services, deployment_id: str) -> Shift:
    """Send all traffic back to the colour that was live before. Nothing but a newer deployment stops it."""
    at = await scene.enter(services, deployment_id)
    return await traffic.shift(services.database, at.place.elb, at.deployment, traffic.to_live(at.plan), expected=None)


async def stop_idle(services: Services, deployment_id: str) -> Done:
    """Scale the new colour to zero and let autoscaling work again; for a deployment that never had traffic."""
    at = await scene.enter(services, deployment_id)
    return await _scale_down(at, at.plan.idle.service)


async def retire(services: Services, deployment_id: str) -> Done:
    """Scale the old colour to zero after a second look: no open incident, and the traffic is still where it was put."""
    at = await scene.enter(services, deployment_id)
    async with services.database.transaction() as session:
        started = at.deployment.started_at
        found = await incidents.open_in(session, at.plan.environment)
    busy = [incident for incident in found if started is None or incident.opened_at >= started]
    if busy:
        return Done(code="incident", sentence=f"incident {busy[0].id} is open: {at.plan.live.colour} stays ready")
    try:
        rule = await at.place.elb.rule(at.plan.rule)
    except OpsError as error:
        return Done(code="retry", sentence=error.sentence)
    if rule.weights.get(at.plan.live.target_group, 0) != 0:
        return Done(code="traffic", sentence=f"{at.plan.live.colour} has traffic again: it is not retired")
    return await _scale_down(at, at.plan.live.service)


async def resume_scaling(services: Services, deployment_id: str) -> Done:
    """Let autoscaling shrink both colours again."""
    at = await scene.enter(services, deployment_id)
    try:
        for side in (at.plan.live, at.plan.idle):
            await at.place.scaling.resume(at.plan.cluster, side.service)
    except OpsError as error:
        return Done(code="retry", sentence=error.sentence)
    return Done(code="ok")


async def moment(services: Services, deployment_id: str) -> float:
    """Return the time in epoch seconds, so that a workflow can measure a wait without a clock of its own."""
    await scene.enter(services, deployment_id)
    return services.now().timestamp()


async def mark(
    services: Services, deployment_id: str, step: str, status: str, detail: str, *, tell: bool = True
) -> None:
    """Write how far a step is to the record, the audit log, the card and, at its end, the thread."""
    at = await scene.enter(services, deployment_id)
    async with services.database.transaction() as session:
        changed = await store.mark(session, deployment_id, step, Status(status), detail=detail, now=services.now())
        if tell:
            action = f"step_{status}"
            await audit.record(session, actor="opsbot", action=action, subject=deployment_id, step=step, detail=detail)
        if status in {Status.DONE, Status.FAILED}:
            text = messages.step_ended(changed, step)
            await outbox.say(session, key=scene.step_key(changed, f"{step}:{status}"), card=deployment_id, text=text)
        await outbox.show_card(session, card=deployment_id, kind=scene.CARD, channel=at.deployment.channel)


async def set_state(services: Services, deployment_id: str, state: str, text: str, key: str) -> None:
    """Write a state between the steps (paused, running) and say it in the thread once per `key`."""
    at = await scene.enter(services, deployment_id)
    async with services.database.transaction() as session:
        changed = await store.change(session, deployment_id, state=State(state))
        await outbox.say(session, key=scene.step_key(changed, key), card=deployment_id, text=text)
        await outbox.show_card(session, card=deployment_id, kind=scene.CARD, channel=at.deployment.channel)


async def put_question(services: Services, deployment_id: str, question: str, key: str) -> None:
    """Show a question with its buttons on the card, or take it away; a question is also asked aloud in the channel."""
    at = await scene.enter(services, deployment_id)
    async with services.database.transaction() as session:
        changed = await store.change(session, deployment_id, question=question)
        if question:
            text = messages.question(changed, question, services.settings.config.durations.answer)
            key = scene.step_key(changed, f"question:{key}")
            await outbox.say(session, key=key, card=deployment_id, text=text, broadcast=True)
        await outbox.show_card(session, card=deployment_id, kind=scene.CARD, channel=at.deployment.channel)


async def open_hold(services: Services, deployment_id: str) -> None:
    """Write the success down: known good, environment held, the record of the deployment in the thread."""
    at = await scene.enter(services, deployment_id)
    now = services.now()
    until = now + services.settings.config.durations.hold
    async with services.database.transaction() as session:
        changed = await store.change(session, deployment_id, state=State.HOLDING, hold_until=until)
        await store.judge(session, changed, store.KNOWN_GOOD, now)
        await store.hold_lease(session, changed.environment, changed.id, changed.epoch, now)
        live = messages.live(changed)
        await outbox.say(session, key=scene.step_key(changed, "live"), card=changed.id, text=live, broadcast=True)
        await outbox.say(
            session, key=scene.step_key(changed, "record"), card=changed.id, text=messages.record(changed, now)
        )
        await outbox.change(session, key=scene.step_key(changed, "change"), payload=messages.change_event(changed, now))
        await audit.record(session, actor="opsbot", action="holding", subject=changed.id, until=until.isoformat())
        await outbox.show_card(session, card=changed.id, kind=scene.CARD, channel=at.deployment.channel)


async def finish(services: Services, deployment_id: str, outcome: Outcome) -> None:
    """Write the end: record, lease, release, incident with its page, thread and card, all in one transaction."""
    at = await scene.enter(services, deployment_id)
    if at.deployment.outcome is not None:
        return
    now = services.now()
    async with services.database.transaction() as session:
        changed = await store.change(
            session, deployment_id, state=outcome.state, outcome=outcome, finished_at=now, question="", expires_at=None
        )
        await store.release_lease(session, changed.environment, deployment_id, now)
        if outcome.state is State.ROLLED_BACK:
            await store.judge(session, changed, store.KNOWN_BAD, now)
        loud = outcome.state is not State.PLANNED
        ended = messages.ended(changed)
        await outbox.say(session, key=scene.step_key(changed, "ended"), card=changed.id, text=ended, broadcast=loud)
        await audit.record(
            session, actor="opsbot", action="ended", subject=changed.id, state=outcome.state, code=outcome.code
        )
        if outcome.pages:
            trouble = messages.trouble(changed, outcome)
            await incidents.report(session, services, trouble, now=now)
        if changed.started_at is not None and outcome.state is not State.SUCCEEDED:
            text = messages.record(changed, now)
            # Not the key of `open_hold`: what was recorded as live may have been sent back since.
            await outbox.say(session, key=scene.step_key(changed, "record:ended"), card=changed.id, text=text)
        await outbox.show_card(session, card=changed.id, kind=scene.CARD, channel=at.deployment.channel)


async def _scale_down(at: Scene, service: str) -> Done:
    try:
        await at.place.ecs.update(at.plan.cluster, service, desired=0)
        for side in (at.plan.live, at.plan.idle):
            await at.place.scaling.resume(at.plan.cluster, side.service)
    except Unavailable as error:
        return Done(code="retry", sentence=error.sentence)
    except OpsError as error:
        return Done(code=error.code, sentence=error.sentence)
    return Done(code="ok", sentence=f"{service} is scaled to 0")
