"""Whose an exception is: what a signal handler raised is the application's, whatever its objects raise is not."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import calidris
from calidris import Model
from calidris.instrument.shield import passes, shielded


class TimedOut(Exception):
    """What an application's handler raises."""


class Handlers:
    """Handlers of every kind that raise."""

    def method(self, number: int, frame: object) -> None:
        raise TimedOut

    def __call__(self, number: int, frame: object) -> None:
        raise TimedOut


def function(number: int, frame: object) -> None:
    raise TimedOut


def deep(number: int, frame: object) -> None:
    def inner() -> None:
        raise SystemExit(3)

    inner()


def leaving(number: int, frame: object) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    raise TimedOut


@pytest.fixture(autouse=True)
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


HANDLERS: dict[str, Any] = {
    "function": function,
    "method": Handlers().method,
    "object": Handlers(),
    "partial": functools.partial(function),
    "partial of a method": functools.partial(functools.partial(Handlers().method)),
    "deep": deep,
    "one that gives up its place": leaving,
}


class Interrupted:
    """A value whose conversion is interrupted by a signal, as any code may be."""

    def __init__(self, number: int = signal.SIGUSR1) -> None:
        self.number = number

    def __str__(self) -> str:
        os.kill(os.getpid(), self.number)
        return "interrupted"


@pytest.mark.parametrize("handler_of", HANDLERS.values(), ids=HANDLERS)
def test_what_a_handler_raises_while_our_code_runs_is_the_applications(receiver: Any, handler_of: Any) -> None:
    signal.signal(signal.SIGUSR1, handler_of)
    with pytest.raises((TimedOut, SystemExit)):
        Model(Interrupted())  # type: ignore[arg-type]
    signal.signal(signal.SIGUSR1, handler_of)
    with pytest.raises((TimedOut, SystemExit)):
        calidris.record_label(Interrupted(), 1, model="m")


def test_ctrl_c_while_our_code_runs_is_the_applications(receiver: Any) -> None:
    # As a program in the foreground has it: a shell starts those in the background with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Model(Interrupted(signal.SIGINT))  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit, TimedOut])
def test_what_an_object_raises_is_ours(error: type[BaseException]) -> None:
    @shielded("test")
    def read() -> None:
        raise error

    signal.signal(signal.SIGUSR1, function)
    assert read() is None


def test_another_thread_handles_no_signals() -> None:
    found: list[bool] = []

    def work(raising: Callable[..., None]) -> None:
        try:
            raising(1, None)
        except TimedOut as error:
            found.append(passes(error))

    signal.signal(signal.SIGUSR1, function)
    thread = threading.Thread(target=work, args=(function,))
    thread.start()
    thread.join()
    work(function)
    assert found == [False, True]
