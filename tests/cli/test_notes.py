"""What ``calidris status`` says of a model beside its status, and ``calidris check`` of its settings: each with the cure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from running import labels, rows, until
from served import Started, configuration
from shell import Done, run
from tests.engine.conftest import baseline

from calidris.baseline import write
from calidris.batch import PredictionBatch
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
