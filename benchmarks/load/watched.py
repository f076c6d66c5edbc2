"""A ``calidris serve`` of its own, and what its process uses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_S = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Of a process: when, CPU seconds since its start, MiB in memory, open descriptors."""

    at_s: float
    cpu_s: float
    rss_mib: float
    descriptors: int


class Served:
    """A receiver's process and its endpoints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.port = 0
        self.api = ""
        assert process.stdout
        for line in process.stdout:
            if found := re.search(r"otlp/grpc listening on \S+:(\d+)", line):
                self.port = int(found[1])
            if found := re.search(r"api listening on (\S+)", line):
                self.api = found[1]
            if self.port and self.api:
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return
        raise RuntimeError("calidris serve ended before it listened; its log is above")

    def usage(self) -> Usage:
        """What the process uses now."""
        folder = Path(f"/proc/{self.process.pid}")
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        resident = re.search(r"VmRSS:\s+(\d+)", (folder / "status").read_text())
        assert resident
        cpu_s = (int(fields[11]) + int(fields[12])) / TICKS
        return Usage(time.monotonic(), cpu_s, int(resident[1]) / 1024, len(list((folder / "fd").iterdir())))

    def status(self) -> dict[str, Any]:
        """What ``/v1/status`` says."""
        with urllib.request.urlopen(f"{self.api}/v1/status", timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    def rows(self, wanted: int, timeout_s: float = 60.0) -> int:
        """Predictions counted, once they are as many as were wanted or nothing more comes of what is queued."""
        deadline = time.monotonic() + timeout_s
        while True:
            told = self.status()
            counted = sum(model["rows"] for model in told["models"])
            if counted >= wanted or time.monotonic() > deadline:
                return counted
            time.sleep(0.2)


@contextmanager
def served(folder: Path, config: str) -> Iterator[Served]:
    """A receiver over a new folder, stopped at the end."""
    path = folder / "calidris.yaml"
    path.write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "calidris.cli", "serve", "-c", str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield Served(process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
