"""Batches, rows and values of every size and oddity: all that can be sent arrives, and what cannot is counted alone."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

import calidris
from calidris import Model, semconv
from calidris.batch import PredictionBatch
from calidris.instrument.rows import input_table
from calidris.instrument.runtime import runtime
from calidris.instrument.sending import chunks
from calidris.wire import decode
from calidris.wire.limits import DEFAULT_LIMITS


def numbers(receiver: Any) -> list[float]:
    return [n for span in receiver.spans() for n in span.get(semconv.ML_FEATURES, {}).get("n", ())]


def decoded_rows(receiver: Any) -> Counter[str]:
    """Rows of each model as the receiver's own decoder counts them, under its own limits."""
    rows: Counter[str] = Counter()
    for request in receiver.requests:
        decoded = decode(request, tenant="default", arrival_ns=time.time_ns())
        assert not decoded.rejected
        for batch in decoded.items:
            if isinstance(batch, PredictionBatch):
                rows[batch.model.name] += len(batch.event_time_ns)
    return rows


def test_a_batch_beyond_the_queue_arrives_whole(receiver: Any) -> None:
    rows = 100_000
    Model("m").record_batch(np.arange(rows * 25.0).reshape(rows, 25), np.full(rows, 0.5))
    assert calidris.flush(30)
    assert decoded_rows(receiver) == {"m": rows}
    first = [x for span in receiver.spans() for x in span[semconv.ML_FEATURES]["x0"]]
    assert first == [25.0 * n for n in range(rows)]


def test_of_a_batch_beyond_the_bytes_the_end_is_cut_off_and_counted(receiver: Any, caplog: Any) -> None:
    calidris.configure(endpoint=receiver.endpoint, queue_bytes=1_000_000)
    Model("m").record_batch(np.ones((100_000, 25)))
    assert not calidris.flush(30)
    (dropped,) = runtime.drops().values()
    assert 0 < dropped < 100_000
    assert decoded_rows(receiver) == {"m": 100_000 - dropped}
    assert "m: queue full" in caplog.text
    assert f"{dropped} of m dropped: queue_full" in caplog.text


def test_labels_of_a_large_batch_stay_behind_their_predictions(receiver: Any) -> None:
    model = Model("m")
    ids = [f"r{n}" for n in range(30_000)]
    model.record_batch(None, np.full(30_000, 0.5), ids=ids)
    model.record_labels(ids, [1] * 30_000)
    assert calidris.flush(30)
    kinds = [span["name"].split()[0] for span in receiver.spans()]
    assert kinds == sorted(kinds, reverse=True)  # predict before feedback
    assert sum(span[semconv.ML_PREDICTION_COUNT] for span in receiver.spans()) == 60_000


def test_rows_of_many_different_names_all_arrive(receiver: Any) -> None:
    """A bag of words: each row holds 8 of 5000 names."""
    rng = np.random.default_rng(1)
    model = Model("words")
    for _ in range(3000):
        with model.predict(features={f"w{n}": 1.0 for n in rng.integers(0, 5000, 8)}) as p:
            p.score = 0.5
    assert calidris.flush(30)
    assert decoded_rows(receiver) == {"words": 3000}
    assert max(len(span[semconv.ML_FEATURES]) for span in receiver.spans()) <= chunks.MAX_NAMES


def test_rows_of_many_different_classes_all_arrive(receiver: Any) -> None:
    model = Model("m", task="multiclass")
    for n in range(1500):
        with model.predict() as p:
            p.score = {f"class {n}": 0.5, f"class {n + 1}": 0.5}
    assert calidris.flush(30)
    assert decoded_rows(receiver) == {"m": 1500}


def test_more_models_than_a_request_may_hold_all_arrive(receiver: Any) -> None:
    models = DEFAULT_LIMITS.max_models + 200
    for n in range(models):
        with Model(f"m{n}").predict() as p:
            p.score = 0.5
    assert calidris.flush(30)
    assert decoded_rows(receiver) == dict.fromkeys([f"m{n}" for n in range(models)], 1)


class Raising:
    """A value that raises when the sending thread reads it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __float__(self) -> float:
        raise self.error

    def __str__(self) -> str:
        raise self.error


ERRORS = [RuntimeError("no"), SystemExit(1), asyncio.CancelledError(), GeneratorExit(), MemoryError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_value_that_raises_costs_no_other_row(
    receiver: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    model, other = Model("m"), Model("other")
    for n in range(1000):
        with model.predict(features={"n": n}, id=Raising(error) if n == 700 else f"r{n}"):
            pass
        with other.predict(features={"n": Raising(error) if n == 300 else -1}):
            pass
    calidris.flush()
    with model.predict(features={"n": 1000}):
        pass
    calidris.flush()
    found = numbers(receiver)
    assert set(range(1001)) - {700} <= set(found)
    assert decoded_rows(receiver)["m"] + runtime.drops().get(("m", "unreadable"), 0) == 1001
    assert decoded_rows(receiver)["other"] + runtime.drops().get(("other", "unreadable"), 0) == 1000
    assert sum(runtime.drops().values()) <= 2


def test_a_bad_row_within_a_batch_is_found(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    classes: list[Any] = ["yes"] * 5000
    classes[3333] = Raising(SystemExit(1))
    Model("m").record_batch({"n": list(range(5000))}, classes=classes)
    calidris.flush()
    assert decoded_rows(receiver)["m"] + sum(runtime.drops().values()) == 5000
    assert sum(runtime.drops().values()) <= 1
    assert set(range(5000)) - {3333} <= set(numbers(receiver))


def as_lists(matrix: np.ndarray) -> Any:
    return matrix.tolist()


def as_columns(matrix: np.ndarray) -> Any:
    return {f"x{at}": matrix[:, at] for at in range(matrix.shape[1])}


@pytest.mark.parametrize("form", [np.asarray, as_lists, as_columns, pd.DataFrame], ids=lambda f: f.__name__)
def test_of_a_batch_beyond_all_room_the_first_rows_are_copied(
    receiver: Any, monkeypatch: pytest.MonkeyPatch, form: Any
) -> None:
    monkeypatch.setattr(input_table, "MAX_BYTES", 100_000)
    rows = 5000
    matrix = np.arange(rows * 4.0).reshape(rows, 4)
    scores = (score for score in [0.5] * rows)
    Model("m").record_batch(form(matrix), scores, ids=[f"r{n}" for n in range(rows)], slices={"s": ["a"] * rows})
    assert not calidris.flush(30)
    (dropped,) = runtime.drops().values()
    assert 0 < dropped < rows
    assert decoded_rows(receiver) == {"m": rows - dropped}
    first = [x for span in receiver.predictions_and_labels() for x in next(iter(span[semconv.ML_FEATURES].values()))]
    assert first == [4.0 * n for n in range(rows - dropped)]
