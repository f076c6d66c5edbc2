"""Vectors on the wire: both forms, what is refused and at what cost, and how spans that differ go together."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calidris.wire import WireLimits, decode

NAN, INFINITY = float("nan"), float("inf")


def packed(*rows: list[float], dim: Any = None) -> dict[str, Any]:
    return {"f32": np.array(rows, "<f4").tobytes(), "dim": len(rows[0]) if dim is None else dim}


def wide(wire: Any, text: Any, rows: int = 2) -> Any:
    return wire.span({"ml.prediction.count": rows, "ml.features": {"text": text}})


def one_row(wire: Any, text: Any, **rest: Any) -> Any:
    return wire.span({"ml.features": {"text": text, **rest}})


def embeddings(wire: Any, batch: Any) -> Any:
    return wire.plain(batch)["embeddings"]


def test_several_rows(wire: Any) -> None:
    whole = {"text": [[1.0, 2.5], [3.0, 4.0]]}
    assert embeddings(wire, wire.one(wide(wire, packed([1, 2.5], [3, 4])))) == whole
    in_json = {"ml.prediction.count": 2, "ml.features": '{"age": [1, 2], "text": [[1, 2.5], [3, 4]]}'}
    batch = wire.one(wire.span(in_json))
    assert (embeddings(wire, batch), list(batch.features)) == (whole, ["age"])
    single = {"ml.prediction.count": 2, "ml.features.text": packed([1, 2.5], [3, 4])}
    assert embeddings(wire, wire.one(wire.span(single))) == whole
    as_string = {"ml.prediction.count": 2, "ml.features.text": "[[1, 2.5], [3, 4]]"}
    assert embeddings(wire, wire.one(wire.span(as_string))) == whole


@pytest.mark.parametrize("features", [{"text": packed([1, 2.5])}, '{"text": [[1, 2.5]]}'])
def test_one_row(wire: Any, features: Any) -> None:
    assert embeddings(wire, wire.one(wire.span({"ml.features": features}))) == {"text": [[1.0, 2.5]]}


def test_packed_and_json_rows_and_missing_ones_become_one_batch(wire: Any) -> None:
    spans = [
        one_row(wire, packed([1, 2])),
        wire.span({"ml.features": '{"text": [[3, 4]]}'}),
        wire.span({"ml.features": '{"text": null}'}),
        wire.span({"ml.features": '{"text": [null]}'}),
        wide(wire, packed([5, 6], [NAN, 6])),
        wide(wire, [None, None]),
    ]
    want = [[1.0, 2.0], [3.0, 4.0], None, None, [5.0, 6.0], None, None, None]
    assert embeddings(wire, wire.one(*spans)) == {"text": want}


def test_what_is_not_finite_is_a_missing_row(wire: Any) -> None:
    in_json = '{"text": [[1, 2], [1e300, 0], [null, 1], [1, NaN]]}'
    decoded = wire.decode(
        wide(wire, packed([1, INFINITY], [NAN, NAN], [1, 2]), 3),
        wire.span({"ml.prediction.count": 4, "ml.features": in_json}),
        one_row(wire, packed([INFINITY, 1])),
    )
    assert (decoded.message, decoded.non_finite) == ("", 3)
    (batch,) = decoded.items
    assert batch.embeddings["text"].valid.sum() == 2


def test_spans_that_differ_stay_apart(wire: Any) -> None:
    decoded = wire.decode(
        one_row(wire, packed([1, 2])),
        one_row(wire, packed([1, 2, 3])),
        one_row(wire, 7.0),
        one_row(wire, "a"),
        one_row(wire, packed([3, 4])),
        wide(wire, packed([1, 2, 3], [4, 5, 6])),
    )
    assert (decoded.message, decoded.rows, len(decoded.items)) == ("", 7, 4)
    found = {item.embeddings["text"].dimension: len(item) for item in decoded.items if item.embeddings}
    assert found == {2: 2, 3: 3}


REFUSED = {
    "dim 0": (packed([1, 2], [3, 4], dim=0), "bad_embedding"),
    "dim -1": (packed([1, 2], [3, 4], dim=-1), "bad_embedding"),
    "dim 4097": (packed([0.0] * 4097, [0.0] * 4097), "bad_embedding"),
    "dim 2**62, no bytes": ({"f32": b"", "dim": 2**62}, "bad_embedding"),
    "dim in words": (packed([1, 2], [3, 4], dim="2"), "bad_embedding"),
    "dim that does not fit": (packed([1, 2], [3, 4], dim=3), "bad_packed_bytes"),
    "too few rows": (packed([1, 2]), "unequal_length"),
    "doubles": ({"f64": bytes(32), "dim": 2}, "wrong_type"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_bad_embedding_costs_its_span_and_no_other(wire: Any, text: Any, reason: str) -> None:
    decoded = wire.decode(wide(wire, packed([1, 2], [3, 4])), wide(wire, text), wide(wire, packed([5, 6], [7, 8])))
    assert (decoded.rejected, decoded.rows) == ({reason: 1}, 4)
    assert "text" in decoded.message or reason != "bad_embedding"


@pytest.mark.parametrize(
    "text",
    ["[[1, 2], [3]]", "[[1, 2], 3]", '[[1, 2], ["a", "b"]]', "[[1, 2], [[3], [4]]]", "[[], []]", "[[1], {}]",
     f"[{[0] * 4097}, {[0] * 4097}]"],
)  # fmt: skip
def test_bad_json_embeddings(wire: Any, text: str) -> None:
    bad = wire.span({"ml.prediction.count": 2, "ml.features": f'{{"text": {text}}}'})
    decoded = wire.decode(bad, wide(wire, packed([1, 2], [3, 4])))
    assert (decoded.rejected, decoded.rows) == ({"bad_embedding": 1}, 2)


@pytest.mark.parametrize("text", ['[["a"]]', "[[]]", "[[1, 2], [3, 4]]", "[1, 2]", "[[[1]]]", f"[{[0] * 4097}]"])
def test_bad_one_row_embeddings_among_good_ones(wire: Any, text: str) -> None:
    good = [one_row(wire, packed([1, 2])), wire.span({"ml.features": '{"text": [[1, 2]]}'}), one_row(wire, None)]
    bad = wire.span({"ml.features": f'{{"text": {text}}}'})
    for spans in ([bad, *good], [*good, bad]):
        decoded = wire.decode(*spans)
        assert (sum(decoded.rejected.values()), decoded.rows, len(decoded.items)) == (1, 3, 1)


def test_a_packed_embedding_of_two_rows_is_no_row(wire: Any) -> None:
    decoded = wire.decode(one_row(wire, packed([1, 2], [3, 4])), one_row(wire, packed([1, 2])))
    assert (decoded.rejected, decoded.rows) == ({"bad_embedding": 1}, 1)


ELSEWHERE = ["ml.slices", "ml.prediction.score", "ml.prediction.class", "ml.prediction.value", "ml.prediction.id",
             "ml.prediction.time_offset", "ml.prediction.duration", "ml.prediction.error", "ml.label", "error.type",
             "ml.features", "ml.model.name", "ml.prediction.count"]  # fmt: skip


@pytest.mark.parametrize("key", ELSEWHERE)
@pytest.mark.parametrize("rows", [1, 2])
def test_embeddings_are_features_and_nothing_else(wire: Any, key: str, rows: int) -> None:
    vectors = packed([1, 2]) if rows == 1 else packed([1, 2], [3, 4])
    attributes = {"ml.prediction.count": rows, key: {"x": vectors} if key == "ml.slices" else vectors}
    if key == "ml.label":
        attributes["ml.prediction.id"] = ["a", "b"][:rows]
    decoded = wire.decode(wire.span(attributes), wire.span({"ml.prediction.score": 0.5}))
    assert (sum(decoded.rejected.values()), decoded.rows) == (1, 1)


def test_a_span_holds_so_many_numbers_in_embeddings(wire: Any) -> None:
    raw = wire.request(
        wire.span({"ml.prediction.count": 2, "ml.features": {"a": packed([1, 2], [3, 4]), "b": packed([1], [2])}}),
        wide(wire, packed([1, 2], [3, 4])),
    )
    limits = WireLimits(max_embedding_values=5)
    decoded = decode(raw, tenant="default", arrival_ns=wire.now_ns, limits=limits)
    assert (decoded.rejected, decoded.rows) == ({"bad_embedding": 1}, 2)
    assert "6 numbers" in decoded.message


@pytest.mark.parametrize("one_span_per_row", [True, False])
def test_missing_rows_take_no_room(wire: Any, one_span_per_row: bool) -> None:
    """One long vector and many nulls: n times d numbers would be a hundred times the request, and then a thousand."""
    vector, rows = f"[{'0,' * 4095}0]", 20_000
    if one_span_per_row:
        null = wire.span({"ml.features": '{"text": null}'})
        spans = [wire.span({"ml.features": f'{{"text": [{vector}]}}'}), *[null] * (rows - 1)]
    else:
        text = f'{{"text": [{vector}{",null" * (rows - 1)}]}}'
        spans = [wire.span({"ml.prediction.count": rows, "ml.features": text})]
    raw = wire.request(*spans)
    tracemalloc.start()
    try:
        decoded = decode(raw, tenant="default", arrival_ns=wire.now_ns)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (decoded.message, decoded.rows, len(decoded.items)) == ("", rows, 1)
    assert peak < 100e6 < rows * 4096 * 4


AS_MAP = [
    packed([1, 2]),
    packed([1, 2, 3]),
    packed([1, 2], [3, 4]),
    packed([NAN, 1]),
    1.0,
    "a",
    None,
    [2.0],
    [1.0, 2.0],
]
AS_JSON = ["[[1, 2]]", "[[1, 2, 3]]", "[[1], [2]]", "[[]]", '[["a"]]', "[[[1]]]", "[null]", "null", "1", '"a"', "{}"]


@given(cells=st.lists(st.sampled_from(AS_MAP) | st.sampled_from(AS_JSON).map(lambda text: (text,)), max_size=8))
@settings(max_examples=300, deadline=None)
def test_each_row_is_kept_or_refused_whatever_stands_beside_it(wire: Any, cells: list[Any]) -> None:
    features = [f'{{"x": {cell[0]}}}' if isinstance(cell, tuple) else {"x": cell} for cell in cells]
    together = wire.decode(*(wire.span({"ml.features": one}) for one in features))
    alone = [wire.decode(wire.span({"ml.features": one})) for one in features]
    assert together.rows == sum(one.rows for one in alone)
    assert sum(together.rejected.values()) == sum(sum(one.rejected.values()) for one in alone)
