"""Bets that scores stopped meaning what they say, from rows and score sums by bin and class: exact, without a baseline.

The log-ratios of a bet are bounded in each score bin by chords; ``calibration_bets`` says what they are for and proves them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints, Mask
from calidris.detect.bets.linear import SCALE, LinearBets, Spread
from calidris.detect.evidence.handicap import handicap
from calidris.detect.evidence.windows import MINIMUM_ROWS
from calidris.detect.layout import Layout, identity
from calidris.state import ScoresState, Spec
from calidris.state.blocks.scores import DELAY_EDGES_S, N, P


class Chords(NamedTuple):
    """Affine functions of p in each bin, by their values at the bin's ends, less c: float64[bins] each."""

    one_low: Floats
    one_high: Floats
    zero_low: Floats
    zero_high: Floats
    active: Mask

    def mirrored(self) -> Chords:
        """The same of ``1 - p`` and ``1 - y``."""
        return Chords(self.zero_high, self.zero_low, self.one_high, self.one_low, self.active)


def table(low: Floats, high: Floats, shift: float, slope: float, tolerance: float) -> Floats:
    """Coefficients of "the truth is σ(shift + slope·logit p)" against every truth within the tolerance: [4·bins]."""
    up = _chords(low, high, shift, slope, tolerance)
    down = _chords(1.0 - high, 1.0 - low, -shift, slope, tolerance).mirrored()
    return _coefficients(low, high, up) + _coefficients(low, high, down)


def _chords(low: Floats, high: Floats, shift: float, slope: float, tolerance: float) -> Chords:
    """Chords of the bets above ``u = σ(logit p + ε)``."""
    inner = (low > 0.0) & (high < 1.0) & (high > low)
    a, b = np.where(inner, low, 0.25), np.where(inner, high, 0.75)
    q_a, q_b = (special.expit(shift + slope * special.logit(p)) for p in (a, b))
    u_a, u_b = (special.expit(special.logit(p) + tolerance) for p in (a, b))
    beyond = (q_a > u_a) & (q_b > u_b)
    one_a, one_b, zero_a, zero_b = q_a / u_a, q_b / u_b, (1 - q_a) / (1 - u_a), (1 - q_b) / (1 - u_b)
    gap = _gap(a, b, u_a, u_b, tolerance)
    d_a, d_b = one_a - zero_a, one_b - zero_b
    largest = _largest(
        zero_a + (u_a + gap) * d_a,
        zero_b - zero_a + (u_b - u_a) * d_a + (u_a + gap) * (d_b - d_a),
        (u_b - u_a) * (d_b - d_a),
    )
    c = np.log(np.maximum(largest, 1.0))
    one, zero = (np.log(one_a) - c, np.log(one_b) - c), (np.log(zero_a) - c, np.log(zero_b) - c)
    return Chords(*one, *zero, inner & beyond)


def _gap(a: Floats, b: Floats, u_a: Floats, u_b: Floats, tolerance: float) -> Floats:
    """How far u lies above its chord: where ``u' = t/(1 + (t-1)p)²``, t = exp(ε), is the chord's slope."""
    if tolerance == 0.0:
        return np.zeros_like(a)
    t, slope = np.exp(tolerance), (u_b - u_a) / (b - a)
    p = np.clip((np.sqrt(t / slope) - 1.0) / (t - 1.0), a, b)
    gap: Floats = np.maximum(t * p / (1.0 + (t - 1.0) * p) - u_a - slope * (p - a), 0.0)
    return gap


def _largest(constant: Floats, linear: Floats, square: Floats) -> Floats:
    """Largest value of ``constant + linear·w + square·w²`` on [0, 1]."""
    vertex = np.clip(np.divide(-linear, 2.0 * square, out=np.zeros_like(linear), where=square < 0.0), 0.0, 1.0)
    ends = np.maximum(constant, constant + linear + square)
    largest: Floats = np.maximum(ends, constant + linear * vertex + square * vertex**2)
    return largest


def _coefficients(low: Floats, high: Floats, chords: Chords) -> Floats:
    """``[n0 | n1 | Σp0 | Σp1]``: an affine function of p is a multiple of the rows and one of Σp."""
    width = np.where(chords.active, high - low, 1.0)
    slope_one, slope_zero = (chords.one_high - chords.one_low) / width, (chords.zero_high - chords.zero_low) / width
    parts = (
        chords.zero_low - slope_zero * low,
        chords.one_low - slope_one * low,
        slope_zero / SCALE,
        slope_one / SCALE,
    )
    return np.concatenate([np.where(chords.active, part, 0.0) for part in parts])


SHIFTS: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8)
"""Alternatives: the truth lies this far, in logits, beyond the tolerance."""
SLOPES: tuple[float, ...] = (0.5, 0.7, 0.85, 1.2, 1.5)
"""Alternatives: the truth's logit is the score's, times this."""
WORDS = {
    "up": "outcomes more frequent",
    "down": "outcomes less frequent",
    "over": "overconfident",
    "under": "underconfident",
}
SIGNS = {WORDS["up"]: (1, 1), WORDS["down"]: (-1, -1), WORDS["over"]: (1, -1), WORDS["under"]: (-1, 1)}
"""The side of the tolerance that the truth is on after each alarm, below one half and above it."""
BACK: tuple[float, ...] = (0.5, 0.0, -1.0)
"""Alternatives of recovery: the truth lies this many tolerances on the side of the alarm."""
NAME = "calibration"
_RULES = 2


class Alternative(NamedTuple):
    """The truth is ``σ(shift + slope·logit p)``; what it is called."""

    shift: float
    slope: float
    word: str

    @property
    def group(self) -> str:
        """Shifts and slopes share the weight equally."""
        return "shift" if self.slope == 1.0 else "slope"


def alternatives(tolerance: float) -> tuple[Alternative, ...]:
    """Eight shifts, four each way, and five slopes."""
    shifts = [(sign * (tolerance + s), WORDS["up" if sign > 0 else "down"]) for sign in (1, -1) for s in SHIFTS]
    slopes = [(b, WORDS["over" if b < 1 else "under"]) for b in SLOPES]
    return (*(Alternative(a, 1.0, word) for a, word in shifts), *(Alternative(0.0, b, word) for b, word in slopes))


def layout_of(spec: Spec) -> Layout:
    """``[n0 | n1 | Σp0 | Σp1]`` over the score bins, as ``calibration_counts`` makes it."""
    bins = len(spec.score_edges) + 1
    return Layout(4 * bins, 2 * bins, identity("calibration", bytes.fromhex(spec.hash)))


def calibration_bets(
    spec: Spec, windows: Ints | None = None, *, tolerance: float = 0.1, minimum_rows: int = MINIMUM_ROWS
) -> LinearBets:
    """Bets against "an outcome with score p has probability p, up to ε logits" (Henzi and Ziegel 2022; Arnold et al. 2023).

    A bet says that the truth is ``q(p) = σ(a + b·logit p)``. Where that is above ``u(p) = σ(logit p + ε)``, the highest
    probability that is no news, a row (p, y) would multiply by ``f_y(p)`` with ``f_1 = q/u``, ``f_0 = (1-q)/(1-u)``, whose mean
    is at most 1 for every probability up to u. The bins do not hold p, only each class's rows and Σp. So a row multiplies by
    ``exp(l_y(p) - c)`` instead: ``l_y`` is affine in the bin and equals ``log f_y`` at its ends, hence a window's log e is linear
    in the bins' rows and sums.

    Guarantee, exact and without a baseline: for rows whose outcomes are independent given scores and past,
    E[e | scores, past] <= 1 in every window where each row's outcome probability is within ε logits of its score.

    Proof. Let ``p = (1-w)·low + w·high``. ``exp(l_y)`` is convex in w and so at most its chord, ``E_y(w)``. As l_1 >= 0 >= l_0 at
    both ends and so between them, the mean over y grows with the outcome's probability and is at most
    ``E_0(w) + u(p)·(E_1(w) - E_0(w))``. u is concave in p, and lies above its chord by at most the gap that ``chords`` has in
    closed form. With chord plus gap in u's place this is a quadratic in w; ``exp(c)`` is its largest value on [0, 1], at least 1.
    Bets below p are the same with y and p mirrored. Bins where the bet does not lie beyond u at both ends, and the two outermost
    ones, where a logit is infinite, multiply by 1.

    The design effect from windows (of ``Σ(y - p)``) divides the evidence; that part is approximate.
    Cost: 13 bets, one product of 13 × 4·bins a window.

    Args:
        spec: of the model version.
        windows: counts int64[W, cells] of windows in which all was well, or None.
        tolerance: ε, in logits: 0.1 is 2.5 percentage points at one half.
        minimum_rows: windows with fewer labelled rows are merged with the next.
    """
    if not 0.0 <= tolerance < 2.0:
        raise ValueError(f"the tolerance must be at least 0 and below 2 logits, got {tolerance}")
    bets = alternatives(tolerance)
    low, high = bin_ends(spec)
    tables = [table(low, high, bet.shift, bet.slope, tolerance) for bet in bets]
    raw = None if windows is None else windows.astype("<i8").tobytes()
    name = identity("calibration", _RULES, spec.hash, raw, tolerance, minimum_rows)
    made = _linear(spec, bets, tables, Spread.of(layout_of(spec), windows, minimum_rows), name)
    return replace(made, handicap=handicap(made, windows, minimum_rows))


def _linear(
    spec: Spec, bets: tuple[Alternative, ...], tables: list[Floats], spread: Spread | None, name: bytes
) -> LinearBets:
    layout = layout_of(spec)
    effect = design_of(spread, len(spec.score_edges) + 1)
    return LinearBets(
        layout=layout,
        identity=name,
        names=(NAME,),
        owner=np.zeros(len(bets), dtype=np.int64),
        groups=tuple(bet.group for bet in bets),
        directions=tuple(bet.word for bet in bets),
        coefficient=np.array(tables),
        heads=(slice(0, layout.head),),
        field_weight=np.ones(1),
        effect=np.full(len(bets), effect),
        window_rows=spread.mean_rows if spread else 0.0,
        design_known=spread is not None,
    )


def design_of(spread: Spread | None, bins: int) -> float:
    """D of the sum of residuals y - p, whatever their mean; 1 where windows are not known."""
    if spread is None:
        return 1.0
    w = spread.windows.astype(np.float64)
    n1, p0, p1 = w[:, bins : 2 * bins], w[:, 2 * bins : 3 * bins] / SCALE, w[:, 3 * bins :] / SCALE
    residual = n1.sum(-1) - (p0 + p1).sum(-1)
    total = spread.rows.sum()
    pooled = w.sum(0)
    n = pooled[:bins] + pooled[bins : 2 * bins]
    rate = np.divide(pooled[bins : 2 * bins], n, out=np.zeros(bins), where=n > 0)
    variance = float((n * rate * (1.0 - rate)).sum() / max(total, 1.0))
    return spread.effect(spread.rows, residual - spread.rows * residual.sum() / total, variance)


ALL_DELAYS = len(DELAY_EDGES_S)


def labelled(scores: ScoresState, delay: int, slice_row: int = 0) -> Ints:
    """Sums of the labels that came within bucket ``delay``, int64[2 classes, bins, stats]."""
    sums: Ints = scores.array[slice_row, :, : delay + 1].sum(axis=1)
    return sums


def calibration_counts(scores: ScoresState, delay: int = ALL_DELAYS, slice_row: int = 0) -> Ints:
    """Rows and sums of scores by class and bin, for calibration: int64[4·bins], ``[n0 | n1 | Σp0 | Σp1]``."""
    sums = labelled(scores, delay, slice_row)
    out: Ints = np.concatenate([sums[..., N].ravel(), sums[..., P].ravel()])
    return out


def bin_ends(spec: Spec) -> tuple[Floats, Floats]:
    """Low and high end of each score bin, float64[bins] each."""
    edges = np.concatenate([[0.0], spec.score_edges, [1.0]])
    return edges[:-1], edges[1:]
