"""A real ``calidris serve`` as a test sees it: its process, its endpoints, and requests to send there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import grpc
import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from calidris.batch import CodedColumn, LabelBatch, ModelKey, NumberColumn, PredictionBatch

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
CALIDRIS = [sys.executable, "-m", "calidris.cli"]
START_S = 60.0
CONFIG = """
receiver: {grpc: {endpoint: "127.0.0.1:0"}, http: {endpoint: "127.0.0.1:0"}, lateness: 1s}
storage: {path: data, checkpoint_interval: 1s, journal: {segment_bytes: 256KiB}}
export: {prometheus: {endpoint: "127.0.0.1:0"}}
api: {endpoint: "127.0.0.1:0"}
"""


class Running:
    """One receiver's process at a time, over one configuration; started again after each end."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.folder = folder
        self.config = folder / "calidris.yaml"
        self.config.write_text(config, encoding="utf-8")
        self.lines: list[str] = []
        self.grpc = self.http = self.api = self.metrics_url = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Running:
        self.begin()
        self.api = self.said(r"api listening on (\S+)")
        self.metrics_url = self.said(r"prometheus listening on (\S+)")
        self.grpc = self.said(r"otlp/grpc listening on (\S+)")
        self.http = self.said(r"otlp/http listening on (\S+)") if "http: null" not in self.config.read_text() else ""
        return self

    def begin(self) -> None:
        """Start the process and do not wait until it listens."""
        self.lines = []
        with (self.folder / "stderr.log").open("a") as log:
            self.process = self.spawn(log)
        threading.Thread(target=self._read, args=(self.process, self.lines), daemon=True).start()

    def spawn(self, log: TextIO) -> subprocess.Popen[str]:
        command = [*CALIDRIS, "serve", "-c", str(self.config)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment())

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: list[str]) -> None:
        assert process.stdout
        with process.stdout:
            lines.extend(iter(process.stdout.readline, ""))

    def said(self, pattern: str) -> str:
        def found() -> str | None:
            assert self.process
            if self.process.poll() is not None:
                raise AssertionError(f"it ended with {self.process.returncode}: {self.log[-3000:]}")
            return next((hit[1] for line in list(self.lines) if (hit := re.search(pattern, line))), None)

        return str(until(found, START_S))

    @property
    def log(self) -> str:
        return (self.folder / "stderr.log").read_text()

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def terminate(self, timeout_s: float = 30.0) -> int:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def export(self, raw: bytes, timeout_s: float = 10.0) -> bytes:
        with grpc.insecure_channel(self.grpc, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            return channel.unary_unary(EXPORT)(raw, timeout=timeout_s)

    def get(self, path: str) -> Any:
        return httpx.get(self.api + path, timeout=10, trust_env=False).raise_for_status().json()

    def status(self) -> dict[str, Any]:
        return self.get("/v1/status")

    def model(self, name: str = "credit") -> dict[str, Any]:
        """The model as status tells it; an empty one before it has been seen."""
        found = [m for m in self.status()["models"] if m["name"] == name]
        return found[0] if found else {"rows": 0, "labels": 0, "status": ""}

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Sample name and labels to value."""
        text = httpx.get(self.metrics_url, timeout=10, trust_env=False).raise_for_status().text
        return {
            (s.name, frozenset(s.labels.items())): s.value
            for family in text_string_to_metric_families(text)
            for s in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        """Sum of the samples of a metric whose labels include these."""
        wanted = set(labels.items())
        return sum(value for (found, has), value in self.metrics().items() if found == name and wanted <= has)


def until(probe: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """What ``probe`` gives once that is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.05)
    return found


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def rows(n: int, seed: int, name: str = "credit", version: str = "7", time_ns: int | None = None) -> PredictionBatch:
    """Draw n rows of two numbers and one string, now; their ids begin with the seed."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 10, n)
    begin = time.time_ns() if time_ns is None else time_ns
    return PredictionBatch(
        model=ModelKey("default", name, version),
        event_time_ns=begin + np.arange(n, dtype=np.int64) * 1000,
        features={
            "age": NumberColumn.of(age),
            "income": NumberColumn.of(rng.lognormal(10, 1, n)),
            "country": CodedColumn.of(rng.choice(["NL", "DE", "FR"], n).tolist()),
        },
        task="binary",
        ids=[f"{seed}-{i}" for i in range(n)],
        score=NumberColumn.of(1 / (1 + np.exp((40 - age) / 10))),
        duration_s=NumberColumn.of(rng.exponential(0.01, n)),
        slices={"country": CodedColumn.of(rng.choice(["NL", "DE"], n).tolist())},
    )


def labels(batch: PredictionBatch) -> LabelBatch:
    """Outcomes drawn from the scores."""
    assert batch.score is not None and batch.ids is not None
    drawn = np.random.default_rng(len(batch)).random(len(batch)) < batch.score.values
    outcome = NumberColumn.of(drawn.astype(float))
    return LabelBatch("default", batch.model.name, batch.ids, outcome, batch.event_time_ns + 10**9)
