"""Hostile names and full caps in a real receiver: scrape, commands, logs, and a restart by kill."""

from __future__ import annotations

import io
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from running import CALIDRIS, CONFIG, Running, environment, until

from calidris import semconv
from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.cli import alarms, report
from calidris.cli.check import check
from calidris.cli.receiver_client import Receiver
from calidris.cli.status import status
from calidris.wire import encode_predictions

NAMES = ("\x1b[2J\x00\x07", 'x"} 1\nml_injected_total{a="b"} 5', "<script>alert(1)</script>\u202e", "[red]:skull:[/]")
FLOOD = 300


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path, CONFIG + f"limits: {{models: {len(NAMES) + 2}, versions: 3}}\n")
    yield running.start()
    running.kill()


def sent(name: str, version: str = "1", n: int = 2) -> bytes:
    batch = PredictionBatch(
        ModelKey("default", name, version),
        np.full(n, time.time_ns()),
        {name: NumberColumn.of(np.arange(float(n)))},
        score=NumberColumn.of(np.full(n, 0.5)),
        slices={name: CodedColumn.of([name] * n)},
    )
    return encode_predictions(batch, form="packed", one_span_per_row=False)


def said(command: Callable[[Console], int]) -> list[str]:
    """What a command prints, each line of it as a terminal shows it."""
    out = io.StringIO()
    assert command(Console(file=out, width=1000, force_terminal=True, color_system=None)) == 0
    assert all(line.isprintable() for line in out.getvalue().split("\n")), repr(out.getvalue())
    return [line.rstrip() for line in out.getvalue().split("\n")]


def test_names_and_caps_in_a_real_receiver(receiver: Running) -> None:
    for name in NAMES:
        receiver.export(sent(name))
    # Requests one behind the other are one request.
    receiver.export(b"".join(sent(f"flood {i}") for i in range(FLOOD)))
    receiver.export(b"".join(sent("flood 0", f"build {i}") for i in range(FLOOD)))
    wanted = 2 * (len(NAMES) + 2 * FLOOD)
    models, overflow = len(NAMES) + 2 + 2, semconv.METRIC_CALIDRIS_MODELS_OVERFLOW.name

    def counted() -> bool:
        told = receiver.status()
        rows = sum(m["rows"] for m in told["models"])
        assert rows <= 2 * models and len(told["models"]) <= models
        return rows + sum(told["counters"].get(overflow, {}).values()) == wanted

    until(counted)
    before = receiver.status()
    assert {m["name"] for m in before["models"]} == {*NAMES, "flood 0", "flood 1"}
    assert before["counters"][overflow] == {"models": 2 * (FLOOD - 2), "versions": 2 * (FLOOD - 2)}

    receiver.kill()
    receiver.start()
    until(counted)
    assert receiver.status()["counters"][overflow] == before["counters"][overflow]

    text = httpx.get(receiver.metrics_url, timeout=10, trust_env=False).text
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    assert {s.labels["ml_model_name"] for s in samples if "ml_model_name" in s.labels} == {*NAMES, "flood 0", "flood 1"}
    assert {s.name for s in samples} <= {m.prometheus for m in semconv.METRICS}

    asked, page = Receiver(receiver.config, receiver.api), receiver.folder / "report.html"
    lines = said(lambda out: status(asked, out, watch=False, as_json=False, every_s=1))
    assert sum("flood" in line or "skull" in line or "<script>" in line for line in lines) == 6
    assert f"{2 * (FLOOD - 2)} rows of model versions beyond limits.versions were not counted" in lines
    assert said(lambda out: alarms.show(asked, True, out))[0] == "no alarm was ever raised"
    said(lambda out: report.report(asked, NAMES[2], page, out))
    assert "<script>" not in page.read_text(encoding="utf-8")
    assert any(
        "3 versions of a model, 200 versions in all" in line for line in said(lambda out: check(receiver.config, out))
    )
    words = [*CALIDRIS, "report", "--model", "nobody", "--endpoint", receiver.api]
    unknown = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment())
    assert unknown.returncode == 1 and "skull" in unknown.stderr
    assert all(line.isprintable() for line in unknown.stderr.split("\n"))
    assert all(line.isprintable() for line in receiver.log.split("\n"))
