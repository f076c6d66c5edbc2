"""Pictures of figures with their intervals: one a line (slices, groups), or one a day."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from markupsafe import Markup

from calidris.engine.panes.days import DayPoint
from calidris.metrics.intervals import Z95
from calidris.report import svg, wording

_LEFT, _WIDTH, _ROW = 190, 640, 26
_DAYS = (640, 190)


class Dot(NamedTuple):
    """One line of the picture: a figure with its interval, and the baseline's where there is one."""

    label: str
    value: float
    lower: float
    upper: float
    n: int
    then: float | None = None


def forest(title: str, dots: Sequence[Dot], line: float | None = None, line_name: str = "all rows") -> Markup:
    """Figures below each other with their intervals; a line where all rows together are."""
    ends = [x for d in dots for x in (d.lower, d.upper, d.value, *((d.then,) if d.then is not None else ()))]
    low, high = _range([*ends, *((line,) if line is not None else ())])
    height = _ROW * len(dots) + 44
    x = svg.scale(low, high, _LEFT, _WIDTH - 80)
    shapes = list(_axis(x, low, high, height))
    if line is not None:
        shapes += [svg.line(x(line), 8, x(line), height - 32, "diagonal")]
    for i, dot in enumerate(dots):
        shapes += _line(dot, x, 20 + i * _ROW)
    said = "; ".join(f"{d.label} {wording.number(d.value)}" for d in dots[:12])
    said += f". Dashed line: {line_name}, {wording.number(line)}." if line is not None else "."
    return svg.picture(_WIDTH, height, title, said, shapes)


def _line(dot: Dot, x: svg.Scale, y: float) -> Iterator[Markup]:
    hint = f"{dot.label}: {wording.number(dot.value)} ({wording.number(dot.lower)} to {wording.number(dot.upper)}), n = {dot.n:,}"
    yield svg.text(_LEFT - 10, y + 4, svg.short(dot.label, 28), "tick strong", "end")
    yield svg.line(x(dot.lower), y, x(dot.upper), y, "interval")
    if dot.then is not None:
        yield svg.circle(x(dot.then), y, 4, "then-dot", f"Baseline, {dot.label}: {wording.number(dot.then)}")
    yield svg.circle(x(dot.value), y, 4.5, "now-dot", hint)
    yield svg.text(_WIDTH - 4, y + 4, f"n {dot.n:,}", "tick", "end")


def _axis(x: svg.Scale, low: float, high: float, height: float) -> Iterator[Markup]:
    for value in _ticks(low, high):
        yield svg.line(x(value), 8, x(value), height - 32, "grid")
        yield svg.text(x(value), height - 14, wording.number(value), "tick")


def days(title: str, points: Sequence[DayPoint], baseline: float | None) -> Markup:
    """One figure a day with its interval, and the baseline's as a dashed line; time goes right."""
    width, height = _DAYS
    spans = [(p.value - Z95 * p.error, p.value + Z95 * p.error) for p in points]
    low, high = _range([end for span in spans for end in span] + ([baseline] if baseline is not None else []))
    x = svg.scale(points[0].time_s, points[-1].time_s, 64, width - 20)
    y = svg.scale(low, high, height - 34, 12)
    shapes = []
    for value in _ticks(low, high):
        shapes += [svg.line(58, y(value), width - 14, y(value), "grid")]
        shapes += [svg.text(52, y(value) + 4, wording.number(value), "tick", "end")]
    if baseline is not None:
        shapes.append(svg.line(58, y(baseline), width - 14, y(baseline), "diagonal"))
    shapes.append(svg.path([(x(p.time_s), y(p.value)) for p in points], "now-line"))
    for p, (lower, upper) in zip(points, spans):
        shapes.append(svg.line(x(p.time_s), y(lower), x(p.time_s), y(upper), "interval"))
        hint = f"{_day(p.time_s)}: {wording.number(p.value)} ({wording.number(lower)} to {wording.number(upper)})"
        shapes.append(svg.circle(x(p.time_s), y(p.value), 4, "now-dot", hint))
    shapes += [svg.text(x(points[0].time_s), height - 12, _day(points[0].time_s), "tick", "start")]
    shapes += [svg.text(x(points[-1].time_s), height - 12, _day(points[-1].time_s), "tick", "end")]
    said = f"{len(points)} days, from {wording.number(points[0].value)} to {wording.number(points[-1].value)}."
    return svg.picture(width, height, title, said, shapes)


def _day(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%d %b")


def _range(values: Sequence[float]) -> tuple[float, float]:
    """A little more than the values span, never nothing."""
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or max(abs(high), 1e-6) * 0.1
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Some three to six round numbers between two ends.

    >>> _ticks(0.643, 0.719)
    [0.66, 0.68, 0.7]
    """
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(d * power for d in (1, 2, 5, 10) if d * power >= rough)
    return [round(k * step, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
