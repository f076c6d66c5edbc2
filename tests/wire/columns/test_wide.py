"""Packed spans that are joined decode to what they decode to one by one."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calidris.wire import Decoded, WireLimits, decode, decoder

NOW_NS = 1_800_000_000_000_000_000


def doubles(rows: int) -> Any:
    cells = st.lists(st.floats(), min_size=rows, max_size=rows)
    return cells.map(lambda found: {"f64": struct.pack(f"<{rows}d", *found)})


def shares(rows: int) -> Any:
    cells = st.lists(st.floats(-0.01, 1), min_size=rows, max_size=rows)
    return cells.map(lambda found: {"f64": struct.pack(f"<{rows}d", *found)})


def wholes(rows: int) -> Any:
    cells = st.lists(st.integers(-5, 5), min_size=rows, max_size=rows)
    return cells.map(lambda found: {"i64": struct.pack(f"<{rows}q", *found)})


def coded(rows: int) -> Any:
    levels = st.lists(st.text(max_size=3), min_size=1, max_size=4)
    codes = st.lists(st.integers(-1, 1), min_size=rows, max_size=rows)
    return st.builds(lambda a, b: {"levels": a, "codes": struct.pack(f"<{rows}i", *b)}, levels, codes)


SHAPES = (doubles, doubles, shares, wholes, coded, coded)


@st.composite
def packed_spans(draw: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Attributes and span fields of a few packed spans, most of which have the same columns."""
    keys = ("ml.prediction.id", "ml.prediction.score", "ml.prediction.class", "ml.prediction.time_offset", "ml.label")
    plain = draw(st.lists(st.sampled_from(keys), unique=True, max_size=2))
    names = draw(st.lists(st.sampled_from("abc"), unique=True, min_size=1))
    shape = {key: draw(st.sampled_from(SHAPES)) for key in (*plain, *names)}
    spans = []
    for _ in range(draw(st.integers(1, 5))):
        rows = draw(st.integers(2, 3))
        one = {**shape, **draw(st.dictionaries(st.sampled_from(names), st.sampled_from(SHAPES), max_size=1))}
        features = {name: draw(one[name](rows)) for name in names}
        maps = {} if "ml.label" in plain else {"ml.features": features}
        fields = draw(
            st.sampled_from([{}, {}, {"trace_id": b"t" * 16}, {"trace_id": b"u" * 16}, {"status": {"code": 2}}])
        )
        spans.append(({"ml.prediction.count": rows, **{key: draw(one[key](rows)) for key in plain}, **maps}, fields))
    return spans


def decode_one_by_one(raw: bytes, limits: WireLimits) -> Decoded:
    original = decoder.joined
    decoder.joined = lambda tables, origin: tables
    try:
        return decode(raw, tenant="default", arrival_ns=NOW_NS, limits=limits)
    finally:
        decoder.joined = original


@given(drawn=packed_spans(), levels=st.sampled_from([1, 3, 10_000]))
@settings(max_examples=300, deadline=None)
def test_joined_and_one_by_one(wire: Any, drawn: Any, levels: int) -> None:
    raw = wire.request(*[wire.span(attributes, **fields) for attributes, fields in drawn])
    limits = WireLimits(max_levels=levels)
    fast, plain = decode(raw, tenant="default", arrival_ns=NOW_NS, limits=limits), decode_one_by_one(raw, limits)
    assert [wire.plain(item) for item in fast.items] == [wire.plain(item) for item in plain.items]
    for name in ("spans", "ignored", "rejected", "message", "clamped", "non_finite"):
        assert getattr(fast, name) == getattr(plain, name)


@pytest.mark.parametrize("trace_ids", [(b"t" * 16, b"u" * 16), (b"t" * 16, b"t" * 16)])
def test_rows_keep_the_trace_of_their_span(wire: Any, trace_ids: tuple[bytes, bytes]) -> None:
    column = {"f64": struct.pack("<2d", 1.0, 2.0)}
    spans = [wire.span({"ml.prediction.count": 2, "ml.features": {"x": column}}, trace_id=one) for one in trace_ids]
    batch = wire.one(*spans)
    assert batch.trace_ids.strings() == [one.hex() for one in trace_ids for _ in range(2)]
    assert batch.spans.tolist() == [0, 0, 1, 1]
