"""Open an incident and page its first level in the caller's transaction; take in what became of the page."""

import hashlib
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from bot import audit, outbox
from bot.sender import Sent
from bot.services import Services
from escalation import ladder, messages, store
from escalation.records import Incident, IncidentId, Trouble


async def report(session: AsyncSession, services: Services, trouble: Trouble, *, now: datetime) -> IncidentId:
    """Open an incident for the trouble, or find the open one, and page level 1. Returns its id."""
    incident = Incident(
        id=_id(trouble, now),
        dedup_key=trouble.key,
        severity=trouble.severity,
        environment=trouble.environment,
        title=trouble.title,
        state=store.OPEN,
        level=0,
        fence=0,
        card=trouble.card,
        deployment=trouble.deployment,
        ladder=ladder.freeze(services.settings.config.ladder),
        opened_at=now,
    )
    if not await store.add(session, incident):
        return await store.open_under(session, trouble.key) or incident.id
    rung = ladder.first(incident.ladder, incident.severity)
    detail: dict[str, object] = {"title": incident.title, "evidence": list(trouble.evidence)}
    await store.note(session, incident.id, key=f"{incident.id}:opened", kind="opened", source="bot", detail=detail)
    await audit.record(
        session, actor="opsbot", action="incident_opened", subject=incident.id, deployment=trouble.deployment
    )
    if rung is not None:
        thread = await _thread(session, services, trouble.card)
        event = messages.event(incident, trouble, now=now, thread=thread)
        await outbox.page(session, key=f"page:{incident.id}:L{rung.level}", subject=incident.id, event=event)
    text = messages.opened(incident, rung)
    await outbox.say(session, key=f"{incident.id}:opened", card=trouble.card, text=text, broadcast=True)
    return incident.id


async def open_in(session: AsyncSession, environment: str) -> tuple[Incident, ...]:
    """Return the open incidents of an environment."""
    return await store.open_in(session, environment)


async def page_ended(session: AsyncSession, sent: Sent) -> None:
    """Take in the outcome of a page: only an accepted one raises the level and is called a page."""
    if sent.kind != "page":
        return
    incident = await store.get(session, sent.subject)
    if incident is None:
        return
    if sent.ok:
        level = int(sent.key.rpartition(":L")[2])
        await store.raise_level(session, incident.id, level)
        detail: dict[str, object] = {"level": level, "attempts": sent.attempts}
        await store.note(session, incident.id, key=sent.key, kind="paged", source="pagerduty", detail=detail)
        raised = await store.get(session, incident.id)
        assert raised is not None
        text = messages.accepted(raised)
        await outbox.say(session, key=f"{sent.key}:accepted", card=incident.card, text=text)
    elif sent.first_failure:
        text = messages.unreachable(incident, sent.answer)
        await outbox.say(session, key=f"{sent.key}:unreachable", card=incident.card, text=text, broadcast=True)


async def _thread(session: AsyncSession, services: Services, card: str) -> str:
    """Return the address of the thread; empty while Slack has not taken the card: a page waits for nothing."""
    place = await outbox.card_place(session, card)
    if place is None or place.ts is None:
        return ""
    return messages.thread_url(services.slack.workspace_url, place.channel, place.ts)


def _id(trouble: Trouble, now: datetime) -> IncidentId:
    seed = f"{trouble.key}:{now.isoformat()}"
    return IncidentId("inc_" + hashlib.sha256(seed.encode()).hexdigest()[:10])
