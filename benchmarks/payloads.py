"""Requests of the standard row in every form, ready to send again and again: each time with span ids of its own.

The receiver counts a span once, so a request that is sent twice as it is would be a repeat the second time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from calidris.batch import CodedColumn, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.wire import Form, encode_labels, encode_predictions

ROWS = 512


def batch(rows: int, seed: int) -> PredictionBatch:
    """The standard row: 20 numeric and 5 categorical features, score and id."""
    rng = np.random.default_rng(seed)
    levels = tuple(f"level-{n}" for n in range(10))
    numbers = {f"feature_{n}": NumberColumn.of(rng.normal(size=rows)) for n in range(20)}
    coded = {f"category_{n}": CodedColumn(levels, rng.integers(0, 10, rows).astype(np.int32)) for n in range(5)}
    return PredictionBatch(
        model=ModelKey("default", "credit", "7"),
        event_time_ns=time.time_ns() + np.arange(rows, dtype=np.int64) * 1_000,
        features={**numbers, **coded},
        task="binary",
        ids=[rng.bytes(8).hex() for _ in range(rows)],
        score=NumberColumn.of(rng.random(rows)),
    )


@dataclass(frozen=True)
class Payload:
    """One request.

    Attributes:
        raw: its bytes, with the span ids it was made with.
        rows: predictions in it.
        places: int64[spans, 8], where the bytes of the span ids are.
    """

    raw: bytes
    rows: int
    places: npt.NDArray[np.int64]

    def fresh(self, first: int) -> bytes:
        """The request with the span ids ``first`` and up; a copy and one write."""
        out = np.frombuffer(self.raw, np.uint8).copy()
        ids = np.arange(first, first + len(self.places), dtype=">u8")
        out[self.places] = ids.view(np.uint8).reshape(-1, 8)
        return out.tobytes()


def stream(payloads: list[Payload], first: int = 1) -> Iterator[bytes]:
    """Requests without end, no span id twice."""
    for payload in itertools.cycle(payloads):
        yield payload.fresh(first)
        first += len(payload.places)


def payload(raw: bytes, rows: int, seed: int) -> Payload:
    """A request whose spans get ids, and where these are."""
    request = ExportTraceServiceRequest.FromString(raw)
    rng = np.random.default_rng(1_000_000 + seed)
    ids = []
    for part in request.resource_spans:
        for span in (span for scope in part.scope_spans for span in scope.spans):
            span.trace_id, span.span_id = rng.bytes(16), rng.bytes(8)
            ids.append(span.span_id)
    raw = request.SerializeToString()
    places = [raw.index(one) for one in ids]
    return Payload(raw, rows, np.array(places)[:, None] + np.arange(8))


def packed(seed: int) -> Payload:
    """Four spans of 512 rows: the bytes of protobuf messages, put one after another, are their union."""
    parts = [batch(ROWS, seed * 4 + n) for n in range(4)]
    raw = b"".join(encode_predictions(part, form="packed", one_span_per_row=False) for part in parts)
    return payload(raw, 4 * ROWS, seed)


def packed_with_labels(seed: int) -> Payload:
    """Four spans of 512 rows, and behind them four with the label of each row."""
    parts = [batch(ROWS, seed * 4 + n) for n in range(4)]
    raw = b"".join(encode_predictions(part, form="packed", one_span_per_row=False) for part in parts)
    return payload(raw + b"".join(map(_labels, parts)), 4 * ROWS, seed)


def _labels(part: PredictionBatch) -> bytes:
    outcome = NumberColumn.of(np.arange(len(part)) % 3 == 0)
    return encode_labels(LabelBatch("default", part.model.name, part.ids or [], outcome, part.event_time_ns))


def one_row(form: Form, rows: int = ROWS) -> Callable[[int], Payload]:
    """Spans of one row."""

    def make(seed: int) -> Payload:
        return payload(encode_predictions(batch(rows, seed), form=form, one_span_per_row=True), rows, seed)

    return make


FORMS: dict[str, Callable[[int], Payload]] = {
    "packed 4 x 512": packed,
    "packed and labels": packed_with_labels,
    "one-row JSON x 512": one_row("json"),
    "one-row attributes x 512": one_row("attributes"),
    "one-row map x 512": one_row("map"),
}
