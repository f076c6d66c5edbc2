"""What callers give, as they give it: times, one-element containers, ids, rows of every kind; and what is no row."""

from __future__ import annotations

import inspect
import itertools
import os
import signal
import time
from array import array
from collections import namedtuple
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
from opentelemetry.sdk.trace import TracerProvider

import calidris
from calidris import Model, semconv
from calidris.instrument.rows import one_row
from calidris.instrument.runtime import runtime

WANT = {"age": [41.0], "income": [2100.5]}
DAY = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DAY_NS = int(DAY.timestamp()) * 10**9


@dataclass
class Fields:
    age: float = 41
    income: float = 2100.5


class Checked(pydantic.BaseModel):
    age: float = 41
    income: float = 2100.5


Named = namedtuple("Named", "age income")
Others = namedtuple("Others", "a b")

ROWS: dict[str, Any] = {
    "mapping": {"age": 41, "income": 2100.5},
    "lists by name": {"age": [41], "income": [2100.5]},
    "arrays by name": {"age": np.array([41]), "income": np.array([[2100.5]])},
    "table": pd.DataFrame({"income": [2100.5], "age": [41]}),
    "series": pd.Series({"age": 41, "income": 2100.5}),
    "series by place": pd.Series([41, 2100.5]),
    "list": [41, 2100.5],
    "list of a list": [[41, 2100.5]],
    "array of one row": np.array([[41, 2100.5]]),
    "array": np.array([41, 2100.5]),
    "list of an array": [np.array([41, 2100.5])],
    "array of the standard library": array("d", [41, 2100.5]),
    "view of numbers": memoryview(array("d", [41, 2100.5])),
    "record": np.array([(2100.5, 41)], dtype=[("income", "f8"), ("age", "i4")])[0],
    "records": np.array([(2100.5, 41)], dtype=[("income", "f8"), ("age", "i4")]),
    "named tuple": Named(41, 2100.5),
    "named tuple of other names": Others(41, 2100.5),
    "dataclass": Fields(),
    "pydantic": Checked(),
    "decimals": {"age": Decimal(41), "income": Decimal("2100.5")},
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_rows_of_every_kind(receiver: Any, row: Any) -> None:
    with Model("m", features=["age", "income"]).predict(features=row):
        pass
    assert calidris.flush()
    assert receiver.only("predict m")[semconv.ML_FEATURES] == WANT
    assert runtime.notes() == {}


NO_ROWS: dict[str, Any] = {
    "text": "secret",
    "bytes": b"secret",
    "bytearray": bytearray(b"secret"),
    "view": memoryview(b"secret"),
    "array of bytes": array("B", b"secret"),
    "generator": (n for n in (1, 2)),
    "two rows": pd.DataFrame({"age": [1, 2], "income": [3, 4]}),
    "number": 3,
}


@pytest.mark.parametrize("declared", [{}, {"features": list("abcdef")}], ids=["undeclared", "declared"])
@pytest.mark.parametrize("row", NO_ROWS.values(), ids=NO_ROWS)
def test_text_and_buffers_are_no_row(receiver: Any, row: Any, declared: Any) -> None:
    model = Model("m", allow=["*"], **declared)
    answer = model.observe(lambda prompt: 0.5)
    assert answer(row) == 0.5
    with model.predict(features=row) as p:
        p.score = 0.25
    assert calidris.flush()
    span = receiver.only("predict m")
    assert span[semconv.ML_PREDICTION_SCORE] == [0.5, 0.25]
    assert not any(value for column in span.get(semconv.ML_FEATURES, {}).values() for value in column)
    assert runtime.notes() == {("no_row", "m"): 2}


def test_text_among_many_rows(receiver: Any) -> None:
    model = Model("m", allow=["*"])
    model.record_batch("secret", [0.5, 0.5])
    model.record_batch([[1.0, 2.0], "ab", b"ab"], [0.5, 0.5, 0.5])
    model.record_batch(b"secret")
    receiver.settle()
    features = [span.get(semconv.ML_FEATURES) for span in receiver.spans()]
    assert {"x0": [1.0, None, None], "x1": [2.0, None, None]} in features
    assert b"secret" not in b"".join(receiver.requests)
    assert runtime.missing()["no_row"] == 1 + 2
    assert runtime.drops() == {("m", "malformed"): 1}


def test_a_row_that_is_too_wide_is_refused_before_it_has_names(receiver: Any) -> None:
    row = [0.5] * 1_000_000
    model, begun = Model("m"), time.perf_counter()
    for _ in range(20):
        with model.predict(features=row):
            pass
    assert time.perf_counter() - begun < 2
    assert runtime.notes() == {("features_not_copied", "m"): 20}
    assert len(one_row._NUMBERED) == one_row.MAX_WIDTH


SINGLES: dict[str, Any] = {
    "array": np.array([3.25]),
    "arrays": np.array([[3.25]]),
    "scalar array": np.array(3.25),
    "list": [[3.25]],
    "series": pd.Series([3.25]),
    "table": pd.DataFrame({"a": [3.25]}),
    "numpy": np.float32(3.25),
    "decimal": Decimal("3.25"),
}


@pytest.mark.parametrize("value", SINGLES.values(), ids=SINGLES)
def test_values_come_out_of_their_containers(receiver: Any, value: Any) -> None:
    model = Model("m", task="regression")
    with model.predict(id="a") as p:
        p.value = value
    with Model("s").predict(id="a", features={"x": 1.0, "y": value}) as p:
        p.score = value / 13 if not isinstance(value, (list, Decimal)) else 0.25
        p.cls = np.array(["yes"])
    model.record_label("a", value)
    assert model.observe(lambda row: value)([1]) is value
    assert calidris.flush()
    assert receiver.only("predict m")[semconv.ML_PREDICTION_VALUE] == [3.25, 3.25]
    assert receiver.only("feedback m")[semconv.ML_LABEL] == [3.25]
    span = receiver.only("predict s")
    assert span[semconv.ML_PREDICTION_SCORE] == [0.25]
    assert span[semconv.ML_PREDICTION_CLASS] == ["yes"]
    assert span[semconv.ML_FEATURES]["y"] == [3.25]


@pytest.mark.parametrize("masked", [np.ma.masked, np.ma.array(7.0, mask=True), np.ma.array([7.0], mask=[True])])
def test_what_is_masked_is_missing(receiver: Any, masked: Any) -> None:
    """Not what is under the mask."""
    for model in (Model("m"), Model("m", features=["x", "y"])):
        for row in ({"x": 1.0, "y": masked}, {"x": masked, "y": 1.0}):
            with model.predict(features=row) as p:
                p.score = masked
    receiver.settle()
    spans = receiver.predictions_and_labels()
    assert sum(len(span[semconv.ML_FEATURES]["x"]) for span in spans) == 4
    for span in spans:
        features = span[semconv.ML_FEATURES]
        assert all(sorted([x is None, y is None]) == [False, True] for x, y in zip(features["x"], features["y"]))
        assert set(span.get(semconv.ML_PREDICTION_SCORE, [None])) == {None}


def test_whole_numbers_that_became_floats_join(receiver: Any, strings: Any) -> None:
    merged = (
        pd.DataFrame({"id": [17, 18]}).merge(pd.DataFrame({"id": [17], "y": [1]}), how="outer").assign(other=[17, None])
    )
    model = Model("m")
    for one in (17, 17.0, np.float64(17), np.int32(17), Decimal("17.0"), b"17", [17.0]):
        with model.predict(id=one):
            pass
        assert calidris.last_prediction_ids() == ("17",)
    model.record_batch(None, values=[1.0, 2.0], ids=merged["other"])
    assert calidris.last_prediction_ids()[0] == "17" and len(calidris.last_prediction_ids()[1]) > 30
    model.record_labels(merged["other"], [1, 0])
    model.record_label("17.0", 1)
    receiver.settle()
    assert strings(receiver.only("feedback m")[semconv.ML_PREDICTION_ID]) == ["17", "17.0"]
    assert runtime.drops() == {("m", "missing_id"): 1}


def test_long_and_broken_ids_are_the_same_for_predictions_and_labels(receiver: Any, strings: Any) -> None:
    model = Model("m")
    for one in ("x" * 5000, "half \ud83d", b"\xff"):
        with model.predict(id=one):
            pass
        model.record_label(one, 1)
    assert calidris.flush()
    sent = strings(receiver.only("predict m")[semconv.ML_PREDICTION_ID])
    assert sent == strings(receiver.only("feedback m")[semconv.ML_PREDICTION_ID])
    assert len(sent[0]) == 1024 and sent[1:] == ["half ?", "ff"]


AT: dict[str, tuple[Any, str | None]] = {
    "datetime64": (np.array([DAY.replace(tzinfo=None)] * 2, dtype="datetime64[ns]"), None),
    "datetime64 in days": (np.array(["2026-01-02"] * 2, dtype="datetime64[D]"), None),
    "series": (pd.Series([DAY.replace(tzinfo=None)] * 2), None),
    "series with a zone": (pd.Series([DAY, DAY]).dt.tz_convert("Asia/Tokyo"), None),
    "index": (pd.DatetimeIndex([DAY, DAY]), None),
    "dates": ([DAY, DAY.astimezone(timezone(timedelta(hours=5)))], None),
    "timestamps": ([pd.Timestamp(DAY)] * 2, None),
    "seconds": ([DAY_NS // 10**9] * 2, "s"),
    "float seconds": (np.array([DAY_NS / 1e9] * 2), "s"),
    "milliseconds": (iter([DAY_NS // 10**6] * 2), "ms"),
    "microseconds": (np.array([DAY_NS // 1000] * 2), "us"),
    "nanoseconds": ((DAY_NS, DAY_NS), "ns"),
}


@pytest.mark.parametrize(("times", "unit"), AT.values(), ids=AT)
def test_rows_and_labels_of_the_past(receiver: Any, times: Any, unit: str | None) -> None:
    model = Model("m")
    times = list(times) if isinstance(times, Iterator) else times
    model.record_batch(None, [0.5, 0.5], times=iter(times) if isinstance(times, list) else times, time_unit=unit)
    model.record_labels(["a", "b"], [1, 0], times=times, time_unit=unit)
    assert calidris.flush()
    want = DAY_NS if times is not AT["datetime64 in days"][0] else DAY_NS - DAY_NS % (86_400 * 10**9)
    assert receiver.only("predict m")["span"].start_time_unix_nano == want
    assert receiver.only("feedback m")[semconv.ML_LABEL_TIME] == [want, want]
    assert runtime.notes() == {}


def test_one_row_and_one_label_of_the_past(receiver: Any) -> None:
    model = Model("m")
    with model.predict(time=DAY) as p:
        p.score = 0.5
    model.record_label("a", 1, time=DAY_NS // 10**9, time_unit="s")
    calidris.record_label("b", 1, model="m", time_ns=7)
    assert calidris.flush()
    assert receiver.only("predict m")["span"].start_time_unix_nano == DAY_NS
    assert receiver.only("feedback m")[semconv.ML_LABEL_TIME] == [DAY_NS, 7]


@pytest.mark.parametrize(
    ("times", "unit", "reason"),
    [
        ([1, 2], None, "time_without_unit"),
        (np.array([1, 2]), None, "time_without_unit"),
        (["2026-01-01", "2026-01-02"], None, "time_without_unit"),
        ([DAY.replace(tzinfo=None)] * 2, None, "time_without_zone"),
        ([DAY.date()] * 2, None, "time_without_zone"),
        ([1, 2], "minutes", "time_unit_unknown"),
    ],
)
def test_times_that_nobody_can_place_are_refused(
    receiver: Any, caplog: Any, times: Any, unit: Any, reason: str
) -> None:
    model = Model("m")
    model.record_batch(None, [0.5, 0.5], times=times, time_unit=unit)
    model.record_labels(["a", "b"], [1, 0], times=times, time_unit=unit)
    with model.predict(time=times[0], time_unit=unit) as p:
        p.score = 0.5
    receiver.settle()
    assert receiver.predictions_and_labels() == []
    assert runtime.drops() == {("m", "malformed"): 5}
    assert runtime.missing()[reason] == 5
    assert reason.replace("_", " ") in caplog.text


def test_a_row_without_a_time_is_of_now(receiver: Any) -> None:
    Model("m").record_batch(None, [0.5] * 4, times=pd.Series([pd.Timestamp(DAY), pd.NaT, None, pd.Timestamp(DAY)]))
    assert calidris.flush()
    offsets = receiver.only("predict m")[semconv.ML_PREDICTION_TIME_OFFSET]
    assert [offset == 0 for offset in offsets] == [True, False, False, True]
    assert runtime.missing() == {"time_missing": 2}


def test_a_label_that_cannot_be_read_is_a_row_that_is_dropped(receiver: Any, strings: Any) -> None:
    model = Model("m")
    unreadable = [object(), [1, 2], 10**5000, Decimal("sNaN"), {"a": 1}]
    missing = [None, float("nan"), pd.NA, pd.NaT, np.array([np.nan])]
    for label in (*unreadable, *missing):
        model.record_label("r", label)
    model.record_labels([f"r{at}" for at in range(12)], [*unreadable, *missing, 1, [0]])
    model.record_labels(["a", "b", None], np.array([0.0, np.nan, 1.0]))
    model.record_labels(["c", "d"], ["yes", "no"])
    receiver.settle()
    sent = [one for span in receiver.predictions_and_labels() for one in strings(span[semconv.ML_PREDICTION_ID])]
    assert sent == ["r10", "r11", "a", "c", "d"]
    assert runtime.drops() == {
        ("m", "unreadable"): 2 * len(unreadable),
        ("m", "missing_label"): 2 * len(missing) + 1,
        ("m", "missing_id"): 1,
    }
    assert runtime.missing() == {}


def test_every_value_that_goes_missing_is_counted(receiver: Any) -> None:
    model = Model("m", features=["a", "b"])
    for score, value in ((2.0, 1.0), (3.0, "x"), (0.5, "x"), ([0.1, 0.2, 0.3, {}], object()), (0.5, None)):
        with model.predict(features={"a": value, "b": 1}) as p:
            p.score, p.value = score, value
    assert calidris.flush()
    assert runtime.missing() == {
        "score_out_of_range": 2,
        "string_feature": 2,
        "unsupported_type": 2 + 1 + 1 + 1,
        "score_classes_unnamed": 1,
    }


def test_columns_of_one_name_are_told(receiver: Any) -> None:
    Model("m").record_batch(pd.DataFrame([[1.0, 2.0, 3.0]] * 4, columns=["a", "a", "b"]), scores=[0.5] * 4)
    assert calidris.flush()
    assert runtime.notes() == {("same_name", "a"): 4}


def test_scores_that_are_cut_off_are_counted(receiver: Any) -> None:
    Model("m").record_batch(X=[[1.0]] * 4, scores=[0.5, 1.000005, -0.00002, 1.1])
    assert calidris.flush()
    assert runtime.missing() == {"score_clipped": 2, "score_out_of_range": 1}


def test_of_a_score_that_is_no_probability_row_and_value_are_told(
    receiver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    Model("m").record_batch(None, scores=[0.5, 3.25, -7.0], ids=["a", "b", "c"])
    assert calidris.flush()
    assert "score out of range (2 so far, the first is 3.25 of the prediction b)" in caplog.text


def test_files_and_pipes_are_no_rows_and_stay_unread(receiver: Any, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    path = tmp_path / "rows.txt"
    path.write_text("0.5\n0.6\n")
    model = Model("m")
    with os.fdopen(reading) as pipe, os.fdopen(writing, "w"), path.open() as file:
        for given in (pipe, file):  # nobody writes into the pipe: to read it would wait for ever
            model.record_batch(given)
            model.record_batch([[1.0]], scores=given)
            model.record_labels(given, [1])
            model.record_labels(["a"], given)
        assert file.read() == "0.5\n0.6\n"
    calidris.flush()
    assert not receiver.predictions_and_labels()
    assert runtime.drops() == {("m", "malformed"): 8}


def test_generators_stay_what_they_are(receiver: Any) -> None:
    model = Model("m")

    @model.observe
    def plain(prompt: str) -> Iterator[int]:
        got = yield 1
        yield got
        return

    @model.observe
    async def later(prompt: str) -> AsyncIterator[int]:
        try:
            got = yield 1
            yield got
        except KeyError:
            yield 7

    assert inspect.isgeneratorfunction(plain) and inspect.isasyncgenfunction(later)
    stream = plain("a")
    assert [next(stream), stream.send(5), list(stream)] == [1, 5, []]  # type: ignore[attr-defined]
    early = plain("a")
    next(early)
    early.close()  # type: ignore[attr-defined]

    async def consume() -> list[Any]:
        found = later("a")
        thrown = later("a")
        await anext(thrown)
        return [await anext(found), await found.asend(5), await thrown.athrow(KeyError)]  # type: ignore[attr-defined]

    import asyncio

    assert asyncio.run(consume()) == [1, 5, 7]
    answer = model.observe(lambda row: (n for n in range(3)))
    assert list(answer([1])) == [0, 1, 2]
    assert calidris.flush()
    span = receiver.only("predict m")
    assert span[semconv.ML_PREDICTION_COUNT] == 5
    assert semconv.ML_PREDICTION_ERROR not in span


def test_a_handler_that_predicts_in_the_same_span_waits_for_nobody(receiver: Any, strings: Any) -> None:
    model, made = Model("m"), itertools.count()

    def handle(number: int, frame: object) -> None:
        with model.predict(features={"a": 2}):
            next(made)

    with model.predict(features={"a": 1}):
        pass  # the sending thread is there
    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        with TracerProvider().get_tracer("t").start_as_current_span("request"):
            for _ in range(1000):
                with model.predict(features={"a": 1}):
                    pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert calidris.flush()
    ids = [one for span in receiver.spans() for one in strings(span[semconv.ML_PREDICTION_ID])]
    assert len(ids) == len(set(ids)) == 1001 + next(made)


def test_rules_that_cannot_be_read_withhold_everything(receiver: Any) -> None:
    with Model("m", drop=itertools.repeat("a")).predict(features={"a": 1, "b": 2}):  # type: ignore[arg-type]
        pass
    assert calidris.flush()
    assert semconv.ML_FEATURES not in receiver.only("predict m")
    assert runtime.notes()["argument_unusable", "m: rules"] == 1


def test_the_start_says_what_is_watched_and_what_leaves(receiver: Any, caplog: Any) -> None:
    caplog.set_level("INFO")
    Model("credit", version="7", features=["age"], allow=["country"], drop=["ssn"])
    Model("other")
    (line,) = [record.message for record in caplog.records if "watching" in record.message]
    for word in (
        "'credit'",
        "version 7",
        receiver.endpoint,
        "age",
        "strings of country",
        "ssn never leaves",
        "other strings stay",
    ):
        assert word in line


def test_ids_of_every_kind_arrive_as_they_are_spelled(receiver: Any, strings: Any) -> None:
    class Key(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "another"

        def __bool__(self) -> bool:
            raise SystemExit

    model = Model("m")
    many: list[tuple[Any, list[str]]] = [
        ([0, 1, 2], ["0", "1", "2"]),
        (np.array([0, 1, 2]), ["0", "1", "2"]),
        (["a", "half \ud83d", "x" * 5000], ["a", "half ?"]),
        ([Key("k"), "b", 7], ["another", "b", "7"]),
        ([True, 2.0, -5], ["True", "2", "-5"]),
    ]
    for ids, wanted in many:
        model.record_batch(None, values=[1.0, 2.0, 3.0], ids=ids)
        assert list(calidris.last_prediction_ids()[: len(wanted)]) == wanted
        model.record_labels(ids, [0, 1, 0])
    receiver.settle()
    predictions = strings(receiver.only("predict m")[semconv.ML_PREDICTION_ID])
    assert predictions == strings(receiver.only("feedback m")[semconv.ML_PREDICTION_ID])
    assert predictions[:7] == ["0", "1", "2", "0", "1", "2", "a"]
    assert len(predictions) == 15 and len(predictions[8]) == 1024
    assert not runtime.drops()


def test_ids_that_are_none_and_numbers_that_nobody_can_write(receiver: Any, strings: Any) -> None:
    model = Model("m")
    ids = ["", None, 10**5000, 0]
    model.record_batch(None, values=[1.0, 2.0, 3.0, 4.0], ids=ids)
    made = calidris.last_prediction_ids()
    model.record_batch(None, values=[1.0, 2.0], ids=["", "b"])
    assert calidris.last_prediction_ids()[1] == "b" and len(calidris.last_prediction_ids()[0]) > 30
    with model.predict(id=""):
        pass
    assert len(calidris.last_prediction_ids()[0]) > 30
    model.record_labels(ids, [1, 1, 1, 1])
    model.record_labels(["", "b"], [1, 1])
    model.record_labels([10**5000, 0], [1, 1])
    receiver.settle()
    assert made[3] == "0" and len(set(made)) == 4
    assert strings(receiver.only("feedback m")[semconv.ML_PREDICTION_ID]) == ["0", "b", "0"]
    assert runtime.drops() == {("m", "missing_id"): 5}
    assert runtime.missing() == {"id_unreadable": 3}


def test_labels_that_are_missing_or_too_long_among_numbers(receiver: Any) -> None:
    model = Model("m")
    odd = [1.0, float("nan"), None, 2**9000, -(2**9000), True]
    model.record_labels([f"r{at}" for at in range(6)], odd)
    model.record_labels(["a", "b"], [float("inf"), float("-inf")])
    model.record_labels(["c"], ("yes",))
    receiver.settle()
    assert runtime.drops() == {("m", "missing_label"): 2, ("m", "unreadable"): 2}


SLICED: dict[str, Any] = {
    "list": [41, 2100.5, "north"],
    "list of a list": [[41, 2100.5, "north"]],
    "tuple": (41, 2100.5, "north"),
    "mapping": {"age": 41, "income": 2100.5, "region": "north"},
    "mapping in another order": {"region": "north", "income": 2100.5, "age": 41},
    "objects": np.array([41, 2100.5, "north"], dtype=object),
}


@pytest.mark.parametrize("row", SLICED.values(), ids=SLICED)
@pytest.mark.parametrize("given", [None, {"region": "south"}])
def test_slices_that_are_features_or_given_apart(receiver: Any, row: Any, given: Any, strings: Any) -> None:
    model = Model("m", features=["age", "income", "region"], slices=["region"], allow=["region"])
    with model.predict(row, slices=given) as p:
        p.score = 0.5
    receiver.settle()
    span = receiver.only("predict m")
    assert span[semconv.ML_FEATURES]["age"] == [41.0]
    assert span[semconv.ML_FEATURES]["region"] == ["north"]
    assert span[semconv.ML_SLICES] == {"region": ["north" if given is None else "south"]}


def test_a_slice_that_a_row_by_place_does_not_have(receiver: Any) -> None:
    model = Model("m", features=["age", "income"], slices=["region", "age"])
    with model.predict([41, 2100.5]) as p:
        p.score = 0.5
    receiver.settle()
    span = receiver.only("predict m")
    assert span[semconv.ML_FEATURES] == WANT
    assert span[semconv.ML_SLICES]["age"] == ["41"]


def test_a_container_behind_a_plain_value_is_unpacked(receiver: Any) -> None:
    model = Model("m", features=["age", "income"])
    for row in ([41, [2100.5]], (41, np.array([2100.5])), {"age": 41, "income": [2100.5]}):
        with model.predict(row) as p:
            p.score = 0.5
    receiver.settle()
    assert receiver.only("predict m")[semconv.ML_FEATURES] == {"age": [41.0] * 3, "income": [2100.5] * 3}
