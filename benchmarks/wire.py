"""Rows a second that one core decodes, by CPU time, beside the floor: protobuf parsing the same bytes and nothing else.

python benchmarks/wire.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from calidris.batch import CodedColumn, MatrixColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.wire import Form, decode, encode_predictions

ROWS = 512
REPEATS = 15
NOW_NS = 1_800_000_000_000_000_000
CASES: list[tuple[str, Form, bool, int]] = [
    ("packed, 4 spans of 512 rows", "packed", False, 4),
    ("arrays, 4 spans of 512 rows", "arrays", False, 4),
    ("JSON, 4 spans of 512 rows", "json", False, 4),
    ("JSON, one row a span", "json", True, 1),
    ("attributes, one row a span", "attributes", True, 1),
    ("map, one row a span", "map", True, 1),
]
EMBEDDINGS: list[tuple[str, Form, bool, int]] = [
    ("768 d packed, 4 spans of 512", "packed", False, 4),
    ("768 d in a map, one row a span", "map", True, 1),
    ("768 d in JSON, one row a span", "json", True, 1),
]
Maker = Callable[[int, int], PredictionBatch]


def standard_batch(rows: int, seed: int) -> PredictionBatch:
    """The standard row: 20 numeric and 5 categorical features, a score and an id."""
    rng = np.random.default_rng(seed)
    levels = tuple(f"level_{n}" for n in range(10))
    numbers = {f"num_{n}": NumberColumn.of(rng.normal(size=rows)) for n in range(20)}
    coded = {f"cat_{n}": CodedColumn(levels, rng.integers(0, 10, rows).astype(np.int32)) for n in range(5)}
    return PredictionBatch(
        model=ModelKey("default", "credit", "7"),
        event_time_ns=NOW_NS - np.arange(rows, dtype=np.int64),
        features={**numbers, **coded},
        task="binary",
        ids=[rng.bytes(8).hex() for _ in range(rows)],
        score=NumberColumn.of(rng.random(rows)),
    )


def embedding_batch(rows: int, seed: int) -> PredictionBatch:
    """The standard row with an embedding of 768 numbers."""
    vectors = np.random.default_rng(seed).normal(size=(rows, 768))
    return replace(standard_batch(rows, seed), embeddings={"text": MatrixColumn.of(vectors)})


def cpu_s(call: Callable[[], Any]) -> float:
    """The best of a few runs: what is slower than that was disturbed."""
    best = float("inf")
    for _ in range(REPEATS):
        begun = time.process_time()
        call()
        best = min(best, time.process_time() - begun)
    return best


def measure(name: str, form: Form, one_span_per_row: bool, spans: int, make: Maker = standard_batch) -> dict[str, Any]:
    """The figures of one case."""
    batches = [make(ROWS, seed) for seed in range(spans)]
    # Messages of protobuf, one after another, are their union.
    raw = b"".join(encode_predictions(batch, form=form, one_span_per_row=one_span_per_row) for batch in batches)
    rows = ROWS * spans
    assert decode(raw, tenant="default", arrival_ns=NOW_NS).rows == rows
    floor_s = cpu_s(lambda: ExportTraceServiceRequest.FromString(raw))
    decode_s = cpu_s(lambda: decode(raw, tenant="default", arrival_ns=NOW_NS))
    return {
        "case": name,
        "bytes_per_row": round(len(raw) / rows),
        "rows_per_s": round(rows / decode_s),
        "megabytes_per_s": round(len(raw) / decode_s / 1e6),
        "floor_rows_per_s": round(rows / floor_s),
        "times_the_floor": round(decode_s / floor_s, 1),
    }


def run() -> list[dict[str, Any]]:
    """One row of figures a case; rates are rows per second of CPU time."""
    return [*(measure(*case) for case in CASES), *(measure(*case, make=embedding_batch) for case in EMBEDDINGS)]


if __name__ == "__main__":
    for figures in run():
        print(
            f"{figures['case']:<30}{figures['bytes_per_row']:>6} B/row{figures['rows_per_s']:>12,} rows/s"
            f"{figures['megabytes_per_s']:>6} MB/s   floor {figures['floor_rows_per_s']:>12,}   x{figures['times_the_floor']}"
        )
