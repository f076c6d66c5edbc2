"""What plain loops over rows make of them, state by state: slow, and easy to believe."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from calidris.state import GroupsState, LossesState, MomentsState, ResidualsState, ScoresState, Spec, WideErrorsState
from calidris.state.blocks.residuals import residual_scales
from calidris.state.blocks.table_state import DELAY_EDGES_S
from calidris.state.cell_sums import scales
from calidris.state.fixed import LIMIT, Scale

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """Everything that any state looks at in one row."""

    x: float | None
    c: str | None
    p: float | None
    country: str | None
    sex: str | None
    score: float
    outcome: int
    decision: int | None
    value: float | None
    truth: float
    delay_s: float


def finite(x: float | None) -> bool:
    return x is not None and math.isfinite(x)


def measured(x: float | None) -> bool:
    """Whether a number of a column is in sums: the largest doubles are not."""
    return x is not None and abs(x) <= 1e300


def delay(r: Row) -> int:
    return sum(r.delay_s > edge for edge in DELAY_EDGES_S)


def slice_rows(r: Row) -> list[int]:
    """Rows of the slice axis: all; NL, BE, rest; f, rest; and the six pairs of both."""
    country = None if r.country is None else {"NL": 0, "BE": 1}.get(r.country, 2)
    sex = None if r.sex is None else {"f": 0}.get(r.sex, 1)
    out = [0]
    out += [] if country is None else [1 + country]
    out += [] if sex is None else [4 + sex]
    out += [] if country is None or sex is None else [6 + 2 * country + sex]
    return out


def counts(spec: Spec, rows: Sequence[Row]) -> Counts:
    edges = {"x": (-1.0, 0.0, 0.5, 2.0), "value": (-3.0, 0.0, 3.0)}
    cells = {"x": [0] * 7, "c": [0] * 6, "p": [0] * 5, "error": [0] * 5, "value": [0] * 6}
    for r in rows:
        cells["error"][0] += 1
        cells["p"][0 if finite(r.p) else 1] += 1
        cells["c"][2 if r.c is None else {"a": 0, "b": 1}.get(r.c, 3)] += 1
        for name, number in (("x", r.x), ("value", r.value)):
            cells[name][number_cell(number, edges[name])] += 1
    duration = np.zeros(spec.fields[1].width, np.int64)
    duration[spec.fields[1].ordered] = len(rows)  # no duration was sent
    return np.concatenate([cells["error"], duration, cells["x"], cells["c"], cells["p"], cells["value"]])


def number_cell(x: float | None, edges: tuple[float, ...]) -> int:
    k = len(edges) - 1
    if x is None or not math.isfinite(x):
        return k
    low, high = (float(np.spacing(np.float32(abs(edge)))) for edge in (edges[0], edges[-1]))
    if x < edges[0] - low or x > edges[-1] + high:
        return k + 2 if x < edges[0] else k + 3
    return next((i for i in range(k) if x <= edges[i + 1]), k - 1)


def scores(spec: Spec, rows: Sequence[Row]) -> Counts:
    out = np.zeros(ScoresState.shape(spec)[:-1], np.int64)
    for r in rows:
        for at in slice_rows(r):
            out[at, r.outcome, delay(r), sum(r.score >= edge for edge in spec.score_edges)] += 1
    return out


def losses(spec: Spec, rows: Sequence[Row]) -> Counts:
    out = np.zeros(LossesState.shape(spec), np.int64)
    for r in rows:
        for at, (i, loss) in product(slice_rows(r), enumerate(row_losses(r))):
            bins, cap = out[at, delay(r), i], spec.losses[i].cap
            if loss is None:
                bins[-1] += (1, 0)
                continue
            fixed = round(min(loss, cap) / cap * 2**30)
            bins[min(fixed * 20 // 2**30, 19)] += (1, fixed)
            bins[-1, 1] += loss > cap
    return out


def row_losses(r: Row) -> list[float | None]:
    return [
        None if r.decision is None else float(r.decision != r.outcome),
        (r.score - r.outcome) ** 2,
        abs(r.value - r.truth) if r.value is not None and finite(r.value) else None,
    ]


def groups(spec: Spec, rows: Sequence[Row]) -> Counts:
    out = np.zeros(GroupsState.shape(spec), np.int64)
    for r in rows:
        for at in slice_rows(r):
            out[at, delay(r), r.outcome, 2 if r.decision is None else r.decision] += 1
    return out


def moments(spec: Spec, rows: Sequence[Row]) -> Counts:
    out = np.zeros(MomentsState.shape(spec), np.int64)
    out[0, 0] = len(rows)
    for r in rows:
        for at, (x, scale) in enumerate(zip((r.x, r.value), scales(spec).values()), 1):
            out[at] += addends(x if measured(x) else None, scale)
    return np.concatenate([out.ravel(), cell_sums(spec, rows)])


def cell_sums(spec: Spec, rows: Sequence[Row]) -> Counts:
    """Each number, from the middle of its scale, in its cell; what is beyond 2^30 units in two parts behind all cells."""
    out = np.zeros(1 + spec.cells + 8, np.int64)
    out[0] = len(rows)
    edges = {"x": (-1.0, 0.0, 0.5, 2.0), "value": (-3.0, 0.0, 3.0)}
    for r in rows:
        for f, (name, at, scale) in enumerate(zip(edges, (2, 5), scales(spec).values())):
            x, k = getattr(r, name), len(edges[name]) - 1
            cell = number_cell(x, edges[name])
            if cell == k:
                continue
            outer = edges[name][0] if cell == k + 2 else edges[name][-1]
            far = ((x if measured(x) else outer) - scale.centre) * (1.0 / scale.unit)
            q = round(max(-LIMIT, min(LIMIT, far)))
            out[1 + int(spec.offsets[at]) + cell] += q
            rest = round(max(-(2.0**52), min(2.0**52, far - q))) if abs(far) > LIMIT + 0.5 else 0
            out[1 + spec.cells + 4 * f + 2 * (rest > 0) :][:2] += divmod(rest, 2**26)
    return out


def addends(x: float | None, scale: Scale) -> Counts:
    if x is None:
        return np.zeros(6, np.int64)
    far = (x - scale.centre) * (1.0 / scale.unit)
    q = round(max(-LIMIT, min(LIMIT, far)))
    a, b = divmod(q, 2**15)
    assert q * q == a * a * 2**30 + a * b * 2**16 + b * b
    return np.array([1, abs(far) > LIMIT + 0.5, q, a * a, a * b, b * b], np.int64)


def residuals(spec: Spec, rows: Sequence[Row]) -> Counts:
    out = np.zeros(ResidualsState.shape(spec), np.int64)
    for r in rows:
        for i, (x, scale) in enumerate(zip(variables(r), residual_scales(spec))):
            for at in slice_rows(r):
                out[at, delay(r), i] += addends(x, scale)
    return out


def wide_errors(spec: Spec, rows: Sequence[Row]) -> Counts:
    """Each row in whole numbers of its own levels: 1/16, 1, 16, … caps of an error, 16, 16384, … spreads of a truth."""
    out = np.zeros(WideErrorsState.shape(spec), np.int64)
    size, truth = (scale.unit * 2.0**16 for scale in (residual_scales(spec)[0], residual_scales(spec)[3]))
    centre = residual_scales(spec)[3].centre
    for r in rows:
        there = r.value is not None and math.isfinite(r.value)
        e, y = (r.value - r.truth if there else 0.0), r.truth - centre
        i, end = level(abs(e), [size / 16 * 16.0**k for k in range(11)])
        j, far = level(abs(y), [truth * 16 * 1024.0**k for k in range(4)])
        share, q = max(-1.0, min(1.0, e / end)), round(max(-1.0, min(1.0, y / far)) * 2**30)
        a = math.floor((q + 2**14) / 2**15)
        b, s = q - a * 2**15, round(share * share * 2**15)
        row = [1, not there, abs(e) > end or abs(y) > far]
        row += [round(x * 2**30) for x in (share, abs(share), share**2, (share**2) ** 2, (share**2) ** 4)]
        row += [
            q,
            a,
            a * a,
            a * b,
            b * b,
            *divmod(a**3, 2**30),
            *divmod(a**4, 2**30),
            s,
            s * a,
            *divmod(s * a * a, 2**30),
        ]
        for at in slice_rows(r):
            out[at, delay(r), i, j] += np.array(row, np.int64)
    return out


def level(x: float, ends: list[float]) -> tuple[int, float]:
    return next(((i, end) for i, end in enumerate(ends) if x <= end), (len(ends) - 1, ends[-1]))


def variables(r: Row) -> Iterator[float | None]:
    if r.value is None or not math.isfinite(r.value):
        return iter((None, None, None, r.truth, None, None))
    e = r.value - r.truth  # infinite where both are huge: then it is clipped
    relative = None if r.truth == 0 else abs(e) / abs(r.truth)
    return iter((e, abs(e), e * e, r.truth, r.value, relative))


def levels(spec: Spec, rows: Sequence[Row]) -> dict[str, int]:
    return dict(Counter(r.c for r in rows if r.c not in ("a", "b", None)))


def display(spec: Spec, rows: Sequence[Row]) -> Counts:
    out = np.zeros((3, 4099), np.int64)
    for r in rows:
        for at, x in enumerate((r.x, r.p, r.value)):
            out[at, 4097 if x is None or not math.isfinite(x) else display_cell(x)] += 1
    return out


def display_cell(x: float) -> int:
    """By exact comparison of fractions: (low, high] on either side of 0."""
    if x == 0:
        return 2048
    m, e = math.frexp(abs(x))  # abs(x) = m * 2^e, m in [.5, 1)
    step = m * 32 - 16  # sixteenths above the power of two
    index = (e - 1 + 64) * 16 + (math.ceil(step) - 1 if x > 0 else math.floor(step))
    index = max(0, min(2047, index))
    return 2049 + index if x > 0 else 2047 - index
