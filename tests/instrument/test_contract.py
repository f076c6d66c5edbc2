"""What the guest sends, the house's own decoder reads: nothing rejected, nothing changed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from opentelemetry.sdk.trace import TracerProvider

import calidris
from calidris import Model
from calidris.batch import CodedColumn, LabelBatch, NumberColumn, PredictionBatch
from calidris.wire import decode


def received(receiver: Any) -> tuple[list[PredictionBatch], list[LabelBatch]]:
    predictions, labels, seen = [], [], set[int]()
    for raw in receiver.requests:
        decoded = decode(raw, tenant="default", arrival_ns=time.time_ns())
        assert not decoded.rejected
        known = decoded.span_hashes.tolist()
        assert 0 not in known and not seen.intersection(known), "every span has ids of its own"
        seen.update(known)
        predictions += [item for item in decoded.items if isinstance(item, PredictionBatch)]
        labels += [item for item in decoded.items if isinstance(item, LabelBatch)]
    return predictions, labels


@pytest.mark.parametrize("rows", [1, 3])
def test_predictions_and_labels(receiver: Any, rows: int) -> None:
    credit = Model("credit", version="7", task="binary", features=["age", "job"], slices=["vip"], allow=["job"])
    with TracerProvider().get_tracer("t").start_as_current_span("request") as span:
        for n in range(rows):
            row = {"age": None if n == 1 else np.float32(n), "job": "baker", "vip": True}
            with credit.predict(features=row, id=f"r{n}") as p:
                p.score, p.cls = 0.25, n % 2
    credit.record_labels([f"r{n}" for n in range(rows)], [1] * rows)
    assert calidris.flush()
    (batch,), (labels,) = received(receiver)
    assert str(batch.model) == "credit:7"
    assert batch.task == "binary"
    assert list(batch.ids or ()) == list(labels.ids) == [f"r{n}" for n in range(rows)]
    age, job, vip = batch.features["age"], batch.features["job"], batch.slices["vip"]
    assert isinstance(age, NumberColumn)
    assert isinstance(job, CodedColumn)
    assert age.valid.tolist() == [n != 1 for n in range(rows)]
    assert (job.strings(), vip.strings()) == (["baker"] * rows, ["true"] * rows)
    assert batch.score is not None
    assert batch.score.values.tolist() == [0.25] * rows
    assert isinstance(batch.decision, NumberColumn)
    assert batch.decision.values.tolist() == [n % 2 for n in range(rows)]
    assert batch.duration_s is not None
    assert all(batch.duration_s.valid)
    assert batch.trace_ids is not None
    assert set(batch.trace_ids.strings()) == {f"{span.get_span_context().trace_id:032x}"}
    assert np.all(np.abs(batch.event_time_ns - time.time_ns()) < 60e9)
    assert isinstance(labels.label, NumberColumn)


@pytest.mark.parametrize("rows", [1, 3])
def test_several_classes_errors_and_no_trace(receiver: Any, rows: int) -> None:
    animal = Model("animal", task="multiclass")
    for n in range(rows):
        with pytest.raises(KeyError), animal.predict(features={"legs": n}) as p:
            p.score, p.cls = {"cat": 0.5, "dog": 0.5}, "cat"
            raise KeyError
    assert calidris.flush()
    (batch,), _ = received(receiver)
    assert {name: column.values.tolist() for name, column in batch.class_scores.items()} == {
        "cat": [0.5] * rows,
        "dog": [0.5] * rows,
    }
    assert isinstance(batch.decision, CodedColumn)
    assert batch.decision.strings() == ["cat"] * rows
    assert batch.error is not None
    assert batch.error.strings() == ["KeyError"] * rows
