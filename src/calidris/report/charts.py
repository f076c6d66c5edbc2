"""The three pictures of a report: evidence over time, histograms beside the baseline, and the reliability diagram."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from markupsafe import Markup

from calidris.batch import Ints
from calidris.engine.snapshot import WindowPoint
from calidris.metrics.calibration.calibration_measures import ReliabilityBin
from calidris.metrics.quality import is_new
from calidris.report import svg, wording
from calidris.state import Field, Kind
from calidris.state.coding.fields import SPECIALS

_EVIDENCE = (760, 190)
_HISTOGRAM = (330, 215)
_RELIABILITY = (420, 440)
HIGHEST = 3.0
"""Evidence that the picture goes up to: an alarm is at 1, and a gross break would press all else to the floor."""
_LABELS = 16
"""Labels that fit below a histogram; of more bins every second, third… has one. The pointer shows all."""


def evidence(window: str, points: Sequence[WindowPoint]) -> Markup:
    """Evidence of the windows of one length against the line at which the budget is spent; time goes right."""
    width, height = _EVIDENCE
    known = [p.evidence for p in points if p.evidence is not None]
    top = min(max(1.25, *(e * 1.08 for e in known)), HIGHEST) if known else 1.25
    x = svg.scale(points[0].end_ns, points[-1].end_ns, 46, width - 16)
    line = svg.scale(0.0, top, height - 30, 12)

    def y(value: float) -> float:
        return line(min(value, top))

    shapes: list[Markup] = [*_time_axis(points, x, height), *_evidence_axis(y, width)]
    for run in _runs(points):
        places = [(x(p.end_ns), y(p.evidence or 0.0)) for p in run]
        shapes += [svg.path(places, "area", floor=y(0)), svg.path(places, "now-line")]
        # A line of one point is none; windows that are merged with the next ones leave such points.
        shapes += [svg.circle(*places[0], 2, "now-dot")] if len(places) == 1 else []
    shapes += [svg.line(x(p.end_ns), y(0), x(p.end_ns), y(0) - 7, "unscored") for p in points if p.evidence is None]
    shapes += list(itertools.chain.from_iterable(_alarm_mark(p, x(p.end_ns), y) for p in points if p.alarm))
    alarms = sum(p.alarm for p in points)
    said = f"{len(known)} windows scored, {len(points) - len(known)} not; {alarms} alarms. "
    said += "Higher values are drawn at the top. " if known and max(known) > top else ""
    said += f"Newest evidence {wording.evidence(known[-1])} of 1." if known else "No evidence yet."
    return svg.picture(width, height, f"Evidence of a change in {window} windows", said, shapes)


def _evidence_axis(y: svg.Scale, width: float) -> Iterator[Markup]:
    for value in (0.0, 0.5):
        yield svg.line(46, y(value), width - 16, y(value), "grid")
        yield svg.text(40, y(value) + 4, f"{value:g}", "tick", "end")
    yield svg.line(46, y(1.0), width - 16, y(1.0), "budget")
    yield svg.text(40, y(1.0) + 4, "1", "tick budget-text", "end")
    yield svg.text(50, y(1.0) - 5, "an alarm is raised here", "tick budget-text", "start")


def _time_axis(points: Sequence[WindowPoint], x: svg.Scale, height: float) -> Iterator[Markup]:
    first, last = points[0].end_ns, points[-1].end_ns
    form = "%H:%M" if last - first < 36 * 3600 * 10**9 else "%d %b %H:%M"
    for i in range(5 if last > first else 1):
        at = first + (last - first) * i // 4
        anchor = ("start", "middle", "middle", "middle", "end")[i]
        moment = datetime.fromtimestamp(max(at, 0) / 1e9, UTC).strftime(form)
        yield svg.text(x(at), height - 10, moment, "tick", anchor)


def _runs(points: Sequence[WindowPoint]) -> list[list[WindowPoint]]:
    """Stretches of scored windows: a line never bridges what was not measured."""
    grouped = itertools.groupby(points, key=lambda p: p.evidence is not None)
    return [list(run) for scored, run in grouped if scored]


def _alarm_mark(point: WindowPoint, x: float, y: svg.Scale) -> Iterator[Markup]:
    at = y(point.evidence or 0.0)
    yield svg.line(x, y(0), x, at, "alarm-line")
    yield svg.circle(x, at, 5, "alarm-dot", f"Alarm at {wording.moment(point.end_ns)}")
    yield svg.text(x - 9, at + 4, "alarm", "tick budget-text", "end")


class Bar(NamedTuple):
    """One cell of a histogram: shares of the rows of both sides."""

    label: str
    baseline: float
    now: float
    special: bool


def bars(field: Field, baseline: Ints, now: Ints) -> list[Bar]:
    """Cells of a field in the order people expect; of the special ones only those that hold rows."""
    shares = [cells / max(int(cells.sum()), 1) for cells in (baseline, now)]
    k = field.ordered
    special = dict(zip(SPECIALS, range(k, k + len(SPECIALS)), strict=True))
    names = {"missing": "missing", "other": "new values", "low": "below", "high": "above"}
    if field.kind is Kind.NUMERIC:
        names["other"] = "wrong type"
    if field.kind is Kind.CATEGORICAL:
        names["low"] = "rare values"
    if not is_new(field, baseline):
        names["other"] = "other values"
    order = [*((c, False, label) for c, label in enumerate(_labels(field)))]
    order += [(special[s], True, names[s]) for s in ("high", "other", "missing")]
    order.insert(0, (special["low"], True, names["low"]))
    return [
        Bar(label, float(shares[0][c]), float(shares[1][c]), extra)
        for c, extra, label in order
        if not extra or any(s[c] > 0 for s in shares)
    ]


def _labels(field: Field) -> list[str]:
    if field.kind is Kind.CATEGORICAL:
        return list(field.levels)
    if field.kind is Kind.PRESENCE:
        return ["present"]
    return [f"≤ {edge:,.3g}" if abs(edge) < 1000 else f"≤ {edge:,.0f}" for edge in field.edges[1:]]


def histogram(title: str, cells: Sequence[Bar], n: int, m: int) -> Markup:
    """Shares of rows in the newest window beside those in the baseline, bin by bin."""
    width, height = _HISTOGRAM
    floor, left = height - 62, 44
    top = _round_up(max((max(c.baseline, c.now) for c in cells), default=0.0))
    y, step = svg.scale(0.0, top, floor, 12), (width - left - 8) / max(len(cells), 1)
    shapes = [svg.line(left, y(v), width - 8, y(v), "grid") for v in (top / 2, top)]
    shapes += [svg.text(left - 5, y(v) + 4, wording.share(v), "tick", "end") for v in (0.0, top / 2, top)]
    every = math.ceil(len(cells) / _LABELS)
    for i, cell in enumerate(cells):
        shapes += _bar(cell, left + (i + 0.08) * step, step * 0.42, y)
        if cell.special or i % every == 0:
            kind = "tick strong" if cell.special else "tick"
            shapes.append(svg.slanted(left + (i + 0.63) * step, floor + 13, svg.short(cell.label, 13), kind))
    shapes.append(svg.line(left, floor, width - 8, floor, "axis"))
    moved = max(cells, key=lambda c: abs(c.now - c.baseline), default=None)
    said = f"Baseline {wording.rows(m)}, newest window {wording.rows(n)}. "
    if moved is not None:
        said += f"Largest move: {moved.label}, from {wording.share(moved.baseline)} to {wording.share(moved.now)}."
    return svg.picture(width, height, title, said, shapes)


def _bar(cell: Bar, x: float, wide: float, y: svg.Scale) -> Iterator[Markup]:
    kind = " special" if cell.special else ""
    for at, share, side, said in ((x, cell.baseline, "then", "Baseline"), (x + wide, cell.now, "now", "Now")):
        hint = f"{said}, {cell.label}: {wording.share(share)}"
        yield svg.rect(at, y(share), wide, y(0.0) - y(share), side + kind, hint)


def _round_up(share: float) -> float:
    """The next 1, 2, 3, 4, 5, 6 or 8 of a power of ten, so that the axis reads well."""
    power = 10.0 ** math.floor(math.log10(share)) if share > 0 else 1.0
    return next(d * power for d in (1, 2, 3, 4, 5, 6, 8, 10) if share <= d * power * (1 + 1e-9))


def reliability(now: Sequence[ReliabilityBin], then: Sequence[ReliabilityBin]) -> Markup:
    """Mean outcome against mean score, with 95 % intervals and rows; a calibrated model lies on the diagonal."""
    width, height = _RELIABILITY
    x, y = svg.scale(0.0, 1.0, 46, width - 16), svg.scale(0.0, 1.0, height - 110, 14)
    shapes = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        shapes += [
            svg.line(x(0), y(tick), x(1), y(tick), "grid"),
            svg.text(40, y(tick) + 4, f"{tick:g}", "tick", "end"),
        ]
        shapes.append(svg.text(x(tick), height - 92, f"{tick:g}", "tick"))
    shapes += [svg.line(x(0), y(0), x(1), y(1), "diagonal")]
    for b in then:
        shapes.append(svg.circle(x(b.mean_score), y(b.mean_outcome), 3.5, "then-dot", _reliability_hint("Baseline", b)))
    shapes.append(svg.path([(x(b.mean_score), y(b.mean_outcome)) for b in now], "now-line"))
    for b in now:
        shapes.append(svg.line(x(b.mean_score), y(b.lower), x(b.mean_score), y(b.upper), "interval"))
        shapes.append(svg.circle(x(b.mean_score), y(b.mean_outcome), 4, "now-dot", _reliability_hint("Window", b)))
    shapes += _row_counts(now, x, height)
    shapes.append(svg.text((x(0) + x(1)) / 2, height - 74, "score that the model gave", "tick strong"))
    n = sum(b.n for b in now)
    said = f"{wording.rows(n)} labelled rows in {len(now)} tenths of the score. Vertical lines are 95 % intervals."
    return svg.picture(width, height, "Share of positive outcomes by score", said, shapes)


def _row_counts(now: Sequence[ReliabilityBin], x: svg.Scale, height: float) -> list[Markup]:
    """How many labelled rows each point stands for, as bars under the diagram."""
    most = max((b.n for b in now), default=1)
    floor, tall = height - 8.0, 44.0
    shapes = [svg.line(x(0), floor, x(1), floor, "axis"), svg.text(40, floor, "n", "tick", "end")]
    for b in now:
        up = max(b.n / most * tall, 1.0)
        shapes.append(svg.rect(x(b.mean_score) - 9, floor - up, 18, up, "then", wording.rows(b.n)))
        shapes.append(svg.text(x(b.mean_score), floor - up - 3, f"{b.n:,}", "tick small"))
    return shapes


def _reliability_hint(side: str, b: ReliabilityBin) -> str:
    interval = f"{wording.number(b.lower)} to {wording.number(b.upper)}"
    return f"{side}: score {wording.number(b.mean_score)}, outcome {wording.number(b.mean_outcome)} ({interval}), {wording.rows(b.n)}"
