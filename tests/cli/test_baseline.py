"""``calidris baseline build`` says what a baseline lacks, and ``calidris status`` gives the same reason of a running receiver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
from running import rows, until
from served import Started, configuration
from shell import Done, run

from calidris import semconv
from calidris.baseline import read
from calidris.metrics.base import Status
from calidris.state import Role
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


def test_labels_without_their_times_are_told_as_such_here_and_by_check(tmp_path: Path) -> None:
    for more, lacks in (((), True), (("--label-time", "ts"), False)):
        done = build(tmp_path, 40, "--time", "ts", *more)
        assert done.code == 0, done.err
        assert ("no --label-time column" in " ".join(done.out.split())) == lacks
        (tmp_path / "serve.yaml").write_text(
            "models: [{name: credit, windows: [5m, 1h], detect: {windows: [5m]}, baseline: credit.calidris}]\n"
        )
        checked = " ".join(run("check", "-c", tmp_path / "serve.yaml").out.split())
        assert ("credit: its baseline was built without --label-time" in checked) == lacks


def test_each_scored_length_is_looked_at(tmp_path: Path) -> None:
    """Sixty windows of 5m are enough, and make five of 1h: before, nobody said so."""
    done = build(tmp_path, 60, "--time", "ts", detect="[5m, 1h]")
    assert "5 windows of 1h, 30 are needed" in done.out and "windows of 5m, 30" not in done.out
    assert "are needed" not in build(tmp_path, 60, "--time", "ts").out


def served(path: Path, *, errors: bool = True) -> Path:
    """Forty windows of calls of a service: what each took in milliseconds, and how each failed."""
    rng = np.random.default_rng(5)
    lines = ["ts,age,took,failure"]
    for row in range(40 * 100):
        failure = "Timeout" if errors and rng.random() < 0.02 else ""
        lines.append(f"{1_767_225_600 + 3 * row},{rng.normal(40, 10):.3f},{rng.lognormal(3, 0.5):.2f},{failure}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


LATENCY = ("--duration", "took", "--duration-unit", "ms")
ERRORS = ("--error", "failure")


def waiting(folder: Path, data: Path, *options: str) -> set[str]:
    """Kinds of alarm that a receiver with this baseline says it has to learn first."""
    config, made = folder / "calidris.yaml", folder / "credit.calidris"
    config.write_text("models: [{name: credit, windows: [5m, 1h], detect: {windows: [5m]}}]\n", encoding="utf-8")
    names = ("--features", "age", "--model", "credit", "--data", data, "--time", "ts", "-o", made)
    done = run("baseline", "build", "-c", config, *names, *options)
    assert done.code == 0, done.err
    receiver = Started(configuration(folder, models=[MODEL | {"baseline": str(made)}]))
    try:
        receiver.export(encode_predictions(rows(50, seed=1), form="packed", one_span_per_row=False))
        until(lambda: receiver.rows() == 50)
        (model,) = receiver.server.snapshot().models
    finally:
        receiver.server.stop()
    told = [dict(one.attributes) for one in model.readings if one.status is Status.LEARNING]
    kinds = {attributes.get(semconv.ML_DETECTION_KIND) for attributes in told}
    return {kind for kind in ("errors", "latency") if kind in kinds}


@pytest.mark.parametrize(
    ("options", "waits"),
    [
        ((), {"errors", "latency"}),
        (ERRORS, {"latency"}),
        (LATENCY, set()),
        ((*LATENCY, *ERRORS), set()),
    ],
)
def test_what_the_file_says_need_not_be_learned_live(tmp_path: Path, options: tuple[str, ...], waits: set[str]) -> None:
    assert waiting(tmp_path, served(tmp_path / "served.csv"), *options) == waits


def test_durations_and_errors_are_counted_as_those_of_live_rows(tmp_path: Path) -> None:
    waiting(tmp_path, served(tmp_path / "served.csv"), *LATENCY, *ERRORS)
    made = read(tmp_path / "credit.calidris")
    table = pyarrow.csv.read_csv(tmp_path / "served.csv").to_pydict()
    failed, took = (made.spec.index(role) for role in (Role.ERROR, Role.DURATION))
    assert failed is not None and took is not None
    assert made.counts.field(failed)[0] == sum(not failure for failure in table["failure"])
    # A bin holds its right edge.
    edges = np.array(made.spec.fields[took].edges)
    expected = np.bincount(np.searchsorted(edges, np.array(table["took"]) / 1000) - 1, minlength=len(edges) - 1)
    assert made.counts.field(took)[: len(expected)].tolist() == expected.tolist()


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


def test_build_replays_the_days_and_check_shows_what_they_said(tmp_path: Path) -> None:
    """Ten days of an hour a window; on the seventh customers are older, and nobody has said that this is usual."""
    rng = np.random.default_rng(11)
    hours, config, made = np.repeat(np.arange(240), 60), tmp_path / "calidris.yaml", tmp_path / "credit.calidris"
    columns = {
        "ts": pyarrow.array(1_767_225_600 + 3600 * hours + rng.integers(0, 3600, len(hours))),
        "age": pyarrow.array(rng.normal(40 + 10 * (hours // 24 == 6), 10)),
    }
    pyarrow.csv.write_csv(pyarrow.table(columns), tmp_path / "train.csv")
    settings = f"{{name: credit, windows: [1h], baseline: {made}, detect: {{windows: [1h]}}}}"
    config.write_text(f"models: [{settings}]\n", encoding="utf-8")
    names = ("--model", "credit", "--data", tmp_path / "train.csv", "--time", "ts", "-o", made)
    done = run("baseline", "build", "-c", config, *names)
    assert done.code == 0, done.err
    told = " ".join(done.out.split())
    said = "replay of its own days: drift on 1h windows: "
    assert said in told and "on 10 of its 10 days, each left out of what it was compared with, about" in told
    assert (
        "'age'" in told
        and "on 2026-01-07" in told
        and "If such days are usual, a longer baseline shows more of them" in told
    )
    (kept,) = read(made).left_out
    assert (kept.kind, kept.days, kept.of_days, kept.dates[0]) == ("drift", 10, 10, "2026-01-07")
    checked = run("check", "-c", config)
    assert f"credit: {said}" in " ".join(checked.out.split())
