"""`/deploy`: its words and its form. The buttons, and what they set in motion, live in `commands/rollout`."""

from bot import blocks
from bot.contract import Command, Reply, Request
from bot.errors import Invalid
from bot.services import Services
from bot.settings import Strategy
from commands import grammar
from commands.rollout import clicks, desk, store

FORM = "deploy_form"
_SWITCHES, _VALUED = ("dry-run", "replace-hold"), ("ticket", "strategy")


async def handle(request: Request, services: Services) -> Reply:
    """Understand the words and do what they say."""
    words = grammar.read(request.text, switches=_SWITCHES, valued=_VALUED)
    verb = words.plain[0].lower() if words.plain else ""
    if not request.text.strip():
        return Reply(view=_form(services))
    if verb in clicks.STEERING:
        return await clicks.steer(
            request, services, verb, clicks.only(words.plain[1:], f"/deploy {verb} needs the id of a deployment")
        )
    if verb == "status":
        return await clicks.status(services, words.plain[1:])
    if verb == "history":
        return await _history(services, words.plain[1:])
    if verb == "help":
        return Reply(text=_help())
    return await _deploy(request, services, _wish(words, services))


async def _deploy(request: Request, services: Services, wish: desk.Wish) -> Reply:
    deployment = await desk.open_deployment(services, request, wish)
    what = f"deploy `{wish.version}` to *{wish.environment}*, {deployment.strategy}"
    ticket = f", ticket {blocks.escape(wish.ticket)}" if wish.ticket else ""
    if wish.dry_run:
        return Reply(text=f"Understood: show the plan to {what}{ticket}. Nothing will be changed (`{deployment.id}`).")
    return Reply(text=f"Understood: {what}{ticket}. The preflight is running; follow `{deployment.id}` in the channel.")


def _wish(words: grammar.Words, services: Services) -> desk.Wish:
    known = services.settings.config.environments
    versions = [word for word in words.plain if grammar.is_version(word)]
    others = [word for word in words.plain if not grammar.is_version(word)]
    if len(versions) != 1 or len(others) != 1:
        if words.plain and not versions and len(others) == 2:  # noqa: PLR2004 - a version and an environment
            grammar.version(next((word for word in others if word.lower() not in known), others[0]))
        raise Invalid(f"I need one version and one environment, such as `/deploy v0.1.0 production`. {_NOTHING}")
    environment = grammar.environment(others[0], known)
    return desk.Wish(
        version=grammar.version(versions[0]),
        environment=environment,
        strategy=_strategy(services, environment, words.flags.get("strategy", "")),
        ticket=words.flags.get("ticket", ""),
        dry_run="dry-run" in words.flags,
        replace_hold="replace-hold" in words.flags,
    )


def _strategy(services: Services, environment: str, wanted: str = "") -> Strategy:
    """Return the strategy asked for, else the environment's. Raises Invalid for one that is not carried out yet."""
    name = wanted or services.settings.environment(environment).strategy
    if name != "blue-green":
        grammar.one_of(name, ("blue-green",), "strategy that this version of opsbot carries out")
    return "blue-green"


async def _history(services: Services, names: tuple[str, ...]) -> Reply:
    known = services.settings.config.environments
    environment = grammar.environment(names[0], known) if names else None
    async with services.database.transaction() as session:
        found = await store.latest(session, environment)
    return Reply(text="\n".join(clicks.line(one) for one in found) or "Nothing has been deployed yet.")


async def _submit(request: Request, services: Services) -> Reply:
    try:
        version = grammar.version(request.fields.get("version", "").strip())
    except Invalid as error:
        return Reply(errors={"version": error.sentence})
    try:
        environment = grammar.environment(request.fields.get("environment", ""), services.settings.config.environments)
    except Invalid as error:
        return Reply(errors={"environment": error.sentence})
    try:
        strategy = _strategy(services, environment)
    except Invalid as error:
        return Reply(errors={"environment": error.sentence})
    wish = desk.Wish(
        version=version,
        environment=environment,
        strategy=strategy,
        ticket=request.fields.get("ticket", "").strip(),
        dry_run=bool(request.fields.get("dry_run")),
    )
    return await _deploy(request, services, wish)


def _form(services: Services) -> dict[str, object]:
    names = [(name, name) for name in services.settings.config.environments]
    parts = [
        blocks.text_input("version", "Version", hint="A version looks like v0.1.0"),
        blocks.select_input("environment", "Environment", names, initial=names[-1][0]),
        blocks.text_input("ticket", "Change ticket", optional=True),
        blocks.checkbox_input("dry_run", "Dry run", "yes", "Only show the plan; change nothing"),
    ]
    return blocks.modal(FORM, "Deploy", parts, submit="Deploy")


def _help() -> str:
    tries = "\n".join(f"`{example}`" for example in COMMAND.examples)
    return (
        f"*{COMMAND.name}* `{COMMAND.usage}`\n{COMMAND.summary}\n*Try*\n{tries}\n"
        "Slash commands do not work inside threads: mention me there, for example `approve dep_…`."
    )


_NOTHING = "Nothing was changed."

COMMAND = Command(
    name="/deploy",
    summary="Deploy a version to an environment",
    usage="<version> <environment> [--strategy blue-green] [--ticket KEY] [--dry-run] [--replace-hold] "
    "| status [id] | history [environment] | pause|resume|abort <id> | help",
    examples=(
        "/deploy v0.1.0 staging",
        "/deploy v0.1.0 production --ticket OPS-1",
        "/deploy v0.1.0 production --dry-run",
        "/deploy status",
    ),
    handle=handle,
    buttons=clicks.BUTTONS,
    views={FORM: _submit, **clicks.VIEWS},
    mentions=clicks.MENTIONS,
)
