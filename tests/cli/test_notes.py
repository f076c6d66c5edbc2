"""What ``calidris status`` says of a model beside its status, and ``calidris check`` of its settings: each with the cure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from running import labels, rows, until
from served import Started, configuration
from shell import Done, run
from tests.engine.conftest import baseline

from calidris.baseline import BaselineColumns, build, write
from calidris.batch import ModelKey, NumberColumn, PredictionBatch
from calidris.state import Spec
from calidris.wire import encode_labels, encode_predictions

Make = Callable[..., Started]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Make]:
    made: list[Started] = []

    def begin(**changes: Any) -> Started:
        made.append(Started(configuration(tmp_path, **changes)))
        return made[-1]

    yield begin
    for started in made:
        started.server.stop()


def send(started: Started, batch: PredictionBatch) -> None:
    before = started.rows()
    started.export(encode_predictions(batch, form="packed", one_span_per_row=False))
    until(lambda: started.rows() == before + len(batch))


def status(started: Started, *options: str) -> Done:
    endpoint = next(line.rpartition(" ")[2] for line in started.lines if line.startswith("api"))
    return run("status", "--endpoint", endpoint, "--once" if not options else options[0])


def told(started: Started) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(status(started, "--json").out)
    return found


def lines(started: Started, holds: str) -> list[str]:
    return [line for line in status(started).out.splitlines() if holds in line]


def test_labels_that_wait_are_told_by_model_until_their_rows_come(start: Make) -> None:
    started = start()
    batch = rows(40, seed=1)
    send(started, rows(10, seed=2))
    assert "early_labels" not in told(started) and not lines(started, "labels wait")
    assert batch.ids is not None
    started.export(encode_labels(labels(batch)))
    started.export(encode_labels(replace(labels(batch), model_name="nobody")))
    until(lambda: len(told(started).get("early_labels", ())) == 2)
    assert told(started)["early_labels"] == [
        {"tenant": "default", "name": "credit", "labels": 40, "watched": True},
        {"tenant": "default", "name": "nobody", "labels": 40, "watched": False},
    ]
    credit, nobody = lines(started, "40 labels wait for predictions with their ids, an hour at most")
    assert credit.startswith("credit: ") and "both need the same id" in credit
    assert nobody.startswith("nobody: ") and "no row of this model has come: see its name" in nobody
    send(started, batch)
    until(lambda: [one["name"] for one in told(started)["early_labels"]] == ["nobody"])
    assert len(lines(started, "labels wait")) == 1


def test_an_attribute_that_never_comes_is_told_with_how_to_send_it(start: Make) -> None:
    """The file of the first page: fairness names an attribute, and the service sends only the slice that it lists."""
    model = {"name": "credit", "slices": ["country"], "fairness": {"attribute": "sex"}}
    started = start(models=[model])
    send(started, rows(60, seed=1))
    assert told(started)["models"][0]["notes"] == []
    send(started, rows(60, seed=2))
    until(lambda: lines(started, "`fairness.attribute`"))
    (said,) = lines(started, "`fairness.attribute`")
    assert said.startswith(
        "credit:7: 120 rows came without a value of 'sex' (`fairness.attribute`). Send it as a slice"
    )
    assert "slices=['sex'] of Model" in said and "OTEL_CALIDRIS_SLICES=sex" in said and "`ml.slices`" in said
    more = rows(10, seed=3)
    send(started, replace(more, slices={**more.slices, "sex": more.slices["country"]}))
    until(lambda: not lines(started, "`fairness.attribute`"))


@pytest.mark.parametrize(
    ("version", "cure"), [("unknown", "OTEL_CALIDRIS_MODEL_VERSION"), ("8", "`calidris baseline build`")]
)
@pytest.mark.parametrize(("arrival", "states"), [("batch", {"partial"}), ("live", {"ok", "stale"})])
def test_a_borrowed_baseline_is_told_once_whatever_the_status_is(
    start: Make, tmp_path: Path, version: str, cure: str, arrival: str, states: set[str]
) -> None:
    """The first window of a job's model stays open here: what then stood in the log alone."""
    write(baseline(), tmp_path / "credit-7.calidris")
    model = {"name": "credit", "baseline": str(tmp_path / "credit-{version}.calidris"), "arrival": arrival}
    detect = {"windows": ["1s"], "false_alarms": "1 per day"}
    started = start(models=[{**model, "batch_idle": "1h", "windows": ["1s", "10s"], "detect": detect}])
    for one in (version, "7"):
        send(started, rows(20, seed=1, version=one))
    until(lambda: {model["status"] for model in told(started)["models"]} <= states, 60)
    (line,) = lines(started, "credit-7.calidris")
    assert line.startswith(f"credit:{version}: no baseline for version {version}: compared with credit-7.calidris; ")
    assert cure in line
    notes = {model["version"]: model["notes"] for model in told(started)["models"]}
    assert notes["7"] == [] and len(notes[version]) == 1


def test_check_says_how_slices_are_sent_and_which_a_baseline_has_not(tmp_path: Path) -> None:
    write(baseline(), tmp_path / "credit-7.calidris")
    (tmp_path / "calidris.yaml").write_text(
        "models: [{name: credit, windows: [1s, 10s], detect: {windows: [1s], false_alarms: 1 per day}, slices: [country],\n"
        "  fairness: {attribute: sex}, baseline: 'credit-{version}.calidris'}, {name: plain}]"
    )
    done = run("check", "-c", tmp_path / "calidris.yaml")
    out = " ".join(done.out.split())
    assert "credit: figures by country, sex are of the rows that bring a value" in out
    assert "slices=['country', 'sex'] of Model, OTEL_CALIDRIS_SLICES=country,sex" in out
    assert "credit: the baseline was built without the slice 'sex'" in out
    assert "plain: figures by" not in out


HOUR_NS = 3_600_000_000_000
MONDAY = round(datetime(2027, 1, 4, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * 10**9
START = 1_800_000_000 * 10**9 // HOUR_NS * HOUR_NS
SEASON = """
models:
  - name: credit
    windows: [1h]
    timezone: Europe/Berlin
    baseline: credit.calidris
    detect: {windows: [1h], references: REFERENCES}
"""


def season(folder: Path, references: str, hours: int, *, timed: bool = True, start_ns: int = START) -> str:
    """A configuration beside a baseline of so many hours."""
    rng = np.random.default_rng(1)
    rows = PredictionBatch(
        model=ModelKey("default", "credit", "7"),
        event_time_ns=start_ns + np.sort(rng.integers(0, hours * HOUR_NS, 40 * hours)),
        features={"age": NumberColumn.of(rng.normal(size=40 * hours))},
    )
    made = build(BaselineColumns(rows, timed=timed), Spec(positive="1"), window_s=3600.0)
    write(made, folder / "credit.calidris")
    path = folder / "calidris.yaml"
    path.write_text(SEASON.replace("REFERENCES", references))
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
    done = run("check", "-c", season(tmp_path, "[frozen, hour_of_week]", hours))
    assert done.code == 0
    assert f"credit: the reference hour_of_week on 1h windows {said}" in " ".join(done.out.split())
    assert "no proven bound" not in done.out


def test_check_says_what_is_not_proven_where_it_replaces_the_baseline(tmp_path: Path) -> None:
    done = run("check", "-c", season(tmp_path, "[hour_of_week]", 24 * 21))
    told = " ".join(done.out.split())
    assert done.code == 0 and "1h hour_of_week at" in told
    assert (
        "stands in place of the frozen baseline (`references`): it absorbs slow drift, and no proven bound says" in told
    )


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_baseline_without_times_cannot_be_replaced(tmp_path: Path, command: str) -> None:
    done = run(command, "-c", season(tmp_path, "[hour_of_week]", 24 * 21, timed=False))
    told = " ".join((done.out + done.err).split())
    assert (
        done.code != 0 and "calidris.yaml:6: models.0.baseline: credit.calidris: hour_of_week stands in place" in told
    )
    assert "built without --time" in told and "or list frozen beside it" in told


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (
            5,
            "credit: its baseline has no Saturday and no Sunday: what is usual then is unknown, and the first one raises an alarm",
        ),
        (7, ""),
        (2, ""),
    ],
)
def test_check_says_which_days_of_the_week_a_baseline_never_saw(tmp_path: Path, days: int, said: str) -> None:
    done = run("check", "-c", season(tmp_path, "[frozen]", 24 * days, start_ns=MONDAY))
    told = " ".join(done.out.split())
    assert done.code == 0 and said in told
    assert ("what is usual then is unknown" in told) == bool(said)


def test_check_says_how_surely_the_budget_holds_of_a_kind_and_of_all(tmp_path: Path) -> None:
    told = " ".join(run("check", "-c", season(tmp_path, "[frozen]", 24 * 21)).out.split())
    assert "credit: each kind keeps its part with a probability of at least 95% over the draw of its baseline" in told
    assert "all of labels, drift, performance, errors, latency, calibration together with at least 70%" in told
    replaced = " ".join(run("check", "-c", season(tmp_path, "[hour_of_week]", 24 * 21)).out.split())
    assert "calibration together with at least 75%; drift has no proven bound, as nothing is frozen" in replaced
