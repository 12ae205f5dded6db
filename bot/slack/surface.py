"""The one way from an act in Slack through a command's handler to an answer, within the 3 seconds Slack waits.

A handler does its durable start in one transaction and returns; only then is Slack answered. When the budget is spent
first, the person is told so, the handler goes on, and its reply follows.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import structlog
from slack_bolt.async_app import AsyncAck, AsyncBoltContext
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.response import BoltResponse

from bot import blocks
from bot.contract import Block, Command, Handler, Reply
from bot.errors import Misconfigured, NotFound, OpsError, OutcomeUnknown, Unavailable
from bot.slack import manifest, payloads, replies
from bot.slack.payloads import Act, Body

if TYPE_CHECKING:
    from bot.services import Services

# Slack gives up after 3 s; the rest is for the way there and back.
BUDGET = timedelta(seconds=2.5)
# Nobody waits for an answer longer than this; the database's own timeouts are far below.
LIMIT = timedelta(seconds=60)
TEXT_LIMIT = 2000
_APOLOGY = timedelta(seconds=1)
_EVENTS_KEPT = 1000

Work: TypeAlias = "asyncio.Task[Reply]"
Route: TypeAlias = tuple[Command, Handler]
_T = TypeVar("_T")

log = structlog.get_logger(__name__)


class Surface:
    """Bolt's listeners. Bolt passes arguments by name: each name here must be one it knows."""

    def __init__(self, commands: Sequence[Command], services: "Services", *, budget: timedelta = BUDGET) -> None:
        self._services = services
        self._budget = budget.total_seconds()
        self._work: set[asyncio.Task[object]] = set()
        self._heard: OrderedDict[str, None] = OrderedDict()
        self.commands = _unique("command", ((manifest.slash(one), (one, one.handle)) for one in commands))
        self.buttons = _unique("button", _routes(commands, "buttons"))
        self.views = _unique("form", _routes(commands, "views"))
        self.mentions = _unique("mention", _routes(commands, "mentions"))

    async def command(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> None:
        """Answer a slash command in its own ack."""
        act = payloads.command(body)
        work = self._begin(act, self.commands[act.name], context)
        if await self._in_time(work):
            await ack(replies.to_command(work.result()))
            return
        await ack(replies.to_command(replies.LATE))
        await self._tell(act, await work)

    async def button(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> None:
        """Answer a click to the clicker. A failure in time is left to `failed`, which acks: Bolt forgets an ack that it
        has not sent yet when its listener fails.
        """
        act = payloads.button(body)
        work = self._begin(act, self.buttons[act.name], context)
        if await self._in_time(work):
            reply = work.result()
            await ack()
            await self._tell(act, reply)
            return
        await ack()
        await self._tell(act, replies.LATE)
        await self._tell(act, await work)

    async def view(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> None:
        """Answer a form: keep it open with its errors, show the next one, or close it and tell the result."""
        act = payloads.view(body)
        work = self._begin(act, self.views[act.name], context)
        if not await self._in_time(work):
            await ack({"response_action": "update", "view": replies.notice(replies.LATE.text)})
            await self._tell(act, await work)
            return
        reply = work.result()
        await ack(replies.to_form(reply, act))
        if not reply.errors:
            await self._tell(act, reply)

    async def hear(self, body: Body, context: AsyncBoltContext, next_: Callable[[], Awaitable[None]]) -> None:
        """Do what a mention asks before Bolt acknowledges the event: Slack delivers it again if we die here."""
        act = payloads.mention(body, context.bot_user_id or "")
        if act.key not in self._heard:
            self._remember(act.key)
            context["act"] = act
            context["work"] = self._begin(act, self.mentions.get(act.name), context)
            await self._in_time(context["work"])
        await next_()

    async def mention(self, context: AsyncBoltContext) -> None:
        """Answer a mention in its thread, once, however often Slack delivers it."""
        work = context.get("work")
        if work is None:
            return
        if not work.done():
            await self._tell(context["act"], replies.LATE)
        await self._tell(context["act"], await work)

    async def ignore(self, ack: AsyncAck) -> None:
        """Acknowledge a button that only opened a page."""
        await ack()

    async def admit(self, context: AsyncBoltContext, next_: Callable[[], Awaitable[None]]) -> None:
        """Mark what passed Bolt's signature check, and let Bolt use the shared client instead of one per request."""
        context["genuine"] = True
        context["client"] = self._services.slack.web
        await next_()

    async def failed(
        self, error: Exception, body: Body, context: AsyncBoltContext, response: BoltResponse | None
    ) -> BoltResponse | None:
        """Answer always: in the ack while there is none yet (`response` is given then), else beside it."""
        if not context.get("genuine"):
            log.warning("slack_request_refused", error=type(error).__name__)
            return None
        act = payloads.parse(body, context.bot_user_id or "")
        if act is None:
            log.info("slack_payload_ignored", type=body.get("type"))
            return None if response is None else BoltResponse(status=200, body="")
        text = self._explain(error, act, context)
        if response is None:
            await self._tell(act, Reply(text=text))
            return None
        return await self._answer_failure(act, text)

    def _explain(self, error: Exception, act: Act, context: AsyncBoltContext) -> str:
        begun = bool(context.get("begun"))
        if isinstance(error, BoltUnhandledRequestError):
            # A listener that could not ack in time ends here too, and is not unknown at all.
            log.warning("slack_act_unhandled", kind=act.kind, name=act.name, begun=begun)
            return replies.LATE.text if begun else replies.unknown(act)
        reference = secrets.token_hex(4).upper()
        facts = {"reference": reference, "kind": act.kind, "name": act.name, "key": act.key}
        if isinstance(error, OpsError):
            log.warning("slack_act_refused", code=error.code, reason=error.sentence, **facts)
        else:
            log.error("slack_act_crashed", exc_info=error, **facts)
        return replies.failure(error, reference, begun=begun)

    async def _answer_failure(self, act: Act, text: str) -> BoltResponse:
        if act.kind == "command":
            return BoltResponse(status=200, body={"response_type": "ephemeral", "text": text})
        if act.kind == "view":
            return BoltResponse(status=200, body=replies.to_form_failure(text, act))
        await asyncio.wait({self._spawn(self._tell(act, Reply(text=text)))}, timeout=_APOLOGY.total_seconds())
        return BoltResponse(status=200, body="")

    def _begin(self, act: Act, route: Route | None, context: AsyncBoltContext) -> Work:
        context["begun"] = True
        return self._spawn(self._decide(act, route))

    async def _in_time(self, work: Work) -> bool:
        await asyncio.wait({work}, timeout=self._budget)
        return work.done()

    async def _decide(self, act: Act, route: Route | None) -> Reply:
        with structlog.contextvars.bound_contextvars(command_id=act.key):
            try:
                async with asyncio.timeout(LIMIT.total_seconds()):
                    return await self._refusal(act) or await self._handle(act, route)
            except TimeoutError as error:
                raise OutcomeUnknown("This took longer than a minute and was stopped", key=act.key) from error

    async def _handle(self, act: Act, route: Route | None) -> Reply:
        if route is None:
            return self._mention_help(act)
        command, handler = route
        # Roles are read at the moment of the decision; a request only asks, and its approval decides.
        person = await self._services.people.find(act.user, fresh=act.kind != "command")
        reply = await handler(act.request(person, command.name, self._services.now()), self._services)
        if reply.view is not None and act.kind in {"command", "button"}:
            await self._open(act, reply.view)
        return reply

    async def _open(self, act: Act, view: Block) -> None:
        try:
            await self._services.slack.open_view(act.trigger, view)
        except OpsError as error:
            raise Unavailable("The form could not be opened in time: please try again", **error.facts) from error

    async def _refusal(self, act: Act) -> Reply | None:
        if not act.key or not act.user:
            return Reply(text="Slack did not say who asked this, or when; nothing was changed. Please ask again.")
        if len(act.text) > TEXT_LIMIT:
            return Reply(
                text=f"That is {len(act.text):,} characters; a command may have {TEXT_LIMIT:,}. Nothing was changed."
            )
        if act.kind in {"command", "mention"} and not await self._is_home(act):
            return Reply(text=self._elsewhere(act))
        return None

    async def _is_home(self, act: Act) -> bool:
        home = self._home.removeprefix("#")
        if home in {act.channel, act.channel_name}:
            return True
        if act.channel_name not in {"", "privategroup"}:
            return False
        # Mentions carry no name, and Slack calls every private channel `privategroup`.
        try:
            return await self._services.slack.channel_id(home) == act.channel
        except NotFound:
            return False

    def _elsewhere(self, act: Act) -> str:
        home = self._home.removeprefix("#")
        place = f"<#{home}>" if home.isupper() else f"#{blocks.escape(home)}"
        here = "in direct messages" if act.channel_name == "directmessage" else "here"
        return f"I work in {place}, where everybody can follow, not {here}. Nothing was changed: please ask there."

    def _mention_help(self, act: Act) -> Reply:
        known = ", ".join(f"`{verb}`" for verb in sorted(self.mentions)) or "nothing yet"
        said = f"I do not know `{blocks.escape(act.name[:50])}`. " if act.name else ""
        commands = ", ".join(f"`{name} help`" for name in sorted(self.commands))
        return Reply(
            text=f"{said}Nothing was changed. After my name I understand {known}. Outside threads there are {commands}."
        )

    async def _tell(self, act: Act, reply: Reply) -> None:
        await replies.tell(self._services.slack, act, reply, self._home)

    @property
    def _home(self) -> str:
        return self._services.settings.slack_channel

    def _remember(self, key: str) -> None:
        self._heard[key] = None
        if len(self._heard) > _EVENTS_KEPT:
            self._heard.popitem(last=False)

    def _spawn(self, work: Coroutine[object, object, _T]) -> asyncio.Task[_T]:
        """Start a task and hold on to it: the loop itself keeps only weak references."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task


def _routes(commands: Sequence[Command], part: str) -> Iterator[tuple[str, Route]]:
    for command in commands:
        for name, handler in getattr(command, part).items():
            yield name, (command, handler)


def _unique(what: str, routes: Iterator[tuple[str, Route]]) -> dict[str, Route]:
    found: dict[str, Route] = {}
    for name, route in routes:
        if name in found:
            raise Misconfigured(f"Two commands claim the {what} {name}: {found[name][0].name} and {route[0].name}")
        found[name] = route
    return found
