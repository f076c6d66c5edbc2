"""The job that a call's rows are of: on every span of theirs, on no other's, and never a reason to lose a row."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

import calidris
from calidris import Model, semconv
from calidris.batch import PredictionBatch
from calidris.instrument.runtime import runtime
from calidris.wire import decode

KEY = semconv.ML_PREDICTION_BATCH_ID


def jobs(receiver: Any) -> Counter[Any]:
    """Rows of each model and job, as the receiver's own decoder reads them."""
    rows: Counter[Any] = Counter()
    for request in receiver.requests:
        found = decode(request, tenant="default", arrival_ns=time.time_ns())
        assert not found.rejected
        for batch in found.items:
            assert isinstance(batch, PredictionBatch)
            rows[batch.model.name, batch.batch_id] += len(batch)
    return rows


def test_rows_of_different_jobs_share_no_span(receiver: Any) -> None:
    """Small calls of one model are sent together, those of one job only with each other."""
    model = Model("m", features=["x"])
    for k in range(200):
        job = ("monday", "tuesday", None)[k % 3]
        model.record_batch([[1.0]], [0.5], batch_id=job)
    with model.predict(features={"x": 1.0}) as p:
        p.score = 0.5
    receiver.settle()
    assert jobs(receiver) == {("m", "monday"): 67, ("m", "tuesday"): 67, ("m", None): 67}
    assert len(receiver.spans()) == 4  # a span a job, one without, and the single row's


def test_every_span_of_a_large_call_says_it(receiver: Any) -> None:
    """Also those that come out too large and are halved."""
    Model("m").record_batch(np.ones((5000, 3)), [0.5] * 5000, batch_id="night")
    Model("wide").record_batch(np.random.default_rng(1).normal(size=(600, 200)), batch_id="night")
    receiver.settle()
    assert jobs(receiver) == {("m", "night"): 5000, ("wide", "night"): 600}
    assert {span[KEY] for span in receiver.spans()} == {"night"}


def test_a_call_that_is_cut_to_what_may_wait_says_it(receiver: Any) -> None:
    calidris.configure(endpoint=receiver.endpoint, queue_bytes=1_000_000)
    Model("m").record_batch(np.ones((100_000, 25)), batch_id="night")
    calidris.flush(30)
    ((key, rows),) = jobs(receiver).items()
    assert key == ("m", "night") and 0 < rows < 100_000


def test_a_row_that_cannot_be_packed_costs_its_neighbours_nothing(receiver: Any) -> None:
    ids = [*map(str, range(9)), "x" * 400_000]
    Model("m").record_batch([[1.0]] * 10, ids=ids, batch_id="night")
    receiver.settle()
    assert jobs(receiver) == {("m", "night"): 9}


SPELLINGS: dict[str, tuple[Any, str]] = {
    "text": ("2026-11-27", "2026-11-27"),
    "date": (date(2026, 11, 27), "2026-11-27"),
    "datetime": (datetime(2026, 11, 27, tzinfo=UTC), "2026-11-27 00:00:00+00:00"),
    "datetime64": (np.datetime64("2026-11-27"), "2026-11-27"),
    "timestamp": (pd.Timestamp("2026-11-27"), "2026-11-27 00:00:00"),
    "number": (17, "17"),
    "number of numpy": (np.int64(17), "17"),
    "number that became a float": (17.0, "17"),
    "bytes": (b"night", "night"),
    "uuid": (uuid.UUID(int=7), str(uuid.UUID(int=7))),
    "one in a list": (["night"], "night"),
    "text of numpy": (np.array("night"), "night"),
    "half a character": ("half \ud83d", "half ?"),
}


@pytest.mark.parametrize(("given", "sent"), SPELLINGS.values(), ids=SPELLINGS)
def test_an_id_is_text(receiver: Any, given: Any, sent: str) -> None:
    Model("m").record_batch([[1.0]], [0.5], batch_id=given)
    receiver.settle()
    assert receiver.only("predict m")[KEY] == sent
    assert runtime.notes() == {}


def test_a_long_id_is_cut_and_stays_its_own(receiver: Any) -> None:
    model = Model("m")
    for end in "ab":
        model.record_batch([[1.0]], [0.5], batch_id="x" * 300_000 + end)
    receiver.settle()
    sent = {span[KEY] for span in receiver.spans()}
    assert len(sent) == 2 and {len(one) for one in sent} == {1024}
    assert sum(jobs(receiver).values()) == 2


class Raising:
    def __str__(self) -> str:
        raise RuntimeError("no text")


WRONG: dict[str, Any] = {
    "several": ["monday", "tuesday"],
    "a column": pd.Series(["monday"] * 3),
    "mapping": {"job": "monday"},
    "yes": True,
    "no": np.bool_(False),
    "empty": "",
    "nan": float("nan"),
    "not a time": pd.NaT,
    "stream": iter(["monday"]),
    "nothing": object(),
    "raises": Raising(),
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG)
def test_one_that_is_none_is_told_and_the_rows_are_sent(receiver: Any, caplog: Any, given: Any) -> None:
    Model("m").record_batch([[1.0]] * 3, [0.5] * 3, batch_id=given)
    receiver.settle()
    assert jobs(receiver) == {("m", None): 3}
    assert runtime.missing() == {"batch_id_unreadable": 3}
    assert "m: batch id unreadable" in caplog.text and "one id a call" in caplog.text


def test_without_one_nothing_is_said_and_nothing_sent(receiver: Any) -> None:
    Model("m").record_batch([[1.0]], [0.5], batch_id=None)
    receiver.settle()
    assert KEY not in receiver.only("predict m")
    assert runtime.notes() == {}


def test_a_job_process_may_say_it_once_for_all(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows one by one and watched libraries have no argument for it: the resource has; a call's own goes first."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"{KEY}=2026-11-27")
    calidris.configure(endpoint=receiver.endpoint)
    model = Model("m", features=["x"])
    with model.predict(features={"x": 1.0}) as p:
        p.score = 0.5
    model.record_batch([[1.0]] * 2, [0.5] * 2, batch_id="own")
    receiver.settle()
    assert jobs(receiver) == {("m", "2026-11-27"): 1, ("m", "own"): 2}
