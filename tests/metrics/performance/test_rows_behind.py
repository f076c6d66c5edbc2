"""Rows by weight: the interval of each share holds the truth as often as it says, also where the rarer answer has the heavier rows."""

from __future__ import annotations

import numpy as np
import pytest

from calidris.metrics.performance.decisions import DECIDED, confusion_of
from calidris.metrics.performance.rows_behind import RowsBehind

REPEATS = 400
N = 3000
MEASURES = ("accuracy", "precision", "recall", "specificity", "f1", "prevalence")


def drawn(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    score = rng.beta(0.6, 3, n)
    return (rng.random(n) < score).astype(int), (score >= 0.5).astype(int)


def chance(kind: str, rng: np.random.Generator, truth: np.ndarray, decided: np.ndarray) -> np.ndarray:
    if kind == "decision":
        return np.where(decided == 1, 1.0, 0.1)
    if kind == "outcome":
        return np.where(truth == 1, 0.9, 0.1)
    return np.exp(-np.abs(rng.normal(size=len(truth)))) / 3


def tables(truth: np.ndarray, decided: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σw and Σw² by truth and decision, the last of which is none."""
    sums = np.zeros((2, 2, 3))
    np.add.at(sums[0], (truth, decided), weight)
    np.add.at(sums[1], (truth, decided), weight**2)
    return sums[0], sums[1]


@pytest.mark.parametrize("kind", ["decision", "outcome", "lognormal"])
def test_intervals_hold(kind: str) -> None:
    rng = np.random.default_rng(17)
    everything, _ = tables(*drawn(rng, 1_000_000), np.ones(1_000_000))
    truths = {name: DECIDED[name](confusion_of(everything.astype(np.int64))).value for name in MEASURES}
    held = dict.fromkeys(MEASURES, 0)
    for _ in range(REPEATS):
        truth, decided = drawn(rng, N)
        share = chance(kind, rng, truth, decided)
        kept = rng.random(N) < share
        weights, squares = tables(truth[kept], decided[kept], 1 / share[kept])
        behind = RowsBehind(weights, squares)
        counts = weights[:, :2] * weights.sum() / squares.sum()
        for name in MEASURES:
            mine, _ = behind.worth(name, counts, np.zeros((2, 1, 1)))
            found = DECIDED[name](confusion_of(mine))
            held[name] += found.lower <= truths[name] <= found.upper
    assert all(hits >= 0.92 * REPEATS for hits in held.values()), held


def test_rows_of_one_weight_are_what_they_are() -> None:
    """Every positive decision is kept and a tenth of the others: precision has all of its rows."""
    weights = np.array([[1000.0, 20.0, 0.0], [300.0, 60.0, 0.0]])
    squares = weights * np.array([[10.0, 1.0, 1.0], [10.0, 1.0, 1.0]])
    counts = weights[:, :2] * weights.sum() / squares.sum()
    mine, _ = RowsBehind(weights, squares).worth("precision", counts, np.zeros((2, 1, 1)))
    assert DECIDED["precision"](confusion_of(mine)).n == 80
    assert mine[:, 1].tolist() == pytest.approx([20.0, 60.0])
