"""Decisions between several classes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from benchmarks.coverage.tally import Case, Trial, figure_of

from calidris import semconv
from calidris.batch import Floats
from calidris.metrics.performance.multiclass import multiclass_readings

ARRIVED = semconv.ML_LABEL_MATURITY_ARRIVED


def truths_of(joint: Floats) -> dict[tuple[str, str], float]:
    right, true, decided = np.diag(joint), joint.sum(axis=1), joint.sum(axis=0)
    f1 = 2 * right / (true + decided)
    found = {
        ("accuracy", ""): right.sum(),
        ("balanced_accuracy", ""): (right / true).mean(),
        ("macro_f1", ""): f1.mean(),
        ("weighted_f1", ""): (true * f1).sum(),
    }
    for k in range(len(joint)):
        found["recall", str(k)], found["precision", str(k)] = right[k] / true[k], right[k] / decided[k]
    return {key: float(value) for key, value in found.items()}


def of_classes(name: str, prior: list[float], right: list[float]) -> Case:
    """Classes of these shares, each decided rightly so often, its mistakes spread over the others by their shares."""
    share, k = np.array(prior), len(prior)
    wrong = np.tile(share, (k, 1)) * (1 - np.eye(k))
    given = np.diag(right) + (1 - np.array(right))[:, None] * wrong / wrong.sum(axis=1, keepdims=True)
    joint = share[:, None] * given
    truths, names, task = truths_of(joint), [str(i) for i in range(k)], semconv.ML_MODEL_TASK_MULTICLASS

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        counts = g.multinomial(n, joint.ravel()).reshape(k, k)
        for reading in multiclass_readings(counts, names, "1h", ARRIVED):
            figure = figure_of(reading, task)
            of_class = dict(reading.attributes).get(semconv.ML_PREDICTION_CLASS, "")
            yield Trial(figure, reading, truths[figure.measure, of_class])

    return Case(name, read)


def cases() -> Iterator[Case]:
    yield of_classes("balanced, 3 classes", [1 / 3] * 3, [0.8, 0.7, 0.6])
    yield of_classes("1 % of one of 4 classes", [0.6, 0.3, 0.09, 0.01], [0.9, 0.8, 0.6, 0.5])
    yield of_classes("10 classes, nearly always right", [0.1] * 10, [0.97] * 10)
