"""What ``calidris check`` says of the reference of the hour of the week, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shell import run

from calidris.baseline import BaselineColumns, build, write
from calidris.batch import ModelKey, NumberColumn, PredictionBatch
from calidris.state import Spec

HOUR_NS = 3_600_000_000_000
START = 1_800_000_000 * 10**9 // HOUR_NS * HOUR_NS
CONFIG = """
models:
  - name: credit
    windows: [1h]
    timezone: Europe/Berlin
    baseline: credit.calidris
    detect: {windows: [1h], references: REFERENCES}
"""


def settings(folder: Path, references: str, hours: int, *, timed: bool = True) -> str:
    """A configuration beside a baseline of so many hours."""
    rng = np.random.default_rng(1)
    rows = PredictionBatch(
        model=ModelKey("default", "credit", "7"),
        event_time_ns=START + np.sort(rng.integers(0, hours * HOUR_NS, 40 * hours)),
        features={"age": NumberColumn.of(rng.normal(size=40 * hours))},
    )
    made = build(BaselineColumns(rows, timed=timed), Spec(positive="1"), window_s=3600.0)
    write(made, folder / "credit.calidris")
    path = folder / "calidris.yaml"
    path.write_text(CONFIG.replace("REFERENCES", references))
    return str(path)


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (24 * 21, "is ready: 168 of 168 hours of the week can be judged"),
        (
            24 * 10,
            "learns: 72 of 168 hours of the week can be judged so far, an hour is judged once it was seen in 2 weeks",
        ),
        (24 * 5, "sleeps: no hour of the week can be judged yet, an hour is judged once it was seen in 2 weeks"),
    ],
)
def test_check_says_how_far_the_season_of_a_baseline_is(tmp_path: Path, hours: int, said: str) -> None:
    done = run("check", "-c", settings(tmp_path, "[frozen, hour_of_week]", hours))
    assert done.code == 0
    assert f"credit: the reference hour_of_week on 1h windows {said}" in " ".join(done.out.split())
    assert "no proven bound" not in done.out


def test_check_says_what_is_not_proven_where_it_replaces_the_baseline(tmp_path: Path) -> None:
    done = run("check", "-c", settings(tmp_path, "[hour_of_week]", 24 * 21))
    told = " ".join(done.out.split())
    assert done.code == 0 and "1h hour_of_week at" in told
    assert (
        "stands in place of the frozen baseline (`references`): it absorbs slow drift, and no proven bound says" in told
    )


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_baseline_without_times_cannot_be_replaced(tmp_path: Path, command: str) -> None:
    done = run(command, "-c", settings(tmp_path, "[hour_of_week]", 24 * 21, timed=False))
    told = " ".join((done.out + done.err).split())
    assert (
        done.code != 0 and "calidris.yaml:6: models.0.baseline: credit.calidris: hour_of_week stands in place" in told
    )
    assert "built without --time" in told and "or list frozen beside it" in told
