"""Fairness: gaps between groups, and each group's rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from benchmarks.coverage.populations import Population, quantiles
from benchmarks.coverage.tally import Case, Trial, figure_of
from scipy.special import expit, ndtri

from calidris import semconv
from calidris.batch import Floats, Ints
from calidris.metrics.fairness import gap_readings, group_readings
from calidris.metrics.fairness.gaps import MINIMUM_DENOMINATOR, RATES, withheld
from calidris.state import Spec


class Groups:
    """Populations with shares, and the rates of each."""

    def __init__(self, parts: Sequence[Population], shares: Sequence[float]) -> None:
        self.parts, self.shares = parts, np.array(shares)
        self.joint = np.array([_joint(part) for part in parts]) * self.shares[:, None, None]
        self.stray = np.array([float((part.chance - part.score).mean()) for part in parts])
        self.names = [f"g{i}" for i in range(len(parts))]

    def rate(self, measure: str) -> Floats:
        """Of each group."""
        return np.asarray(RATES[measure](self.joint).share)

    def gap(self, measure: str, counts: Ints) -> float:
        """Largest less smallest, of the groups that a window shows."""
        if measure == "equalised_odds":
            return max(self.gap(one, counts) for one in ("equal_opportunity", "false_positive_rate"))
        if measure == "calibration":
            return _range(self.stray[_shown(counts, "accuracy")])
        if measure == "demographic_parity_ratio":
            rates = self.rate("demographic_parity")[_shown(counts, "accuracy")]
            return float(rates.min() / rates.max()) if len(rates) > 1 else np.nan
        return _range(self.rate(measure)[_shown(counts, measure)])

    def apart(self, measure: str) -> Floats:
        """Rate of each group less that of all the others together."""
        found = []
        for i in range(len(self.parts)):
            others = np.delete(self.joint, i, axis=0).sum(axis=0, keepdims=True)
            found.append(float(self.rate(measure)[i] - RATES[measure](others).share[0]))
        return np.array(found)


def _joint(part: Population) -> Floats:
    up = part.score >= part.spec.threshold
    c = part.chance
    return np.array([[((1 - c) * ~up).mean(), ((1 - c) * up).mean()], [(c * ~up).mean(), (c * up).mean()]])


def _shown(counts: Ints, measure: str) -> Floats:
    """Which groups take part in a gap."""
    enough: Floats = (RATES[measure](counts).rows >= MINIMUM_DENOMINATOR) & ~withheld(counts)
    return enough


def _range(rates: Floats) -> float:
    return float(np.ptp(rates)) if len(rates) > 1 else np.nan


def of_groups(name: str, groups: Groups) -> Case:
    spec = groups.parts[0].spec
    rates = {measure: groups.rate(measure) for measure in RATES}
    apart = {f"{measure}_gap": groups.apart(measure) for measure in RATES}
    by_group = {**rates, **apart}

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        sizes = g.multinomial(n, groups.shares)
        rows = [part.drawn(g, int(size)) for part, size in zip(groups.parts, sizes)]
        counts = np.array([r.confusion(spec) for r in rows])
        bins = [r.bins(spec) for r in rows]
        for reading in gap_readings(counts, "sex", "1h", bins=bins):
            figure = figure_of(reading)
            yield Trial(figure, reading, groups.gap(figure.measure, counts))
        for reading in group_readings(counts, "sex", groups.names, "1h"):
            figure = figure_of(reading)
            at = groups.names.index(dict(reading.attributes)[semconv.ML_FAIRNESS_GROUP])
            yield Trial(figure, reading, float(by_group[figure.measure][at]))

    return Case(name, read, share=0.5)


def _population(shift: float, favoured: float = 0.0, spec: Spec | None = None) -> Population:
    line = 1.5 * ndtri(quantiles()) + shift
    return Population("", expit(line + favoured), expit(line), spec)


def cases() -> Iterator[Case]:
    yield of_groups("2 groups alike", Groups([_population(0), _population(0)], [0.7, 0.3]))
    yield of_groups("2 groups, one favoured", Groups([_population(0), _population(0.3, 0.5)], [0.6, 0.4]))
    rare = Spec(threshold=0.05)
    unlike = [_population(-5.4, 0.0, rare), _population(-5.0, 0.2, rare)]
    yield of_groups("2 groups, 1 % positive", Groups(unlike, [0.5, 0.5]))
    four = [_population(0), _population(0.2), _population(0.4, 0.2), _population(0.0, 0.4)]
    yield of_groups("4 groups, unlike", Groups(four, [0.4, 0.3, 0.2, 0.1]))
