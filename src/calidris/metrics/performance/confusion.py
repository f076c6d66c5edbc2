"""Figures of decisions between two outcomes, each from four exact counts."""

from __future__ import annotations

import math
from typing import NamedTuple

from calidris.metrics.intervals import Z95, share_interval


class Performance(NamedTuple):
    """A value, the rows behind it (its denominator) and its 95 % interval; NaN where there is none."""

    value: float
    n: int
    lower: float = math.nan
    upper: float = math.nan


class Confusion(NamedTuple):
    """Labelled rows by outcome and decision; whole numbers but where rows carry weights."""

    true_positive: float
    false_positive: float
    false_negative: float
    true_negative: float

    @property
    def positive(self) -> float:
        """Positive outcomes."""
        return self.true_positive + self.false_negative

    @property
    def negative(self) -> float:
        """Negative outcomes."""
        return self.false_positive + self.true_negative


def accuracy(c: Confusion) -> Performance:
    """Share of right decisions, Wilson interval."""
    return proportion(c.true_positive + c.true_negative, sum(c))


def precision(c: Confusion) -> Performance:
    """Share of positive decisions that were right; not defined without one. Wilson interval."""
    return proportion(c.true_positive, c.true_positive + c.false_positive)


def recall(c: Confusion) -> Performance:
    """Share of positive outcomes that were found; not defined without one. Wilson interval."""
    return proportion(c.true_positive, c.positive)


def specificity(c: Confusion) -> Performance:
    """Share of negative outcomes that were left alone; not defined without one. Wilson interval."""
    return proportion(c.true_negative, c.negative)


def prevalence(c: Confusion) -> Performance:
    """Share of positive outcomes among labelled rows, Wilson interval."""
    return proportion(c.positive, sum(c))


def f1(c: Confusion) -> Performance:
    """Harmonic mean of precision and recall, 2j/(1+j) with j = TP/(TP+FP+FN).

    Its interval is Wilson's for j, carried through that rising function; n is TP+FP+FN. Not defined where n is 0.
    """
    j = proportion(c.true_positive, c.true_positive + c.false_positive + c.false_negative)
    value, lower, upper = (2 * x / (1 + x) for x in (j.value, j.lower, j.upper))
    return Performance(value, j.n, lower, upper)


def balanced_accuracy(c: Confusion) -> Performance:
    """Mean of recall and specificity: 0.5 for a coin, whatever the prevalence. Not defined with one outcome only.

    The interval combines Wilson's of the two, which are independent (G. Y. Zou & A. Donner, Statistics in Medicine 2008).
    """
    a, b = recall(c), specificity(c)
    value = (a.value + b.value) / 2
    below, above = math.hypot(a.value - a.lower, b.value - b.lower), math.hypot(a.upper - a.value, b.upper - b.value)
    return Performance(value, round(sum(c)), value - below / 2, value + above / 2)


def mcc(c: Confusion) -> Performance:
    """Matthews' correlation of outcome and decision, -1 to 1; not defined where either has one value only.

    The interval is the delta method's for φ (Y. M. M. Bishop, S. E. Fienberg & P. W. Holland, "Discrete Multivariate
    Analysis", 1975) on Fisher's scale, with half a row in each cell so that it keeps a width at ±1. B. W. Matthews, 1975.
    """
    value = _phi(c)
    if math.isnan(value):
        return Performance(math.nan, round(sum(c)))
    smooth = tuple(count + 0.5 for count in c)
    centre, n = _phi(smooth), sum(smooth)
    half = Z95 * math.sqrt(_phi_variance(smooth, centre) / n) / (1 - centre**2)
    lower, upper = math.tanh(math.atanh(centre) - half), math.tanh(math.atanh(centre) + half)
    return Performance(value, round(sum(c)), min(lower, value), max(upper, value))


def proportion(successes: float, n: float) -> Performance:
    """A share with Wilson's interval; NaN where n is 0."""
    if n <= 0:
        return Performance(math.nan, 0)
    return Performance(float(successes / n), round(n), *share_interval(float(successes), float(n)))


def _phi(counts: tuple[float, ...]) -> float:
    tp, fp, fn, tn = (float(count) for count in counts)
    sides = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / sides if sides > 0 else math.nan


def _phi_variance(counts: tuple[float, ...], phi: float) -> float:
    """Asymptotic variance of φ, times n."""
    tp, fp, fn, _ = (count / sum(counts) for count in counts)
    outcome, decision = tp + fn, tp + fp
    u, v = (2 * outcome - 1) ** 2 / (outcome * (1 - outcome)), (2 * decision - 1) ** 2 / (decision * (1 - decision))
    cross = (2 * outcome - 1) * (2 * decision - 1)
    cross /= math.sqrt(outcome * (1 - outcome) * decision * (1 - decision))
    return max(1 - phi**2 + phi * (1 + phi**2 / 2) * cross - 0.75 * phi**2 * (u + v), 0.0)
