"""``calidris baseline build`` says what a baseline lacks, and ``calidris status`` gives the same reason of a running receiver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from running import rows, until
from served import Started, configuration
from shell import Done, run

from calidris.wire import encode_predictions

MODEL = {"name": "credit", "windows": ["5m", "1h"], "detect": {"windows": ["5m"]}}


def written(path: Path, windows: int) -> Path:
    """Rows of so many windows of five minutes, 200 in each."""
    rng = np.random.default_rng(7)
    lines = ["ts,age,income,country,score,label"]
    for minute in range(0, windows * 5, 5):
        stamp = f"2026-11-01T{minute // 60:02d}:{minute % 60:02d}:00Z"
        for age, income in zip(rng.normal(40, 10, 200), rng.lognormal(10, 1, 200)):
            score = 1 / (1 + np.exp((40 - age) / 10))
            lines.append(f"{stamp},{age:.3f},{income:.2f},NL,{score:.4f},{int(rng.random() < score)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def build(folder: Path, windows: int, *more: str, detect: str = "[5m]") -> Done:
    config = folder / "calidris.yaml"
    config.write_text(
        f"models: [{{name: credit, windows: [5m, 1h], detect: {{windows: {detect}}}}}]\n", encoding="utf-8"
    )
    data = written(folder / "train.csv", windows)
    out = folder / "credit.calidris"
    return run("baseline", "build", "-c", config, "--model", "credit", "--data", data, "-o", out, *more)


def test_few_windows_are_told_as_such(tmp_path: Path) -> None:
    done = build(tmp_path, 12, "--time", "ts")
    assert done.code == 0, done.err
    assert "the baseline has 12 windows of 5m, 30 are needed" in done.out and "--time" not in done.out


def test_no_time_column_is_told_as_such(tmp_path: Path) -> None:
    assert "no --time column" in build(tmp_path, 12).out


def test_each_scored_length_is_looked_at(tmp_path: Path) -> None:
    """Sixty windows of 5m are enough, and make five of 1h: before, nobody said so."""
    done = build(tmp_path, 60, "--time", "ts", detect="[5m, 1h]")
    assert "5 windows of 1h, 30 are needed" in done.out and "windows of 5m, 30" not in done.out
    assert "are needed" not in build(tmp_path, 60, "--time", "ts").out


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Started]:
    build(tmp_path, 12, "--time", "ts")
    model = MODEL | {"baseline": str(tmp_path / "credit.calidris")}
    started = Started(configuration(tmp_path, models=[model]))
    yield started
    started.server.stop()


def test_status_gives_the_true_reason(receiver: Started) -> None:
    receiver.export(encode_predictions(rows(50, seed=1), form="packed", one_span_per_row=False))
    until(lambda: receiver.rows() == 50)
    endpoint = next(line.rpartition(" ")[2] for line in receiver.lines if line.startswith("api"))
    out = run("status", "--once", "--endpoint", endpoint).out
    assert "learning credit:7: the baseline has 12 windows of 5m, 30 are needed to know their spread" in out
    assert "time order" not in out
