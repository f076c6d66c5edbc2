"""One odd row or value among many of a list costs itself alone, wherever it stands, and is told."""

from __future__ import annotations

from typing import Any

import pytest

import calidris
from calidris import Model, semconv
from calidris.instrument.runtime import runtime

ROWS = 7
STRAYS: dict[str, Any] = {
    "a mapping": {"x0": 9.0, "x1": 9.0},
    "nothing": None,
    "a number": 5.0,
    "a short one": [1.0],
    "a long one": [1.0, 2.0, 3.0],
    "a text": "ab",
}


def record(receiver: Any, X: Any, scores: Any) -> dict[str, Any]:
    Model("m").record_batch(X, scores)
    assert calidris.flush(10)
    span: dict[str, Any] = receiver.only("predict m")
    assert span[semconv.ML_PREDICTION_COUNT] == ROWS
    return span


@pytest.mark.parametrize("at", [0, 3, ROWS - 1])
@pytest.mark.parametrize("stray", STRAYS.values(), ids=STRAYS)
def test_a_stray_row_costs_its_neighbours_nothing(receiver: Any, stray: Any, at: int) -> None:
    rows: list[Any] = [[float(n), 2.0] for n in range(ROWS)]
    rows[at] = stray
    features = record(receiver, rows, [0.5] * ROWS)[semconv.ML_FEATURES]
    assert features["x0"] == [None if n == at else float(n) for n in range(ROWS)]
    assert runtime.notes() == {("no_row", "m"): 1}


@pytest.mark.parametrize("at", [0, 3, ROWS - 1])
def test_a_stray_value_costs_its_neighbours_nothing(receiver: Any, at: int) -> None:
    rows: list[Any] = [[float(n), 2.0] for n in range(ROWS)]
    rows[at][0] = [7.0, 8.0]
    features = record(receiver, rows, [0.5] * ROWS)[semconv.ML_FEATURES]
    assert features["x0"] == [None if n == at else float(n) for n in range(ROWS)]
    assert features["x1"] == [2.0] * ROWS
    assert sum(runtime.notes().values()) == 1


@pytest.mark.parametrize("at", [0, 1, 3, ROWS - 1])
def test_a_stray_row_of_scores_is_told(receiver: Any, at: int) -> None:
    scores: list[Any] = [[0.25, 0.75]] * ROWS
    scores[at] = 0.5
    span = record(receiver, None, scores)
    assert span[semconv.ML_PREDICTION_SCORE] == [None if n == at else 0.75 for n in range(ROWS)]
    assert runtime.notes() == {("unsupported_type", "score"): 1}
