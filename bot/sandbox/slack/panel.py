"""The world panel as HTML: who gets the traffic, who is healthy, what was paged, what is broken on purpose."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from bot.sandbox.slack import chart

HARM: Final = 0.01
"""Share of errors above which the runbook goes back."""
_WIDTH: Final = 250
_HEIGHT: Final = 40


def sections(world: Mapping[str, Any]) -> dict[str, str]:
    """Return the panel's parts by name; the page replaces a part only when it changed."""
    return {
        "state": _state(world),
        "environments": "".join(_environment(one) for one in world.get("environments", [])),
        "pages": _pages(world.get("pages", [])),
        "faults": "".join(_fault(one) for one in world.get("faults", [])),
    }


def _state(world: Mapping[str, Any]) -> str:
    bot = str(world.get("bot", "running"))
    return (
        f'<span class="chip bot-{escape(bot)}"><i></i>bot {escape(bot)}</span>'
        f'<span class="chip">time \N{MULTIPLICATION SIGN}{world.get("speed", 1):g}</span>'
    )


def _environment(one: Mapping[str, Any]) -> str:
    colours = one["colours"]
    shares = "".join(_share(_colour(each), int(each["weight"])) for each in colours)
    sides = "".join(_side(each) for each in colours)
    charts = _chart("requests/s", "rps", colours) + _chart("errors/s", "errors", colours)
    head = f'<h3>{escape(one["name"])}</h3><div class="weights">{shares}</div>'
    return f'<section class="environment">{head}{sides}{charts}</section>'


def _share(colour: str, weight: int) -> str:
    return f'<span class="share {colour}" style="flex-grow:{max(0, weight)}" title="{weight} %"></span>'


def _side(each: Mapping[str, Any]) -> str:
    healthy, desired = int(each.get("healthy", 0)), int(each.get("desired", 0))
    dots = "".join(
        f'<i class="{"up" if index < healthy else "down"}"></i>' for index in range(min(12, max(healthy, desired)))
    )
    idle = "" if each["weight"] or desired else " idle"
    return (
        f'<div class="side{idle}"><span class="dot {_colour(each)}"></span><b>{escape(each["name"])}</b>'
        f"<code>{escape(str(each.get('version') or 'none'))}</code>"
        f'<span class="tasks" title="{healthy} of {desired} healthy">'
        f'{dots}<small>{healthy}/{desired}</small></span><span class="weight">{int(each["weight"])} %</span></div>'
    )


def _chart(title: str, key: str, colours: Sequence[Mapping[str, Any]]) -> str:
    rows = {_colour(each): [float(value) for value in each.get(key, [])][-60:] for each in colours}
    most = max((value for row in rows.values() for value in row), default=0.0)
    limit = HARM * max((value for each in colours for value in each.get("rps", [])), default=0.0)
    # Errors are drawn against the limit, so that the usual few of a healthy service stay flat.
    top = max(most * 1.15, 1.0, limit if key == "errors" else 0.0)
    lines = "".join(
        chart.sparkline(row, top, kind=name, width=_WIDTH, height=_HEIGHT) for name, row in rows.items() if any(row)
    )
    now = sum(row[-1] for row in rows.values() if row)
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{title}"'
    picture = f"<svg {box}>{lines}</svg>"
    high = " high" if key == "errors" and now > limit else ""
    return f'<div class="spark {key}{high}"><span>{title}</span><b>{now:,.0f}</b>{picture}</div>'


def _pages(pages: Sequence[Mapping[str, Any]]) -> str:
    if not pages:
        return '<p class="quiet">Nobody was paged.</p>'
    return "".join(
        f'<div class="page {"rang" if page["count"] else ""}">'
        f"<b>L{int(page['level'])}</b><span>{int(page['count'])}</span>"
        f"<small>{escape(str(page.get('last') or 'quiet'))}</small></div>"
        for page in pages
    )


def _fault(one: Mapping[str, Any]) -> str:
    mark = " checked" if one.get("on") else ""
    return (
        f'<label class="switch"><input type="checkbox" data-fault="{escape(one["name"], quote=True)}"{mark}>'
        f'<span class="track"></span>{escape(one["label"])}</label>'
    )


def _colour(each: Mapping[str, Any]) -> str:
    name = str(each["name"])
    return name if name in {"blue", "green"} else "other"
