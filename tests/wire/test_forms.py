"""Every form of the same rows decodes to the same batch."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calidris.batch import CodedColumn, LabelBatch, MatrixColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.wire import FORMS, decode, encode_labels, encode_predictions

NOW_NS = 1_800_000_000_000_000_000
names = st.text(min_size=1, max_size=12)
texts = st.text(max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)


def numbers(rows: int, elements: Any = finite) -> Any:
    return st.lists(st.none() | elements, min_size=rows, max_size=rows).map(
        lambda cells: NumberColumn.of([np.nan if cell is None else cell for cell in cells])
    )


def strings(rows: int) -> Any:
    """At least one value, or the column has no kind of its own."""
    rest = st.lists(st.none() | texts, min_size=rows - 1, max_size=rows - 1)
    return st.tuples(texts, rest).map(lambda cells: CodedColumn.of([cells[0], *cells[1]]))


def vectors(rows: int) -> Any:
    """At least one vector, or in JSON the column has no kind of its own."""

    def some(d: int) -> Any:
        one = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=d, max_size=d)
        nothing = st.just([float("nan")] * d)
        rest = st.lists(nothing | one, min_size=rows - 1, max_size=rows - 1)
        return st.tuples(one, rest).map(lambda cells: MatrixColumn.of([cells[0], *cells[1]]))

    return st.integers(1, 4).flatmap(some)


@st.composite
def batches(draw: Any) -> PredictionBatch:
    rows = draw(st.integers(1, 5))
    share = st.floats(0, 1)
    ids = st.lists(st.text(min_size=1, max_size=5), min_size=rows, max_size=rows)
    errors = st.lists(st.none() | st.text(min_size=1, max_size=5), min_size=rows, max_size=rows)
    return PredictionBatch(
        model=ModelKey("default", draw(names), draw(names)),
        event_time_ns=NOW_NS - np.array(draw(st.lists(st.integers(0, 10**15), min_size=rows, max_size=rows))),
        features=draw(st.dictionaries(names, numbers(rows) | strings(rows), min_size=1, max_size=4)),
        task=draw(st.sampled_from([None, "binary", "regression"])),
        ids=draw(st.none() | ids),
        score=draw(st.none() | numbers(rows, share)),
        class_scores=draw(st.dictionaries(names, numbers(rows, share), max_size=2)),
        decision=draw(st.none() | numbers(rows) | strings(rows)),
        value=draw(st.none() | numbers(rows)),
        duration_s=draw(st.none() | numbers(rows, st.floats(0, 1e6))),
        error=draw(st.none() | errors.map(CodedColumn.of)),
        slices=draw(st.dictionaries(names, strings(rows), max_size=2)),
        weight=draw(st.none() | numbers(rows, st.floats(0.1, 1e6))),
        trace_ids=draw(st.none() | strings(rows)),
        embeddings=draw(st.dictionaries(names.map("vector {}".format), vectors(rows), max_size=2)),
    )


@given(batch=batches(), form=st.sampled_from(FORMS), one_span_per_row=st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_form_gives_the_same_batch(wire: Any, batch: PredictionBatch, form: Any, one_span_per_row: bool) -> None:
    if batch.score is not None and form != "attributes":
        batch = replace(batch, class_scores={})  # one attribute cannot be a column and a map
    raw = encode_predictions(batch, form=form, one_span_per_row=one_span_per_row)
    decoded = decode(raw, tenant="default", arrival_ns=NOW_NS)
    assert decoded.message == ""
    assert (decoded.rows, decoded.clamped, decoded.non_finite) == (len(batch), 0, 0)
    (item,) = decoded.items
    assert wire.plain(item) == wire.plain(batch)


@given(label=st.integers(1, 5).flatmap(lambda rows: numbers(rows) | strings(rows)), data=st.data())
@settings(max_examples=50, deadline=None)
def test_labels_round_trip(wire: Any, label: Any, data: Any) -> None:
    rows = len(label)
    ids = data.draw(st.lists(st.text(min_size=1, max_size=5), min_size=rows, max_size=rows))
    times = NOW_NS - np.array(data.draw(st.lists(st.integers(0, 10**15), min_size=rows, max_size=rows)))
    batch = LabelBatch("default", "credit", ids, label, times)
    (item,) = decode(encode_labels(batch), tenant="default", arrival_ns=NOW_NS).items
    assert wire.plain(item) == wire.plain(batch)


COLUMNS = {
    "array of doubles": [1.0, 2.5, float("nan")],
    "array with a missing value": [1.0, 2.5, None],
    "array of ints and bools": [True, 2.5, None],
    "f64": {"f64": struct.pack("<3d", 1.0, 2.5, float("nan"))},
    "f32": {"f32": struct.pack("<3f", 1.0, 2.5, float("nan"))},
    "JSON": "[1, 2.5, null]",
    "JSON as pandas writes it": "[1.0, 2.5, NaN]",
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("style", ["map", "attribute"])
def test_number_columns(wire: Any, column: Any, style: str) -> None:
    features = {"ml.features": {"x": column}} if style == "map" else {"ml.features.x": column}
    batch = wire.one(wire.span({"ml.prediction.count": 3, **features}))
    assert wire.plain(batch)["features"] == {"x": [1.0, 2.5, None]}


@pytest.mark.parametrize(
    "column",
    [
        ["b", "", None],
        '["b", "", null]',
        {"levels": ["a", "b", ""], "codes": struct.pack("<3i", 1, 2, -1)},
        {"levels": ["b", "", "b"], "codes": struct.pack("<3i", 2, 1, -1)},
    ],
)
def test_string_columns(wire: Any, column: Any) -> None:
    batch = wire.one(wire.span({"ml.prediction.count": 3, "ml.features": {"x": column}}))
    assert wire.plain(batch)["features"] == {"x": ["b", "", None]}


@pytest.mark.parametrize(
    "features",
    [
        {"ml.features": '{"age": 3, "land": "at", "new": true, "gone": null}'},
        {"ml.features": '{"age": [3], "land": ["at"], "new": [true], "gone": [null]}'},
        {"ml.features": {"age": 3, "land": "at", "new": True, "gone": None}},
        {"ml.features": {"age": [3.0], "land": ["at"], "new": [True], "gone": [None]}},
        {"ml.features.age": 3.0, "ml.features.land": "at", "ml.features.new": True, "ml.features.gone": None},
        {"ml.features.age": 4, "ml.features": {"age": 3, "land": "at"}, "ml.features.new": 1, "ml.features.gone": None},
        {
            "ml.features": {
                "age": {"i64": struct.pack("<q", 3)},
                "land": {"levels": ["at"], "codes": struct.pack("<i", 0)},
                "new": {"f64": struct.pack("<d", 1)},
                "gone": {"f32": struct.pack("<f", float("nan"))},
            }
        },
    ],
)
def test_one_row(wire: Any, features: dict[str, Any]) -> None:
    batch = wire.one(wire.span(features))
    assert wire.plain(batch)["features"] == {"age": [3.0], "land": ["at"], "new": [1.0], "gone": [None]}


@pytest.mark.parametrize("score", [{"good": 0.25, "bad": 0.75}, '{"good": 0.25, "bad": 0.75}'])
def test_scores_by_class(wire: Any, score: Any) -> None:
    batch = wire.one(wire.span({"ml.prediction.score": score}), wire.span({"ml.prediction.score": score}))
    assert wire.plain(batch)["class_scores"] == {"good": [0.25, 0.25], "bad": [0.75, 0.75]}
    assert batch.score is None


def test_scores_by_class_in_a_packed_span(wire: Any) -> None:
    score = {"good": {"f64": struct.pack("<2d", 0.25, 0.5)}, "bad": [0.75, 0.5]}
    batch = wire.one(wire.span({"ml.prediction.count": 2, "ml.prediction.score": score}))
    assert wire.plain(batch)["class_scores"] == {"good": [0.25, 0.5], "bad": [0.75, 0.5]}


def test_a_class_may_be_called_f64(wire: Any) -> None:
    batch = wire.one(wire.span({"ml.prediction.score": {"f64": 0.5}}))
    assert wire.plain(batch)["class_scores"] == {"f64": [0.5]}


def test_ids_are_strings_whatever_was_sent(wire: Any) -> None:
    rows = {"ml.prediction.count": 2, "ml.features": {"x": [1.0, 2.0]}}
    for ids in ([2**62, 7], {"i64": struct.pack("<2q", 2**62, 7)}, f"[{2**62}, 7]", [str(2**62), "7"]):
        assert wire.one(wire.span({**rows, "ml.prediction.id": ids})).ids == [str(2**62), "7"]
    assert wire.one(wire.span({**rows, "ml.prediction.id": ["a", None]})).ids == ["a", ""]


def test_slices_are_strings_whatever_was_sent(wire: Any) -> None:
    slices = '{"a": [1, 2.5, true], "b": ["x", null, "1"]}'
    batch = wire.one(wire.span({"ml.prediction.count": 3, "ml.slices": slices}))
    assert wire.plain(batch)["slices"] == {"a": ["1", "2.5", "true"], "b": ["x", None, "1"]}


def test_infinity_is_missing_and_counted(wire: Any) -> None:
    decoded = wire.decode(
        wire.span({"ml.features": {"x": float("inf")}}),
        wire.span({"ml.features": '{"x": -Infinity}'}),
        wire.span({"ml.features": '{"x": 1e999}'}),
        wire.span({"ml.features": '{"x": ' + "9" * 400 + "}"}),
        wire.span({"ml.features": {"x": float("nan")}}),
    )
    assert (decoded.non_finite, decoded.message) == (4, "")
    assert wire.plain(decoded.items[0])["features"] == {"x": [None] * 5}


def test_negative_durations_are_missing(wire: Any) -> None:
    batch = wire.one(wire.span({"ml.prediction.count": 3, "ml.prediction.duration": [0.5, -1.0, float("nan")]}))
    assert wire.plain(batch)["duration_s"] == [0.5, None, None]


def test_a_score_a_rounding_error_outside_is_cut(wire: Any) -> None:
    batch = wire.one(wire.span({"ml.prediction.count": 3, "ml.prediction.score": [1 + 5e-10, -5e-10, 0.5]}))
    assert wire.plain(batch)["score"] == [1.0, 0.0, 0.5]
