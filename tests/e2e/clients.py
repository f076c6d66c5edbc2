"""The clients of other languages as processes of their own: `examples/node-client` and `examples/go-client`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from running import Running

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EXAMPLES = ROOT / "examples"
sys.path.append(str(ROOT / "scripts"))  # last, so that it hides no module

import fetch_clients  # noqa: E402

HOSTILE = {
    "OTEL_TRACES_SAMPLER": "always_off",
    "OTEL_BSP_MAX_QUEUE_SIZE": "16",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8",
    "OTEL_BSP_SCHEDULE_DELAY": "60000",
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "1",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "1",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
}
"""What an application may have set for its own traces; with any of it, predictions would be lost or cut."""


@dataclass(frozen=True)
class Burst:
    """What a client is to record.

    Attributes:
        model: its name.
        single: predictions, each in a span of its own.
        packed: predictions in packed spans.
        serve: whether it goes on predicting until a signal.
    """

    model: str
    single: int = 0
    packed: int = 0
    serve: bool = False


class Client(Protocol):
    """One language's client."""

    def command(self, receiver: Running, burst: Burst) -> list[str]:
        """The command line that records a burst and sends it there."""


@dataclass(frozen=True)
class NodeClient:
    """A copy of the client beside its packages, as after npm install."""

    folder: Path

    def command(self, receiver: Running, burst: Burst) -> list[str]:
        url = f"{receiver.http}/v1/traces"
        command = ["node", str(self.folder / "app.js"), url, str(burst.single), str(burst.packed), burst.model]
        return [*command, "--serve"] if burst.serve else command


@dataclass(frozen=True)
class GoClient:
    """The client as built."""

    program: Path

    def command(self, receiver: Running, burst: Burst) -> list[str]:
        command = [str(self.program), "-endpoint", f"http://{receiver.grpc}", "-model", burst.model]
        command += ["-predictions", str(burst.single), "-packed", str(burst.packed)]
        return [*command, "-serve"] if burst.serve else command


class Process:
    """A client that runs."""

    def __init__(self, command: list[str], env: Mapping[str, str] = HOSTILE) -> None:
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | env
        )

    def wait_until_serving(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline() == "serving\n"

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def end(self, timeout_s: float = 60.0) -> Outcome:
        """Wait for its end; a client that does not end is killed, and the test fails."""
        try:
            out, err = self.process.communicate(timeout=timeout_s)
        finally:
            self.process.kill()
        assert out, err
        return Outcome(self.process.returncode, json.loads(out.splitlines()[-1]), err)


@dataclass(frozen=True)
class Outcome:
    """How a client ended: its exit code, what it says became of its rows, and what it wrote to standard error."""

    code: int
    counts: dict[str, int]
    said: str


def make_node_client(folder: Path) -> NodeClient:
    """The Node client in a folder of its own; without node or its packages the test is skipped, in CI it fails."""
    if not shutil.which("node"):
        _give_up("node is not on PATH")
    if not fetch_clients.NODE_PACKAGES.exists():
        _give_up("its packages are not there")
    for path in (EXAMPLES / "node-client").glob("*.js*"):
        shutil.copy(path, folder)
    for path in (HERE / "testdata").glob("*.js"):
        shutil.copy(path, folder)
    (folder / "node_modules").symlink_to(fetch_clients.NODE_PACKAGES)
    return NodeClient(folder)


def make_go_client() -> GoClient:
    """The Go client, built from what is there now; where that cannot be the test is skipped, in CI it fails."""
    if not fetch_clients.GO_PROGRAM.exists():
        _give_up("it was never built")
    try:
        fetch_clients.build_go_client()
    except fetch_clients.CannotFetch as error:
        _give_up(str(error))
    return GoClient(fetch_clients.GO_PROGRAM)


def _give_up(why: str) -> None:
    reason = f"no client: {why}; run `python scripts/fetch_clients.py`"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
