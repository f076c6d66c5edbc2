"""Bets that the rate of a 0/1 loss rose, against a null that live windows go on teaching: fast where the baseline is small.

A frozen bound of a rate must allow for all that a finite baseline leaves open, for ever: of 5000 labels with one wrong in ten, nearly a
point. But every quiet window says more of the rate. So the null is what baseline and live windows together predict of the next
window: the beta-binomial law. As it learns from every window, a change that is slow or was there from the first window on is learned as
well, so these bets stand beside frozen ones and share a loss's weight with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from scipy import special

from calidris.batch import Floats
from calidris.detect.evidence.design_effect import at_size

PRIOR: Final = 0.5
"""Wrong ones, and right ones, that are added before any are counted: Jeffreys' prior."""

NODES: Final = 513
REACH: Final = 10.0
"""What a rate makes of a window is averaged over so many rates, to so many standard deviations on either side of the likeliest one."""

TAIL: Final = 40.0
"""Logs by which a tail has fallen when it counts no more."""

WIDEST: Final = 40.0
"""Of a logit: beyond it a rate is nought or one."""

ZOOMS: Final = 5
PLACES: Final = 65
"""The likeliest rate is looked for among so many places, then so often again between the neighbours of the best."""

_LEAST: Final = 1e-300
_MOST: Final = 1.0 - 1e-12


class Rows(NamedTuple):
    """Rows of which some are wrong. Effective ones, divided by the design effect, need not be whole."""

    total: float
    wrong: float

    @property
    def right(self) -> float:
        """All others."""
        return self.total - self.wrong

    def log_likelihood(self, rates: Floats) -> Floats:
        """Log of the chance of these rows, in their order, at each rate."""
        wrong = self.wrong * np.log(rates)
        right = self.right * np.log1p(-rates)
        likelihood: Floats = wrong + right
        return likelihood


@dataclass(frozen=True)
class TaughtRate:
    """The bets on one loss.

    A window of n rows of which k are wrong multiplies a bet on the rate q by the likelihood ratio of q against

        P0(k) = E[ Binomial(k; n, min(r + margin, 1)) ],  r ~ Beta(wrong + 1/2, right + 1/2)

    with the rows of the baseline and of all live windows before it. Divided by the design effect D, and the rows that teach with it.

    Guarantee: on average over the baseline, exactly: let a rate be drawn as P0 says, and the window's rows be independent at that rate;
    then E[e] = 1. It is not a statement about each single baseline, as that of frozen bets is. That a smaller rate gives less, and that
    what is learned from windows at the margin makes later bets weaker, is simulated (``docs/detection.md``). With D > 1 it is
    approximate, as everything there (``evidence/design_effect.py``).

    Cost: a tenth of a millisecond a window.

    Attributes:
        shifts: alternatives, in standard deviations of the loss above the rate that is likely by now, margin included; none of a rate
            that is learned and not bet on.
        margin: a rise up to this is no news.
        baseline: its effective rows.
        effect: D of the loss's mean.
        window_rows: mean rows of a baseline window, 0 where they are not known.
    """

    shifts: tuple[float, ...]
    margin: float
    baseline: Rows
    effect: float
    window_rows: float

    def log_e(self, window: Rows, taught: Rows) -> Floats:
        """Log e-values of one window, one for each shift, float64[S]; ``taught`` are the effective rows of all windows before."""
        if not self.shifts:
            return np.zeros(0)
        known = self._known(taught)
        rates = self._alternatives(known)
        likely = window.log_likelihood(rates)
        null = self._log_null(known, window)
        ratio: Floats = likely - null
        return ratio / self._design(window)

    def learn(self, window: Rows, taught: Rows) -> Rows:
        """What is known after a window."""
        design = self._design(window)
        total = taught.total + window.total / design
        wrong = taught.wrong + window.wrong / design
        return Rows(total, wrong)

    def _known(self, taught: Rows) -> Rows:
        total = self.baseline.total + taught.total
        wrong = self.baseline.wrong + taught.wrong
        return Rows(total, wrong)

    def _design(self, window: Rows) -> float:
        excess = np.array(self.effect - 1.0)
        rows = int(window.total)
        return float(at_size(excess, rows, self.window_rows))

    def _alternatives(self, known: Rows) -> Floats:
        likely = (known.wrong + PRIOR) / (known.total + 2 * PRIOR)
        deviation = np.sqrt(likely * (1.0 - likely))
        shifts = np.array(self.shifts) * deviation
        rates: Floats = likely + self.margin + shifts
        return np.minimum(rates, _MOST)

    def _log_null(self, known: Rows, window: Rows) -> float:
        """Log of the chance of the window's rows, in their order, averaged over what is known of the rate."""
        if not self.margin:
            return _log_chance(known, window)
        joint = _Joint(known, window, self.margin)
        low, high = joint.bracket()
        logits = np.linspace(low, high, NODES)
        step = logits[1] - logits[0]
        densities = joint.log_density(logits)
        total = special.logsumexp(densities)
        return float(total + np.log(step))


def _log_chance(known: Rows, window: Rows) -> float:
    """The same where no rise is allowed for: the average is a ratio of beta functions."""
    wrong = known.wrong + PRIOR
    right = known.right + PRIOR
    before = special.betaln(wrong, right)
    after = special.betaln(wrong + window.wrong, right + window.right)
    return float(after - before)


class _Joint(NamedTuple):
    """The density of a rate, in logits, times the likelihood of a window at that rate plus the margin: it has one top."""

    known: Rows
    window: Rows
    margin: float

    def log_density(self, logits: Floats) -> Floats:
        wrong = self.known.wrong + PRIOR
        right = self.known.right + PRIOR
        # The density of a rate, times the slope of the rate in its logit.
        log_wrong = wrong * special.log_expit(logits)
        log_right = right * special.log_expit(-logits)
        log_prior = log_wrong + log_right - special.betaln(wrong, right)
        rates = special.expit(logits) + self.margin
        rates = np.clip(rates, _LEAST, _MOST)
        joint: Floats = log_prior + self.window.log_likelihood(rates)
        return joint

    def find_top(self) -> float:
        """The logit at which it is highest."""
        low, high = -WIDEST, WIDEST
        for _ in range(ZOOMS):
            places = np.linspace(low, high, PLACES)
            best = int(self.log_density(places).argmax())
            low = places[max(best - 1, 0)]
            high = places[min(best + 1, PLACES - 1)]
        return float(low + high) / 2

    def bracket(self) -> tuple[float, float]:
        """Where all of it lies that counts."""
        middle = self.find_top()
        rate = float(special.expit(middle))
        wrong = self.known.wrong + self.window.wrong + PRIOR
        right = self.known.right + self.window.right + PRIOR
        information = (wrong + right) * rate * (1.0 - rate)
        reach = REACH / np.sqrt(max(information, PRIOR))
        # Where hardly a row is wrong, or right, the tail on that side falls by so much a logit, and no faster.
        low = middle - max(reach, TAIL / wrong)
        high = middle + max(reach, TAIL / right)
        return float(low), float(high)
