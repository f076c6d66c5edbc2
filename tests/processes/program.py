"""A program under test as its test sees it: its process, what it predicted, what it said, and what was counted of it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from running import Running, until

PROGRAMS = Path(__file__).with_name("programs")
BIN = Path(sys.executable).parent
END_S = 40.0
SETTLED_S = 3.0
CLIENTS = 4
LISTENING = r"(?:[Rr]unning on|Listening at:) http://127\.0\.0\.1:(\d+)"


class Made(NamedTuple):
    """Predictions that a program began, and that it had made."""

    begun: int
    ended: int


class Program:
    """One run of a program, with a model's name of its own."""

    def __init__(self, folder: Path, model: str, endpoint: str, command: list[str | Path], env: dict[str, str]) -> None:
        self.folder, self.model = folder, model
        self._account = folder / f"{model}.account"
        self._output = folder / f"{model}.log"
        self.env = environment(endpoint, model, self._account) | env
        with self._output.open("a") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                env=self.env, cwd=PROGRAMS, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    @property
    def output(self) -> str:
        """What it and its children said so far, on both streams."""
        return self._output.read_text(errors="replace")

    @property
    def made(self) -> Made:
        """What all its processes wrote down so far."""
        return made_of(self._account)

    @property
    def last_words(self) -> list[dict[str, Any]]:
        """What each of its processes that could still say it said at its end: ``made`` by then, and ``dropped`` by reason."""
        path = Path(f"{self._account}.drops")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def dropped(self) -> int:
        """Rows that its processes said they dropped."""
        return sum(sum(words["dropped"].values()) for words in self.last_words)

    def said(self, pattern: str) -> str:
        """The first group of a pattern in its output, once it is there."""

        def found() -> str | None:
            if hit := re.search(pattern, self.output):
                return hit[1]
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.output[-3000:]}"
            return None

        return str(until(found, END_S))

    def ask(self, times: int, port: int = 0) -> Counter[str]:
        """So many requests over a few connections; the answers, and how often each came. Without a port, the one it told."""
        port = port or int(self.said(LISTENING))
        until(lambda: listens(port), END_S)  # some servers say so before they do
        with ThreadPoolExecutor(CLIENTS) as pool:
            return sum(pool.map(lambda _: answers(port, times // CLIENTS), range(CLIENTS)), Counter())

    def ask_until_it_ends(self, port: int = 0) -> threading.Thread:
        """A client that goes on until nobody answers any more."""
        port = port or int(self.said(LISTENING))

        def go_on() -> None:
            with suppress(OSError, HTTPException):
                answers(port, sys.maxsize)

        thread = threading.Thread(target=go_on, daemon=True)
        thread.start()
        return thread

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal to its first process; the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def tell(self) -> int:
        """Have a program return that goes on until it is told; the exit code."""
        Path(f"{self._account}.end").touch()
        return self.wait()

    def wait(self) -> int:
        """The exit code, once all its processes have ended that were left in its group."""
        code = self.process.wait(END_S)
        until(lambda: not self.lives(), END_S)
        return code

    def lives(self) -> bool:
        """Whether a process of it is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """End what is left of it."""
        if self.lives():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def made_of(account: Path) -> Made:
    """What is written in an account so far."""
    written = account.read_bytes() if account.exists() else b""
    return Made(written.count(b"b"), written.count(b"e"))


def environment(endpoint: str, model: str, account: Path) -> dict[str, str]:
    """The environment of a program: none of the tests' own OpenTelemetry settings, and no exporter but ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    exporters = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    own = {
        "MODEL": model,
        "ACCOUNT": str(account),
        "OTEL_CALIDRIS_MODEL_NAME": model,
        "OTEL_EXPORTER_CALIDRIS_ENDPOINT": endpoint,
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PROGRAMS), clean.get("PYTHONPATH", "")))),
    }
    return clean | exporters | own


def listens(port: int) -> bool:
    """Whether a connection is taken."""
    try:
        socket.create_connection(("127.0.0.1", port), END_S).close()
    except ConnectionRefusedError:
        return False
    return True


def answers(port: int, times: int) -> Counter[str]:
    """Ask so often over one connection, opened anew where a server closed it."""
    found: Counter[str] = Counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=END_S)
    for _ in range(times):
        for attempt in (1, 2, 3):
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read().decode()
                break
            except (OSError, HTTPException):
                connection.close()
                if attempt == 3:
                    raise
        assert answer.status == 200, body
        found[body] += 1
    connection.close()
    return found


def settled(receiver: Running, model: str, expected: int) -> int:
    """Rows counted for a model, once they are as many as expected or have not grown for a while."""
    last, since = -1, time.monotonic()
    while time.monotonic() < since + SETTLED_S:
        rows = int(receiver.model(model)["rows"])
        if rows == expected:
            return rows
        if rows != last:
            last, since = rows, time.monotonic()
        time.sleep(0.05)
    return last


Start = Callable[..., Program]
