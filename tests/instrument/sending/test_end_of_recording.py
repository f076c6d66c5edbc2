"""Recording ends while a prediction is being made: what was begun before is counted as dropped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import calidris
from calidris import Model
from calidris.instrument.libraries.sklearn import SklearnInstrumentor
from calidris.instrument.runtime import runtime
from calidris.instrument.sending.sender import Sender


@pytest.mark.parametrize("embeddings", [None, {"text": [0.5, 0.25]}], ids=["row", "with embeddings"])
def test_a_prediction_that_is_left_after_the_end_is_dropped(receiver: Any, embeddings: Any, caplog: Any) -> None:
    model = Model("m", embeddings=["text"])
    with model.predict(embeddings=embeddings) as p:
        assert calidris.shutdown()
        p.score = 0.5
    assert runtime.drops() == {("m", "shutdown"): 1}
    assert "m: shutdown" in caplog.text


def test_a_prediction_that_is_left_after_monitoring_was_switched_off_is_dropped(receiver: Any) -> None:
    with Model("m").predict():
        calidris.configure(endpoint="")
    assert runtime.drops() == {("m", "shutdown"): 1}


def test_what_is_begun_after_the_end_is_nothing(receiver: Any) -> None:
    calidris.shutdown()
    model = Model("m")
    with model.predict():
        pass
    model.record_batch([[1.0]], [0.5])
    assert runtime.drops() == {}


def test_a_batch_during_which_recording_ends_is_dropped(receiver: Any) -> None:
    def answer() -> Iterator[float]:
        yield 0.5
        calidris.shutdown()
        yield 0.5

    Model("m").record_batch([[1.0], [2.0]], answer())
    assert runtime.drops() == {("m", "shutdown"): 2}


class Ending(LogisticRegression):  # type: ignore[misc]
    """Its service ends while it predicts."""

    def predict(self, X: Any) -> Any:
        calidris.shutdown()
        return super().predict(X)


def test_a_call_of_a_library_during_which_recording_ends_is_dropped(receiver: Any) -> None:
    X = np.array([[0.0], [1.0], [2.0]])
    model = Ending().fit(X, [0, 1, 1])
    SklearnInstrumentor().instrument(skip_dep_check=True)
    try:
        model.predict(X)
    finally:
        SklearnInstrumentor().uninstrument()
    assert runtime.drops() == {("ending", "shutdown"): 3}


def test_rows_go_to_the_receiver_that_was_set_when_they_were_made(
    make_receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_receiver(), make_receiver()
    load = Sender._load

    def load_late(self: Sender) -> None:
        time.sleep(0.3)
        load(self)

    monkeypatch.setattr(Sender, "_load", load_late)
    calidris.configure(endpoint=first.start())
    with Model("m").predict():
        pass
    calidris.configure(endpoint=second.start())
    assert (len(first.spans()), len(second.spans())) == (1, 0)
