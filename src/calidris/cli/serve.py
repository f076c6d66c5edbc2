"""``calidris serve``: a process around ``Server``, its signals, its log and its exit code."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from calidris.app import Server, check_baselines
from calidris.app.interpreter_tuning import tune
from calidris.app.logs import Logs
from calidris.app.thresholds import check_thresholds
from calidris.cli.common import placed
from calidris.config import load

STOPPED, FAILED = 0, 1
_BY_SIGNAL = 128  # as a shell tells it


def serve(path: Path) -> int:
    """Run a receiver until a signal.

    Returns:
        0 after a signal, 1 after a failed disk or engine. A second signal ends the process at once, with 128 and its
        number; what was acknowledged is in the journal.
    """
    config = load(path)
    logs = Logs(config.log, sys.stderr)
    check_baselines(config, path)
    check_thresholds(config, path)
    server = Server(config, suppressed=lambda: logs.suppressed)
    tune()
    _on_signals(server)
    with placed(path):
        lines = server.start()
    if server.replayed:
        _say(f"replayed {server.replayed} records of the journal")
    for line in lines:
        _say(line)
    server.wait()
    _say("stopping: finishing what is under way")
    server.stop()
    return _end(server)


def _on_signals(server: Server) -> None:
    """The first signal asks, a second one does not."""
    asked: list[int] = []

    def handle(number: int, frame: Any) -> None:
        if asked:
            os.write(sys.stderr.fileno(), b"calidris: quitting at once; what was acknowledged is in the journal\n")
            os._exit(_BY_SIGNAL + number)
        asked.append(number)
        server.ask_to_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _end(server: Server) -> int:
    if server.unapplied:
        _say(
            f"{server.unapplied} acknowledged records were not applied in time: the next start reads them from the journal"
        )
    if server.hung:
        _say(f"ended by force: {', '.join(server.hung)} did not end; what was acknowledged is in the journal")
        _exit(FAILED)
    _say("stopped")
    return FAILED if server.failed else STOPPED


def _exit(code: int) -> NoReturn:
    """End with threads that will not."""
    sys.stderr.flush()
    os._exit(code)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
