"""Errors that one thread throws into another, as some libraries for time-outs do: they reach the application, and cost nothing in silence."""

from __future__ import annotations

import asyncio
import ctypes
import os
import queue
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pandas._libs.hashtable import Factorizer

import calidris
from calidris import Model
from calidris.instrument.process.threads import run_apart
from calidris.instrument.runtime import runtime
from calidris.instrument.signal_errors import own_this_thread, passes

ROWS = 50
TIMES = 60
X = [[1.0, 2.0, 3.0] for _ in range(ROWS)]


class Late(Exception):
    """What a library for time-outs throws."""


def throw(thread: threading.Thread, error: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(error))


class Worker(threading.Thread):
    """Records until it is told to stop; knows what reached it."""

    def __init__(self, record: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.record, self.reached, self.stopped = record, 0, False

    def run(self) -> None:
        while not self.stopped:
            try:
                while not self.stopped:
                    self.record()
            except Late:
                self.reached += 1


RECORDS: dict[str, Callable[[Model], None]] = {
    "a batch of lists": lambda model: model.record_batch(X, [0.5] * ROWS),
    "a batch of numpy": lambda model: model.record_batch(np.ones((ROWS, 3)), np.ones(ROWS)),
    "labels": lambda model: model.record_labels(["a"] * ROWS, [1] * ROWS),
    "a row": lambda model: model.record_label("a", 1),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_what_is_thrown_into_a_worker_reaches_it(
    receiver: Any, monkeypatch: pytest.MonkeyPatch, request: Any, record: Callable[[Model], None]
) -> None:
    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    model, rng, thrown = Model("m"), random.Random(1), 0
    worker = Worker(lambda: record(model))
    worker.start()
    request.addfinalizer(lambda: setattr(worker, "stopped", True))
    end_s = time.monotonic() + 20
    while thrown < TIMES and time.monotonic() < end_s:
        known = worker.reached
        throw(worker, Late)
        thrown += 1
        until_s = time.monotonic() + 0.2
        while worker.reached == known and time.monotonic() < until_s:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.003))
    worker.stopped = True
    worker.join()
    # What comes while Python tidies up (a weak reference, a finalizer) reaches nobody, whatever we do.
    assert worker.reached > 0.6 * thrown
    assert runtime.missing() == {}


class Queued:
    """Its conversion fails in C, without a message."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self.ask = ask

    def __float__(self) -> float:
        return float(self.ask())


def ask_cancelled() -> Any:
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    future.cancel()
    loop.close()
    return future.result()


def ask_cython() -> Any:
    """What Cython raises leaves a frame of its own in the trace."""
    return Factorizer(1).factorize(np.zeros(1))


@pytest.mark.parametrize("ask", [queue.SimpleQueue().get_nowait, sys.exit, ask_cancelled, ask_cython])
def test_what_an_object_raises_without_a_message_stays_with_us(receiver: Any, ask: Callable[[], Any]) -> None:
    Model("m").record_batch([[1.0], [Queued(ask)]], [0.5, Queued(ask)])
    Model("m").record_batch(None, iter(ask, None))
    Model("m").record_batch([[1.0]], map(lambda _: ask(), [1]))
    with Model("m").predict(features={"n": Queued(ask)}) as p:
        p.score = Queued(ask)
    calidris.flush(10)


def test_nothing_passes_in_a_thread_of_ours() -> None:
    found: list[bool] = []

    def work() -> None:
        ident = threading.get_ident()
        try:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Late))
            time.sleep(0)
        except Late as error:
            found.append(passes(error))

    run_apart(work, 5.0)
    assert found == [False]


def test_threads_of_the_application_in_a_child_are_not_ours() -> None:
    """The system gives them the numbers of ours, which are gone there."""
    own_this_thread(True)
    child = os.fork()
    if not child:
        os._exit(0 if _passes_here() else 1)
    own_this_thread(False)
    assert os.waitpid(child, 0)[1] == 0


def _passes_here() -> bool:
    main = threading.current_thread()
    timer = threading.Timer(0.2, throw, (main, Late))
    timer.start()
    try:
        while True:
            pass
    except Late as error:
        return passes(error)
