"""Bets that scores stopped meaning what they meant in the baseline, whose own calibration need not be perfect.

Their null is the baseline's own map from scores to outcomes, with its error: ``ScoreMap``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints, Mask
from calidris.detect.bets.calibration import BACK, NAME, SIGNS, Alternative, alternatives, design_of, layout_of
from calidris.detect.bets.linear import SCALE, Spread
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.evidence.design_effect import at_size
from calidris.detect.evidence.handicap import NONE, Handicap, handicap
from calidris.detect.evidence.windows import MINIMUM_ROWS
from calidris.detect.game import Play, log_weights
from calidris.detect.layout import Layout, identity
from calidris.state import Spec

GROUPS = 10
GROUP_ROWS = 50.0
GROUP_EVENTS = 10.0
"""A group of scores has at least so many rows, and expects at least so many outcomes of either kind."""


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """``g(p) = σ(logit p + h)``, with one offset h for each group of neighbouring score bins.

    A step map in logits: the identity where the baseline was calibrated. Groups are cut by scores alone, never by outcomes.

    Attributes:
        offset: h of each bin, float64[bins].
        group: group of each bin, int64[bins].
        information: inverse variance of each group's h, float64[G].
        rows: the baseline's rows in each bin, divided by D, float64[bins].
        logit: ``logit g`` at the mean score of the baseline's rows in each bin, float64[bins].
    """

    offset: Floats
    group: Ints
    information: Floats
    rows: Floats
    logit: Floats

    @classmethod
    def fit(cls, counts: Ints, effect: float) -> ScoreMap:
        """From ``calibration_counts`` of the baseline, int64[4·bins].

        Raises:
            ValueError: not even one group of scores has rows and expected outcomes enough.
        """
        zero, one, _, _ = counts.reshape(4, -1).astype(np.float64)
        n, score = zero + one, scores(counts)
        group = _groups(n, score)
        size = int(group.max()) + 1
        positives = np.bincount(group, one, size)
        total = np.bincount(group, n, size)
        aim = np.clip(positives, 0.5, np.maximum(total - 0.5, 0.5))
        h = np.zeros(size)
        for _ in range(50):
            g = special.expit(special.logit(score) + h[group])
            slope = np.maximum(np.bincount(group, n * g * (1.0 - g), size), 1e-9)
            h += np.clip((aim - np.bincount(group, n * g, size)) / slope, -1.0, 1.0)
        logit = special.logit(score) + h[group]
        g = special.expit(logit)
        information = np.bincount(group, n * g * (1.0 - g), size) / effect
        return cls(h[group], group, np.maximum(information, 1e-9), n / effect, logit)

    def pulled(self, pull: Floats) -> Floats:
        """Sums over each group, in standard deviations of its h: float64[G]."""
        sums: Floats = np.bincount(self.group, pull, len(self.information)) / np.sqrt(self.information)
        return sums


def scores(counts: Ints) -> Floats:
    """Mean score of each bin, both classes together, float64[bins]; one half where there are no rows."""
    zero, one, sum_zero, sum_one = counts.reshape(4, -1).astype(np.float64)
    n = zero + one
    mean = np.divide((sum_zero + sum_one) / SCALE, n, out=np.full(len(n), 0.5), where=n > 0)
    clipped: Floats = np.clip(mean, 1e-6, 1.0 - 1e-6)
    return clipped


def _groups(n: Floats, score: Floats) -> Ints:
    """Neighbouring bins in groups of about a tenth of the rows, each with enough expected outcomes of either kind."""
    group, current = np.zeros(len(n), dtype=np.int64), 0
    held = np.zeros(3)
    needed = np.array([max(n.sum() / GROUPS, GROUP_ROWS), GROUP_EVENTS, GROUP_EVENTS])
    for k in range(len(n)):
        group[k] = current
        held += n[k] * np.array([1.0, score[k], 1.0 - score[k]])
        if (held >= needed - 1e-9).all():
            current, held = current + 1, np.zeros(3)
    if current == 0:
        raise ValueError(
            f"{n.sum():.0f} labelled baseline rows are too few for a map of scores: it takes {GROUP_ROWS:.0f} rows and "
            f"{GROUP_EVENTS:.0f} expected outcomes of either kind; compare with the scores themselves (calibration_bets)"
        )
    group[group == current] = current - 1  # what is left at the end joins the last full group
    return group


_RULES = 2


@dataclass(frozen=True, eq=False)
class ReliabilityBets:
    """Bets against a baseline's map of scores; made by ``reliability_bets``, which says what they guarantee.

    Attributes:
        layout: as for ``calibration_bets``.
        identity: of all that the bets were made from.
        truth: the baseline's map.
        bets: the alternatives.
        sign: for ``Recovery``: the side of the tolerance that the truth is on, below one half and above it.
        tolerance: ε, in logits.
        scalar: standard deviations that each bet's main direction is allowed.
        ball: the same of all other directions together.
        effect: D.
        window_rows: mean rows of the windows that D was read from, 0 where there were none.
        handicap: what the bets give away because the baseline's windows refute them.
    """

    layout: Layout
    identity: bytes
    truth: ScoreMap
    bets: tuple[Alternative, ...]
    sign: tuple[int, int] | None
    tolerance: float
    scalar: float
    ball: float
    effect: float
    window_rows: float
    handicap: Handicap = NONE

    @property
    def names(self) -> tuple[str, ...]:
        """One thing is watched."""
        return (NAME,)

    @property
    def owner(self) -> Ints:
        """Every bet is about it."""
        return np.zeros(len(self.bets), dtype=np.int64)

    @property
    def directions(self) -> tuple[str, ...]:
        """What each bet says has happened."""
        return tuple(bet.word for bet in self.bets)

    @cached_property
    def log_weight(self) -> Floats:
        """Shifts and slopes share the weight equally."""
        return log_weights(self.owner, [bet.group for bet in self.bets], 1) + self.handicap.log_share

    @property
    def field_weight(self) -> Floats:
        """All of it."""
        return np.ones(1)

    @property
    def design_known(self) -> bool:
        """Whether D was measured; otherwise it is 1."""
        return self.window_rows > 0.0

    @property
    def nothing(self) -> Floats:
        """These bets learn nothing."""
        return np.zeros(0)

    def stratum(self, start_ns: int) -> int:
        """Every window may be merged with the next."""
        return 0

    def play(self, counts: Ints, memory: Floats, stratum: int = 0) -> Play:
        """Score one window of counts int64[4·bins]."""
        zero, one, _, _ = counts.reshape(4, -1).astype(np.float64)
        logit = special.logit(scores(counts)) + self.truth.offset
        known = self.truth.rows > 0
        log_e = np.zeros(len(self.bets))
        for j in range(len(self.bets)):
            aim, edge, laid = self._stake(j, logit)
            gain, rest = (
                special.log_expit(aim) - special.log_expit(edge),
                special.log_expit(-aim) - special.log_expit(-edge),
            )
            laid &= known
            pull = laid * (zero + one) * (special.expit(aim) - special.expit(edge))
            log_e[j] = (laid * (one * gain + zero * rest)).sum() - self._slack(j, pull)
        design = at_size(np.array(self.effect - 1.0), self.layout.rows(counts), self.window_rows)
        idle = np.zeros(len(self.bets), dtype=np.bool_)
        return Play(self.handicap.paid(log_e / design, idle), idle, memory)

    def _stake(self, j: int, logit: Floats) -> tuple[Floats, Floats, Mask]:
        """Logits of the alternative q and of the null's edge u, and the bins in which the bet is laid."""
        bet = self.bets[j]
        if self.sign is not None:
            side = np.where(logit < 0.0, *self.sign)
            return logit + side * bet.shift, logit + side * self.tolerance, np.ones(len(logit), dtype=np.bool_)
        off = bet.shift + (bet.slope - 1.0) * logit
        return logit + off, logit + np.clip(off, -self.tolerance, self.tolerance), np.abs(off) > self.tolerance

    @cached_property
    def _main(self) -> Floats:
        """What the baseline's own composition of scores makes of each bet, float64[J, G]."""
        out = []
        for j in range(len(self.bets)):
            aim, edge, laid = self._stake(j, self.truth.logit)
            out.append(self.truth.pulled(laid * self.truth.rows * (special.expit(aim) - special.expit(edge))))
        return np.array(out)

    def _slack(self, j: int, pull: Floats) -> float:
        """Upper bound of ``Σ pull·(error of h)``: a multiple of the bet's main direction, and what is left of it."""
        pulled, main = self.truth.pulled(pull), self._main[j]
        size = float(main @ main)
        share = max(float(pulled @ main) / size, 0.0) if size > 0.0 else 0.0
        left = pulled - share * main
        return share * self.scalar * float(np.sqrt(size)) + self.ball * float(np.sqrt(left @ left))


def reliability_bets(
    spec: Spec,
    baseline: Ints,
    windows: Ints | None = None,
    *,
    delta: float = 0.05,
    tolerance: float = 0.1,
    recovered: str | None = None,
    minimum_rows: int = MINIMUM_ROWS,
    days: Days | None = None,
) -> ReliabilityBets:
    """Bets against "a score means what it meant in the baseline, up to ε logits"; 13 of them, as in ``calibration_bets``.

    The baseline's map is ``ScoreMap``. A row of outcome y multiplies by ``(q/u)^y·((1-q)/(1-u))^(1-y)``, where q is the
    alternative and u the null's edge, ``logit u = logit g ± ε``, both at the mean score of the window's rows in its bin, which is
    known before their outcomes. If each group's true offset differs from the fitted one by η, the mean over a window is at
    most ``exp(Σ_G T_G·η_G)`` to first order in η, with ``T_G = Σ n·(q - u)`` over the group's bins. The fitted offsets are
    asymptotically normal with inverse variance ``Σ g(1-g)/D``; so the sum is at most ``c·z·|t| + r·|T - c·t|`` in standard
    deviations, where t is T at the baseline's composition of scores (one bound a bet, z at δ/2J) and the rest is left to the
    ball of all G directions (r² the quantile of χ² with G degrees at δ/2). That bound is divided out.

    Guarantee, asymptotic in the baseline's labels and to first order: with probability at least 1 - δ over the baseline, for
    rows whose outcomes are independent given scores and past, E[e | scores, past] <= 1 in every window where each row's outcome
    probability is within ε logits of the map. Simulated in ``tests/detect/bets/test_calibration.py``. It assumes that one offset
    serves a group of scores. Bins that the baseline never saw are not bet on.

    ``recovered="outcomes more frequent"`` (or any other direction of an alarm) swaps the roles, for ``Recovery``.

    Raises:
        ValueError: too few labelled baseline rows for a map, or a setting is out of range.
    """
    if not 0.0 < delta < 1.0 or not 0.0 <= tolerance < 2.0:
        raise ValueError(f"delta {delta} or tolerance {tolerance} is out of range")
    layout = layout_of(spec)
    spread = Spread.of(layout, windows, minimum_rows, days)
    effect = design_of(spread, len(spec.score_edges) + 1)
    truth = ScoreMap.fit(baseline, effect)
    bets = alternatives(tolerance)
    if recovered is not None:
        bets = tuple(Alternative(inside * tolerance, 1.0, "recovered") for inside in BACK)
    raw = None if windows is None else windows.astype("<i8").tobytes()
    settings = (delta, tolerance, recovered, minimum_rows)
    made = ReliabilityBets(
        layout=layout,
        identity=identity("reliability", _RULES, spec.hash, baseline.astype("<i8").tobytes(), raw, settings),
        truth=truth,
        bets=bets,
        sign=None if recovered is None else SIGNS[recovered],
        tolerance=tolerance,
        scalar=float(special.ndtri(1.0 - delta / (2.0 * len(bets)))),
        ball=float(np.sqrt(special.chdtri(len(truth.information), delta / 2.0))),
        effect=effect,
        window_rows=spread.mean_rows if spread else 0.0,
    )
    return replace(made, handicap=handicap(made, None if recovered else windows, minimum_rows))
