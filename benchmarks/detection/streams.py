"""Streams of one numeric feature, as raw values and as histograms of the same rows."""

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
            return histograms(self.raw(rng, t, change, start))
        return rng.multinomial(self.rows, cells(self.mean(rng, t, start) + change.shift, change.scale, change.missing))

    def raw(self, rng: np.random.Generator, t: int, change: Change = SAME, start: int = 0) -> Floats:
        """T windows as values float64[T, n], NaN where missing."""
        x = rng.standard_normal((t, self.rows))
        if self.phi:
            noise = x.ravel() * np.sqrt(1 - self.phi**2)
            x = lfilter([1.0], [1.0, -self.phi], noise, zi=[self.phi * rng.standard_normal()])[0].reshape(t, -1)
        x = x * change.scale + change.shift + self.mean(rng, t, start)[:, None]
        x[rng.random(x.shape) < change.missing] = np.nan
        return x


def cells(mean: Floats, scale: float, missing: float) -> Floats:
    """Cell probabilities of N(mean, scale²), float64[T, 14]: bins, missing, other, low, high."""
    cdf = ndtr((np.array(EDGES) - np.asarray(mean)[:, None]) / scale) * (1.0 - missing)
    p = np.empty((len(cdf), 14))
    p[:, :10] = np.diff(cdf, axis=1)
    p[:, 10], p[:, 11] = missing, 0.0
    p[:, 12], p[:, 13] = cdf[:, 0], 1.0 - missing - cdf[:, -1]
    return p


def histograms(raw: Floats) -> Ints:
    """Values float64[T, n] in their cells, int64[T, 14]."""
    cell = _CELL[np.searchsorted(EDGES, raw.ravel())]
    cell[np.isnan(raw.ravel())] = 10
    window = np.repeat(np.arange(len(raw)), raw.shape[1])
    return np.bincount(window * 14 + cell, minlength=len(raw) * 14).reshape(len(raw), 14)


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
WEEK = Stream("daily cycle ±.2 σ and weekends +.4 σ, n = 500", 500, week, baseline=672)
NULLS = (
    Stream("iid, n = 50", 50, still),
    IID,
    Stream("iid, n = 20 000", 20_000, still),
    WOBBLE,
    AR,
    DAY,
    WEEK,
)


def spec_of(features: int) -> Spec:
    return Spec(fields=tuple(Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=EDGES) for i in range(features)))


def as_counts(spec: Spec, tables: Ints) -> Ints:
    """Histograms int64[T, 14] or int64[T, F, 14] of the features as counts int64[T, cells] of the model."""
    tables = tables if tables.ndim == 3 else tables[:, None]
    t = len(tables)
    counts = np.zeros((t, spec.cells), dtype=np.int64)
    rows = tables[:, 0].sum(axis=1)
    counts[:, 0] = rows  # no errors
    counts[:, spec.offsets[1] + spec.fields[1].ordered] = rows  # no durations
    counts[:, spec.offsets[2] :] = tables.reshape(t, -1)
    return counts
