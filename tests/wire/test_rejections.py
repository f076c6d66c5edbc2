"""What is refused, why, and that its neighbours are kept."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from calidris.wire import CURES, WireLimits, decode

TWO = {"ml.prediction.count": 2}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("missing_model_name", {"ml.model.name": "", "ml.prediction.score": 0.5}),
    ("missing_model_name", {"ml.model.name": None, "ml.features": {"x": 1.0}}),
    ("wrong_type", {"ml.model.name": [1, 2]}),
    ("wrong_type", {"ml.model.version": True}),
    ("wrong_type", {"ml.model.name": {"f64": bytes(16)}}),
    ("too_long", {"ml.model.name": "x" * 2000}),
    ("bad_count", {"ml.prediction.count": -1}),
    ("bad_count", {"ml.prediction.count": "2"}),
    ("bad_count", {"ml.prediction.count": 2.0}),
    ("bad_count", {"ml.prediction.count": True}),
    ("too_many_rows", {"ml.prediction.count": 65_537, "ml.prediction.score": 0.5}),
    ("unequal_length", {"ml.prediction.count": 60_000}),
    ("unequal_length", {**TWO, "ml.features": {}}),
    ("unequal_length", {**TWO, "ml.features": {"x": [1.0, 2.0], "y": [1.0]}}),
    ("unequal_length", {**TWO, "ml.features": {"x": [1.0, 2.0]}, "ml.prediction.score": 0.5}),
    ("unequal_length", {**TWO, "ml.features": {"x": None}}),
    ("unequal_length", {**TWO, "ml.features": '{"x": null, "y": [1, 2]}'}),
    ("unequal_length", {**TWO, "ml.features": {"x": {"f64": bytes(24)}}}),
    ("unequal_length", {"ml.features": {"x": [1.0, 2.0]}}),
    ("unequal_length", {"ml.features": {"x": []}}),
    ("unequal_length", {"ml.features": {"x": {"f64": bytes(16)}}}),
    ("unequal_length", {"ml.features": '{"x": [1, 2]}'}),
    ("wrong_type", {"ml.features": 5}),
    ("wrong_type", {"ml.features": [1.0]}),
    ("wrong_type", {"ml.features": "[1]"}),
    ("wrong_type", {"ml.features": {"f64": bytes(8)}}),
    ("wrong_type", {"ml.features": b"\x00"}),
    ("wrong_type", {"ml.features": {"x": {"y": {"z": 1.0}}}}),
    ("wrong_type", {"ml.features": '{"x": {"y": 1}}'}),
    ("wrong_type", {"ml.features": {"x": [[1.0, 2.0]]}}),
    ("wrong_type", {"ml.features": {"x": b"\x00"}}),
    ("wrong_type", {**TWO, "ml.features": {"x": [1.0, "a"]}}),
    ("wrong_type", {**TWO, "ml.features": '{"x": [1, "a"]}'}),
    ("wrong_type", {**TWO, "ml.features": "5"}),
    ("wrong_type", {"ml.prediction.value": "high"}),
    ("wrong_type", {"ml.prediction.id": 1.5}),
    ("wrong_type", {"ml.prediction.id": True}),
    ("wrong_type", {**TWO, "ml.prediction.id": {"f64": bytes(16)}}),
    ("wrong_type", {"ml.prediction.time_offset": "soon"}),
    ("score_out_of_range", {"ml.prediction.score": 1.1}),
    ("score_out_of_range", {**TWO, "ml.prediction.score": [0.5, -0.1]}),
    ("score_out_of_range", {"ml.prediction.score": {"a": 1.5, "b": 0.5}}),
    ("bad_weight", {"ml.prediction.weight": 0.0}),
    ("bad_json", {"ml.features": '{"x": 1'}),
    ("bad_json", {"ml.features": '{"x": 1}, {"x": 2}'}),
    ("bad_json", {**TWO, "ml.features": '{"x": [1, 2]'}),
    ("bad_json", {**TWO, "ml.features": {"x": "[1, 2"}}),
    ("bad_json", {"ml.prediction.score": "high"}),
    ("bad_packed_bytes", {**TWO, "ml.features": {"x": {"f64": bytes(17)}}}),
    ("bad_packed_bytes", {**TWO, "ml.features": {"x": {"levels": ["a"], "codes": struct.pack("<2i", 0, 1)}}}),
    ("bad_packed_bytes", {**TWO, "ml.features": {"x": {"levels": ["a"], "codes": struct.pack("<2i", 0, -2)}}}),
    ("bad_packed_bytes", {**TWO, "ml.features": {"x": {"levels": [1], "codes": struct.pack("<2i", 0, 0)}}}),
    ("bad_packed_bytes", {**TWO, "ml.features": {"x": {"levels": ["a"], "codes": bytes(7)}}}),
    ("too_many_features", {"ml.features": {f"x{n}": 1.0 for n in range(2001)}}),
    ("too_many_features", {**TWO, "ml.features": {f"x{n}": [1.0, 2.0] for n in range(2001)}}),
    ("too_long", {"ml.features": {"x" * 1025: 1.0}}),
    ("too_long", {"ml.features": {"x": "a" * 1025}}),
    ("too_long", {"ml.prediction.id": "a" * 1025}),
    ("missing_id", {"ml.label": 1}),
    ("missing_id", {"ml.label": 1, "ml.prediction.id": None}),
    ("missing_id", {**TWO, "ml.label": [1, 0], "ml.prediction.id": ["a", ""]}),
    ("label_with_prediction", {"ml.label": 1, "ml.prediction.id": "a", "ml.prediction.score": 0.5}),
    ("unequal_length", {**TWO, "ml.label": [1, 0], "ml.prediction.id": ["a", "b", "c"]}),
]


@pytest.mark.parametrize(("reason", "attributes"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_one_bad_span_costs_only_itself(wire: Any, reason: str, attributes: dict[str, Any]) -> None:
    good = {"ml.prediction.id": "a", "ml.prediction.score": 0.5, "ml.features": '{"x": 1.5}'}
    packed = {
        **TWO,
        "ml.prediction.id": ["b", "c"],
        "ml.prediction.score": [0.1, 0.2],
        "ml.features": {"x": [1.0, 2.0]},
    }
    neighbours = [wire.span(good), wire.span(packed)]
    decoded = wire.decode(neighbours[0], wire.span(attributes), neighbours[1])
    assert (decoded.rejected, decoded.spans) == ({reason: 1}, 3), decoded.message
    assert (decoded.rows, decoded.ignored) == (3, 0)
    assert wire.plain(decoded.items[0])["features"] == {"x": [1.5, 1.0, 2.0]}
    assert decoded.message.startswith("span 1 'predict credit'") and CURES[reason] in decoded.message


@pytest.mark.parametrize(
    ("reason", "key", "bad", "good"),
    [
        ("score_out_of_range", "ml.prediction.score", 1.5, 0.5),
        ("bad_weight", "ml.prediction.weight", -1.0, 1.0),
        ("wrong_type", "ml.prediction.value", "high", 1.0),
        ("wrong_type", "ml.prediction.id", 1.5, "a"),
        ("wrong_type", "ml.features.x", b"x", 1.0),
        ("wrong_type", "ml.features.x", {"y": b"x"}, 1.0),
        ("too_long", "ml.slices.x", "x" * 2000, "a"),
        ("bad_json", "ml.features", '{"x": 1', '{"x": 1}'),
        ("unequal_length", "ml.features", '{"x": [1, 2]}', '{"x": 1}'),
        ("wrong_type", "ml.features", '{"x": {}}', '{"x": 1}'),
    ],
)
def test_one_bad_row_of_a_table_costs_only_itself(wire: Any, reason: str, key: str, bad: Any, good: Any) -> None:
    spans = [wire.span({key: good}) for _ in range(5)]
    decoded = wire.decode(*spans[:2], wire.span({key: bad}), *spans[2:])
    assert (decoded.rejected, decoded.rows, len(decoded.items)) == ({reason: 1}, 5, 1)
    assert decoded.message.startswith("span 2 'predict credit': ")


def test_a_feedback_span_needs_a_label(wire: Any) -> None:
    assert wire.decode(wire.span({"ml.prediction.id": "a"}, name="feedback credit")).rejected == {"missing_label": 1}


def test_too_many_levels(wire: Any) -> None:
    rows = 10_001
    column = {"x": [str(row) for row in range(rows)]}
    assert wire.decode(wire.span({"ml.prediction.count": rows, "ml.features": column})).rejected == {
        "too_many_levels": 1
    }


def test_limits_are_arguments(wire: Any) -> None:
    raw = wire.request(wire.span({**TWO, "ml.prediction.score": [0.1, 0.2]}))
    decoded = decode(raw, tenant="t", arrival_ns=wire.now_ns, limits=WireLimits(max_rows=1))
    assert decoded.rejected == {"too_many_rows": 1}


def test_too_many_models_schemas_and_tables_in_a_request(wire: Any) -> None:
    few = WireLimits(max_models=3, max_schemas=4, max_tables=2)

    def rejected(*spans: Any) -> tuple[int, dict[str, int]]:
        decoded = decode(wire.request(*spans), tenant="t", arrival_ns=wire.now_ns, limits=few)
        return decoded.rows + decoded.labels, dict(decoded.rejected)

    scored = {"ml.prediction.score": 0.5}
    names = ["a", "b", 1, "c", "a", 1, 2.0, "b"]
    assert rejected(*(wire.span({"ml.model.name": name, **scored}) for name in names)) == (6, {"too_many_models": 2})
    versions = [wire.span({"ml.model.version": str(i % 5), **scored}) for i in range(10)]
    assert rejected(*versions) == (6, {"too_many_models": 4})
    sets = [wire.span({"ml.features": {f"x{i % 6}": 1.0}}) for i in range(12)]
    assert rejected(*sets) == (8, {"too_many_schemas": 4})
    packed = [wire.span({**TWO, "ml.prediction.score": [0.1, 0.2]}) for _ in range(5)]
    assert rejected(*packed) == (4, {"too_many_tables": 3})


def test_both_lengths_are_in_the_message(wire: Any) -> None:
    decoded = wire.decode(wire.span({**TWO, "ml.features": {"age": [1.0, 2.0, 3.0]}}))
    assert decoded.message == (
        "span 0 'predict credit': ml.features 'age': 3 rows, ml.prediction.count is 2; "
        "send one value per row in every column"
    )


@pytest.mark.parametrize("others", [{}, {"a": 1.0, "b": 2.0}])
def test_the_path_names_attribute_and_column(wire: Any, others: dict[str, Any]) -> None:
    decoded = wire.decode(wire.span({"ml.features": {**others, "age": [[1.0]]}}))
    assert decoded.message.startswith("span 0 'predict credit': ml.features")
    assert decoded.message.count("ml.features") == 1 and "'age'" in decoded.message


def test_a_rounding_error_costs_no_row_and_is_counted(wire: Any) -> None:
    scores = struct.pack("<4d", 1.0000001, -0.0001, 0.5, 1.0001)
    decoded = wire.decode(wire.span({"ml.prediction.count": 4, "ml.prediction.score": {"f64": scores}}))
    assert (decoded.message, decoded.rows, decoded.clipped) == ("", 4, 3)
    assert decoded.items[0].score.values.tolist() == [1.0, 0.0, 0.5, 1.0]


def test_the_row_of_a_score_and_its_value_are_named(wire: Any) -> None:
    scores = struct.pack("<4d", 0.1, 0.2, 1.25, 0.4)
    decoded = wire.decode(wire.span({"ml.prediction.count": 4, "ml.prediction.score": {"f64": scores}}))
    assert decoded.rejected == {"score_out_of_range": 1}
    assert "ml.prediction.score: row 3 of 4: 1.25 lies outside [0, 1]" in decoded.message


def test_messages_show_three_and_count_the_rest(wire: Any) -> None:
    decoded = wire.decode(*[wire.span({"ml.prediction.score": 2.0})] * 10)
    assert decoded.message.count("\n") == 3 and decoded.message.endswith("and 7 more")
    assert decoded.rejected == {"score_out_of_range": 10}


@pytest.mark.parametrize("hostile", ["\x1b[31m", "\x00", "\n<script>", "\u202e", "x" * 1000])
def test_strings_of_the_wire_are_never_shown_raw(wire: Any, hostile: str) -> None:
    decoded = wire.decode(
        wire.span({"ml.prediction.value": hostile}, name=hostile),
        wire.span({**TWO, "ml.features": {hostile: [1.0]}}),
        wire.span({"ml.features": {hostile: {"f64": bytes(7)}}}),
    )
    assert sum(decoded.rejected.values()) == 3
    messages = [decoded.message]
    for attributes in (
        {f"ml.features.{hostile}": b"x"},
        {f"ml.features.{hostile}": {"levels": [1], "codes": b""}},
        {"ml.features": '{"' + hostile.replace("\n", "").replace("\x1b", "").replace("\x00", "") + '": {}}'},
        {"ml.features": {hostile: [1.0, 2.0]}},
        {"ml.model.name": [hostile]},
        {"ml.prediction.count": hostile},
    ):
        decoded = wire.decode(wire.span(attributes))
        assert sum(decoded.rejected.values()) == 1
        messages += decoded.message.split("\n")
    assert all(line.isprintable() and len(line) < 400 for message in messages for line in message.split("\n"))


def test_one_row_spans_with_different_kinds_are_kept_apart(wire: Any) -> None:
    cells = [1.0, None, "a", True, "b"]
    decoded = wire.decode(
        *[wire.span({"ml.features": {"x": cell}, "ml.prediction.id": str(n)}) for n, cell in enumerate(cells)]
    )
    assert decoded.message == ""
    assert [(item.ids, wire.plain(item)["features"]["x"]) for item in decoded.items] == [
        (["0", "1", "3"], [1.0, None, 1.0]),
        (["2", "4"], ["a", "b"]),
    ]


def test_a_column_without_values_goes_with_either_kind(wire: Any) -> None:
    empty = wire.span({**TWO, "ml.features": {"x": [None, None]}})
    for column in (["a", None], [1.0, 2.0]):
        other = wire.span({**TWO, "ml.features": {"x": column}})
        assert wire.plain(wire.one(empty, other))["features"]["x"] == [None, None, *column]


def test_many_faults_in_one_table_are_found_in_one_pass(wire: Any) -> None:
    rows = 40
    spans = [
        wire.span({"ml.features": {f"x{n}": [1.0, 2.0] if n == row else 1.0 for n in range(rows)}})
        for row in range(rows)
    ]
    good = wire.span({"ml.features": {f"x{n}": 1.0 for n in range(rows)}})
    decoded = wire.decode(*spans, good)
    assert (decoded.rejected, decoded.rows) == ({"unequal_length": rows}, 1)
