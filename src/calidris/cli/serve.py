"""``calidris serve``."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

from calidris.app import Server, check_baselines
from calidris.app.tuning import tune
from calidris.cli.common import placed
from calidris.config import load


def serve(path: Path) -> int:
    """Run a receiver until a signal; 0 after a signal, 1 after a failed disk or engine."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    config = load(path)
    check_baselines(config, path)
    server = Server(config)
    tune()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.ask_to_stop())
    with placed(path):
        lines = server.start()
    if server.replayed:
        _say(f"replayed {server.replayed} records of the journal")
    for line in lines:
        _say(line)
    server.wait()
    _say("stopping: finishing what is under way")
    server.stop()
    _say("stopped")
    return 1 if server.failed else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
