"""Populations of scored rows: so many equally likely kinds of rows, each with its score and its chance of a positive outcome.

A window is drawn from them row by row, so what is true of them is known exactly and by plain sums, never by an interval's formula.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri

from calidris.batch import Floats, Ints
from calidris.state import ScoresState, Spec

KINDS = 100_000


class Scored(NamedTuple):
    """Labelled rows of one window."""

    score: Floats
    outcome: Ints

    def bins(self, spec: Spec) -> Floats:
        """As the state has them."""
        state = ScoresState(spec)
        state.update(self.score, self.outcome, np.zeros(len(self.score)))
        return state.bins()

    def confusion(self, spec: Spec) -> Ints:
        """Counts int64[truth, decision]."""
        decided = (self.score >= spec.threshold).astype(np.int64)
        return np.bincount(2 * self.outcome + decided, minlength=4).reshape(2, 2)


class Population:
    """Equally likely kinds of rows, float64[kinds] each."""

    def __init__(self, name: str, score: Floats, chance: Floats, spec: Spec | None = None) -> None:
        order = np.argsort(score, kind="stable")
        self.name, self.score, self.chance = name, score[order], chance[order]
        self.spec = spec or Spec()

    def drawn(self, g: np.random.Generator, n: int) -> Scored:
        """A window of n independent rows."""
        at = g.integers(0, len(self.score), n)
        return Scored(self.score[at], (g.random(n) < self.chance[at]).astype(np.int64))

    @cached_property
    def truths(self) -> dict[str, float]:
        """Every figure of the population."""
        return {**self._decided(), **self._ordered(), **self._calibrated()}

    def _decided(self) -> dict[str, float]:
        up = self.score >= self.spec.threshold
        tp, fp = float((self.chance * up).mean()), float(((1 - self.chance) * up).mean())
        fn, tn = float((self.chance * ~up).mean()), float(((1 - self.chance) * ~up).mean())
        sides = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        return {
            "accuracy": tp + tn,
            "precision": tp / (tp + fp) if tp + fp else math.nan,
            "recall": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
            "mcc": (tp * tn - fp * fn) / sides if sides else math.nan,
            "prevalence": tp + fn,
        }

    def _ordered(self) -> dict[str, float]:
        _, tied = np.unique(self.score, return_inverse=True)
        positive = np.bincount(tied, self.chance)
        negative = np.bincount(tied, 1 - self.chance)
        p, q = positive.sum(), negative.sum()
        below = np.cumsum(negative) - negative / 2
        area = float((positive * below).sum() / (p * q))
        found = np.cumsum(positive[::-1])
        precise = found / (found + np.cumsum(negative[::-1]))
        return {
            "roc_auc": area,
            "gini": 2 * area - 1,
            "average_precision": float((positive[::-1] * precise).sum() / p),
            "ks_separation": float(np.abs(np.cumsum(positive) / p - np.cumsum(negative) / q).max()),
        }

    def _calibrated(self) -> dict[str, float]:
        s, c = self.score, self.chance
        held = np.clip(s, np.finfo(float).eps, 1 - np.finfo(float).eps)
        line = logit(held)
        a, b = fitted_line(line, c)
        return {
            "brier": float((c * (1 - s) ** 2 + (1 - c) * s**2).mean()),
            "log_loss": float(-(c * np.log(held) + (1 - c) * np.log1p(-held)).mean()),
            "intercept": a,
            "slope": b,
            "in_the_large": float(brentq(lambda x: float(expit(line + x).mean() - c.mean()), -20.0, 20.0)),
            "observed_to_expected": float(c.mean() / s.mean()),
        }


def fitted_line(x: Floats, chance: Floats) -> tuple[float, float]:
    """A and b of the logistic line nearest to the chances in likelihood."""
    design, beta = np.stack([np.ones_like(x), x]), np.array([0.0, 1.0])
    for _ in range(100):
        mean = expit(beta @ design)
        information = (design * np.maximum(mean * (1 - mean), 1e-15)) @ design.T
        step = np.linalg.lstsq(information, design @ (chance - mean), rcond=None)[0]
        beta = beta + step * min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-300))
    return float(beta[0]), float(beta[1])


def quantiles() -> Floats:
    """Levels in the middle of equal parts."""
    return (np.arange(KINDS) + 0.5) / KINDS


def balanced() -> Population:
    """A calibrated model that knows something, outcomes half and half."""
    p = expit(1.5 * ndtri(quantiles()))
    return Population("balanced", p, p)


def rare() -> Population:
    """One positive in a hundred, calibrated; a decision from .05 on."""
    p = expit(1.3 * ndtri(quantiles()) - 5.29)
    return Population("1 % positive", p, p, Spec(threshold=0.05))


def ties() -> Population:
    """Scores that somebody rounded to tenths."""
    p = expit(1.5 * ndtri(quantiles()))
    return Population("ties", np.clip(np.round(p, 1), 0.1, 0.9), p)


def heavy() -> Population:
    """Scores that are far too sure of themselves: logits of Student's t with three degrees, three times too large."""
    from scipy.stats import t

    line = t.ppf(quantiles(), 3)
    return Population("heavy tails", expit(3.0 * line), expit(line))


def trees() -> Population:
    """Eight leaves, two of them nearly pure, each off by a little."""
    leaves = np.array([0.003, 0.05, 0.12, 0.3, 0.45, 0.7, 0.9, 0.995])
    chance = np.array([0.005, 0.06, 0.1, 0.27, 0.5, 0.72, 0.86, 0.99])
    share = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05])
    rows = np.repeat(np.arange(8), np.rint(share * KINDS).astype(int))
    return Population("tree-like", leaves[rows], chance[rows])


def top_label() -> Population:
    """Confidence in the top one of three labels, and the chance of its being right."""
    from scipy.stats import beta

    sure = 1 / 3 + 2 / 3 * beta.ppf(quantiles(), 2.0, 1.2)
    return Population(
        "multiclass", sure, np.clip(sure - 0.05, 0.0, 1.0), Spec(task="multiclass", classes=("a", "b", "c"))
    )


def every() -> tuple[Population, ...]:
    """Populations of two outcomes."""
    return balanced(), rare(), ties(), heavy(), trees()
