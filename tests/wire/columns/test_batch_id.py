"""The id of a batch: on the span or its resource, one a span, and rows of different ones stay apart."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.wire import decode, encode_predictions
from calidris.wire.encoder import FORMS
from calidris.wire.limits import DAY_NS, WireLimits

KEY = "ml.prediction.batch_id"
SCORE = {"ml.prediction.score": 0.5}


@pytest.mark.parametrize(("sent", "kept"), [("monday", "monday"), (20261127, "20261127"), (["a"], "a"), ("", None)])
def test_on_the_span(wire: Any, sent: object, kept: str | None) -> None:
    assert wire.one(wire.span({**SCORE, KEY: sent})).batch_id == kept


def test_on_the_resource_of_spans_that_say_nothing_else(wire: Any) -> None:
    spans = [wire.span(SCORE), wire.span(SCORE), wire.span({**SCORE, KEY: "own"})]
    batches = wire.decode(*spans, resource={KEY: "night"}).items
    assert [(len(batch), batch.batch_id) for batch in batches] == [(2, "night"), (1, "own")]


def test_rows_of_different_batches_stay_apart_and_those_of_one_come_together(wire: Any) -> None:
    spans = [wire.span({**SCORE, KEY: "ab"[k % 2]}) for k in range(40)]
    assert [(len(batch), batch.batch_id) for batch in wire.decode(*spans).items] == [(20, "a"), (20, "b")]


def test_a_column_says_the_same_in_every_row(wire: Any) -> None:
    wide = {"ml.prediction.count": 2, "ml.features": {"x": {"f64": struct.pack("<2d", 1.0, 2.0)}}}
    packed = {"levels": ["a"], "codes": struct.pack("<2i", 0, 0)}
    for column in (["a", "a"], packed):
        assert wire.one(wire.span({**wide, KEY: column})).batch_id == "a"
    decoded = wire.decode(wire.span({**wide, KEY: ["a", "b"]}), wire.span(SCORE))
    assert (decoded.rows, decoded.rejected) == (1, {"wrong_type": 1})
    assert "send a span for each" in decoded.message


def test_labels_and_foreign_spans_do_not_mind(wire: Any) -> None:
    label = wire.span({"ml.label": 1, "ml.prediction.id": "a", KEY: "monday"}, name="feedback credit")
    foreign = wire.span({KEY: "monday"}, name="GET /", model={})
    decoded = wire.decode(label, foreign)
    assert (decoded.labels, decoded.ignored, decoded.message) == (1, 1, "")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("one", [True, False])
def test_the_encoder_writes_what_is_read(wire: Any, form: Any, one: bool) -> None:
    times = np.full(3, wire.now_ns, dtype=np.int64)
    features = {"x": NumberColumn.of([1.0, 2.0, 3.0]), "c": CodedColumn.of(["a", "b", "a"])}
    batch = PredictionBatch(ModelKey("default", "credit", "7"), times, features, batch_id="monday")
    raw = encode_predictions(batch, form=form, one_span_per_row=one)
    (found,) = decode(raw, tenant="default", arrival_ns=wire.now_ns).items
    assert isinstance(found, PredictionBatch) and (len(found), found.batch_id) == (3, "monday")


@pytest.mark.parametrize(("days", "moved"), [(30, [0, 10 * DAY_NS]), (60, None)])
def test_how_old_a_row_may_be_is_a_setting_and_what_is_moved_is_told_row_by_row(
    wire: Any, days: int, moved: list[int] | None
) -> None:
    spans = [wire.span(SCORE, start_time_unix_nano=wire.now_ns - age * DAY_NS) for age in (1, 40)]
    limits = WireLimits(max_age_ns=days * DAY_NS)
    decoded = decode(wire.request(*spans), tenant="default", arrival_ns=wire.now_ns, limits=limits)
    (batch,) = decoded.items
    assert isinstance(batch, PredictionBatch)
    assert (None if batch.moved_ns is None else batch.moved_ns.tolist()) == moved
    assert decoded.clamped == (moved is not None)


def test_batches_with_and_without_moved_rows_are_joined(wire: Any) -> None:
    wide = {"ml.prediction.count": 2, "ml.features": {"x": [1.0, 2.0]}}
    old, new = wire.now_ns - 40 * DAY_NS, wire.now_ns
    batch = wire.one(*(wire.span(wide, start_time_unix_nano=at) for at in (new, old)))
    assert np.count_nonzero(batch.moved_ns) == 2
