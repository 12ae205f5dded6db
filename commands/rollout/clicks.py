"""What people do to a deployment that is there: its buttons, its reject form, and what they say to the bot about it."""

from collections.abc import Mapping

from bot import blocks
from bot.contract import Handler, Reply, Request
from bot.errors import Invalid
from bot.services import Services
from commands.approval.records import Choice
from commands.rollout import card, desk, messages, store
from commands.rollout.records import Deployment

REJECT_FORM = "deploy_reject_form"
STEERING = ("pause", "resume", "abort")


async def steer(request: Request, services: Services, verb: str, deployment_id: str) -> Reply:
    """Pass pause, resume or abort on."""
    deployment = await desk.steer(services, request, deployment_id, verb)
    return Reply(text=f"Asked {deployment.id} to {verb}. The thread says when it has happened.")


async def status(services: Services, ids: tuple[str, ...]) -> Reply:
    """Show one deployment as its card, or all that are not at their end."""
    async with services.database.transaction() as session:
        if ids:
            one = card.render(await store.get(session, ids[0]))
            return Reply(text=one.text, blocks=one.blocks)
        running = await store.unfinished(session)
    if not running:
        return Reply(text="No deployment is running or held. `/deploy history` shows the last ones.")
    return Reply(text="\n".join(line(deployment) for deployment in running))


def line(deployment: Deployment) -> str:
    """Say a deployment in one line."""
    at = blocks.time(deployment.created_at, "{date_short_pretty} {time}")
    return f"`{deployment.id}` {card.sentence(deployment)} ({at})"


def only(words: tuple[str, ...], complaint: str) -> str:
    """Return the one id that was given. Raises Invalid."""
    if len(words) != 1:
        raise Invalid(f"{complaint}; `/deploy status` lists them. Nothing was changed.")
    return words[0]


async def _approve(request: Request, services: Services) -> Reply:
    deployment_id, _, shown = request.value.partition(":")
    ruling = await desk.decide(services, request, deployment_id, Choice.APPROVE, shown=shown)
    return Reply(text=blocks.escape(ruling.sentence))


async def _approve_by_mention(request: Request, services: Services) -> Reply:
    deployment_id, _, shown = request.text.partition(" ")
    only((deployment_id,) if deployment_id else (), "Say which one: `approve dep_…`")
    ruling = await desk.decide(services, request, deployment_id, Choice.APPROVE, shown=shown.strip(" `"))
    return Reply(text=blocks.escape(ruling.sentence))


async def _ask_reason(request: Request, services: Services) -> Reply:
    field = blocks.text_input("reason", "Why?", hint="Shown in the thread and kept in the record", multiline=True)
    async with services.database.transaction() as session:
        deployment = await store.get(session, request.value.partition(":")[0])
    what = blocks.section(f"{deployment.version} to *{deployment.environment}*. The requester is told at once.")
    return Reply(
        view=blocks.modal(REJECT_FORM, "Reject deployment", [what, field], submit="Reject", value=request.value)
    )


async def _reject(request: Request, services: Services) -> Reply:
    deployment_id, _, shown = request.value.partition(":")
    reason = request.fields.get("reason", "").strip()
    if not reason:
        return Reply(errors={"reason": "Please give a reason; nothing was changed."})
    ruling = await desk.decide(services, request, deployment_id, Choice.DENY, shown=shown, reason=reason)
    if not ruling.counted:
        return Reply(errors={"reason": ruling.sentence})
    return Reply(text=blocks.escape(ruling.sentence))


async def _show_plan(request: Request, services: Services) -> Reply:
    async with services.database.transaction() as session:
        deployment = await store.get(session, request.value)
    return Reply(text=messages.plan_text(deployment))


async def _status_by_mention(request: Request, services: Services) -> Reply:
    return await status(services, tuple(request.text.split()))


def _steered(verb: str) -> Handler:
    async def click(request: Request, services: Services) -> Reply:
        return await steer(request, services, verb, request.value)

    return click


def _mentioned(verb: str) -> Handler:
    async def mention(request: Request, services: Services) -> Reply:
        deployment_id = only(tuple(request.text.split()), f"Say which one: `{verb} dep_…`")
        return await steer(request, services, verb, deployment_id)

    return mention


def _answered(kind: str) -> Handler:
    async def click(request: Request, services: Services) -> Reply:
        await desk.answer(services, request, request.value, kind)
        return Reply(text="Your answer is recorded; the thread shows what follows.")

    return click


BUTTONS: Mapping[str, Handler] = {
    card.APPROVE: _approve,
    card.REJECT: _ask_reason,
    card.SHOW_PLAN: _show_plan,
    card.PAUSE: _steered("pause"),
    card.RESUME: _steered("resume"),
    card.ABORT: _steered("abort"),
    card.KEEP: _answered("keep"),
    card.BACK: _answered("back"),
}
VIEWS: Mapping[str, Handler] = {REJECT_FORM: _reject}
MENTIONS: Mapping[str, Handler] = {
    "approve": _approve_by_mention,
    "status": _status_by_mention,
    **{verb: _mentioned(verb) for verb in STEERING},
}
