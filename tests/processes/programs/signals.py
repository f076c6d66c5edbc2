"""Programs whose signal handlers record while the main thread does: ``python signals.py timer``."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from types import FrameType

import ledger

SECONDS = 1.0
STUCK_S = 15.0
INTERVAL_S = 0.002
LABEL_EVERY = 10


def record(number: int, frame: FrameType | None) -> None:
    """A prediction, and now and then a label."""
    ledger.predict()
    ledger.MODEL.record_label("some", 1)


def busy() -> None:
    """Record all the time, single rows, batches and labels, for a while."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        ledger.predict(5)
        ledger.batch(20)
        ledger.MODEL.record_label("some", 1)


def timer() -> None:
    """SIGALRM, many times a second."""
    signal.signal(signal.SIGALRM, record)
    signal.setitimer(signal.ITIMER_REAL, INTERVAL_S, INTERVAL_S)
    busy()
    signal.setitimer(signal.ITIMER_REAL, 0)


def children() -> None:
    """SIGCHLD: children that end all the time."""
    signal.signal(signal.SIGCHLD, record)
    ending = threading.Event()

    def spawn() -> None:
        while not ending.is_set():
            os.waitpid(os.spawnv(os.P_NOWAIT, "/bin/true", ["true"]), 0)

    thread = threading.Thread(target=spawn)
    thread.start()
    busy()
    ending.set()
    thread.join()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def user() -> None:
    """SIGUSR1 from a thread, as fast as it goes, from before the first prediction on."""
    signal.signal(signal.SIGUSR1, record)
    ending = threading.Event()

    def send() -> None:
        while not ending.wait(INTERVAL_S / 2):
            os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=send)
    thread.start()
    busy()
    ending.set()
    thread.join()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def while_it_starts() -> None:
    """In the middle of the very first prediction: a handler for every line of it that is executed."""
    signal.signal(signal.SIGUSR1, record)
    main = threading.get_ident()
    left = 300

    def trace(frame: FrameType, event: str, argument: object) -> object:
        nonlocal left
        if event == "line" and left and "calidris" in frame.f_code.co_filename:
            left -= 1
            sys.settrace(None)  # not in the handler itself
            signal.pthread_kill(main, signal.SIGUSR1)
            sys.settrace(trace)
        return trace

    sys.settrace(trace)
    ledger.predict()
    ledger.batch(20)
    ledger.MODEL.record_label("some", 1)
    sys.settrace(None)
    ledger.predict(20)


def own_timeout() -> None:
    """A time-out of the application's own, raised by its handler while it predicts, reaches the application each time."""
    seen = 0

    class TimeoutOfTheApplication(Exception):
        pass

    def raise_it(number: int, frame: FrameType | None) -> None:
        raise TimeoutOfTheApplication

    signal.signal(signal.SIGALRM, raise_it)
    for attempt in range(100):
        # The moment moves on, so that it falls into every part of a prediction.
        signal.setitimer(signal.ITIMER_REAL, 0.001 + attempt * 0.00001)
        try:
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                ledger.batch(20)
                ledger.predict()
        except TimeoutOfTheApplication:
            seen += 1
    print(f"seen {seen} of 100")


if __name__ == "__main__":
    faulthandler.dump_traceback_later(STUCK_S, exit=True)  # whoever stands still says where
    globals()[sys.argv[1]]()
