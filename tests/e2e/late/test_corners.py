"""A model that errs more in one part of its space, from a file of rows to the list of alarms, which says in which part."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nights import DAY_NS, HOUR_NS, end_of, send
from running import CONFIG, Running, until
from tests.cli.shell import run

from calidris.batch import Floats, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.wire import encode_labels

pytestmark = pytest.mark.e2e

ROWS, BASELINE_DAYS = 2400, 8
"""Rows are of a day."""
DELAY_NS = 600 * 1_000_000_000
MODELS = (
    "models: [{name: prices, task: regression, arrival: batch, batch_idle: 2s, windows: [1h, 1d], baseline: prices.calidris,"
    " detect: {windows: [1h], false_alarms: 1 per year, label_age: 1h}}]\n"
)
Drawn = tuple[dict[str, Floats], Floats, Floats]


def draw(n: int, seed: int, worse: float = 1.0) -> Drawn:
    """Features, predictions and truths; errors are ``worse`` times as large where x > .5 and y <= .5."""
    rng = np.random.default_rng(seed)
    x, y = rng.random((2, n))
    said = 10.0 * (x > 0.5) + 5.0 * (y > 0.5)
    scale = np.where((x > 0.5) & (y <= 0.5), worse, 1.0)
    return {"x": x, "y": y}, said, said + rng.normal(size=n) * scale


def built(folder: Path, begin_ns: int) -> None:
    """A baseline of days whose labels came after ten minutes."""
    n = BASELINE_DAYS * ROWS
    features, said, truth = draw(n, 1)
    times = begin_ns + np.arange(n, dtype=np.int64) * (DAY_NS // ROWS)
    stamps = {"ts": pa.array(times, pa.timestamp("ns")), "known": pa.array(times + DELAY_NS, pa.timestamp("ns"))}
    pq.write_table(pa.table({**features, "said": said, "truth": truth, **stamps}), folder / "rows.parquet")
    (folder / "build.yaml").write_text(MODELS.replace(" baseline: prices.calidris,", ""))
    columns = ["--value", "said", "--label", "truth", "--time", "ts", "--label-time", "known"]
    files = ["--data", folder / "rows.parquet", "-c", folder / "build.yaml", "-o", folder / "prices.calidris"]
    done = run("baseline", "build", "--model", "prices", *files, *columns)
    assert done.code == 0, done.err
    told = " ".join(done.out.split())
    # About where the model says something else: at edges of bins, which are quantiles of the rows.
    assert re.search(r"corner in which losses are watched: x > 0\.\d+ and y > 0\.\d+", told), told


def live(receiver: Running, begin_ns: int, seed: int, worse: float = 1.0) -> None:
    """One day's job with its outcomes, and its windows closed."""
    features, said, truth = draw(ROWS, seed, worse)
    times = begin_ns + np.arange(ROWS, dtype=np.int64) * (DAY_NS // ROWS)
    ids = [f"{seed}-{i}" for i in range(ROWS)]
    columns = {name: NumberColumn.of(column) for name, column in features.items()}
    key = ModelKey("default", "prices", "7")
    send(receiver, PredictionBatch(key, times, columns, task="regression", ids=ids, value=NumberColumn.of(said)))
    receiver.export(encode_labels(LabelBatch("default", "prices", ids, NumberColumn.of(truth), times + DELAY_NS)))
    until(lambda: end_of(receiver, "prices") > begin_ns + DAY_NS - 2 * HOUR_NS, 60)


def test_an_alarm_says_in_which_corner_errors_are_larger(make_receiver: Callable[..., Running]) -> None:
    first_ns = (time.time_ns() // DAY_NS - 8) * DAY_NS
    receiver = make_receiver(CONFIG + MODELS)
    built(receiver.folder, first_ns - BASELINE_DAYS * DAY_NS)
    receiver.start()
    for day in range(2):
        live(receiver, first_ns + day * DAY_NS, 10 + day)
    assert receiver.get("/v1/alarms") == []
    for day in range(2, 5):
        live(receiver, first_ns + day * DAY_NS, 10 + day, worse=1.5)
    alarms = until(lambda: [a for a in receiver.get("/v1/alarms") if a["kind"] == "performance"])
    assert first_ns + 2 * DAY_NS - HOUR_NS <= alarms[0]["since_ns"]
    named = [feature["name"] for alarm in alarms for feature in alarm["features"]]
    corner = next(name for name in named if " where " in name)
    assert re.fullmatch(r"absolute error where (0\.\d+ < x <= 0\.\d+|x > 0\.\d+) and y <= 0\.(49|50)\d*", corner), (
        corner
    )
    listed = run("alarms", "list", "--endpoint", receiver.api)
    assert corner in " ".join(listed.out.split()), listed.out
