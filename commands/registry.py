"""The one table of commands, of cards and of what listens to the outbox; `bot/app.py` wires it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from sqlmodel.ext.asyncio.session import AsyncSession

from bot.contract import Card, Command
from bot.sender import Sent
from commands import deploy
from commands.rollout import card, scene, store, workflow
from escalation import incidents

Renderer: TypeAlias = Callable[[AsyncSession, str], Awaitable[Card]]
Listener: TypeAlias = Callable[[AsyncSession, Sent], Awaitable[None]]


async def _deployment_card(session: AsyncSession, card_id: str) -> Card:
    return card.render(await store.get(session, card_id))


COMMANDS: tuple[Command, ...] = (deploy.COMMAND,)
RENDERERS: Mapping[str, Renderer] = {scene.CARD: _deployment_card}
LISTENERS: tuple[Listener, ...] = (incidents.page_ended,)
WORKFLOWS = (workflow.deploy,)
