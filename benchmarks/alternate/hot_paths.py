"""The hot paths, a turn at a time: what ``benchmarks.alternate`` starts in each of two checkouts.

Says in a line of JSON which code it measures and which paths it knows. Then, for each path named on a line of its
input, it takes one turn and prints the nanoseconds of CPU of each call, and of the floor right before each.

* ``wire``: a request's bytes to batches. The floor is protobuf parsing the same bytes.
* ``engine``: decoded requests applied as the engine's thread does, gathered and then settled. The floor is numpy
  counting as many rows: one ``bincount`` for each of 25 features of each request.
* ``caller``: what an application waits for, see `callers`. The floor is a call that copies a row.

Both checkouts run the same copy of this file and of `callers`, and commits to come will be compared by it too. So what it takes from a
checkout is little, and has to stay:

* ``calidris.wire``: ``decode``;
* ``benchmarks.payloads``: ``FORMS`` with the forms below, and ``stream``;
* ``benchmarks.engine_sink``: ``make_sink``, ``SNAPSHOT_S``, and ``Received``, of which the sink takes a list;
* what `callers` takes.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from benchmarks import engine_sink
from benchmarks.alternate import callers
from benchmarks.payloads import FORMS, stream
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import calidris
from calidris.wire import decode

WIRE = {
    "packed 4 x 512": 16,
    "one-row JSON x 512": 6,
    "one-row attributes x 512": 3,
}
"""Forms, and how often a request is parsed for its floor: once takes too little time to be measured well."""

ENGINE = {
    "packed 4 x 512": 2,
    "packed and labels": 2,
    "one-row JSON x 512": 4,
}
"""Forms, and how many requests are applied together."""

COUNTED = 12
"""How often the rows are counted for the engine's floor."""

DECODED = 6
APPLIED = 4
"""Calls in a turn; fewer to the engine, whose requests are decoded beforehand."""

CALLED = 4
COPIED = 4_000
"""How often a row is copied for the floor of callers, once for each call: fewer take too little time to be measured well."""

DISTINCT = 2
FEATURES = 25
LEVELS = 12

NOW_NS = 1_800_000_100 * 10**9
"""Within a step of five minutes: rows of two steps are counted apart, which is more work."""

Call = Callable[[], object]


class Pair(NamedTuple):
    """A call, and the floor that it is measured beside, which is repeated ``times``."""

    floor: Call
    times: int
    call: Call


Turns = Iterator[list[Pair]]


def decode_turns(form: str, times: int) -> Turns:
    """Make turns of decoding."""
    requests = stream(make_payloads(form))
    while True:
        yield [pair_with_parsing(next(requests), times) for _ in range(DECODED)]


def pair_with_parsing(raw: bytes, times: int) -> Pair:
    """Pair the decoding of a request with protobuf's parsing of it."""
    floor = partial(ExportTraceServiceRequest.FromString, raw)
    return Pair(floor, times, partial(decode_request, raw))


def apply_turns(form: str, together: int) -> Turns:
    """Make turns of applying, by one engine that goes on from turn to turn."""
    payloads = make_payloads(form)
    sink = engine_sink.make_sink()
    # The stream gives each request spans of its own: a span that came before would be left out.
    items = map(receive, itertools.count(1), stream(payloads))
    shape = (together * FEATURES, payloads[0].rows)
    codes = np.random.default_rng(0).integers(0, LEVELS, shape)
    floor = partial(count_columns, codes)
    while True:
        # Decoded here, not in the call.
        gathered = [list(itertools.islice(items, together)) for _ in range(APPLIED)]
        yield [Pair(floor, COUNTED, partial(sink, some)) for some in gathered]


def make_payloads(form: str) -> list[Any]:
    """Make the requests that are sent again and again."""
    return [FORMS[form](seed) for seed in range(DISTINCT)]


def receive(number: int, raw: bytes) -> engine_sink.Received:
    """Make of a request what the engine gets."""
    return engine_sink.Received(
        seq=number,
        arrival_ns=NOW_NS,
        tenant="default",
        digest=number.to_bytes(16, "big"),
        size_bytes=0,
        decoded=decode_request(raw),
        seal_ns=None,
        release=lambda: None,
    )


def decode_request(raw: bytes) -> Any:
    """Decode a request: the wire's hot path."""
    return decode(raw, tenant="default", arrival_ns=NOW_NS)


def count_columns(columns: npt.NDArray[np.int64]) -> None:
    """Count how often each level comes in each column: the engine's floor."""
    for column in columns:
        np.bincount(column, minlength=LEVELS)


def call_turns(call: Call, times: int) -> Turns:
    """Make turns of a call of the SDK, made so many times for each figure."""
    floor = partial(repeat, callers.make_floor(), times)
    while True:
        yield [Pair(floor, COPIED // times, partial(repeat, call, times))] * CALLED


def repeat(call: Call, times: int) -> None:
    """Call so many times."""
    for _ in range(times):
        call()


def measure_turn(turn: list[Pair]) -> dict[str, list[float]]:
    """Measure the floors and the calls of a turn, in nanoseconds.

    The first pair is left out: it fills the caches, which the other process has emptied.
    """
    floors = []
    calls = []
    for floor, times, call in turn:
        floors.append(measure_cpu_ns(floor, times))
        calls.append(measure_cpu_ns(call))
    return {"floors_ns": floors[1:], "calls_ns": calls[1:]}


def measure_cpu_ns(call: Call, times: int = 1) -> float:
    """Measure the CPU time of a call, that of freeing its result included."""
    began = time.process_time_ns()
    for _ in range(times):
        call()
    return (time.process_time_ns() - began) / times


def make_paths() -> dict[str, Turns]:
    """Make the turns of each path by its name."""
    paths = {}
    for form, times in WIRE.items():
        paths[f"wire, {form}"] = decode_turns(form, times)
    for form, together in ENGINE.items():
        paths[f"engine, {form}"] = apply_turns(form, together)
    for name, (times, call) in callers.make_calls().items():
        paths[f"caller, {name}"] = call_turns(call, times)
    return paths


def steady_process() -> None:
    """Have every process do the same work in the same place: one core, a clock that stands still, no snapshots."""
    if hasattr(os, "sched_setaffinity"):
        last = max(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {last})
    time.time_ns = lambda: NOW_NS
    # The first call of a sink seals and makes a snapshot; no other does before this is over.
    engine_sink.SNAPSHOT_S = float("inf")


def stop_collecting() -> None:
    """Let the collector not run within a turn."""
    gc.collect()
    gc.freeze()
    gc.disable()


def main() -> None:
    """Take turns until the input ends."""
    steady_process()
    paths = make_paths()
    for turns in paths.values():  # an engine meets its model in its first turn, which is other work
        measure_turn(next(turns))
    stop_collecting()
    print(json.dumps({"code": calidris.__file__, "paths": list(paths)}), flush=True)
    for line in sys.stdin:
        turns = paths[line.strip()]
        print(json.dumps(measure_turn(next(turns))), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
