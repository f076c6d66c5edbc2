"""What has an empty name cannot be sent: it leaves a note and a count, and its neighbours arrive."""

from __future__ import annotations

from typing import Any

import calidris
from calidris import Model, semconv
from calidris.instrument.runtime import runtime


def test_a_row_with_empty_names(receiver: Any) -> None:
    model = Model("m", embeddings=["", "v"])
    given = {"": [1.0], "v": [1.0]}
    with model.predict(features={"": 1.0, "a": 2.0}, slices={"": "x", "s": "y"}, embeddings=given) as p:
        p.score = {"": 0.2, "b": 0.8}
    assert calidris.flush(10)
    span = receiver.only("predict m")
    assert span[semconv.ML_FEATURES]["a"] == [2.0]
    assert set(span[semconv.ML_FEATURES]) == {"a", "v"}
    assert span[semconv.ML_SLICES] == {"s": ["y"]}
    assert span[semconv.ML_PREDICTION_SCORE] == {"b": [0.8]}
    assert runtime.notes() == {("no_name", what): 1 for what in ("features", "slices", "score", "embeddings")}
    assert runtime.missing() == {"no_name": 4}


def test_a_batch_with_empty_names(receiver: Any) -> None:
    X = {"": [1.0, None], "a": [1.0, 2.0]}
    Model("m").record_batch(X, {"": [0.1, 0.2], "c": [0.9, 0.8]})
    assert calidris.flush(10)
    span = receiver.only("predict m")
    assert span[semconv.ML_FEATURES] == {"a": [1.0, 2.0]}
    assert span[semconv.ML_PREDICTION_SCORE] == {"c": [0.9, 0.8]}
    assert runtime.notes() == {("no_name", "features"): 1, ("no_name", "score"): 2}


def test_a_score_of_nothing_but_an_empty_name(receiver: Any) -> None:
    with Model("m").predict() as p:
        p.score = {"": 0.2}
    assert calidris.flush(10)
    assert semconv.ML_PREDICTION_SCORE not in receiver.only("predict m")
    assert runtime.notes() == {("no_name", "score"): 1}
