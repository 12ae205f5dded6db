"""The parts of the page around blocks: sidebar, messages, panes, modals, home, all as HTML."""

import json
from datetime import UTC, datetime
from html import escape
from typing import Final

from bot.sandbox.slack import icons, mrkdwn, render
from bot.sandbox.slack.records import BOT_USER, Exchange, Json, Message, User, View
from bot.sandbox.slack.workspace import Workspace

_MOST_JSON: Final = 6_000


def sidebar(workspace: Workspace, user: User) -> str:
    """Return channels, direct messages and the app's home, with unread badges."""
    channels = [
        _place(workspace, user, place.id, f"# {place.name}")
        for place in workspace.channels.values()
        if not place.im_user
    ]
    bot = workspace.users[BOT_USER]
    own = next(place for place in workspace.channels.values() if place.im_user == user.id)
    direct = _place(workspace, user, own.id, f"{bot.name}")
    home = f'<button class="place" data-place="home"><span class="name">{escape(bot.name)}</span></button>'
    return f"<h2>Channels</h2>{''.join(channels)}<h2>Direct messages</h2>{direct}<h2>Apps</h2>{home}"


def people(workspace: Workspace, user: User) -> str:
    """Return the user switcher: links, so that a new tab can be somebody else."""
    return "".join(
        f'<a class="person {"current" if one is user else ""}" href="/?user={one.id}" '
        f'title="Act as {escape(one.name)}">'
        f"{avatar(one)}<span>{escape(one.name.split()[0])}<small>{escape(one.title)}</small></span></a>"
        for one in workspace.users.values()
        if not one.is_bot
    )


def avatar(user: User) -> str:
    """Return a coloured square with initials."""
    kind = "bot" if user.is_bot else ""
    return f'<span class="avatar {escape(user.handle)} {kind}" aria-hidden="true">{escape(user.initials)}</span>'


def channel(workspace: Workspace, place: str, user: User) -> str:
    """Return the messages of a channel as this person sees them."""
    shown = [one for one in workspace.history[place] if in_channel(one) and one.visible_to(user.id)]
    if not shown:
        return '<p class="empty">Nothing here yet. Type <kbd>/</kbd> below to see what the bot can do.</p>'
    return "".join(message(workspace, one, user) for one in shown)


def thread(workspace: Workspace, parent: Message, user: User) -> str:
    """Return a message and everything below it."""
    shown = [one for one in workspace.replies(parent) if one.visible_to(user.id)]
    count = sum(one.ephemeral_for is None for one in shown)
    rule = f'<div class="replies-rule"><span>{_count(count)}</span></div>'
    return (
        message(workspace, parent, user, pane="thread")
        + rule
        + "".join(message(workspace, one, user, pane="thread") for one in shown)
    )


def in_channel(one: Message) -> bool:
    """Tell whether a message stands in the channel itself."""
    return not one.is_reply or one.broadcast


def message(workspace: Workspace, one: Message, viewer: User, pane: str = "channel") -> str:
    """Return one message."""
    author = workspace.users[one.user]
    classes = ["message"]
    classes += ["ephemeral"] if one.ephemeral_for else []
    classes += ["for-you"] if f"<@{viewer.id}>" in one.text + json.dumps(one.blocks) else []
    private = '<div class="only-you">Only visible to you</div>' if one.ephemeral_for else ""
    badge = '<span class="badge">APP</span>' if author.is_bot else ""
    note = '<div class="broadcast">replied to a thread</div>' if one.broadcast and pane == "channel" else ""
    head = f"<header><b>{escape(author.name)}</b>{badge}{_time(one)}</header>"
    body = f"{private}{note}{head}<div class='content'>{_content(workspace, one)}</div>{_reactions(one)}"
    foot = _thread_link(workspace, one, viewer) if pane == "channel" else ""
    tools = "" if one.ephemeral_for else _tools(one, pane)
    return (
        f'<article class="{" ".join(classes)}" id="{pane}-{one.ts}" data-ts="{one.ts}" data-channel="{one.channel}">'
        f'{avatar(author)}<div class="body">{body}{foot}</div>{tools}</article>'
    )


def modal(workspace: Workspace, view: View) -> str:
    """Return an open modal as a form."""
    content = view.content
    scene = render.Scene(workspace=workspace, values=view.values, errors=view.errors)
    closing = content.get("close", {}).get("text", "Close")
    submit = (
        f'<button type="submit" class="button primary">{escape(content["submit"]["text"])}</button>'
        if content.get("submit")
        else ""
    )
    return (
        f'<form method="dialog" data-view="{view.id}"><header><h2>{escape(content["title"]["text"])}</h2>'
        f'<button type="button" class="close" data-close aria-label="Close">✕</button></header>'
        f'<div class="modal-body">{render.blocks(scene, view.blocks)}<p class="trouble" role="alert" hidden></p></div>'
        f'<footer><button type="button" class="button" data-close>{escape(closing)}</button>{submit}</footer></form>'
    )


def home(workspace: Workspace, user: User) -> str:
    """Return somebody's App Home."""
    view = workspace.homes.get(user.id)
    if view is None:
        return '<p class="empty">The app has not published a home tab for you yet.</p>'
    scene = render.Scene(workspace=workspace, values=view.values)
    return f'<div class="home" data-view="{view.id}">{render.blocks(scene, view.blocks)}</div>'


def traffic(exchanges: list[Exchange]) -> str:
    """Return the newest Web API calls and payloads, each with both bodies."""
    return "".join(_exchange(one) for one in reversed(exchanges)) or '<p class="empty">No traffic yet.</p>'


def _place(workspace: Workspace, user: User, place: str, name: str) -> str:
    count = workspace.unread(user.id, place)
    badge = f'<span class="unread">{count}</span>' if count else '<span class="unread" hidden>0</span>'
    return f'<button class="place" data-place="{place}"><span class="name">{escape(name)}</span>{badge}</button>'


def _content(workspace: Workspace, one: Message) -> str:
    files = "".join(_file(workspace, name) for name in one.files)
    if one.blocks:
        return render.blocks(render.Scene(workspace=workspace), one.blocks) + files
    edited = ' <small class="edited">(edited)</small>' if one.edited else ""
    return f'<div class="text">{mrkdwn.html(workspace, one.text)}{edited}</div>{files}'


def _file(workspace: Workspace, name: str) -> str:
    file = workspace.files[name]
    title = escape(file.title)
    if file.name.endswith(".png"):
        return f'<figure class="file"><figcaption>{title}</figcaption><img src="/files/{name}" alt="{title}"></figure>'
    return f'<p class="file"><a href="/files/{name}" download="{escape(file.name)}">{title}</a></p>'


def _time(one: Message) -> str:
    moment = datetime.fromtimestamp(float(one.ts), tz=UTC).astimezone()
    where = f"/archives/{one.channel}/p{one.ts.replace('.', '')}"
    if one.is_reply:
        where += f"?thread_ts={one.thread_ts}"
    return f'<a class="time" href="{where}" title="{moment:%Y-%m-%d %H:%M:%S}">{moment:%H:%M}</a>'


def _reactions(one: Message) -> str:
    pills = "".join(
        f'<span class="reaction">{mrkdwn.emoji(f":{escape(name)}:")} {len(users)}</span>'
        for name, users in one.reactions.items()
    )
    return f'<div class="reactions">{pills}</div>' if pills else ""


def _thread_link(workspace: Workspace, one: Message, viewer: User) -> str:
    replies = [reply for reply in workspace.replies(one) if reply.visible_to(viewer.id)]
    if not replies:
        return ""
    authors = dict.fromkeys(reply.user for reply in replies)
    faces = "".join(avatar(workspace.users[author]) for author in list(authors)[:4])
    last = datetime.fromtimestamp(float(replies[-1].ts), tz=UTC).astimezone()
    words = f"<b>{_count(len(replies))}</b> <span>last reply {last:%H:%M}</span>"
    return f'<button class="thread-link" data-thread="{one.ts}">{faces}{words}</button>'


def _tools(one: Message, pane: str) -> str:
    reply = (
        f'<button data-thread="{one.thread_ts or one.ts}" title="Reply in thread">{icons.COMMENT}</button>'
        if pane == "channel"
        else ""
    )
    return f'<div class="tools">{reply}<button data-copy title="Copy link">{icons.CHAIN}</button></div>'


def _count(number: int) -> str:
    return "1 reply" if number == 1 else f"{number} replies"


def _exchange(one: Exchange) -> str:
    moment = datetime.fromtimestamp(one.at, tz=UTC).astimezone()
    mark = "good" if one.status == "ok" else "bad"
    return (
        f"<details><summary><time>{moment:%H:%M:%S}</time> <code>{escape(one.what)}</code> "
        f'<span class="{mark}">{escape(one.status)}</span> <small>{one.milliseconds:.0f} ms</small></summary>'
        f"<pre>{_pretty(one.sent)}</pre><pre>{_pretty(one.answer)}</pre></details>"
    )


def _pretty(body: Json) -> str:
    return escape(json.dumps(body, indent=1, ensure_ascii=False, default=str)[:_MOST_JSON])
