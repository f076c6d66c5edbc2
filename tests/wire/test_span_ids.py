"""Who a span is: the same ids give the same hash, whichever request they come in; no others do."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from calidris.batch import ModelKey, NumberColumn, PredictionBatch
from calidris.wire import decode, encode_predictions
from calidris.wire.span_ids import span_hashes

trace_ids = st.binary(min_size=16, max_size=16) | st.sampled_from([b"", bytes(16), bytes(15) + b"\x01", b"1" * 15])
span_ids = st.binary(min_size=8, max_size=8) | st.sampled_from([b"", bytes(8), bytes(7) + b"\x01", b"1" * 9])
pairs = st.lists(st.tuples(trace_ids, span_ids), max_size=40)


@given(pairs, st.text(max_size=5))
def test_many_at_once_are_hashed_as_each_alone(given_: list[tuple[bytes, bytes]], tenant: str) -> None:
    traces, spans = [trace for trace, _ in given_], [span for _, span in given_]
    found = span_hashes(traces, spans, tenant)
    assert found.dtype == np.uint64
    assert found.tolist() == [span_hashes([t], [s], tenant).tolist()[0] for t, s in given_]
    valid = [len(t) == 16 and len(s) == 8 and any(t) and any(s) for t, s in given_]
    assert (found != 0).tolist() == valid


def test_hashes_differ_where_ids_or_tenants_do() -> None:
    """Random ids, counted ones, and those of one trace."""
    random_, count = random.Random(3), 20_000
    random_ids = [(random_.randbytes(16), random_.randbytes(8)) for _ in range(count)]
    counted = [((n // 7 + 1).to_bytes(16, "big"), (n % 7 + 1).to_bytes(8, "big")) for n in range(count)]
    one_trace = [(b"t" * 16, (n + 1).to_bytes(8, "little")) for n in range(count)]
    seen = set()
    other_end = [(trace[::-1], span[::-1]) for trace, span in counted]
    for ids in (random_ids, counted, one_trace, other_end):
        for tenant in ("default", "other"):
            seen.update(span_hashes(*map(list, zip(*ids)), tenant).tolist())  # type: ignore[arg-type]
    assert len(seen) == 8 * count
    numbers = np.array(list(seen), dtype=np.uint64)
    for shift in (0, 6, 30, 58):
        bins = np.bincount(((numbers >> np.uint64(shift)) & np.uint64(63)).astype(np.int64), minlength=64)
        assert np.ptp(bins) < 12 * np.sqrt(len(numbers) / 64), "spread evenly"


@pytest.mark.parametrize("form", ["packed", "arrays", "json"])
def test_rows_of_neighbouring_spans_tell_theirs(wire: Any, form: Any) -> None:
    raw = b""
    for n in (2, 3, 1, 4):
        scores = NumberColumn.of([n / 10] * n)
        batch = PredictionBatch(
            ModelKey("default", "credit", "7"), np.full(n, wire.now_ns), {"a": scores}, score=scores
        )
        message = ExportTraceServiceRequest.FromString(encode_predictions(batch, form=form, one_span_per_row=False))
        span = message.resource_spans[0].scope_spans[0].spans[0]
        span.trace_id, span.span_id = bytes([n]) * 16, bytes([n]) * 8
        raw += message.SerializeToString()
    decoded = decode(raw, tenant="default", arrival_ns=wire.now_ns)
    rows = {}
    for batch in decoded.items:
        assert isinstance(batch, PredictionBatch) and batch.score is not None and batch.spans is not None
        for score, span in zip(batch.score.values.tolist(), batch.spans.tolist()):
            rows.setdefault(score, []).append(int(decoded.span_hashes[span]))
    one = {n: int(span_hashes([bytes([n]) * 16], [bytes([n]) * 8], "default")[0]) for n in (2, 3, 1, 4)}
    assert rows == {n / 10: [one[n]] * n for n in (2, 3, 1, 4)}


def test_each_row_tells_its_span(wire: Any) -> None:
    def ids(n: int) -> dict[str, bytes]:
        return {"trace_id": bytes([n]) * 16, "span_id": bytes([n]) * 8}

    two = {"ml.prediction.count": 2, "ml.prediction.score": [0.1, 0.2]}
    raw = wire.request(
        wire.span({}, model={}, name="GET /", **ids(9)),
        wire.span({"ml.prediction.score": 0.5}, **ids(1)),
        wire.span(two, **ids(2)),
        wire.span({"ml.prediction.score": 5.0}, **ids(3)),
        wire.span({"ml.label": 1, "ml.prediction.id": "a"}, name="feedback credit", **ids(4)),
        wire.span({"ml.prediction.score": 0.7}),
    )
    decoded = decode(raw, tenant="default", arrival_ns=wire.now_ns)
    expected = [span_hashes([bytes([n]) * 16], [bytes([n]) * 8], "default").tolist()[0] for n in (1, 2, 4)]
    predictions, labels = decoded.items
    assert predictions.spans is not None and labels.spans is not None
    assert decoded.span_hashes[predictions.spans].tolist() == [expected[0], 0, expected[1], expected[1]]
    assert decoded.span_hashes[labels.spans].tolist() == [expected[2]]
    assert wire.plain(predictions)["score"] == [0.5, 0.7, 0.1, 0.2]
    assert (decoded.used, decoded.spans) == (4, 6)
