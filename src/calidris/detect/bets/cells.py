"""Bets on one cell: a special cell got more rows, a level got more or fewer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect.bounds import BALL_ROWS, cell_lower, cell_upper
from calidris.detect.evidence.design_effect import Windows
from calidris.detect.watched_fields import WatchedFields
from calidris.state import Kind
from calidris.state.coding.fields import MISSING, SPECIALS

SPECIAL_RAISES: tuple[tuple[float, float, float], ...] = ((2.0, 0.0, 1.5), (5.0, 0.005, 3.0), (10.0, 0.05, 6.0))
"""(times p, floor, times the bound): each bet's alternative is the largest of the three."""
LEVEL_RAISES: tuple[tuple[float, float, float], ...] = ((1.5, 0.0, 1.25), (3.0, 0.0, 2.0))
RAISES = (SPECIAL_RAISES, LEVEL_RAISES)
SMALL_RAISES = (SPECIAL_RAISES[:1], LEVEL_RAISES[:1])
"""Where larger rises have bets of their own."""
LEVEL_LOWERED = (0.5, 0.6)
"""(times p, times the bound): the alternative is the smaller of the two."""

MISSING_WORD = "missing more"
SPECIAL_WORDS = (MISSING_WORD, "unknown values more", "below the range", "above the range")


@dataclass(frozen=True, eq=False)
class CellBets:
    """C bets, each a likelihood ratio of "this cell has probability q" against its bound u (or l, where fewer is bet on).

    A row in the cell multiplies by q/u, any other row by (1-q)/(1-u). The mean over a row is linear in the cell's own
    probability and is 1 at u, so that E[e | past] <= 1 holds exactly whenever the cell's probability is at most u. With
    u the Clopper-Pearson bound that is the case, whatever the baseline size, with probability at least 1 - α for
    independent rows; a cell that the baseline never saw is no exception. Betting against u and not against the estimate is
    the same family of bets with the best one chosen where u is far above the estimate.

    Attributes:
        field: row of the rectangle, int64[C].
        cell: column of the rectangle, int64[C].
        gain: log-ratio of a row in the cell, float64[C].
        rest: log-ratio of any other row, float64[C].
        bound: u or l, the limit of the probabilities it may not win against, float64[C].
        effect: design effect D, float64[C].
        names: group and direction of each bet.
    """

    field: Ints
    cell: Ints
    gain: Floats
    rest: Floats
    bound: Floats
    effect: Floats
    names: tuple[tuple[str, str], ...]

    def score(self, counts: Floats) -> Floats:
        """Log e-values of counts float64[F, K], design effect not yet divided out: float64[C]."""
        inside = counts[self.field, self.cell]
        others = counts.sum(axis=-1)[self.field] - inside
        logs: Floats = inside * self.gain + others * self.rest
        return logs


@dataclass(frozen=True, eq=False)
class _Bound:
    """What is known of each cell, float64[F, K]."""

    p: Floats
    upper: Floats
    lower: Floats
    effect: Floats


Raises = tuple[tuple[tuple[float, float, float], ...], tuple[tuple[float, float, float], ...]]


def make(
    watch: WatchedFields,
    counts: Floats,
    p: Floats,
    alpha: Floats,
    windows: Windows | None,
    tolerance: float,
    raises: Raises = RAISES,
) -> CellBets:
    """The cell bets of all fields; counts and p float64[F, K] are the baseline's, alpha float64[F] is for one bound."""
    effect = _effect(watch, counts, p, windows) if windows else np.ones_like(p)
    rows, total = counts / effect, counts.sum(axis=-1, keepdims=True) / effect
    upper = cell_upper(rows, total, alpha[:, None], tolerance)
    lower = cell_lower(rows, total, alpha[:, None], tolerance)
    known = _Bound(p, upper, lower, effect)
    # That a value is missing is told of its own column, not of every pair that it is in.
    special = watch.real & ~watch.ordered & ~watch.of_kind(Kind.PAIR)[:, None]
    levels = watch.ordered & watch.of_kind(Kind.CATEGORICAL)[:, None]
    parts = [_raised(watch, known, special, r, i) for i, r in enumerate(raises[0])]
    parts += [_raised(watch, known, levels, r, i) for i, r in enumerate(raises[1])]
    parts.append(_lowered(watch, known, levels))
    return _joined(parts)


def _effect(watch: WatchedFields, counts: Floats, p: Floats, windows: Windows) -> Floats:
    """D of each cell, float64[F, K]; of one that the baseline hardly saw, or hardly ever missed, the largest of its field.

    What was never there varied from window to window as little as can be, so that its own D is 1 for want of rows and not of
    dependence: rows that come in clumps (a client, a job) will come so in this cell too. Twenty effective rows show enough. Likewise of a
    level that nearly every row has: what varies is who has another one.
    """
    own = windows.per_cell()
    largest = np.repeat(largest_effect(watch, counts, p, windows)[:, None], own.shape[1], axis=1)
    # A storm moves values for days and leaves none out: of missing ones the clumps count that single windows show.
    largest[:, MISSING - len(SPECIALS)] = largest_effect(watch, counts, p, windows.alone())
    rarer = np.minimum(counts, counts.sum(axis=-1, keepdims=True) - counts)
    return np.where(rarer / own < BALL_ROWS, np.maximum(own, largest), own)


def largest_effect(watch: WatchedFields, counts: Floats, p: Floats, windows: Windows) -> Floats:
    """The largest D of each field over location, spread and the cells with rows enough to show theirs, float64[F]."""
    g, _ = watch.directions(p)
    cells = np.where(watch.real & (counts >= BALL_ROWS), windows.per_cell(), 1.0)
    largest: Floats = np.maximum(windows.along(g).max(-1), cells.max(-1))
    return largest


def _raised(watch: WatchedFields, known: _Bound, mask: Mask, rule: tuple[float, float, float], step: int) -> CellBets:
    """Bets that cells are above their upper bound; never a bet on a probability of 1."""
    times, floor, of_bound = rule
    mask = mask & (known.upper < 1.0)
    q = np.maximum(np.maximum(times * known.p, floor), of_bound * known.upper)
    q = np.minimum(q, 1.0 - (1.0 - known.upper) / 2.0 ** (step + 1))
    return _against(watch, known, mask, q, known.upper, "more")


def _lowered(watch: WatchedFields, known: _Bound, mask: Mask) -> CellBets:
    """Bets that cells are below their lower bound; none where that is 0."""
    times, of_bound = LEVEL_LOWERED
    q = np.minimum(times * known.p, of_bound * known.lower)
    return _against(watch, known, mask & (q > 0.0), q, known.lower, "less")


def _against(watch: WatchedFields, known: _Bound, mask: Mask, q: Floats, bound: Floats, word: str) -> CellBets:
    field, cell = (i.astype(np.int64) for i in np.nonzero(mask))
    q, bound = q[mask], bound[mask]
    gain, rest = np.log(q / bound), np.log1p(-q) - np.log1p(-bound)
    names = tuple(_name(watch, f, k, word) for f, k in zip(field.tolist(), cell.tolist()))
    return CellBets(field, cell, gain, rest, bound, known.effect[mask], names)


def _name(watch: WatchedFields, field: int, cell: int, word: str) -> tuple[str, str]:
    special = cell - (watch.index.shape[1] - len(SPECIALS))
    if special >= 0:
        return "special", SPECIAL_WORDS[special]
    return "levels", f"level {watch.fields[field].levels[cell]} {word}"


def _joined(parts: list[CellBets]) -> CellBets:
    columns = ("field", "cell", "gain", "rest", "bound", "effect")
    arrays = {c: np.concatenate([getattr(part, c) for part in parts]) for c in columns}
    return CellBets(**arrays, names=tuple(name for part in parts for name in part.names))
