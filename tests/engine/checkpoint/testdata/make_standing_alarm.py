"""Writes ``store5-standing-alarm``: what a receiver left on the disk while one alarm was acknowledged and others stood.

    PYTHONPATH=src:. python tests/engine/checkpoint/testdata/make_standing_alarm.py <an empty directory>

Written with the code of e1b8daf (November 2026, before the packages were cut anew): store format 5, journal version 1, baseline
format 2. The code after the moves wrote the same bytes; a later format will not, and then only the checked-in files tell. The second of two checkpoints was taken mid-way and the journal truncated there: what is left of it is what a start reads
back. Two runs at one commit on one machine write the same bytes. Run on a directory that is written already, it adds what a
machine of another kind gets to the last bit: ``NPY_DISABLE_CPU_FEATURES`` and ``OPENBLAS_CORETYPE`` make one.

====================  ===================================================================================================
``credit`` 7          binary, with a baseline file, labels, two slices, fairness, objectives, a fixed limit,
                      a seasonal reference; steps have become hours, hours a day
``credit`` 8          its canary: it has no baseline of its own
``kinds`` 1           several classes, configured by nobody; its rows wait to be learned from
``price`` 1           a regression, likewise: the checkpoint has its first rows, the journal the rest of those it learns from
``shadow`` 1          likewise, learned before the checkpoint: a provisional baseline
``credit`` 1 of acme  another tenant's model of the same name
====================  ===================================================================================================
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.special import gammaln, ndtr
from tests.engine.checkpoint.testdata.standing_story import HOUR, START, Said, outcomes, rows, story

from calidris import semconv
from calidris.app.loop import apply
from calidris.app.restore import Storage
from calidris.baseline import Baseline, BaselineColumns, build, write
from calidris.config import CalidrisConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.core import Engine
from calidris.engine.panes.pane import Pane, pane_row
from calidris.engine.snapshot import Alarm, Snapshot
from calidris.journal.journal import Journal
from calidris.journal.segment_format import Record
from calidris.metrics.base import Reading, Status
from calidris.metrics.drift.drift_measures import LENGTHS
from calidris.receive.intake import received_again
from calidris.state import MomentsState, Spec
from calidris.wire import decode

SAVED_AT = (8, 16)
"""After how many steps there was a checkpoint."""
MODEL = {
    "name": "credit",
    "windows": ["15m", "1h"],
    "slices": ["country", "sex"],
    "fairness": {"attribute": "sex", "measures": ["demographic_parity", "equal_opportunity"]},
    "canary": {"version": "8", "against": "7", "on": ["errors", "score"]},
    "slo": {"latency": {"objective": 0.99, "under": "30ms"}, "errors": {"objective": 0.99}},
    "detect": {
        "windows": ["15m"],
        "label_age": "1h",
        "false_alarms": "1 per day",
        "references": ["frozen", "hour_of_week"],
        "thresholds": [{"figure": "ml.error.ratio", "above": 0.5}],
    },
    "owner": "risk-ml",
}

OTHER_SINCE = {"psi_debiased"}
"""Measures that are computed otherwise since, because what they said was wrong."""
BOUNDED_OTHERWISE_SINCE = {"ml.latency.duration", "brier", "log_loss"}
"""Figures that are the same and have another interval since, because the older one did not hold the truth."""


def configuration(path: Path) -> CalidrisConfig:
    """The settings that the fixture was made with."""
    storage = {
        "path": path,
        "journal": {"segment_bytes": "16KiB"},
        "retention": {"steps": "2h", "hours": "1d", "days": "30d"},
    }
    model = MODEL | {"baseline": str(path / "credit-{version}.calidris")}
    return CalidrisConfig.model_validate({"storage": storage, "models": [model]})


def baseline() -> Baseline:
    """Eight hours of such rows, before everything else."""
    batch = rows(99, 960, START - 8 * HOUR, span_ns=8 * HOUR)
    columns = BaselineColumns(batch, outcomes(batch, 98).label, delay_s=np.full(960, 600.0))
    return build(columns, Spec(positive="1"), window_s=900.0, slices=["country", "sex"])


def feed(storage: Storage, said: Said) -> None:
    """Keep a record and apply it, as a receiver does."""
    kind, payload, arrival, tenant = said
    seq = storage.journal.append(kind, arrival, tenant, payload).wait()
    apply(storage.engine, received_again(Record(kind, seq, arrival, tenant, payload), decode))


def told(engine: Engine) -> dict[str, Any]:
    """What the engine remembers and says, as plain values: no number here depends on the machine."""
    taken = snapshot(engine, engine.sealed_ns)
    names = {key: "/".join(key) for key in sorted(engine.models)}
    return {
        "sequence": taken.sequence,
        "sealed_ns": engine.sealed_ns,
        "began_ns": taken.began_ns,
        "early": sum(taken.early.values()),
        "counters": {name: dict(sorted(found.items())) for name, found in sorted(taken.counters.items())},
        "models": {
            names[m.key]: [m.task, m.status.value, m.status_detail, m.baseline, m.rows, m.labels, m.last_event_ns]
            for m in taken.models
        },
        "waiting": {name: engine.models[key].pending.unlabelled for key, name in names.items()},
        "days": {names[m.key]: sorted({day.time_s for day in m.days}) for m in taken.models},
        "alarms": [_alarm(alarm, taken) for alarm in taken.alarms],
        "panes": _panes(engine),
    }


def _alarm(alarm: Alarm, taken: Snapshot) -> dict[str, Any]:
    plain = {name: getattr(alarm, name) for name in ("id", "kind", "window", "reference", "raised_ns", "since_ns", "n")}
    named = [[feature.name, feature.direction] for feature in alarm.features]
    decided = [[o.action, o.by, o.reason, o.at_ns, o.token] for o in taken.commands if o.alarm == alarm.id]
    about = {"model": str(alarm.model), "features": named, "latched": alarm.id in taken.latched, "decided": decided}
    return plain | about


def _panes(engine: Engine) -> dict[str, Any]:
    """How many panes there are of each length, and a hash over the bytes of all of them, oldest first."""
    out, lengths = hashlib.sha256(), [0, 0, 0]
    for key, model in sorted(engine.models.items()):
        for pane_key, pane in model.panes.every():
            lengths[pane_key.level] += 1
            out.update(json.dumps([*key, *pane_key]).encode())
            for part in (*pane_row(as_kept_then(pane)), pane.labels.to_bytes()):
                out.update(part if isinstance(part, bytes) else json.dumps(part).encode())
    return {"steps, hours, days": lengths, "sha256": out.hexdigest()}


def as_kept_then(pane: Pane) -> Pane:
    """Without the sums of numbers by cell, which that version did not keep."""
    return replace(pane, moments=MomentsState(pane.counts.spec, pane.moments.array))


def exactly(engine: Engine) -> dict[str, str]:
    """Hashes of all that is remembered and of every figure, to the last bit of the floats."""
    taken = snapshot(engine, engine.sealed_ns)
    figures = [
        [*m.key, r.metric.name, r.window, [*_attributes(r)], r.n, r.value, *_bounds(r), r.baseline, _status(r)]
        for m in taken.models
        for r in _told_then(m.readings)
    ]
    return {"engine": digest(engine), "figures": hashlib.sha256(json.dumps(figures).encode()).hexdigest()}


def without_levels(readings: Iterable[Reading]) -> Iterator[Reading]:
    """The figures with one of alarms for each kind and window, as versions had them that knew one level."""
    alarms: dict[tuple[str, str], Reading] = {}
    for r in readings:
        if r.metric.name != "ml.detection.alarm":
            yield from alarms.values()
            alarms.clear()
            yield r
            continue
        kind = dict(r.attributes)["ml.detection.kind"]
        plain = replace(r, attributes=(("ml.detection.kind", kind),))
        known = alarms.get((r.window, kind), plain)
        alarms[r.window, kind] = max(known, plain, key=lambda one: one.value or 0.0)
    yield from alarms.values()


def _told_then(readings: Iterable[Reading]) -> Iterator[Reading]:
    """The figures that the version which made the fixture told too; since then, what waits is told as such."""
    others = OTHER_SINCE
    known = [
        r
        for r in without_levels(readings)
        if not others & set(dict(r.attributes).values()) and _attributes(r) is not None
    ]
    learning = {(r.window, r.attributes) for r in known if r.status is Status.LEARNING}
    for r in known:
        name = r.metric.name
        if name in ("ml.detection.waiting", "ml.detection.alarm.silent", "ml.window.status", "ml.window.late"):
            continue
        if name == "ml.detection.evidence" and r.status is Status.TOO_FEW:
            continue
        if name == "ml.detection.alarm" and (
            (r.window, r.attributes) in learning or "threshold" in dict(r.attributes).values()
        ):
            continue
        yield r


def as_called_then(about: dict[str, str]) -> dict[str, str] | None:
    """Attributes with the names of that version, which called complete what had come so far, and told nothing else of that kind."""
    maturity = about.get(semconv.ML_LABEL_MATURITY)
    if maturity == semconv.ML_LABEL_MATURITY_COMPLETE:
        return None
    if maturity == semconv.ML_LABEL_MATURITY_ARRIVED:
        return about | {semconv.ML_LABEL_MATURITY: semconv.ML_LABEL_MATURITY_COMPLETE}
    return about


def _attributes(reading: Reading) -> list[tuple[str, str]] | None:
    about = as_called_then(dict(reading.attributes))
    return None if about is None else [*about.items()]


def _status(reading: Reading) -> str:
    """How far a number moved, told from bins alone, is ``approximate`` since."""
    is_length = bool(LENGTHS & set(dict(reading.attributes).values()))
    return "ok" if is_length and reading.status is Status.APPROXIMATE else reading.status.value


def _bounds(reading: Reading) -> tuple[float | None, float | None]:
    """The interval of a figure; none where the formula of the interval is another one since."""
    measures = set(dict(reading.attributes).values())
    if reading.metric.name in BOUNDED_OTHERWISE_SINCE or BOUNDED_OTHERWISE_SINCE & measures:
        return None, None
    return reading.lower, reading.upper


def hash_of(journal: Journal, after_seq: int) -> str:
    """A hash of all records after one."""
    out = hashlib.sha256()
    for record in journal.replay(after_seq):
        out.update(f"{record.kind:d} {record.seq} {record.arrival_ns} {record.tenant} {len(record.payload)} ".encode())
        out.update(record.payload)
    return out.hexdigest()


def deflate() -> str:
    """A hash of what this machine's deflate makes of some numbers: states hold deflated bytes, and libraries differ in theirs."""
    numbers = (np.arange(4096, dtype="<i8") ** 2 % 61).tobytes()
    return hashlib.sha256(b"".join(zlib.compress(numbers, level) for level in (1, 6))).hexdigest()[:16]


def arithmetic() -> str:
    """A hash of the last bits of some functions: processors differ in them, and evidence goes on from what it was."""
    x = np.arange(1, 2049) / 137.0
    square = x[:1024].reshape(32, 32)
    found = (np.exp(-x), np.log(x), np.log1p(x), np.expm1(-x), x**1.7, np.tanh(x), x.sum(), square @ square.T)
    parts = (*found, np.linalg.eigvalsh(square @ square.T), gammaln(x), ndtr(x - 7.0))
    return hashlib.sha256(deflate().encode() + b"".join(np.asarray(part).tobytes() for part in parts)).hexdigest()[:16]


def main(path: Path) -> None:
    """Write the directory: two checkpoints, and the journal from the second one on."""
    made = baseline()
    write(made, path / "credit-7.calidris")
    storage = Storage(configuration(path), on_failure=lambda error: None)
    for number, step in enumerate(story(), 1):
        for said in step:
            feed(storage, said)
        if number in SAVED_AT:
            storage.checkpoint.save(storage.engine)
            storage.journal.truncate(storage.engine.sequence)
            saved = {"told": told(storage.engine), "engine": digest(storage.engine)}
    records = hash_of(storage.journal, saved["told"]["sequence"])
    replayed = {"told": told(storage.engine), "exactly": {arithmetic(): exactly(storage.engine)}}
    storage.close()
    _say(path, {"deflate": deflate(), "baseline": made.id, "journal": records, "saved": saved, "replayed": replayed})


def again(path: Path) -> None:
    """Add what a machine of another kind gets, to the last bit, to what was written."""
    expected = json.loads((path / "expected.json").read_text())
    with TemporaryDirectory() as folder:
        storage = Storage(configuration(Path(copytree(path, Path(folder) / "copy"))), on_failure=lambda error: None)
        storage.replay(lambda: False)
        expected["replayed"]["exactly"][arithmetic()] = exactly(storage.engine)
        storage.close()
    _say(path, expected)


def _say(path: Path, expected: dict[str, Any]) -> None:
    (path / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    for name in ("lock", "journal/lock"):
        (path / name).unlink(missing_ok=True)


if __name__ == "__main__":
    found = Path(sys.argv[1]).resolve()
    (again if (found / "expected.json").exists() else main)(found)
