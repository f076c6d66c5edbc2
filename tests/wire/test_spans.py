"""Which span is what, of which model, and when."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from calidris.wire import decode, holds_model_telemetry

SECOND = 10**9
DAY = 86_400 * SECOND
SCORE = {"ml.prediction.score": 0.5}


def test_other_spans_and_marks_are_ignored(wire: Any) -> None:
    decoded = wire.decode(
        wire.span({"http.route": "/", "error.type": "500"}, model={}, name="GET /"),
        wire.span({}, model={}, name="predict the weather"),
        wire.span({"ml.model.version": "3"}, model={}),
        wire.span({"ml.prediction.count": 0}),
        wire.span({"ml.prediction.count": 0}, model={}),
        wire.span(SCORE),
    )
    assert (decoded.spans, decoded.ignored, decoded.rows, decoded.rejected) == (6, 5, 1, {})


def test_a_name_and_its_resource_make_a_model_span(wire: Any) -> None:
    resource = {"ml.model.name": "credit", "ml.model.version": "9", "ml.model.task": "binary"}
    decoded = wire.decode(
        wire.span({}, model={}), wire.span({}, model={}, name="GET /"), wire.span(SCORE, model={}), resource=resource
    )
    assert (decoded.ignored, decoded.rows) == (1, 2)
    assert {(item.model, item.task) for item in decoded.items} == {(("default", "credit", "9"), "binary")}


def test_the_span_goes_before_its_resource(wire: Any) -> None:
    batch = wire.one(wire.span(SCORE), resource={"ml.model.name": "other", "ml.model.version": "1"})
    assert batch.model == ("default", "credit", "7")


@pytest.mark.parametrize(("sent", "kept"), [(None, "unknown"), ("", "unknown"), ("2026-01", "2026-01"), (7, "7")])
def test_versions(wire: Any, sent: Any, kept: str) -> None:
    batch = wire.one(wire.span(SCORE, model={"ml.model.name": "credit", "ml.model.version": sent}))
    assert batch.model.version == kept


@pytest.mark.parametrize(("sent", "kept"), [("binary", "binary"), ("classification", None), (5, None), ([], None)])
def test_tasks(wire: Any, sent: Any, kept: Any) -> None:
    assert wire.one(wire.span({**SCORE, "ml.model.task": sent})).task == kept


def test_models_and_schemas_of_a_request_are_told_apart(wire: Any) -> None:
    decoded = wire.decode(
        wire.span({"ml.features": {"a": 1.0, "b": 2.0}}),
        wire.span({"ml.features": {"a": 1.0}}),
        wire.span({"ml.features": '{"b": 4, "a": 3}'}),
        wire.span({"ml.features": {"a": 5.0, "b": 6.0}}, model={"ml.model.name": "churn"}),
        wire.span({"ml.label": 1, "ml.prediction.id": "x"}, name="feedback credit"),
        wire.span({"ml.prediction.count": 2, "ml.features": {"a": [5.0, 6.0], "b": [7.0, 8.0]}}),
        wire.span({"ml.label": "late", "ml.prediction.id": 7}, name="feedback credit"),
    )
    assert decoded.message == ""
    found = [
        (item.model.name, wire.plain(item)["features"])
        if hasattr(item, "model")
        else (item.ids, wire.plain(item)["label"])
        for item in decoded.items
    ]
    assert found == [
        ("credit", {"a": [1.0, 3.0, 5.0, 6.0], "b": [2.0, 4.0, 7.0, 8.0]}),
        ("credit", {"a": [1.0]}),
        ("churn", {"a": [5.0], "b": [6.0]}),
        (["x"], [1.0]),
        (["7"], ["late"]),
    ]
    assert (decoded.rows, decoded.labels) == (6, 2)


@pytest.mark.parametrize(
    ("start_ns", "kept_ns", "clamped"),
    [(0, 0, 0), (-SECOND, -SECOND, 0), (60 * SECOND, 60 * SECOND, 0), (61 * SECOND, 0, 1), (-31 * DAY, -30 * DAY, 1)],
)
def test_times_are_clamped_against_the_arrival(wire: Any, start_ns: int, kept_ns: int, clamped: int) -> None:
    start = {"start_time_unix_nano": wire.now_ns + start_ns}
    decoded = wire.decode(wire.span(SCORE, **start), wire.span({"ml.label": 1, "ml.prediction.id": "a"}, **start))
    assert decoded.items[0].event_time_ns.tolist() == [wire.now_ns + kept_ns]
    assert decoded.items[1].label_time_ns.tolist() == [wire.now_ns + kept_ns]
    assert decoded.clamped == 2 * clamped


@pytest.mark.parametrize("start", [0, 1, 2**63, 2**64 - 1])
def test_impossible_starts(wire: Any, start: int) -> None:
    decoded = wire.decode(wire.span(SCORE, start_time_unix_nano=start))
    (time,) = decoded.items[0].event_time_ns.tolist()
    assert time == (wire.now_ns - 30 * DAY if start == 1 else wire.now_ns)
    assert decoded.clamped == (start != 0)


def test_offsets_are_exact_and_cannot_overflow(wire: Any) -> None:
    offsets = [-1, None, 2**63 - 1, -(2**63)]
    decoded = wire.decode(wire.span({"ml.prediction.count": 4, "ml.prediction.time_offset": offsets}))
    now = wire.now_ns
    assert decoded.items[0].event_time_ns.tolist() == [now - 1, now, now, now - 30 * DAY]
    assert decoded.clamped == 2


def test_label_times_are_exact(wire: Any) -> None:
    times = [wire.now_ns - 1, None]
    label = {"ml.prediction.count": 2, "ml.label": [True, None], "ml.prediction.id": [1, 2], "ml.label.time": times}
    batch = wire.one(wire.span(label))
    assert batch.label_time_ns.tolist() == [wire.now_ns - 1, wire.now_ns]
    assert batch.untimed is not None and batch.untimed.tolist() == [False, True]
    assert (batch.ids, wire.plain(batch)["label"]) == (["1", "2"], [1.0, None])


def test_a_one_row_span_lasts_as_long_as_its_span(wire: Any) -> None:
    end = wire.now_ns + SECOND // 2
    batch = wire.one(
        wire.span(SCORE, end_time_unix_nano=end),
        wire.span(SCORE, end_time_unix_nano=5),
        wire.span(SCORE, end_time_unix_nano=end, start_time_unix_nano=0),
    )
    assert wire.plain(batch)["duration_s"] == [0.5, None, None]
    assert wire.one(wire.span({**SCORE, "ml.prediction.duration": 0.25}, end_time_unix_nano=end)).duration_s.values == [
        0.25
    ]
    packed = wire.one(wire.span({"ml.prediction.count": 2, "ml.prediction.score": [0.1, 0.2]}, end_time_unix_nano=end))
    assert packed.duration_s is None


def test_errors(wire: Any) -> None:
    failed = {"status": Status(code=Status.STATUS_CODE_ERROR)}
    two = {"ml.prediction.count": 2, "ml.prediction.score": [0.1, 0.2]}

    def error(*spans: Any) -> Any:
        return wire.plain(wire.one(*spans))["error"]

    assert error(wire.span(SCORE)) is None
    assert error(wire.span(SCORE), wire.span(SCORE, **failed)) == [None, "_OTHER"]
    assert error(wire.span({**SCORE, "error.type": "Timeout"}, **failed)) == ["Timeout"]
    assert error(wire.span({**two, "error.type": "Timeout"})) == ["Timeout", "Timeout"]
    assert error(wire.span({**two, "ml.prediction.error": ["", "Timeout"]}, **failed)) == [None, "Timeout"]


def test_trace_ids(wire: Any) -> None:
    trace_id = bytes(range(16))
    two = {"ml.prediction.count": 2, "ml.prediction.score": [0.1, 0.2]}
    own = wire.one(wire.span(SCORE, trace_id=trace_id), wire.span(SCORE, trace_id=bytes(16)))
    assert own.trace_ids.strings() == [trace_id.hex(), None]
    assert wire.one(wire.span(two, trace_id=trace_id)).trace_ids.strings() == [trace_id.hex()] * 2
    assert wire.one(wire.span({**two, "ml.prediction.trace_id": ["a", "b"]})).trace_ids.strings() == ["a", "b"]
    assert wire.one(wire.span(two)).trace_ids is None


def test_names_may_hold_anything(wire: Any) -> None:
    names = ["", "ä\x00\n\x1b", "a.b", "x" * 1024, "f64", "levels", "🐦"]
    batch = wire.one(wire.span({"ml.features": {name: float(n) for n, name in enumerate(names)}}))
    assert wire.plain(batch)["features"] == {name: [float(n)] for n, name in enumerate(names)}


def test_the_same_bytes_give_the_same_batches(wire: Any) -> None:
    raw = wire.request(*[wire.span({"ml.features": f'{{"x": {n}}}', "ml.prediction.id": n}) for n in range(20)])
    first, second = (decode(raw, tenant="t", arrival_ns=wire.now_ns) for _ in range(2))
    assert [wire.plain(item) for item in first.items] == [wire.plain(item) for item in second.items]


def test_a_cheap_look_never_misses_ours(wire: Any) -> None:
    assert not holds_model_telemetry(
        wire.request(wire.span({"http.route": "/index.html.de"}, model={}, name="predict x"))
    )
    for attributes in (SCORE, {"ml.features.x": 1}, {"ml.slices": {}}, {"ml.label": 1}, {"ml.model.name": "a"}):
        assert holds_model_telemetry(wire.request(wire.span(attributes, model={})))
