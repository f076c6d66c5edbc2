"""Losses: what a prediction cost, between 0 and 1, counted in bins of known range.

Accuracy is the mean of a 0/1 loss; Brier, a clipped absolute error or a pinball loss take values in between, and are
counted in bins so that little is lost by knowing only each bin's rows and sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.bets.linear import SCALE
from calidris.detect.bounds import cell_upper
from calidris.detect.layout import Layout, identity


@dataclass(frozen=True, slots=True)
class Loss:
    """One loss and the bins that it is counted in; every row is in exactly one bin.

    Attributes:
        name: what an alarm calls it.
        low: smallest loss a row of each bin can have, K numbers from 0 to 1.
        high: the largest.
        binary: whether it is 0 or 1 and nothing in between.
    """

    name: str
    low: tuple[float, ...] = (0.0,)
    high: tuple[float, ...] = (1.0,)
    binary: bool = False

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not all(0.0 <= a <= b <= 1.0 for a, b in zip(self.low, self.high)):
            raise ValueError(f"loss {self.name!r}: bins must lie between 0 and 1, each with its low end first")
        if self.binary and (self.low, self.high) != ((0.0,), (1.0,)):
            raise ValueError(f"loss {self.name!r}: a 0/1 loss has the one bin from 0 to 1")

    @classmethod
    def zero_one(cls, name: str) -> Loss:
        """A loss that is 0 or 1: its rows and their sum say all."""
        return cls(name, binary=True)

    @classmethod
    def binned(cls, name: str, edges: Sequence[float]) -> Loss:
        """A loss counted in the bins between K+1 ascending edges from 0 to 1."""
        return cls(name, tuple(map(float, edges[:-1])), tuple(map(float, edges[1:])))

    @property
    def bins(self) -> int:
        """K."""
        return len(self.low)

    def counts(self, losses: Floats) -> Ints:
        """Bins of raw losses float64[n] as int64[2K]: rows of each bin, then their sums in units of 2^-30.

        >>> Loss.zero_one("wrong").counts(np.array([0.0, 1.0, 1.0])).tolist()
        [3, 2147483648]
        """
        at = np.clip(np.searchsorted(self.low, losses, side="right") - 1, 0, self.bins - 1)
        out = np.zeros((2, self.bins), dtype=np.int64)
        np.add.at(out[0], at, 1)
        np.add.at(out[1], at, np.rint(losses * SCALE).astype(np.int64))
        return out.ravel()


def layout_of(losses: Sequence[Loss]) -> Layout:
    """One loss after the other, ``[rows of its bins | sums of its bins]``; the first one's rows are the window's rows."""
    if not losses:
        raise ValueError("there is no loss to watch")
    name = identity("losses", [(loss.name, loss.low, loss.high, loss.binary) for loss in losses])
    return Layout(2 * sum(loss.bins for loss in losses), losses[0].bins, name)


def parts(losses: Sequence[Loss], counts: Ints) -> list[tuple[Ints, Floats]]:
    """Rows int64[..., K] and sums float64[..., K] of each loss, of counts int64[..., cells]."""
    ends = np.cumsum([2 * loss.bins for loss in losses])
    blocks = np.split(counts, ends[:-1], axis=-1)
    return [(b[..., : loss.bins], b[..., loss.bins :] / SCALE) for loss, b in zip(losses, blocks)]


@dataclass(frozen=True, slots=True)
class Known:
    """What the baseline's bins say of a loss: n rows, their mean, and bounds of the variance of one row.

    A loss in ``[a, b]`` has ``x² <= (a+b)x - ab`` (the chord of x²), and Jensen bounds it from below by bin means.
    """

    rows: float
    mean: float
    variance_upper: float
    variance_lower: float

    @classmethod
    def of(cls, loss: Loss, rows: Ints, sums: Floats) -> Known:
        """From rows int64[K] and sums float64[K]."""
        n = float(rows.sum())
        if n == 0.0:
            return cls(0.0, 0.0, 0.25, 0.0)
        low, high, mean = np.array(loss.low), np.array(loss.high), float(sums.sum() / n)
        chord = float(((low + high) * sums - low * high * rows).sum() / n) - mean**2
        between = float(np.divide(sums**2, rows, out=np.zeros_like(sums), where=rows > 0).sum() / n) - mean**2
        return cls(n, mean, max(chord, 0.0), max(chord if loss.binary else between, 0.0))

    def upper(self, loss: Loss, effect: float, alpha: float) -> float:
        """Upper bound of the mean, which independent rows exceed with probability at most alpha; m/D effective rows.

        Clopper and Pearson (1934), exact, for a 0/1 loss; the empirical Bernstein bound of Maurer and Pontil (2009),
        valid at any size, for the others. The variance in it is an upper bound of the sample's own.
        """
        m = self.rows / effect
        if m <= 1.0:
            return 1.0
        if loss.binary:
            return float(cell_upper(np.array(self.mean * m), np.array(m), np.array(alpha), 0.0))
        log = np.log(2.0 / alpha)
        variance = self.variance_upper * m / (m - 1.0)
        return float(min(self.mean + np.sqrt(2.0 * variance * log / m) + 7.0 * log / (3.0 * (m - 1.0)), 1.0))


def mirrored(loss: Loss) -> Loss:
    """The same bins of ``1 - loss``."""
    return Loss(loss.name, tuple(1.0 - b for b in loss.high), tuple(1.0 - a for a in loss.low), loss.binary)


def allowed(loss: Loss, known: Known, effect: float, alpha: float, tolerance: float, margin: float) -> float:
    """θ0: the largest mean that is no news. The tolerance is in standard deviations of the loss, the margin absolute."""
    theta = known.upper(loss, effect, alpha)
    deviation = np.sqrt(theta * (1.0 - theta)) if loss.binary else np.sqrt(known.variance_upper)
    return float(min(theta + tolerance * deviation + margin, 1.0))
