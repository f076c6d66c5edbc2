"""What is changed in a process for its end, and that it is undone. What it does is tried with real processes (tests/processes)."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import calidris
from calidris.instrument.process import ending
from calidris.instrument.process.ending import EndOfProcess
from calidris.instrument.process.fork import hold_forks


@pytest.fixture
def untouched() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def test_everything_is_put_back(untouched: None, make_receiver: Any) -> None:
    calidris.shutdown()
    before = signal.raise_signal, os.kill, signal.getsignal(signal.SIGTERM)
    calidris.configure(endpoint=make_receiver().start())
    assert before[0] is not signal.raise_signal
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    calidris.shutdown()
    assert (signal.raise_signal, os.kill, signal.getsignal(signal.SIGTERM)) == before


def test_the_signal_is_left_alone_where_that_is_asked(untouched: None, make_receiver: Any) -> None:
    calidris.configure(endpoint=make_receiver().start(), handle_sigterm=False)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_the_application_stays_and_may_call_ours(untouched: None) -> None:
    """One that calls the handler before it decides itself what becomes of the process: ours only sends then."""
    flushed: list[float] = []
    end = EndOfProcess(flushed.append, flushed.append)
    end.watch(handle_sigterm=True)
    ours: Any = signal.getsignal(signal.SIGTERM)
    handled: list[int] = []

    def handle(number: int, frame: Any) -> None:
        ours(number, frame)
        handled.append(number)

    signal.signal(signal.SIGTERM, handle)
    signal.raise_signal(signal.SIGTERM)
    assert handled == [signal.SIGTERM]
    assert len(flushed) == 1
    end.watch(handle_sigterm=True)
    assert signal.getsignal(signal.SIGTERM) is handle
    end.leave()
    assert signal.getsignal(signal.SIGTERM) is handle


def test_who_replaced_ours_keeps_his(untouched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    end = EndOfProcess(lambda _: None, lambda _: None)
    end.watch(handle_sigterm=False)
    theirs = lambda pid, number: None  # noqa: E731
    monkeypatch.setattr(os, "kill", theirs)
    end.leave()
    assert os.kill is theirs


def test_all_doors_of_an_end_share_its_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, given = [100.0], []
    monkeypatch.setattr(ending.time, "monotonic", lambda: now_s[0])
    end = EndOfProcess(given.append, given.append)
    for passed_s in (0.0, 1.5, 1.0, 60.0):
        now_s[0] += passed_s
        end._at_exit()
    assert given == [2.0, 0.5, 0.0, 2.0]


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
