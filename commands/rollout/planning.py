"""The steps before anything is changed: plan, ask, look again, let the request expire. Each is one durable step."""

import asyncio
from dataclasses import replace

from sqlmodel.ext.asyncio.session import AsyncSession

from bot import audit, durable, outbox
from bot.contract import Person
from bot.services import Services
from commands.approval import gate
from commands.approval.records import ApprovalState, Policy
from commands.checks import failed, stopping
from commands.rollout import messages, plans, preflight, scene, store, survey
from commands.rollout.records import Plan, Preflight, Recheck, State, Status
from commands.rollout.scene import Scene
from escalation import incidents


async def make_plan(services: Services, deployment_id: str) -> Preflight:
    """Read everything, decide, and write findings and plan to the record."""
    at = await scene.enter(services, deployment_id)
    result = await _examine(at)
    async with services.database.transaction() as session:
        fields = {"findings": result.findings, "plan": result.plan}
        digest = plans.fingerprint(result.plan) if result.plan else ""
        await store.change(session, deployment_id, plan_hash=digest, **fields)
        await audit.record(
            session,
            actor="opsbot",
            action="planned" if result.plan else "plan_refused",
            subject=deployment_id,
            plan_hash=digest,
            stopping=[finding.code for finding in stopping(result.findings)],
        )
        await _show(at, session)
    return result


async def ask(services: Services, deployment_id: str) -> float:
    """Open the request for approval of the recorded plan. Returns the seconds until it expires."""
    at = await scene.enter(services, deployment_id)
    now = services.now()
    deadline = now + services.settings.config.durations.approval
    asker = Person(
        id=at.deployment.requested_by, name=at.deployment.requested_by_name, email=at.deployment.requested_by_email
    )
    async with services.database.transaction() as session:
        policy = Policy(needed=at.plan.approvals)
        wanted = gate.request_for(deployment_id, at.deployment.plan_hash, policy, asker, now=now, expires_at=deadline)
        request = await gate.ask(session, wanted, now=now)
        changed = await store.change(session, deployment_id, state=State.WAITING, expires_at=request.expires_at)
        key = scene.step_key(changed, f"asked:{request.id}")
        await outbox.say(session, key=key, card=deployment_id, text=messages.asked(changed))
        await _show(at, session)
    return max(0.0, (request.expires_at - now).total_seconds())


async def expire(services: Services, deployment_id: str) -> ApprovalState:
    """Close the request whose time is up; a decision that came first stands and is returned."""
    async with services.database.transaction() as session:
        return await gate.expire(session, deployment_id)


async def withdraw(services: Services, deployment_id: str) -> None:
    """Close a request that nobody has to decide any more."""
    async with services.database.transaction() as session:
        await gate.withdraw(session, deployment_id)


async def look_again(services: Services, deployment_id: str) -> Recheck:
    """Compare the approved plan with the world just before it is carried out; a difference voids the approval."""
    at = await scene.enter(services, deployment_id)
    result = await _examine(at)
    if result.plan is not None and plans.fingerprint(result.plan) == at.deployment.plan_hash:
        started = await _start(at, result.plan)
        if started is not None:
            return started
    changes = plans.differences(at.plan, result.plan) if result.plan else ()
    async with services.database.transaction() as session:
        await gate.void(session, deployment_id)
        fields = {"findings": result.findings, "plan": result.plan or at.plan}
        digest = plans.fingerprint(result.plan) if result.plan else at.deployment.plan_hash
        changed = await store.change(session, deployment_id, plan_hash=digest, approvers=(), **fields)
        if result.plan is not None:
            key = scene.step_key(changed, f"changed:{digest}")
            await outbox.say(session, key=key, card=deployment_id, text=messages.plan_changed(changes))
        await _show(at, session)
    return Recheck(same=False, plan=result.plan, differences=changes, stopping=stopping(result.findings))


async def _start(at: Scene, plan: Plan) -> Recheck | None:
    """Turn an approved request into a running deployment; one that replaces a hold takes the environment over now.

    None where this plan is not approved: a run that died after it recorded a changed plan comes here with the new one,
    so the approval decides, and not the record alone. The first step is marked here, in the same transaction.
    """
    services, deployment = at.services, at.deployment
    async with services.database.transaction() as session:
        now = services.now()
        if plan.approvals and not await gate.covers(session, deployment.id, deployment.plan_hash):
            return None
        lease = await store.lease(session, deployment.environment, now)
        if lease.holder not in {None, deployment.id, deployment.replaces}:
            sentence = f"{lease.holder} has taken {deployment.environment} meanwhile"
            return Recheck(same=False, plan=plan, stopping=(failed("environment", "taken", sentence),))
        epoch = deployment.epoch
        if lease.holder != deployment.id:
            epoch = await store.take_lease(session, deployment.environment, deployment.id, now)
        if lease.holder is not None and lease.holder != deployment.id:
            message = {"kind": "replaced", "name": deployment.id}
            await durable.signal(session, lease.holder, message, key=f"replaced:{deployment.id}")
        fields = {"state": State.RUNNING, "started_at": now, "expires_at": None, "epoch": epoch}
        changed = await store.change(session, deployment.id, **fields)
        first = str(plan.steps[0].step)
        await store.mark(session, deployment.id, first, Status.RUNNING, detail="", now=now)
        text = messages.started(changed)
        await outbox.say(session, key=scene.step_key(changed, "started"), card=deployment.id, text=text)
        digest = deployment.plan_hash
        await audit.record(session, actor="opsbot", action="started", subject=deployment.id, plan_hash=digest)
        await _show(at, session)
    return Recheck(same=True, plan=plan)


async def _examine(at: Scene) -> Preflight:
    services, deployment = at.services, at.deployment
    config = services.settings.config
    facts, (standing, troubles) = await asyncio.gather(
        survey.survey(at.place, at.environment, config.metrics, deployment.version), _known(at)
    )
    wish = preflight.Wish(
        environment=deployment.environment,
        version=deployment.version,
        standing=standing,
        holder=deployment.replaces,
        gives_up_hold=deployment.gives_up_hold,
        ticket=deployment.ticket,
        incidents=troubles,
    )
    return replace(preflight.examine(facts, wish, at.environment, config), dry_run=deployment.dry_run)


async def _known(at: Scene) -> tuple[str | None, tuple[str, ...]]:
    """Return what the records say: the standing of the version, and the open incidents."""
    environment = at.deployment.environment
    async with at.services.database.transaction() as session:
        standing = await store.standing(session, environment, at.deployment.version)
        troubles = await incidents.open_in(session, environment)
    return standing, tuple(f"{one.id} ({one.severity})" for one in troubles)


async def _show(at: Scene, session: AsyncSession) -> None:
    await outbox.show_card(session, card=at.deployment.id, kind=scene.CARD, channel=at.deployment.channel)
