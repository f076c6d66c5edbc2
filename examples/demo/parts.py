"""Start and stop the real parts, each its own process on loopback, ended by its own process id."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = ROOT / "examples" / "demo" / "calidris.yaml"
OUT = ROOT / "demo-out"
_BIN = Path(sys.executable).parent
_START_TIMEOUT_S = 60.0


class PartFailed(RuntimeError):
    """A process did not start, or ended by itself; the message shows the end of its log."""


class Part:
    """One process with its log file; its standard output is read line by line as well."""

    def __init__(self, name: str, command: list[str], env: dict[str, str] | None = None) -> None:
        self.name = name
        self.log = OUT / f"{name}.log"
        self.lines: list[str] = []
        self._file = open(self.log, "w", encoding="utf-8")  # noqa: SIM115  # lives as long as the process
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | (env or {}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            self._file.write(line)
            self._file.flush()

    def wait_for(self, pattern: str) -> str:
        """The first group of the first line that matches."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            for line in list(self.lines):
                found = re.search(pattern, line)
                if found:
                    return found[1]
            self.check()
            time.sleep(0.05)
        raise PartFailed(f"{self.name} did not say {pattern!r} within {_START_TIMEOUT_S:.0f} s; see {self.log}")

    def check(self) -> None:
        """Raise when the process has ended by itself."""
        if self.process.poll() is not None:
            tail = "\n".join(self.lines[-15:])
            raise PartFailed(f"{self.name} ended with {self.process.returncode}:\n{tail}")

    def stop(self) -> None:
        """SIGTERM, then SIGKILL where that does not help."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(timeout=5)
        self._file.close()


class Parts:
    """The receiver and the service of the demonstration; a context manager that stops both."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.api = self.metrics = self.service = ""
        self.all: list[Part] = []

    def __enter__(self) -> Parts:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        receiver = self._run("receiver", [str(_BIN / "calidris"), "serve", "-c", str(CONFIG)])
        grpc = receiver.wait_for(r"otlp/grpc listening on (\S+)")
        self.metrics = receiver.wait_for(r"prometheus listening on (\S+)")
        self.api = receiver.wait_for(r"api listening on (\S+)")
        port = free_port()
        command = [str(_BIN / "opentelemetry-instrument"), str(_BIN / "uvicorn"), "examples.demo.service:app"]
        self._run(
            "service", [*command, "--host", "127.0.0.1", "--port", str(port), "--no-access-log"], service_env(grpc)
        )
        self.service = f"http://127.0.0.1:{port}"
        self._wait_for_service()

    def _run(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Part:
        part = Part(name, command, env)
        self._stack.callback(part.stop)
        self.all.append(part)
        return part

    def _wait_for_service(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            self.check()
            try:
                if httpx.get(f"{self.service}/healthz", timeout=1.0, trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise PartFailed(f"the service does not answer; see {OUT / 'service.log'}")

    def check(self) -> None:
        """Raise when a part has ended by itself."""
        for part in self.all:
            part.check()


def service_env(grpc: str) -> dict[str, str]:
    """What the operator sets; the service's code stays as it is. Its own traces and metrics are off here."""
    return {
        "OTEL_EXPORTER_CALIDRIS_ENDPOINT": f"http://{grpc}",
        "OTEL_CALIDRIS_MODEL_NAME": "tumour",
        "OTEL_CALIDRIS_MODEL_VERSION": "1",
        "OTEL_SERVICE_NAME": "tumour-service",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OMP_NUM_THREADS": "1",
    }


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
