"""What is changed in a process for its end, and that it is undone. What it does is tried with real processes (tests/processes)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from _signal import getsignal, set_wakeup_fd  # what stands there, whatever `signal` shows
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import calidris
from calidris.instrument.process import ending
from calidris.instrument.process.ending import EndOfProcess
from calidris.instrument.process.fork import hold_forks
from calidris.instrument.process.unheard_signals import HIGH
from calidris.instrument.runtime import runtime


@pytest.fixture
def untouched() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def changed() -> list[Any]:
    """What is changed in a process."""
    functions = [os._exit, os.abort, os.execv, os.execve, os.kill, os.killpg]
    functions += [signal.raise_signal, signal.pthread_kill, signal.signal, signal.getsignal, signal.set_wakeup_fd]
    return [*functions, getsignal(signal.SIGTERM), getsignal(signal.SIGHUP)]


def test_everything_is_put_back(untouched: None, make_receiver: Any) -> None:
    calidris.shutdown()
    before = changed()
    calidris.configure(endpoint=make_receiver().start())
    assert all(new is not old for new, old in zip(changed(), before, strict=True))
    for number in (signal.SIGTERM, signal.SIGHUP):
        assert signal.getsignal(number) is signal.SIG_DFL, "nobody sees it"
    assert os.execve in os.supports_fd
    calidris.shutdown()
    assert changed() == before


@pytest.mark.skipif(not hasattr(socket, "SO_PASSCRED"), reason="only Linux tells who wrote")
def test_what_signals_are_written_to_is_put_back_and_nobody_sees_it(untouched: None, make_receiver: Any) -> None:
    calidris.shutdown()
    calidris.configure(endpoint=make_receiver().start())
    ours = set_wakeup_fd(-1)
    set_wakeup_fd(ours, warn_on_full_buffer=False)
    assert ours >= HIGH, "whoever closes what he did not open gives its number to another file"
    assert not os.get_inheritable(ours)
    read, written = socket.socketpair()
    written.setblocking(False)
    with read, written:
        assert signal.set_wakeup_fd(written.fileno()) == -1, "nobody sees it"
        assert set_wakeup_fd(written.fileno()) == written.fileno(), "theirs stays while they want it"
        assert signal.set_wakeup_fd(-1) == written.fileno()
        assert set_wakeup_fd(ours, warn_on_full_buffer=False) == ours, "and ours is back afterwards"
    calidris.shutdown()
    assert set_wakeup_fd(-1) == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(ours)


@pytest.mark.skipif(not hasattr(socket, "SO_PASSCRED"), reason="only Linux tells who wrote")
def test_who_listens_already_goes_on(untouched: None, make_receiver: Any) -> None:
    calidris.shutdown()
    read, written = socket.socketpair()
    written.setblocking(False)
    with read, written:
        signal.set_wakeup_fd(written.fileno())
        calidris.configure(endpoint=make_receiver().start())
        assert signal.set_wakeup_fd(-1) == written.fileno()
    calidris.shutdown()


def test_the_signal_is_left_alone_where_that_is_asked(untouched: None, make_receiver: Any) -> None:
    calidris.configure(endpoint=make_receiver().start(), handle_sigterm=False)
    assert getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_handler_of_the_application_stays_and_finds_the_default_before_it(untouched: None) -> None:
    flushed: list[float] = []
    end = EndOfProcess(flushed.append, flushed.append, flushed.clear)
    end.watch(handle_sigterm=True)
    handled: list[int] = []

    def handle(number: int, frame: Any) -> None:
        handled.append(number)

    assert signal.signal(signal.SIGTERM, handle) is signal.SIG_DFL
    signal.raise_signal(signal.SIGTERM)
    assert handled == [signal.SIGTERM]
    assert flushed == []
    end.watch(handle_sigterm=True)
    assert signal.getsignal(signal.SIGTERM) is getsignal(signal.SIGTERM) is handle
    assert signal.signal(signal.SIGTERM, signal.SIG_DFL) is handle
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert getsignal(signal.SIGTERM) != signal.SIG_DFL, "where the default is put back, ours is"
    signal.signal(signal.SIGTERM, handle)
    end.leave()
    assert signal.getsignal(signal.SIGTERM) is handle


CHAINED = """
import os, signal, sys, time, calidris
model = calidris.Model("m")
with model.predict(features={"n": 1}):
    pass
before = signal.getsignal(signal.SIGTERM)
def handle(number, frame):
    print("handled", flush=True)
    if callable(before):
        before(number, frame)
    else:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
if sys.argv[1] == "chained":
    signal.signal(signal.SIGTERM, handle)
else:  # what an event loop does that is done with its handler
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
print("ready", flush=True)
end = time.monotonic() + 20
while time.monotonic() < end:
    time.sleep(0.01)
"""


@pytest.mark.parametrize("how", ["chained", "put back"])
def test_sigterm_ends_a_process_whose_handlers_come_and_go(receiver: Any, how: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    settings = {"OTEL_EXPORTER_CALIDRIS_ENDPOINT": receiver.endpoint, "OTEL_CALIDRIS_SCHEDULE_DELAY": "60000"}
    process = subprocess.Popen(
        [sys.executable, "-c", CHAINED, how], env=clean | settings, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    said, _ = process.communicate(timeout=15)
    assert (process.returncode, said) == (-signal.SIGTERM, "handled\n" if how == "chained" else "")
    assert receiver.only("predict m")["ml.prediction.count"] == 1


def test_who_replaced_ours_keeps_his(untouched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    end = EndOfProcess(lambda _: None, lambda _: None, lambda: None)
    end.watch(handle_sigterm=False)
    theirs = lambda pid, number: None  # noqa: E731
    monkeypatch.setattr(os, "kill", theirs)
    end.leave()
    assert os.kill is theirs


def test_all_doors_of_an_end_share_its_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is for how long they held it: a process may do other things in between, or go on after all."""
    now_s, given = [100.0], []

    def hold(timeout_s: float) -> None:
        given.append(timeout_s)
        now_s[0] += min(timeout_s, 1.5)

    monkeypatch.setattr(ending, "read_clock_s", lambda: now_s[0])
    end = EndOfProcess(hold, hold, lambda: None)
    for passed_s in (0.0, 5.0, 5.0, 60.0):
        now_s[0] += passed_s
        end._at_exit()
    assert given == [2.0, 0.5, 0.0, 2.0]


@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.parametrize("status", ["no number", 3])
def test_an_end_that_is_none(receiver: Any, monkeypatch: pytest.MonkeyPatch, status: Any, is_away: bool) -> None:
    """``os._exit`` called with what it does not take, or put out of action by a test of the application: recording goes on."""
    calidris.shutdown()
    if type(status) is int:
        monkeypatch.setattr(os, "_exit", lambda status: None)
    monkeypatch.setattr(ending, "EXIT_DEADLINE_S", 0.3)
    calidris.configure(endpoint=receiver.endpoint)
    if is_away:
        receiver.stop()
    record()
    with suppress(TypeError):
        os._exit(status)
    time.sleep(0.4)
    receiver.start()
    for _ in range(5):
        record()
    assert is_away or calidris.flush(20)
    receiver.settle()
    assert sum(runtime.drops().values()) == (1 if is_away else 0)


def record() -> None:
    with calidris.Model("m").predict(features=[1.0]) as p:
        p.score = 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what threads block")
def test_a_signal_that_somebody_waits_for_is_no_end() -> None:
    program = "import os, signal; from calidris.instrument.process.ending import EndOfProcess; held = []; "
    program += "EndOfProcess(held.append, held.append, held.clear).watch(True); one = {signal.SIGUSR1}; "
    program += "signal.pthread_sigmask(signal.SIG_BLOCK, one); os.kill(os.getpid(), signal.SIGUSR1); "
    program += "signal.raise_signal(signal.SIGUSR1); signal.sigwait(one); print(held)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_a_fork_waits_for_an_import_of_ours() -> None:
    inside, go_on, forked = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        with hold_forks():
            inside.set()
            go_on.wait(10)

    def fork() -> None:
        child = os.fork()
        if child == 0:
            os._exit(0)
        forked.set()
        os.waitpid(child, 0)

    threads = [threading.Thread(target=work), threading.Thread(target=fork)]
    threads[0].start()
    assert inside.wait(5)
    threads[1].start()
    assert not forked.wait(0.3)
    go_on.set()
    assert forked.wait(5)
    for one in threads:
        one.join()
