"""Streams of one feature, numeric or categorical, as raw values and as histograms of the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

from calidris.batch import Floats, Ints
from calidris.state import Field, Kind, Role, Spec

MISSING = 0.01
EDGES = (-4.5, *ndtri(np.arange(1, 10) / 10).tolist(), 4.5)
HOUR_NS = 3_600_000_000_000
_CELL = np.r_[12, np.arange(10), 13]

Means = Callable[[np.random.Generator, int, int], Floats]  # of t windows, the first of them the start-th of all


@dataclass(frozen=True)
class Change:
    """What happens to the feature."""

    shift: float = 0.0
    scale: float = 1.0
    missing: float = MISSING
    ramp: float = 0.0
    """σ that the mean gains in each window."""
    new: float = 0.0
    """Share of rows with a level that the baseline never saw."""

    def mean(self, t: int) -> Floats:
        return self.shift + self.ramp * np.arange(1, t + 1)


SAME = Change()


@dataclass(frozen=True)
class Stream:
    """Windows of n rows whose mean moves; ``phi`` makes the rows of the whole stream follow each other."""

    name: str
    rows: int
    mean: Means
    phi: float = 0.0
    baseline: int = 168

    def counts(self, rng: np.random.Generator, t: int, change: Change = SAME, start: int = 0) -> Ints:
        """T windows as histograms, int64[T, 14]; drawn directly where rows are independent, which is the same and faster."""
        if self.phi:
            return self.histograms(self.raw(rng, t, change, start))
        return rng.multinomial(
            self.rows, cells(self.mean(rng, t, start) + change.mean(t), change.scale, change.missing)
        )

    def raw(self, rng: np.random.Generator, t: int, change: Change = SAME, start: int = 0) -> Floats:
        """T windows as values float64[T, n], NaN where missing."""
        x = rng.standard_normal((t, self.rows))
        if self.phi:
            noise = x.ravel() * np.sqrt(1 - self.phi**2)
            x = lfilter([1.0], [1.0, -self.phi], noise, zi=[self.phi * rng.standard_normal()])[0].reshape(t, -1)
        x = x * change.scale + (self.mean(rng, t, start) + change.mean(t))[:, None]
        x[rng.random(x.shape) < change.missing] = np.nan
        return x

    @staticmethod
    def histograms(raw: Floats) -> Ints:
        """Values float64[T, n] in their cells, int64[T, 14]."""
        cell = _CELL[np.searchsorted(EDGES, raw.ravel())]
        return _tally(np.where(np.isnan(raw.ravel()), 10, cell), raw, 14)

    @staticmethod
    def spec(features: int = 1) -> Spec:
        return Spec(fields=tuple(Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=EDGES) for i in range(features)))


@dataclass(frozen=True)
class LevelStream:
    """Windows of n rows of five levels; raw values are their numbers, as a label encoder gives them."""

    name: str
    rows: int
    share: tuple[float, ...] = (0.4, 0.3, 0.15, 0.1, 0.05)
    baseline: int = 168

    def _cells(self, change: Change) -> Floats:
        rest = 1.0 - change.missing - change.new
        return np.r_[np.array(self.share) * rest, change.missing, change.new, 0.0, 0.0]

    def counts(self, rng: np.random.Generator, t: int, change: Change = SAME, start: int = 0) -> Ints:
        """T windows as histograms, int64[T, 9]."""
        return rng.multinomial(self.rows, self._cells(change), t)

    def raw(self, rng: np.random.Generator, t: int, change: Change = SAME, start: int = 0) -> Floats:
        """T windows as numbers of levels float64[T, n]; 6 is the new one, NaN is missing."""
        cell = rng.choice(9, (t, self.rows), p=self._cells(change)).astype(np.float64)
        cell[cell == 5] = np.nan
        return cell

    @staticmethod
    def histograms(raw: Floats) -> Ints:
        """Numbers of levels in their cells, int64[T, 9]."""
        return _tally(np.where(np.isnan(raw), 5, raw).astype(np.int64).ravel(), raw, 9)

    @staticmethod
    def spec(features: int = 1) -> Spec:
        levels = tuple("abcde")
        return Spec(
            fields=tuple(Field(f"x{i}", Role.FEATURE, Kind.CATEGORICAL, levels=levels) for i in range(features))
        )


AnyStream = Stream | LevelStream


def _tally(cell: Ints, raw: Floats, size: int) -> Ints:
    window = np.repeat(np.arange(len(raw)), raw.shape[1])
    return np.bincount(window * size + cell, minlength=len(raw) * size).reshape(len(raw), size)


def cells(mean: Floats, scale: float, missing: float) -> Floats:
    """Cell probabilities of N(mean, scale²), float64[T, 14]: bins, missing, other, low, high."""
    cdf = ndtr((np.array(EDGES) - np.asarray(mean)[:, None]) / scale) * (1.0 - missing)
    p = np.empty((len(cdf), 14))
    p[:, :10] = np.diff(cdf, axis=1)
    p[:, 10], p[:, 11] = missing, 0.0
    p[:, 12], p[:, 13] = cdf[:, 0], 1.0 - missing - cdf[:, -1]
    return p


def still(rng: np.random.Generator, t: int, start: int) -> Floats:
    return np.zeros(t)


def wobble(rng: np.random.Generator, t: int, start: int) -> Floats:
    return rng.normal(0.0, 0.05, t)


def day(rng: np.random.Generator, t: int, start: int) -> Floats:
    return 0.2 * np.sin(2 * np.pi * (start + np.arange(t)) / 24)


def week(rng: np.random.Generator, t: int, start: int) -> Floats:
    """A daily wave, and weekends .4 σ higher."""
    hour = start + np.arange(t)
    return day(rng, t, start) + 0.4 * (hour // 24 % 7 >= 5)


IID = Stream("iid, n = 500", 500, still)
WOBBLE = Stream("wobble N(0, .05²), n = 500", 500, wobble)
AR = Stream("AR(.9) rows, n = 500", 500, still, phi=0.9)
DAY = Stream("daily cycle ±.2 σ, n = 500", 500, day)
LEVELS = LevelStream("five levels, iid, n = 500", 500)
WEEK = Stream("daily cycle ±.2 σ and weekends +.4 σ, n = 500", 500, week, baseline=672)
NULLS = (
    Stream("iid, n = 50", 50, still),
    IID,
    Stream("iid, n = 20 000", 20_000, still),
    WOBBLE,
    AR,
    DAY,
    WEEK,
    LEVELS,
)


def as_counts(spec: Spec, tables: Ints) -> Ints:
    """Histograms int64[T, K] or int64[T, F, K] of the features as counts int64[T, cells] of the model."""
    tables = tables if tables.ndim == 3 else tables[:, None]
    t = len(tables)
    counts = np.zeros((t, spec.cells), dtype=np.int64)
    rows = tables[:, 0].sum(axis=1)
    counts[:, 0] = rows  # no errors
    counts[:, spec.offsets[1] + spec.fields[1].ordered] = rows  # no durations
    counts[:, spec.offsets[2] :] = tables.reshape(t, -1)
    return counts
