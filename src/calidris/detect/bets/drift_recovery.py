"""Has a drift that was named gone back? Bets that the named mean is no longer beyond what the baseline allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.bets.features import Bets
from calidris.detect.bets.linear import LinearBets
from calidris.detect.bets.tilts import WORDS
from calidris.detect.bounds import mean_radius
from calidris.detect.evidence.verdict import Change
from calidris.detect.game import SHAPE
from calidris.detect.layout import identity
from calidris.detect.relations import RELATION
from calidris.detect.relations import WORDS as RELATION_WORDS

STEPS: tuple[float, ...] = (0.25, 0.5, 1.0)
"""Bets: this much of the best stake against a mean that is back where the baseline's was."""
_MOST = 0.95


class _Return(NamedTuple):
    """A function of the cells, and the smallest mean of it that counts as "still changed"."""

    values: Floats
    limit: float
    effect: float  # D of the bets that alarmed


def drift_recovery(
    bets: Bets,
    baseline_rows: int,
    changes: Sequence[Change],
    counts: Ints,
    *,
    delta: float = 0.05,
    tolerance: float = 0.05,
) -> LinearBets:
    """Bets on the return of each field that an alarm named, for ``Recovery``.

    A change has a function v of the field's cells: the cell itself ("missing more"), the rank or its square ("mean up",
    "spread wider"), or the alarm's own histogram against the baseline's ("shape"). "Still changed" means that its mean lies
    at θ or beyond, where θ is the bound that the detector holds against chance: the Clopper-Pearson bound of the cell, the
    radius of the tilt, the radius of the ball. A row multiplies by ``1 + λ(v - θ)`` with λ < 0, which has mean at most 1
    wherever E[v] >= θ.

    Guarantee: for independent rows, E[e | past] <= 1 in every window in which the field is still changed in that sense, at
    any baseline size; design effects divide the evidence as in the detector (approximate).

    Args:
        bets: of the detector that alarmed.
        baseline_rows: rows of its baseline.
        changes: ``Verdict.changes`` of the alarm.
        counts: int64[cells] of the window that fired; only a "shape" is read from it.
        delta: of ``freeze``.
        tolerance: of ``freeze``.
    """
    rectangle = bets.watch.padded(counts).astype(np.float64)
    parts = [_return(bets, baseline_rows, c, rectangle, delta, tolerance) for c in changes]
    fields = [bets.names.index(c.field) for c in changes]
    rows = [_coefficients(bets, f, part) for f, part in zip(fields, parts)]
    what = tuple((c.field, c.direction) for c in changes)
    return LinearBets(
        layout=bets.layout,
        identity=identity("drift back", bets.identity, what, counts.astype("<i8").tobytes(), delta, tolerance),
        names=tuple(f"{c.field} {c.direction}" for c in changes),
        owner=np.repeat(np.arange(len(changes), dtype=np.int64), len(STEPS)),
        groups=("recovered",) * (len(changes) * len(STEPS)),
        directions=("recovered",) * (len(changes) * len(STEPS)),
        coefficient=np.concatenate(rows) if rows else np.zeros((0, bets.layout.cells)),
        heads=tuple(slice(0, bets.layout.head) for _ in changes),
        field_weight=np.full(len(changes), 1.0 / max(len(changes), 1)),
        effect=np.repeat([part.effect for part in parts], len(STEPS)),
        window_rows=bets.window_rows,
        design_known=bets.design_known,
    )


def _return(bets: Bets, m: int, change: Change, counts: Floats, delta: float, tolerance: float) -> _Return:
    f = bets.names.index(change.field)
    said = SHAPE if change.direction == RELATION else change.direction
    named = [b for b in range(len(bets)) if bets.owner[b] == f and bets.directions[b] == said]
    effect = float((1.0 + bets.excess[named]).max())
    if said == SHAPE:
        return _Return(_shape(bets, f, counts), float(bets.learned.rho[f]), effect)
    for d, words in enumerate((RELATION_WORDS,) if change.direction in RELATION_WORDS else WORDS):
        if change.direction in words:
            p = bets.learned.p[f]
            g = bets.watch.directions(bets.learned.p)[0][f, d] * (1.0 if change.direction == words[1] else -1.0)
            alpha = np.array(delta / (2.0 * len(bets.names) * len(bets)))
            return _Return(g, float(mean_radius(p @ g**3, np.array(m / effect), alpha, tolerance)), effect)
    return _cell(bets, named[0] - len(bets.tilts.field), effect)


def _cell(bets: Bets, c: int, effect: float) -> _Return:
    """One cell, or all others where the alarm said "less"."""
    inside = np.zeros(bets.watch.index.shape[1])
    inside[bets.cells.cell[c]] = 1.0
    bound = float(bets.cells.bound[c])
    if bets.cells.gain[c] > 0:
        return _Return(inside, bound, effect)
    return _Return(1.0 - inside, 1.0 - bound, effect)


def _shape(bets: Bets, f: int, counts: Floats) -> Floats:
    """The direction in which the alarm's window lay, of mean 0 and variance 1 under the baseline."""
    p, inside = bets.learned.p[f], bets.learned.inside[f]
    share = counts[f] / max(counts[f].sum(), 1.0)
    g = np.divide(share - p, p, out=np.zeros_like(p), where=inside & (p > 0)) * inside
    g = (g - (p @ g) / max(float(p @ inside), 1e-300)) * inside
    relation = dict(zip(bets.learned.relations.rows.tolist(), bets.learned.relations.keep)).get(f)
    if relation is not None:
        g = relation @ g
    deviation = float(np.sqrt(p @ g**2))
    shape: Floats = g / deviation if deviation > 1e-9 else g
    return shape


def _coefficients(bets: Bets, f: int, part: _Return) -> Floats:
    """Coefficients of the bets on one return, float64[3, cells]."""
    p = bets.learned.p[f]
    mean = float(p @ part.values)
    gap = max(part.limit - mean, 0.0)
    variance = float(p @ (part.values - mean) ** 2)
    highest = float(part.values[bets.watch.real[f]].max())
    most = _MOST / max(highest - part.limit, 1e-12)
    stake = -np.minimum(np.array(STEPS) * gap / max(variance + gap**2, 1e-12), most)
    log_ratio = np.log1p(stake[:, None] * (part.values - part.limit))
    return bets.watch.lay_out(f, log_ratio)
