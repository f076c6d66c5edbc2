"""The law: every row made is acknowledged or counted as dropped, whatever the receiver does meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess

import calidris
from calidris import Model, semconv
from calidris.instrument.runtime import runtime

THREADS = 3
LASTS_S = 6.0
BATCH = 400


class Traffic:
    """Threads that record until they are told to stop, and know how many rows they made."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.made = [0] * THREADS
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._record, args=(n,)) for n in range(THREADS)]

    def __enter__(self) -> Traffic:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for one in self._threads:
            one.join()

    def _record(self, thread: int) -> None:
        rng = random.Random(thread)
        while not self._stop.is_set():
            if rng.random() < 0.01:
                self.model.record_batch(
                    np.ones((BATCH, 3)), ids=[f"{thread}-{self.made[thread] + n}" for n in range(BATCH)]
                )
                self.made[thread] += BATCH
            else:
                with self.model.predict(features={"x0": 1.0}, id=f"{thread}-{self.made[thread]}"):
                    pass
                self.made[thread] += 1
            time.sleep(0.0005)


def upset(receiver: Any, rng: random.Random) -> None:
    """Something that happens to receivers."""
    happens: list[Callable[[], None]] = [
        receiver.stop,
        receiver.start,
        lambda: setattr(receiver, "answer", grpc.StatusCode.UNAVAILABLE),
        lambda: setattr(receiver, "answer", grpc.StatusCode.DEADLINE_EXCEEDED),
        lambda: setattr(receiver, "answer", grpc.StatusCode.INVALID_ARGUMENT),
        lambda: setattr(receiver, "answer", None),
        lambda: setattr(receiver, "hangs_s", 1.0),
        lambda: setattr(receiver, "hangs_s", 0.0),
    ]
    rng.choice(happens)()


@pytest.mark.parametrize("seed", [1, 2])
def test_made_is_acknowledged_and_dropped(make_receiver: Any, seed: int) -> None:
    receiver, rng = make_receiver(), random.Random(seed)
    calidris.configure(endpoint=receiver.start(), queue_rows=600, queue_bytes=200_000, delay_s=0.05, timeout_s=0.5)
    end_s = time.monotonic() + LASTS_S
    with Traffic(Model("m")) as traffic:
        while time.monotonic() < end_s:
            upset(receiver, rng)
            time.sleep(0.25)
    receiver.stop()
    receiver.answer, receiver.hangs_s = None, 0.0
    receiver.start()
    calidris.flush(30)
    assert calidris.flush(30)
    acknowledged, dropped = receiver.acknowledged_ids(), runtime.drops()
    assert sum(traffic.made) == len(acknowledged) + sum(dropped.values())
    assert {reason for _, reason in dropped} <= {"queue_full", "refused", "backlog_full"}
    assert len(acknowledged) > sum(traffic.made) / 10


def test_in_a_long_outage_the_newest_rows_are_kept(make_receiver: Any) -> None:
    receiver = make_receiver()
    endpoint = receiver.start()
    receiver.stop()
    calidris.configure(endpoint=endpoint, queue_rows=500, delay_s=60)
    model = Model("m")
    for n in range(5000):
        with model.predict(features={"n": n}):
            pass
    receiver.start()
    calidris.flush(20)
    numbers = [n for span in receiver.spans() for n in span.get(semconv.ML_FEATURES, {}).get("n", ())]
    assert len(numbers) + runtime.drops().get(("m", "queue_full"), 0) == 5000
    assert numbers[-500:] == list(range(4500, 5000))


def test_a_span_that_was_refused_is_dropped_and_its_neighbours_are_not(receiver: Any) -> None:
    receiver.answer = ExportTracePartialSuccess(rejected_spans=0, error_message="only a warning")
    with Model("m").predict():
        pass
    assert calidris.flush()
    assert runtime.drops() == {}
