"""Modals and home tabs: opening, stacking, updating and closing, with Slack's rules about each."""

from bot.sandbox.slack import validate
from bot.sandbox.slack.records import APP, BOT, BOT_USER, TEAM, ApiError, Change, Json, View, controls
from bot.sandbox.slack.workspace import Workspace

DEEPEST_STACK = 3
LARGEST_VIEW = 250_000


def open_modal(workspace: Workspace, user: str, content: Json) -> View:
    """Open a modal; one that is already open is replaced."""
    view = _build(workspace, user, content)
    workspace.stacks[user] = [view]
    return _opened(workspace, view)


def push(workspace: Workspace, user: str, content: Json) -> View:
    """Put a modal on top of the open one; three deep at most."""
    stack = workspace.stacks.setdefault(user, [])
    if len(stack) >= DEEPEST_STACK:
        raise ApiError("push_limit_reached")
    view = _build(workspace, user, content)
    if stack:
        view.root, view.previous = stack[0].root, stack[-1].id
    stack.append(view)
    return _opened(workspace, view)


def update(workspace: Workspace, view: View, content: Json, expected_hash: str | None = None) -> View:
    """Show other content in an open modal; the inputs with unchanged ids keep what was typed."""
    _check_hash(view, expected_hash)
    fresh = _build(workspace, view.user, content)
    kept = {(block_id, element["action_id"]) for block_id, element in controls(fresh.blocks)}
    view.values = {key: value for key, value in view.values.items() if key in kept}
    view.content, view.hash, view.errors = fresh.content, fresh.hash, {}
    workspace.note(BOT_USER, "view_update", "modal", _title(view))
    workspace.tell(Change(kind="view", user=view.user))
    return view


def publish(workspace: Workspace, user: str, content: Json, expected_hash: str | None = None) -> View:
    """Show a home tab to one person."""
    known = workspace.homes.get(user)
    if known is not None:
        _check_hash(known, expected_hash)
    view = _build(workspace, user, content)
    view.id = known.id if known else view.id
    workspace.homes[user] = view
    workspace.note(BOT_USER, "home", f"@{workspace.name(user)}", "App Home")
    workspace.tell(Change(kind="home", user=user))
    return view


def close(workspace: Workspace, view: View, *, everything: bool = False) -> None:
    """Close a modal, or the whole stack; the one below comes back."""
    stack = workspace.stacks.get(view.user, [])
    if everything:
        stack.clear()
    elif view in stack:
        del stack[stack.index(view) :]
    workspace.tell(Change(kind="view", user=view.user))


def top(workspace: Workspace, user: str) -> View | None:
    """Return the modal this person looks at."""
    stack = workspace.stacks.get(user, [])
    return stack[-1] if stack else None


def find(workspace: Workspace, view_id: str | None, external_id: str | None = None) -> View:
    """Find an open modal or a home tab."""
    everything = [*(view for stack in workspace.stacks.values() for view in stack), *workspace.homes.values()]
    for view in everything:
        if view.id == view_id or (external_id and view.content.get("external_id") == external_id):
            return view
    raise ApiError("not_found")


def as_json(view: View, state: Json | None = None) -> Json:
    """Return the view as Slack's API and payloads show it."""
    content = view.content
    shown: Json = {
        "id": view.id,
        "team_id": TEAM,
        "type": content["type"],
        "blocks": view.blocks,
        "private_metadata": content.get("private_metadata", ""),
        "callback_id": content.get("callback_id", ""),
        "state": {"values": state or {}},
        "hash": view.hash,
        "clear_on_close": bool(content.get("clear_on_close")),
        "notify_on_close": bool(content.get("notify_on_close")),
        "external_id": content.get("external_id", ""),
        "root_view_id": view.root,
        "previous_view_id": view.previous,
        "app_id": APP,
        "app_installed_team_id": TEAM,
        "bot_id": BOT,
    }
    return shown | {name: content.get(name) for name in ("title", "submit", "close")}


def _build(workspace: Workspace, user: str, content: Json) -> View:
    # Real Slack names a bad view `invalid_arguments`; `invalid_blocks` is for messages.
    validate.refuse(validate.view(content), "invalid_arguments")
    if len(str(content)) > LARGEST_VIEW:
        raise ApiError("view_too_large")
    dressed = {**content, "blocks": workspace.dress(content["blocks"])}
    name = workspace.next_id("V0")
    return View(id=name, user=user, content=dressed, hash=f"{workspace.next_ts()}.h", root=name)


def _opened(workspace: Workspace, view: View) -> View:
    workspace.note(BOT_USER, "view", f"@{workspace.name(view.user)}", _title(view))
    workspace.tell(Change(kind="view", user=view.user))
    return view


def _check_hash(view: View, expected: str | None) -> None:
    if expected and expected != view.hash:
        raise ApiError("hash_conflict")


def _title(view: View) -> str:
    return str((view.content.get("title") or {}).get("text", ""))
