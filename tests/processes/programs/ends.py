"""Programs that predict and end, each in a way of its own: ``python ends.py sys_exit``."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time

import ledger

PREDICTIONS = 300
READY = "ready"


def returns() -> None:
    """The last line is reached."""
    ledger.predict(PREDICTIONS)


def sys_exit() -> None:
    ledger.predict(PREDICTIONS)
    sys.exit(3)


def exception() -> None:
    ledger.predict(PREDICTIONS)
    raise LookupError("the application's own")


def system_exit_in_a_thread() -> None:
    def leave() -> None:
        ledger.predict(PREDICTIONS)
        raise SystemExit(4)

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()


def threads_that_outlive_main() -> None:
    """They go on for longer than rows usually wait."""

    def go_on() -> None:
        threading.main_thread().join()
        for _ in range(30):
            ledger.predict(5)
            time.sleep(0.05)

    for _ in range(2):
        threading.Thread(target=go_on).start()
    ledger.predict()


def daemon_threads() -> None:
    """They predict until they are gone."""

    def go_on() -> None:
        while True:
            ledger.predict()
            time.sleep(0.001)

    threading.Thread(target=go_on, daemon=True).start()
    time.sleep(0.3)


def asyncio_tasks() -> None:
    async def one() -> None:
        await asyncio.sleep(0)
        ledger.predict()

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(PREDICTIONS)))

    asyncio.run(main())


def atexit_handlers() -> None:
    """One that was registered before the first prediction, one after it."""
    atexit.register(ledger.predict, PREDICTIONS)
    ledger.predict()
    atexit.register(ledger.predict, PREDICTIONS)


def only_at_exit() -> None:
    """Nothing is predicted before."""
    atexit.register(ledger.predict, PREDICTIONS)


def os_exit() -> None:
    ledger.predict(PREDICTIONS)
    os._exit(5)


def os_exit_in_a_thread() -> None:
    """While another one predicts."""

    def leave() -> None:
        ledger.predict(PREDICTIONS)
        os._exit(5)

    threading.Thread(target=leave).start()
    while True:
        ledger.predict()
        time.sleep(0.001)


def another_program() -> None:
    """Another one takes its place, after one that there is none of."""
    ledger.predict(PREDICTIONS)
    with contextlib.suppress(FileNotFoundError):
        os.execvp("no-such-program", ["no-such-program"])
    ledger.predict(PREDICTIONS)
    os.execv(sys.executable, [sys.executable, __file__, "returns"])


def kills_itself() -> None:
    """As hard as can be."""
    ledger.predict(PREDICTIONS)
    os.kill(os.getpid(), signal.SIGKILL)


def kills_its_group() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ledger.predict(PREDICTIONS)
    os.killpg(os.getpgrp(), signal.SIGINT)


def kills_its_thread() -> None:
    ledger.predict(PREDICTIONS)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)


def aborts() -> None:
    ledger.predict(PREDICTIONS)
    os.abort()


def destructor() -> None:
    """An object that predicts when the interpreter takes it down."""

    class Last:
        def __del__(self) -> None:
            ledger.predict(PREDICTIONS)
            print("it was told nothing")

    globals()["last"] = Last()


def waits() -> None:
    """A plain script that knows nothing of signals."""
    ledger.predict(PREDICTIONS)
    print(READY)
    time.sleep(60)


def threads() -> None:
    """Some threads that predict all the time; the main one knows nothing of signals."""

    def go_on() -> None:
        while True:
            ledger.predict()
            time.sleep(0.001)

    for _ in range(4):
        threading.Thread(target=go_on, daemon=True).start()
    print(READY)
    time.sleep(60)


def unheard() -> None:
    """The main thread waits and never notices: another thread is the one that the signal interrupts."""
    ledger.predict(PREDICTIONS)
    threading.Thread(target=time.sleep, args=(60,), daemon=True, name="theirs").start()
    threads = {thread.name: thread.native_id for thread in threading.enumerate()}
    print(f"thread {threads['theirs']}", flush=True)
    time.sleep(60)


def own_dumper() -> None:
    """SIGHUP means something to native code: a word on what the main thread does."""
    # Not on all threads: that reads the frames of those that run meanwhile, and CPython 3.11 crashes on it now and then, with us or without.
    faulthandler.register(signal.SIGHUP, all_threads=False)
    ledger.predict(PREDICTIONS)
    print(READY)
    time.sleep(1)


def goes_on() -> None:
    """A plain script that predicts all the time."""
    print(READY)
    while True:
        ledger.predict()
        time.sleep(0.001)


def goes_on_until_told() -> None:
    """A program that predicts until there is a file, and returns."""
    while not os.path.exists(f"{ledger.ACCOUNT}.end"):
        ledger.predict()
        time.sleep(0.001)


def native() -> None:
    """The main thread is inside a call of native code for a while."""
    ledger.predict(PREDICTIONS)
    print(READY)
    sum(range(100_000_000))
    print("the call returned")
    signal.pause()


def own_handler() -> None:
    """The application's own handler of SIGTERM, set before the first prediction; it ends the process in its own way."""

    def end(number: int, frame: object) -> None:
        print("the application's own handler")
        sys.exit(7)

    signal.signal(signal.SIGTERM, end)
    ledger.predict(PREDICTIONS)
    print(READY)
    time.sleep(60)


def own_handler_later() -> None:
    """The same, set after the first prediction."""
    ledger.predict(PREDICTIONS)

    def end(number: int, frame: object) -> None:
        print("the application's own handler", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        sys.exit(7)

    before = signal.signal(signal.SIGTERM, end)
    print("before", before)
    print(READY)
    time.sleep(60)


def ignores() -> None:
    """SIGTERM means nothing to it; SIGKILL or its own end do."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ledger.predict(PREDICTIONS)
    print(READY)
    time.sleep(1)


def handler_in_the_loop() -> None:
    """Asyncio's own handler of a signal."""

    async def main() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        ledger.predict(PREDICTIONS)
        print(READY)
        await stop.wait()
        ledger.predict()

    asyncio.run(main())


if __name__ == "__main__":
    globals()[sys.argv[1]]()
