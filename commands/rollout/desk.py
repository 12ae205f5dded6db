"""What people ask of deployments: open, decide, steer, answer. Each is one transaction with audit row and signal."""

import hashlib
from dataclasses import dataclass, replace

from sqlmodel.ext.asyncio.session import AsyncSession

from bot import audit, blocks, durable, outbox
from bot.contract import Request
from bot.errors import Refused
from bot.services import Services
from bot.settings import Strategy
from commands.approval import gate
from commands.approval.records import Choice, Ruling
from commands.rollout import policy, scene, store
from commands.rollout.records import Deployment, DeploymentId, State

WORKFLOW = "deploy"
_MARKS = {Choice.APPROVE: ":white_check_mark:", Choice.DENY: ":x:"}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody wants deployed."""

    version: str
    environment: str
    strategy: Strategy
    ticket: str = ""
    dry_run: bool = False
    replace_hold: bool = False


async def open_deployment(services: Services, request: Request, wish: Wish) -> Deployment:
    """Record the deployment and start its workflow. The same request twice is one deployment. Raises Refused."""
    policy.may_ask(request.person)
    deployment_id = _id(request)
    # Forms carry no channel, and Slack updates a card only where its channel is named by id.
    channel = request.channel or await services.slack.channel_id(services.settings.slack_channel)
    async with services.database.transaction() as session:
        lease = await store.lease(session, wish.environment, request.at)
        known = [one for one in await store.unfinished(session, wish.environment) if not one.dry_run]
        if any(one.id == deployment_id for one in known):
            return await store.get(session, deployment_id)
        replaces = lease.holder if lease.held and lease.holder else ""
        if not wish.dry_run:
            policy.may_enter(lease, tuple(known), gives_up_hold=wish.replace_hold)
        deployment = _new(replace(request, channel=channel), wish, deployment_id, replaces=replaces)
        takes = not wish.dry_run and not replaces
        # The lease is locked, so the epoch that taking it gives is known.
        deployment = replace(deployment, epoch=lease.epoch + 1 if takes else deployment.epoch)
        if not await store.add(session, deployment):
            return await store.get(session, deployment_id)
        if takes:
            await store.take_lease(session, wish.environment, deployment_id, request.at)
        await _audit(
            session, request, "deployment_asked", deployment_id, version=wish.version, environment=wish.environment
        )
        await _show(session, deployment)
        await durable.start(session, WORKFLOW, deployment_id, deployment_id)
    return deployment


async def decide(
    services: Services, request: Request, deployment_id: str, choice: Choice, *, shown: str, reason: str = ""
) -> Ruling:
    """Take an approval or a rejection; whoever is first wins, and the workflow is woken in the same transaction."""
    person = request.person
    vote = gate.vote_of(person, choice, now=request.at, reason=reason)
    async with services.database.transaction() as session:
        await store.get(session, deployment_id)
        ruling = await gate.decide(session, deployment_id, vote, person, shown=shown, now=request.at)
        if not ruling.counted:
            return ruling
        deployment = await store.get(session, deployment_id)
        if choice is Choice.APPROVE:
            names = (*deployment.approvers, person.name)
            deployment = await store.change(session, deployment_id, approvers=names)
        text = f"{_MARKS[choice]} {blocks.escape(ruling.sentence)}"
        await outbox.say(session, key=f"{ruling.approval.id}:{person.id}", card=deployment_id, text=text)
        await _show(session, deployment)
        if ruling.code in {"approved", "denied"}:
            message = {"kind": ruling.code, "name": person.name, "reason": reason}
            await durable.signal(session, deployment_id, message, key=f"decision:{ruling.approval.id}")
    return ruling


async def steer(services: Services, request: Request, deployment_id: str, verb: str) -> Deployment:
    """Pass `pause`, `resume` or `abort` to the deployment. Raises Refused, NotFound."""
    async with services.database.transaction() as session:
        deployment = await store.change(session, deployment_id)
        policy.may_steer(request.person, deployment, verb)
        message = {"kind": verb, "name": request.person.name, "key": request.key}
        await durable.signal(session, deployment_id, message, key=f"{verb}:{request.key}")
        await _audit(session, request, f"deployment_{verb}", deployment_id)
        if verb == "abort":
            text = f":octagonal_sign: {blocks.escape(request.person.name)} asked to abort."
            await outbox.say(session, key=f"{deployment_id}:abort:{request.key}", card=deployment_id, text=text)
    return deployment


async def answer(services: Services, request: Request, deployment_id: str, kind: str) -> Deployment:
    """Answer the open question with `keep` or `back`; the first answer counts. Raises Refused, NotFound."""
    async with services.database.transaction() as session:
        deployment = await store.change(session, deployment_id)
        policy.may_steer(request.person, deployment, f"answer for ({kind})")
        if not deployment.question:
            raise Refused(f"Nothing is asked about {deployment_id} any more. Nothing was changed.")
        message = {"kind": kind, "name": request.person.name}
        await durable.signal(session, deployment_id, message, key=f"answer:{request.key}")
        deployment = await store.change(session, deployment_id, question="")
        await _audit(session, request, f"deployment_{kind}", deployment_id)
        verb = "keeps it" if kind == "keep" else "sends the traffic back"
        text = f":ballot_box_with_check: {blocks.escape(request.person.name)} {verb}."
        await outbox.say(session, key=f"{deployment_id}:answer:{request.key}", card=deployment_id, text=text)
        await _show(session, deployment)
    return deployment


def _new(request: Request, wish: Wish, deployment_id: DeploymentId, *, replaces: str) -> Deployment:
    return Deployment(
        id=deployment_id,
        environment=wish.environment,
        version=wish.version,
        strategy=wish.strategy,
        state=State.PLANNING,
        requested_by=request.person.id,
        requested_by_name=request.person.name,
        requested_by_email=request.person.email,
        channel=request.channel,
        created_at=request.at,
        dry_run=wish.dry_run,
        ticket=wish.ticket,
        replaces=replaces,
        gives_up_hold=wish.replace_hold,
    )


async def _show(session: AsyncSession, deployment: Deployment) -> None:
    await outbox.show_card(session, card=deployment.id, kind=scene.CARD, channel=deployment.channel)


async def _audit(session: AsyncSession, request: Request, action: str, subject: str, **detail: object) -> None:
    await audit.record(
        session, actor=request.person.id, action=action, subject=subject, origin=request.origin, **detail
    )


def _id(request: Request) -> DeploymentId:
    return DeploymentId("dep_" + hashlib.sha256(request.key.encode()).hexdigest()[:10])
