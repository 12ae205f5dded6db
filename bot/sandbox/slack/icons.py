"""The emoji that operations messages lean on, drawn as SVG: a machine without an emoji font shows them too."""

from collections.abc import Mapping
from typing import Final

_RED, _GREEN, _AMBER, _BLUE, _GREY, _ORANGE = "#e03131", "#2f9e44", "#f2a60d", "#3578e5", "#868e96", "#f76707"


def _disc(fill: str) -> str:
    return f'<circle cx="10" cy="10" r="8" fill="{fill}"/>'


def _tile(fill: str, inside: str) -> str:
    strokes = 'stroke="#fff" stroke-width="2.2" fill="none" stroke-linecap="round" stroke-linejoin="round"'
    return f'<rect x="2" y="2" width="16" height="16" rx="4" fill="{fill}"/><path d="{inside}" {strokes}/>'


def _stroke(colour: str, path: str, width: float = 3) -> str:
    return (
        f'<path d="{path}" stroke="{colour}" stroke-width="{width}" fill="none" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )


_SIREN = (
    f'<path d="M5 14v-3a5 5 0 0 1 10 0v3z" fill="{_RED}"/><rect x="3" y="14" width="14" height="3.4" rx="1.2" '
    f'fill="{_GREY}"/>' + _stroke(_RED, "M10 1.5v2M3.2 4.2l1.4 1.4M16.8 4.2l-1.4 1.4", 1.6)
)
_EYES = "".join(
    f'<ellipse cx="{x}" cy="10" rx="4" ry="5.6" fill="#fff" stroke="{_GREY}"/>'
    f'<circle cx="{x - 1}" cy="11" r="2" fill="#222"/>'
    for x in (5.4, 14.6)
)
_WARNING = (
    f'<path d="M10 2 19 17.5H1z" fill="{_AMBER}" stroke="{_AMBER}" stroke-linejoin="round"/>'
    '<path d="M10 7.5v4.6" stroke="#222" stroke-width="2" stroke-linecap="round"/><circle cx="10" cy="14.8" r="1.2"/>'
)
_LOCK = f'<rect x="4" y="9" width="12" height="9" rx="2" fill="{_AMBER}"/>' + _stroke(
    _GREY, "M7 9V6a3 3 0 0 1 6 0v3", 2
)
_OPEN_LOCK = f'<rect x="4" y="9" width="12" height="9" rx="2" fill="{_AMBER}"/>' + _stroke(
    _GREY, "M7 9V5a3 3 0 0 1 6 0", 2
)
_ROCKET = (
    f'<path d="M17.5 2.5c-5 0-8.5 3-10.5 8l2.5 2.5c5-2 8-5.5 8-10.5z" fill="{_BLUE}"/>'
    f'<circle cx="12.7" cy="7.3" r="1.7" fill="#fff"/><path d="M6 12l-3.5 5.5L8 14z" fill="{_ORANGE}"/>'
)
_SAND = _stroke(_GREY, "M5 2.5h10M5 17.5h10M6 3v2.5L14 14.5V17M14 3v2.5L6 14.5V17", 1.8)
_BELL = (
    f'<path d="M10 2a5 5 0 0 1 5 5v4l2 4H3l2-4V7a5 5 0 0 1 5-5z" fill="{_AMBER}"/>'
    f'<circle cx="10" cy="17" r="1.8" fill="{_AMBER}"/>'
)
_BACK = _stroke(_BLUE, "M7 4 3 8l4 4M3.5 8H12a4 4 0 0 1 0 8H8", 2.2)
_STOP = f'<path d="M6 1.5h8L18.5 6v8L14 18.5H6L1.5 14V6z" fill="{_RED}"/>' + _stroke("#fff", "M6 10h8", 2.4)
_PAGER = (
    '<rect x="2" y="5" width="16" height="10" rx="2.5" fill="#495057"/>'
    '<rect x="4.5" y="7" width="8" height="4" fill="#b2f2bb"/>'
)
_NOTE = f'<rect x="4" y="2" width="12" height="16" rx="2" fill="#fff" stroke="{_GREY}"/>' + _stroke(
    _GREY, "M7 7h6M7 10h6M7 13h4", 1.4
)
_LENS = f'<circle cx="8.5" cy="8.5" r="5" fill="none" stroke="{_GREY}" stroke-width="2.2"/>' + _stroke(
    _GREY, "M12.5 12.5 17 17", 2.6
)

_SHAPES: Final[Mapping[str, str]] = {
    "white_check_mark": _tile(_GREEN, "M6 10.2 9 13l5-6"),
    "heavy_check_mark": _stroke(_GREEN, "M4 10.5 8.5 15 16 5.5"),
    "x": _stroke(_RED, "M4.5 4.5l11 11M15.5 4.5l-11 11"),
    "warning": _WARNING,
    "rotating_light": _SIREN,
    "red_circle": _disc(_RED),
    "large_red_circle": _disc(_RED),
    "large_green_circle": _disc(_GREEN),
    "large_yellow_circle": _disc(_AMBER),
    "large_orange_circle": _disc(_ORANGE),
    "large_blue_circle": _disc(_BLUE),
    "white_circle": f'<circle cx="10" cy="10" r="7" fill="none" stroke="{_GREY}" stroke-width="2"/>',
    "black_circle": _disc("#343a40"),
    "large_blue_square": f'<rect x="2" y="2" width="16" height="16" rx="3" fill="{_BLUE}"/>',
    "large_green_square": f'<rect x="2" y="2" width="16" height="16" rx="3" fill="{_GREEN}"/>',
    "no_entry": _disc(_RED) + _stroke("#fff", "M6 10h8", 2.6),
    "no_entry_sign": f'<circle cx="10" cy="10" r="7" fill="none" stroke="{_RED}" stroke-width="2.4"/>'
    + _stroke(_RED, "M5 5l10 10", 2.4),
    "octagonal_sign": _STOP,
    "eyes": _EYES,
    "lock": _LOCK,
    "unlock": _OPEN_LOCK,
    "rocket": _ROCKET,
    "hourglass": _SAND,
    "hourglass_flowing_sand": _SAND,
    "bell": _BELL,
    "leftwards_arrow_with_hook": _BACK,
    "rewind": _tile(_BLUE, "M10 6 6 10l4 4M14.5 6l-4 4 4 4"),
    "double_vertical_bar": _tile(_BLUE, "M8 6v8M12 6v8"),
    "pause_button": _tile(_BLUE, "M8 6v8M12 6v8"),
    "arrow_forward": _tile(_BLUE, "M8 6l5 4-5 4z"),
    "arrows_counterclockwise": _tile(_BLUE, "M6 9a4 4 0 0 1 7-2M14 11a4 4 0 0 1-7 2"),
    "stop_button": _tile(_BLUE, "M7.5 7.5h5v5h-5z"),
    "information_source": _tile(_BLUE, "M10 9.5V14M10 6.2v.1"),
    "pager": _PAGER,
    "memo": _NOTE,
    "clipboard": _NOTE,
    "page_facing_up": _NOTE,
    "mag": _LENS,
}
DRAWN: Final[Mapping[str, str]] = {
    name: f'<svg class="emoji" viewBox="0 0 20 20" role="img" aria-label=":{name}:">{shape}</svg>'
    for name, shape in _SHAPES.items()
}

COMMENT: Final = f'<svg class="emoji" viewBox="0 0 20 20">{_stroke(_GREY, "M3 4h14v9H9l-4 4v-4H3z", 1.7)}</svg>'
CHAIN: Final = (
    '<svg class="emoji" viewBox="0 0 20 20">'
    + _stroke(_GREY, "M8.5 11.5l3-3M9 6l2-2a3.2 3.2 0 0 1 5 5l-2 2M11 14l-2 2a3.2 3.2 0 0 1-5-5l2-2", 1.8)
    + "</svg>"
)
