"""Writes what a release leaves on the disk, for later releases to load: state, journal, baseline, and the readings that it gave.

    git worktree add ../old <commit>; cd ../old; PYTHONPATH=src python <this file> <an empty directory>

Run it under the release that the directory is named for, before a format changes, and check in what it wrote. ``format4`` was
written at 9a4239f: store format 4, journal version 1, baseline format of that day.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from tests.engine.checkpoint.testdata.make_standing_alarm import without_levels

from calidris.app.loop import apply
from calidris.app.restore import Storage
from calidris.baseline import Baseline, BaselineColumns, build, write
from calidris.batch import CodedColumn, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig
from calidris.engine.build_snapshot import snapshot
from calidris.journal.segment_format import Kind, Record, seal_payload
from calidris.receive.intake import received_again
from calidris.state import Spec
from calidris.wire import decode, encode_labels, encode_predictions

KEY = ModelKey("default", "credit", "7")
HOUR = 3600 * 10**9
STEP = HOUR // 12
START = 1_800_000_000 * 10**9 // HOUR * HOUR
STEPS, SAVED_AT, ROWS = 40, 30, 60
MODEL = {
    "name": "credit",
    "windows": ["5m", "1h"],
    "slices": ["country"],
    "detect": {"windows": ["5m"], "label_age": "1h"},
}


def rows(seed: int, n: int, start_ns: int, span_ns: int) -> PredictionBatch:
    """Two numbers and a string, a score, an id; older in the second half, so that the model alarms."""
    rng = np.random.default_rng(seed)
    age = np.round(rng.normal(40 if seed < SAVED_AT else 55, 10, n), 1)
    country = CodedColumn.of(rng.choice(["NL", "DE", "FR"], n).tolist())
    return PredictionBatch(
        model=KEY,
        event_time_ns=start_ns + np.arange(n) * (span_ns // n),
        features={
            "age": NumberColumn.of(age),
            "income": NumberColumn.of(rng.integers(1, 99, n) * 1e3),
            "country": country,
        },
        ids=[f"{seed}-{i}" for i in range(n)],
        score=NumberColumn.of(rng.integers(1, 99, n) / 100),
        duration_s=NumberColumn.of(rng.integers(1, 40, n) / 1e3),
        slices={"country": country},
        trace_ids=CodedColumn.of([f"{seed + 1:032x}"] * n),
    )


def labels(batch: PredictionBatch, seed: int) -> LabelBatch:
    """An outcome for each row, ten minutes later."""
    assert batch.score is not None and batch.ids is not None
    drawn = np.random.default_rng(seed).random(len(batch)) < batch.score.values
    return LabelBatch("default", KEY.name, batch.ids, NumberColumn.of(drawn), batch.event_time_ns + 2 * STEP)


def configuration(path: Path) -> CalidrisConfig:
    """The settings that the fixture was made with."""
    model = MODEL | {"baseline": str(path / "credit-{version}.calidris")}
    return CalidrisConfig.model_validate({"storage": {"path": path}, "models": [model]})


def baseline() -> Baseline:
    """Half a day of such rows."""
    batch = rows(29, 2400, START - 12 * HOUR, 12 * HOUR)
    columns = BaselineColumns(batch, labels(batch, 2).label, delay_s=np.full(2400, 600.0))
    return build(columns, Spec(positive="1"), window_s=300.0, slices=["country"])


def feed(storage: Storage, step: int) -> None:
    """One step's rows, the labels of the step two before, and the seal."""
    end = START + (step + 1) * STEP
    raw = encode_predictions(rows(step, ROWS, end - STEP, STEP), form="packed", one_span_per_row=False)
    said = [(Kind.REQUEST, raw)]
    if step >= 2:
        old = rows(step - 2, ROWS, end - 3 * STEP, STEP)
        said.append((Kind.REQUEST, encode_labels(labels(old, step))))
    for kind, payload in [*said, (Kind.SEAL, seal_payload(end))]:
        seq = storage.journal.append(kind, end, "default", payload).wait()
        apply(storage.engine, received_again(Record(kind, seq, end, "default", payload), decode))


def told(storage: Storage) -> list[list[object]]:
    """Every reading of the model, as plain values."""
    (model,) = snapshot(storage.engine, 0).models
    figures = without_levels(model.readings)
    return [[r.metric.name, r.window, [*map(list, r.attributes)], r.n, r.value, r.status.value] for r in figures]


def main(path: Path) -> None:
    """Write the directory: the checkpoint holds the first steps, the journal all of them."""
    write(baseline(), path / "credit-7.calidris")
    storage = Storage(configuration(path), on_failure=lambda error: None)
    for step in range(STEPS):
        feed(storage, step)
        if step + 1 == SAVED_AT:
            storage.checkpoint.save(storage.engine)
    engine = storage.engine
    alarms = [[a.id, a.kind, a.window, a.raised_ns, a.n] for a in engine.alarms]
    (model,) = engine.models.values()
    totals = {"rows": model.rows, "labels": model.labels, "sequence": engine.sequence, "sealed_ns": engine.sealed_ns}
    storage.close()
    (path / "expected.json").write_text(json.dumps({"totals": totals, "alarms": alarms, "readings": told(storage)}))
    for name in ("lock", "journal/lock"):
        (path / name).unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
