"""A positive class that no label is: ``baseline build``, ``check`` and ``status`` each say so, with the name that labels have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from running import labels, rows, until
from served import Started, configuration
from shell import Done, run

from calidris.batch import CodedColumn
from calidris.wire import encode_labels, encode_predictions

WORDS = np.array(["no", "yes"])
CURE = "Set `positive` of the model to what a positive outcome is called"


def build(folder: Path, positive: str = "") -> tuple[Done, Path]:
    config = folder / "calidris.yaml"
    file = folder / "credit.calidris"
    settings = f"name: credit, baseline: {file}" + (f", positive: {positive}" if positive else "")
    config.write_text(f"models: [{{{settings}}}]\n", encoding="utf-8")
    rng = np.random.default_rng(7)
    score = rng.random(2000)
    said, true = WORDS[(score > 0.5).astype(int)], WORDS[(rng.random(2000) < score).astype(int)]
    lines = ["age,score,prediction,label", *map(",".join, zip(map(str, range(2000)), map(str, score), said, true))]
    data = folder / "train.csv"
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return run("baseline", "build", "-c", config, "--model", "credit", "--data", data, "-o", file), config


def test_build_and_check_are_not_content(tmp_path: Path) -> None:
    done, config = build(tmp_path)
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert f"none of 2,000 labels is the positive class '1'; they are called 'no', 'yes'. {CURE}" in said
    checked = " ".join(run("check", "-c", config).out.split())
    assert f"credit: none of 2,000 labels is the positive class '1'. {CURE}, and build the baseline again" in checked


def test_with_the_right_name_they_are(tmp_path: Path) -> None:
    done, config = build(tmp_path, positive="yes")
    assert CURE not in " ".join(done.out.split())
    assert CURE not in " ".join(run("check", "-c", config).out.split())


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Started]:
    started = Started(configuration(tmp_path, models=[{"name": "credit"}]))
    yield started
    started.server.stop()


def test_status_says_so_of_a_running_receiver(receiver: Started) -> None:
    batch = rows(200, seed=1)
    outcome = CodedColumn.of(["no", "yes"] * 100)
    receiver.export(encode_predictions(batch, form="packed", one_span_per_row=False))
    until(lambda: receiver.rows() == 200)
    receiver.export(encode_labels(replace(labels(batch), label=outcome)))
    endpoint = next(line.rpartition(" ")[2] for line in receiver.lines if line.startswith("api"))

    def said() -> str:
        return " ".join(run("status", "--once", "--endpoint", endpoint).out.split())

    until(
        lambda: (
            "undefined credit:7: none of 200 labels is the positive class '1'; they are called 'no', 'yes'" in said()
        )
    )
    assert CURE in said()
