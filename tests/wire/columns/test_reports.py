"""Spans that say what their sender left out: read whole or refused whole, never a row, never a name we would not show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from calidris.wire import holds_model_telemetry
from calidris.wire.columns.reports import MAX_REASONS

DROPPED, WITHHELD = "ml.report.rows_dropped", "ml.report.values_withheld"
EMPTY = {"ml.prediction.count": 0}


def report(wire: Any, told: dict[str, Any], model: dict[str, Any] | None = None, **fields: Any) -> Any:
    model = {"ml.model.name": "credit"} if model is None else model
    return wire.span({**EMPTY, **told}, model=model, name="report credit", **fields)


@pytest.mark.parametrize("written", [dict, json.dumps])
def test_a_report_is_read_from_a_map_and_from_json(wire: Any, written: Any) -> None:
    told = {DROPPED: written({"queue_full": 512, "exit": 0}), WITHHELD: written({"not_a_number": 3})}
    decoded = wire.decode(report(wire, told), wire.span({"ml.prediction.score": 0.5}))
    (found,) = decoded.reports
    assert (found.model, dict(found.dropped), dict(found.withheld)) == (
        "credit",
        {"queue_full": 512},
        {"not_a_number": 3},
    )
    assert (decoded.rows, decoded.ignored, decoded.rejected, decoded.used) == (1, 0, {}, 2)


def test_either_map_may_be_absent_and_so_may_the_count(wire: Any) -> None:
    spans = [wire.span({key: {"x": 1}}, model={}, name="report") for key in (DROPPED, WITHHELD)]
    decoded = wire.decode(*spans)
    assert [(r.model, dict(r.dropped), dict(r.withheld)) for r in decoded.reports] == [
        ("", {"x": 1}, {}),
        ("", {}, {"x": 1}),
    ]


def test_the_resource_names_the_model(wire: Any) -> None:
    (found,) = wire.decode(report(wire, {DROPPED: {"x": 1}}, {}), resource={"ml.model.name": "churn"}).reports
    assert found.model == "churn"


def test_many_alike_are_read_like_one(wire: Any) -> None:
    """Eight spans that are alike are read a column at a time."""
    for told in ({"ml.prediction.count": 0}, {}):
        spans = [wire.span({**told, DROPPED: {"a": n, "b": 1, "c": 2}}, name="report credit") for n in range(1, 21)]
        assert [r.dropped["a"] for r in wire.decode(*spans).reports] == list(range(1, 21))


def test_a_reason_that_cannot_be_shown_is_counted_as_other(wire: Any) -> None:
    odd = {"queue_full": 1, "Queue Full": 2, "ünï": 4, "x" * 65: 8, "": 16, "a\x1b[31m": 32}
    (found,) = wire.decode(report(wire, {DROPPED: odd})).reports
    assert dict(found.dropped) == {"queue_full": 1, "other": 62}


def test_reasons_are_few_and_no_number_is_lost(wire: Any) -> None:
    (found,) = wire.decode(report(wire, {DROPPED: {f"r{n}": 1 for n in range(1000)}})).reports
    assert len(found.dropped) == MAX_REASONS + 1 and found.dropped["other"] == 1000 - MAX_REASONS


@pytest.mark.parametrize(
    "told",
    [
        {DROPPED: 5},
        {DROPPED: "[1]"},
        {DROPPED: "{"},
        {DROPPED: {"x": -1}},
        {DROPPED: {"x": 1.5}},
        {DROPPED: {"x": True}},
        {DROPPED: {"x": "3"}},
        {DROPPED: '{"x": 1e300}'},
        {DROPPED: {"x": 1 << 60}},
        {DROPPED: {"x": 1}, "ml.prediction.count": 3},
        {DROPPED: {"x": 1}, "ml.prediction.count": "0"},
        {DROPPED: {"x": {"y": {"z": 1}}}},
        {DROPPED: {"f64": b"12345678"}},
    ],
)
def test_a_bad_report_costs_only_itself(wire: Any, told: dict[str, Any]) -> None:
    good = report(wire, {WITHHELD: {"x": 7}})
    decoded = wire.decode(report(wire, told), good, wire.span({"ml.prediction.score": 0.5}))
    assert sum(decoded.rejected.values()) == 1 and decoded.message
    assert (decoded.rows, [dict(r.withheld) for r in decoded.reports]) == (1, [{"x": 7}])


def test_a_request_of_nothing_but_a_nameless_report_is_ours(wire: Any) -> None:
    assert holds_model_telemetry(wire.request(wire.span({WITHHELD: {"x": 1}}, model={}, name="report")))
