"""A service goes on whatever its receiver does, and what did not arrive is counted."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import CONFIG, Running, until

pytestmark = pytest.mark.e2e

QUEUE_ROWS = 500


class Service:
    """The process of ``service.py``."""

    def __init__(self, port: int) -> None:
        env = os.environ | {
            "OTEL_EXPORTER_CALIDRIS_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_CALIDRIS_QUEUE_SIZE": str(QUEUE_ROWS),
            "OTEL_CALIDRIS_SCHEDULE_DELAY": "200",
        }
        command = [sys.executable, str(Path(__file__).with_name("service.py"))]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
        )

    def ask(self, command: str) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def silence() -> Iterator[socket.socket]:
    """A port that takes connections and never answers: the worst kind of receiver."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def service(silence: socket.socket) -> Iterator[Service]:
    made = Service(silence.getsockname()[1])
    yield made
    made.close()


def test_a_receiver_that_hangs_comes_dies_and_comes_back(
    make_receiver: Callable[..., Running], service: Service, silence: socket.socket
) -> None:
    before = until(lambda: (told := service.ask("rows"))["drops"] and told)
    assert set(before["drops"]) == {"credit:queue_full"} and before["rows"] > QUEUE_ROWS
    port = silence.getsockname()[1]
    silence.close()
    receiver = make_receiver(CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{port}", 1)).start()
    until(lambda: receiver.model()["rows"] > 0, 40)
    receiver.kill()
    time.sleep(0.5)
    receiver.start()
    at_restart = receiver.model()["rows"]
    until(lambda: receiver.model()["rows"] > at_restart, 40)
    after = service.ask("end")
    assert after["rows"] > before["rows"] and not after["delivered"]  # a flush says that some were dropped
    # It never stood still: every row has either arrived or is counted as dropped.
    until(lambda: receiver.model()["rows"] + sum(after["drops"].values()) == after["rows"])
