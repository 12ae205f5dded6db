"""Inline SVG: Slack's data_visualization block, and the small lines of the world panel."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from bot.sandbox.slack.records import Json

WIDTH: Final = 520
HEIGHT: Final = 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 24, 12, 40


def html(block: Json) -> str:
    """Return a chart block as a figure with a legend."""
    chart = block["chart"]
    parts = chart["segments"] if chart["type"] == "pie" else chart["series"]
    names = [str(one.get("label", one.get("name"))) for one in parts]
    tones = [_tone(name, index) for index, name in enumerate(names)]
    drawn = _pie(chart, tones) if chart["type"] == "pie" else _axes(chart, tones)
    legend = "".join(f'<li class="{tone}">{escape(name)}</li>' for name, tone in zip(names, tones, strict=True))
    caption = f"<figcaption>{escape(block['title'])}</figcaption>"
    return f'<figure class="chart">{caption}{drawn}<ul class="legend">{legend}</ul></figure>'


def _tone(name: str, index: int) -> str:
    """Name the colour of a series: the sides of an environment keep their own."""
    return name if name in {"blue", "green"} else f"series{index % 6}"


def sparkline(values: Sequence[float], most: float, *, kind: str, width: int = 120, height: int = 32) -> str:
    """Return one small line with its area; `most` is the value at the top."""
    points = [_spot(index, value, len(values), most, (width, height)) for index, value in enumerate(values)]
    if not points:
        return ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    area = f"0,{height} {path} {points[-1][0]:.1f},{height}"
    return f'<polygon class="area {kind}" points="{area}"/><polyline class="line {kind}" points="{path}"/>'


def _spot(index: int, value: float, count: int, most: float, size: tuple[int, int]) -> tuple[float, float]:
    width, height = size
    across = width * index / max(1, count - 1)
    return across, height - (height - 2) * min(1.0, value / most if most else 0.0)


def _axes(chart: Json, tones: Sequence[str]) -> str:
    categories = [str(one) for one in chart["axis_config"]["categories"]]
    values = [[_value(series, category) for category in categories] for series in chart["series"]]
    low, high, step = _scale(min(map(min, values)), max(map(max, values)), from_zero=chart["type"] != "line")
    draw = {"bar": _bars, "area": _areas}.get(chart["type"], _lines)
    shapes = draw([[_y(one, low, high) for one in row] for row in values], len(categories), tones)
    grid = _grid(low, high, step) + _labels(categories, chart["axis_config"], wide=chart["type"] == "bar")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{grid}{shapes}</svg>'


def _value(series: Json, category: str) -> float:
    return next((float(point["value"]) for point in series["data"] if point["label"] == category), 0.0)


def _scale(low: float, high: float, *, from_zero: bool) -> tuple[float, float, float]:
    """Choose round limits around the values and the distance of grid lines."""
    low = min(0.0, low) if from_zero or low > 0 >= low - (high - low) else low
    span = (high - low) or abs(high) or 1.0
    rough = span / 4
    magnitude = 10 ** math.floor(math.log10(rough))
    step = magnitude * next(factor for factor in (1, 2, 2.5, 5, 10) if rough <= factor * magnitude * 1.0001)
    return math.floor(low / step) * step, math.ceil(high / step + 0.0001) * step, step


def _y(value: float, low: float, high: float) -> float:
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - (value - low) / (high - low))


def _x(index: int, count: int, *, wide: bool = False) -> float:
    room = WIDTH - _LEFT - _RIGHT
    return _LEFT + (room * (index + 0.5) / count if wide else room * index / max(1, count - 1))


def _grid(low: float, high: float, step: float) -> str:
    lines = []
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        y = _y(value, low, high)
        lines.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text class="tick end" x="{_LEFT - 6}" y="{y + 3:.1f}">{value:g}</text>')
    return "".join(lines)


def _labels(categories: Sequence[str], axis: Json, *, wide: bool) -> str:
    every = max(1, math.ceil(len(categories) / 8))
    shown = [
        _tick(_x(index, len(categories), wide=wide), label)
        for index, label in enumerate(categories)
        if index % every == 0
    ]
    if axis.get("x_label"):
        shown.append(f'<text class="axis middle" x="{WIDTH / 2}" y="{HEIGHT - 6}">{escape(axis["x_label"])}</text>')
    if axis.get("y_label"):
        middle = HEIGHT / 2 - 10
        turned = f'transform="rotate(-90 10 {middle})"'
        shown.append(f'<text class="axis middle" x="10" y="{middle}" {turned}>{escape(axis["y_label"])}</text>')
    return "".join(shown)


def _tick(x: float, label: str) -> str:
    return f'<text class="tick middle" x="{x:.1f}" y="{HEIGHT - 24}">{escape(label)}</text>'


def _lines(rows: Sequence[Sequence[float]], count: int, tones: Sequence[str]) -> str:
    return "".join(
        f'<polyline class="line {tones[index]}" points="{_path(row, count)}"/>' for index, row in enumerate(rows)
    )


def _areas(rows: Sequence[Sequence[float]], count: int, tones: Sequence[str]) -> str:
    floor = HEIGHT - _BOTTOM
    ends = f"{_x(count - 1, count):.1f},{floor} {_LEFT},{floor}"
    areas = (
        f'<polygon class="area {tones[index]}" points="{_path(row, count)} {ends}"/>' for index, row in enumerate(rows)
    )
    return "".join(areas) + _lines(rows, count, tones)


def _bars(rows: Sequence[Sequence[float]], count: int, tones: Sequence[str]) -> str:
    room = (WIDTH - _LEFT - _RIGHT) / count * 0.7
    width = room / len(rows)
    floor = HEIGHT - _BOTTOM
    return "".join(
        f'<rect class="fill {tones[number]}" x="{_x(index, count, wide=True) - room / 2 + number * width:.1f}" '
        f'y="{y:.1f}" width="{width * 0.92:.1f}" height="{max(0.0, floor - y):.1f}" rx="2"/>'
        for number, row in enumerate(rows)
        for index, y in enumerate(row)
    )


def _path(row: Sequence[float], count: int) -> str:
    return " ".join(f"{_x(index, count):.1f},{y:.1f}" for index, y in enumerate(row))


def _pie(chart: Json, tones: Sequence[str]) -> str:
    total = sum(float(one["value"]) for one in chart["segments"]) or 1.0
    radius, centre = 80, HEIGHT / 2
    slices, angle = [], -math.pi / 2
    for index, segment in enumerate(chart["segments"]):
        turn = 2 * math.pi * float(segment["value"]) / total
        slices.append(_slice(angle, min(turn, 2 * math.pi - 1e-4), radius, (WIDTH / 2, centre), tones[index]))
        angle += turn
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(slices)}</svg>'


def _slice(start: float, turn: float, radius: float, centre: tuple[float, float], tone: str) -> str:
    ends = [
        f"{centre[0] + radius * math.cos(angle):.2f} {centre[1] + radius * math.sin(angle):.2f}"
        for angle in (start, start + turn)
    ]
    large = int(turn > math.pi)
    path = f"M{centre[0]} {centre[1]} L{ends[0]} A{radius} {radius} 0 {large} 1 {ends[1]} Z"
    return f'<path class="fill {tone}" d="{path}"/>'
