"""Receivers that start fast, so that a test can afford to kill fifty."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from running import START_S, Running, environment

LISTENING = r"otlp/grpc listening on (\S+)"


class Moment(NamedTuple):
    """When to kill: so many seconds after a process began, or after it took requests."""

    seconds: float
    at_work: bool


class Hatched:
    """A receiver's process, as ``subprocess`` would show it."""

    def __init__(self, nest: Nest, pid: int, stdout: TextIO) -> None:
        self.nest, self.pid, self.stdout = nest, pid, stdout
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self.nest.order({"wait": self.pid})
        return self.returncode

    def wait(self, timeout_s: float = START_S) -> int:
        deadline = time.monotonic() + timeout_s
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, f"process {self.pid} has not ended within {timeout_s} s"
            time.sleep(0.002)
        return code

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


class Nest:
    """The program that forks them."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders

    def order(self, order: dict[str, Any], *fds: int) -> Any:
        socket.send_fds(self._orders, [json.dumps(order).encode()], fds)
        return json.loads(self._orders.recv(64))

    def hatch(self, config: Path, log: TextIO, **limits: Any) -> Hatched:
        read, write = os.pipe()
        try:
            return Hatched(self, self.order({"serve": str(config), **limits}, write, log.fileno()), os.fdopen(read))
        finally:
            os.close(write)


@contextmanager
def nest() -> Iterator[Nest]:
    """A nest; it ends when it is left."""
    mine, his = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    program = Path(__file__).with_name("nest.py")
    with his:
        process = subprocess.Popen(
            [sys.executable, program, str(his.fileno())], pass_fds=[his.fileno()], env=environment()
        )
    with mine:
        yield Nest(mine)
    process.wait(START_S)


class Reborn(Running):
    """A receiver that is killed and started again and again."""

    def __init__(self, folder: Path, config: str, nest: Nest) -> None:
        super().__init__(folder, config)
        self.nest = nest
        self.limits: dict[str, Any] = {}

    def spawn(self, log: TextIO) -> Any:
        return self.nest.hatch(self.config, log, **self.limits)

    def look(self) -> bool:
        """Take the address from what it has said so far, if it has."""
        found = [hit[1] for line in list(self.lines) if (hit := re.search(LISTENING, line))]
        if found:
            self.grpc = found[0]
        return bool(found)

    def _listening(self) -> float:
        """When it took requests, by the steady clock."""
        deadline = time.monotonic() + START_S
        while not self.look():
            assert self.process and self.process.poll() is None and time.monotonic() < deadline, self.log[-3000:]
            time.sleep(0.005)
        return time.monotonic()

    def live(self, moment: Moment) -> None:
        """Start, and kill at that moment; senders learn the address as soon as it takes requests."""
        self.begin()
        deadline = time.monotonic() + moment.seconds
        if moment.at_work:
            deadline = self._listening() + moment.seconds
        while (left := deadline - time.monotonic()) > 0:
            self.look()
            time.sleep(min(0.005, left))
        self.kill()
