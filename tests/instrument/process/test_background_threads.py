"""Our threads in somebody's process: signals stay the application's, and time that it stops does not stop ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import grpc
import pytest

import calidris
from calidris import Model
from calidris.instrument.process.machine_clock import read_clock_s
from calidris.instrument.runtime import runtime

LONG_AGO_S = 1_326_499_200.0
FUNCTIONS = ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time", "time_ns")

WAITS_FOR_SIGNALS = """
import os, signal, calidris
model = calidris.Model("m")
with model.predict(features={"n": 1}) as p:
    p.score = 0.5
assert calidris.flush(20)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
for number in [signal.SIGUSR1, signal.SIGTERM] * 10:
    with model.predict(features={"n": 1}) as p:
        p.score = 0.5
    os.kill(os.getpid(), number)
    assert signal.sigtimedwait({number}, 10).si_signo == number
print("all")
"""


SHOWS_MASKS = """
import os, calidris
theirs = set(os.listdir("/proc/self/task"))
with calidris.Model("m").predict(features={"n": 1}) as p:
    p.score = 0.5
assert calidris.flush(20)
for thread in set(os.listdir("/proc/self/task")) - theirs:
    status = open(f"/proc/self/task/{thread}/status").read().split()
    print(status[status.index("SigBlk:") + 1])
"""


def run(program: str, receiver: Any) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=clean | {"OTEL_EXPORTER_CALIDRIS_ENDPOINT": receiver.endpoint},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="it has no masks")
@pytest.mark.parametrize("before", ["", "from gevent import monkey; monkey.patch_all()"], ids=["threads", "gevent"])
def test_a_signal_that_the_application_blocks_and_waits_for_reaches_it(receiver: Any, before: str) -> None:
    done = run(before + WAITS_FOR_SIGNALS, receiver)
    assert (done.returncode, done.stdout) == (0, "all\n"), done.stderr


def has(mask: int, number: int) -> bool:
    return bool(mask >> (number - 1) & 1)


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="it does not show its threads")
@pytest.mark.parametrize("before", ["", "from gevent import monkey; monkey.patch_all()"], ids=["threads", "gevent"])
def test_threads_of_ours_block_all_signals_but_those_of_their_own_faults(receiver: Any, before: str) -> None:
    done = run(before + SHOWS_MASKS, receiver)
    masks = [int(line, 16) for line in done.stdout.split()]
    assert len(masks) > 1, done.stderr
    for mask in masks:
        assert has(mask, signal.SIGTERM)
        assert has(mask, signal.SIGCHLD)
        assert not has(mask, signal.SIGSEGV)


@pytest.fixture
def stop_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Stops the time as freezegun does: whatever name of a module stands for a clock gets another one."""

    def stop(at_s: float) -> None:
        clocks = {id(getattr(time, name)): clock_at(at_s, name) for name in FUNCTIONS}
        for module in find_modules():
            for name, value in list(vars(module).items()):
                if id(value) in clocks:
                    monkeypatch.setattr(module, name, clocks[id(value)])

    yield stop
    monkeypatch.undo()


def clock_at(at_s: float, name: str) -> Callable[[], float]:
    at = int(at_s * 1e9) if name.endswith("_ns") else at_s
    return lambda: at


def find_modules() -> list[ModuleType]:
    loaded = list(sys.modules.items())
    return [time, *(module for name, module in loaded if name.startswith(("calidris.", "grpc")))]


def flush_apart(timeout_s: float) -> tuple[list[bool], float]:
    """What a flush answers, if it does, and how long it took by a clock that goes on."""
    answers: list[bool] = []
    begun_s = read_clock_s()
    thread = threading.Thread(target=lambda: answers.append(calidris.flush(timeout_s)), daemon=True)
    thread.start()
    thread.join(15)
    return answers, read_clock_s() - begun_s


def test_a_flush_ends_though_the_applications_time_stands_still(
    make_receiver: Any, stop_time: Callable[[float], None]
) -> None:
    receiver = make_receiver()
    endpoint = receiver.start()
    receiver.stop()
    calidris.configure(endpoint=endpoint)
    with Model("m").predict():
        pass
    stop_time(LONG_AGO_S)
    answers, took_s = flush_apart(1.0)
    assert answers == [False]
    assert took_s < 10
    assert runtime.drops() == {}, "nothing is too old"


@pytest.mark.parametrize("at_s", [LONG_AGO_S, 3e9, -1e9], ids=["past", "future", "before 1970"])
def test_rows_arrive_though_the_applications_time_stands_still(
    receiver: Any, stop_time: Callable[[float], None], at_s: float
) -> None:
    model = Model("m")
    stop_time(at_s)
    for _ in range(2):
        with model.predict():
            pass
    answers, took_s = flush_apart(5.0)
    assert answers == [True]
    assert took_s < 10


def test_time_that_stops_during_a_call_costs_nothing(receiver: Any, stop_time: Callable[[float], None]) -> None:
    with Model("m").predict():
        stop_time(LONG_AGO_S)
    assert flush_apart(5.0)[0] == [True]
    assert runtime.drops() == {}


def test_a_sleep_that_tests_have_return_at_once_does_not_flood_the_receiver(
    make_receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    receiver = make_receiver()
    calidris.configure(endpoint=receiver.start())
    receiver.answer = grpc.StatusCode.UNAVAILABLE
    with Model("m").predict():
        pass
    assert not calidris.flush(1.5)
    assert len(receiver.requests) < 12


INTERRUPTED_STARTS = """
import random, signal
from calidris.instrument.process.threads import BackgroundThread

class Late(Exception):
    pass

def on_alarm(number, frame):
    raise Late

signal.signal(signal.SIGALRM, on_alarm)
rng, hits = random.Random(1), 0
before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
for _ in range(4000):
    thread = BackgroundThread(lambda: None, lambda: None, "short")
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 4e-4))
        thread.start()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Late:
        hits += 1
    while True:
        try:
            now = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            break
        except Late:
            hits += 1
    assert now == before, f"{len(now)} signals are left blocked"
assert hits > 100, hits
print("all")
"""


def test_a_time_out_amid_a_start_leaves_no_signal_blocked(receiver: Any) -> None:
    """The application's handler may raise at any step, also while the mask of signals is set: its main thread must go on hearing."""
    done = run(INTERRUPTED_STARTS, receiver)
    assert done.stdout == "all\n", done.stderr
