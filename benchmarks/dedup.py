"""What it costs to know a span again: CPU time of one core a span and a request, and bytes a span, as the memory fills.

    python -m benchmarks.dedup

The floor of each case is decoding the same request, which every request pays: one-row JSON spans, 512 of them, and packed
spans of 512 rows, one a request. Figures are medians over requests that were never seen, the usual case, and over repeats.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.wire import NOW_NS, standard_batch
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from calidris.engine.checkpoint.store import Store, mark_saved, restore_dedup, save_dedup
from calidris.engine.dedup.memory import DedupMemory, once
from calidris.labels.id_hashes import Hashes
from calidris.wire import Decoded, decode, encode_predictions
from calidris.wire.span_ids import span_hashes

SPANS = 512
FILLED = (0, 1_000_000, 9_000_000)
REQUESTS = 200
HORIZON_NS = 900 * 10**9
Row = dict[str, Any]


def cpu_us(calls: Iterator[Callable[[], object]]) -> float:
    """CPU microseconds of one call: the median."""
    taken = []
    for call in calls:
        begun = time.process_time_ns()
        call()
        taken.append(time.process_time_ns() - begun)
    return statistics.median(taken) / 1000


def request(rng: np.random.Generator, one_span_per_row: bool) -> bytes:
    """512 standard rows with ids, in as many spans or in one."""
    form = "json" if one_span_per_row else "packed"
    raw = encode_predictions(standard_batch(SPANS, 1), form=form, one_span_per_row=one_span_per_row)  # type: ignore[arg-type]
    message = ExportTraceServiceRequest.FromString(raw)
    for span in message.resource_spans[0].scope_spans[0].spans:
        span.trace_id, span.span_id = rng.bytes(16), rng.bytes(8)
    return message.SerializeToString()


def filled(rng: np.random.Generator, count: int) -> DedupMemory:
    """A memory of so many spans, as they come at an even rate within the horizon."""
    memory, step = DedupMemory(HORIZON_NS, 12_000_000), 65_536
    for start in range(0, count, step):
        memory.repeats(drawn(rng, min(step, count - start)), NOW_NS + HORIZON_NS * start // count)
    return memory


def drawn(rng: np.random.Generator, count: int) -> Hashes:
    """Hashes of so many new spans."""
    return rng.integers(1, 2**64, count, dtype=np.uint64)


def renewed(decoded: Decoded, rng: np.random.Generator) -> Decoded:
    """The same request with spans that nobody has seen."""
    object.__setattr__(decoded, "span_hashes", drawn(rng, len(decoded.span_hashes)))
    return decoded


def cases(rng: np.random.Generator, one_span_per_row: bool) -> Iterator[Row]:
    """One kind of request, against memories that are more and more full."""
    raw = request(rng, one_span_per_row)
    what = f"{SPANS} one-row spans" if one_span_per_row else f"1 packed span of {SPANS} rows"
    read = cpu_us(partial(decode, raw, tenant="default", arrival_ns=NOW_NS) for _ in range(20))
    held, arrival_ns = decode(raw, tenant="default", arrival_ns=NOW_NS), NOW_NS + HORIZON_NS
    spans = len(held.span_hashes)
    ids = [rng.bytes(16) for _ in range(spans)], [rng.bytes(8) for _ in range(spans)]
    hashing = cpu_us(partial(span_hashes, *ids, "default") for _ in range(REQUESTS))
    yield row(f"{what}: hashes of the ids", hashing, spans, read)
    for count in FILLED:
        memory = filled(rng, count)
        fresh = cpu_us(partial(once, renewed(held, rng), memory, arrival_ns) for _ in range(REQUESTS))
        yield row(f"{what}: new ones among {count:,}", fresh, spans, read)
        again = cpu_us(partial(once, held, memory, arrival_ns) for _ in range(REQUESTS))
        yield row(f"{what}: repeats among {count:,}", again, spans, read)


def row(what: str, taken_us: float, spans: int, floor_us: float) -> Row:
    return {
        "what": what,
        "us_a_request": taken_us,
        "us_a_span": taken_us / spans,
        "share_of_decode": taken_us / floor_us,
    }


def restart_row(rng: np.random.Generator) -> Row:
    """A full memory saved bit by bit, as checkpoints do, and brought back; and its longest single call."""
    memory, longest = DedupMemory(HORIZON_NS, 12_000_000), 0
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for step in range(120):
            for part in range(100):
                begun = time.perf_counter_ns()
                memory.repeats(drawn(rng, 1000), NOW_NS + HORIZON_NS * (100 * step + part) // 12_000)
                longest = max(longest, time.perf_counter_ns() - begun)
            with store.transaction():
                save_dedup(store, {"spans": memory})
            mark_saved({"spans": memory})
        begun = time.perf_counter_ns()
        restore_dedup(store, {"spans": DedupMemory(HORIZON_NS, 12_000_000)})
        taken = time.perf_counter_ns() - begun
        size = (Path(folder) / "state.sqlite").stat().st_size
        store.close()
    held = sum(generation.count for generation in memory.generations)
    return {
        "what": "restart",
        "spans": held,
        "s": taken / 1e9,
        "longest_call_ms": longest / 1e6,
        "MB_on_disk": size / 1e6,
    }


def memory_row(rng: np.random.Generator) -> Row:
    """Bytes that a full memory takes, and the most that it took on the way."""
    tracemalloc.start()
    memory = filled(rng, 12_000_000)
    now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for generation in memory.generations:  # what the last checkpoint has already
        now -= sum(part.nbytes for part in generation.fresh)
    held = sum(generation.count for generation in memory.generations)
    return {"what": "memory", "spans": held, "bytes_a_span": now / held, "most_bytes_a_span": most / held}


def run() -> list[Row]:
    """The rows of the table."""
    rng = np.random.default_rng(0)
    return [*cases(rng, True), *cases(rng, False), memory_row(rng), restart_row(rng)]


if __name__ == "__main__":
    for figures in run():
        cells = [f"{name} {value:,.4g}" for name, value in figures.items() if name != "what"]
        print(f"{figures['what']:55}", "   ".join(cells))
