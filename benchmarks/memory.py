"""What the receiver's engine holds after some days: 10 models of 100 features, 20 slices and labels, in MiB by part and as RSS.

    python -m benchmarks.memory [days] [rows a step]

Through the real engine and checkpoint, in simulated time: five-minute steps; two in five labels come after an hour, three in ten
after six, two after twenty, one after three days. Every hour there are a snapshot and a checkpoint, of all
that an hour changed; a receiver makes both more often, and smaller. "Flat" is RSS at the end of each simulated day. Must: 600 MiB, aim: 300 MiB (DESIGN section 9).
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, Column, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.state import Spec
from calidris.wire import Decoded

MODELS, FEATURES, SLICES = 10, 100, 19
STEP, HOUR, DAY = 300 * 10**9, 3600 * 10**9, 86_400 * 10**9
START = 1_800_000_000 * 10**9 // DAY * DAY
WAITS = ((12, 0.4), (72, 0.7), (240, 0.9), (864, 1.0))
"""Steps until a label comes, and the share of labels that have come by then."""
MIB = 2**20


def draw(key: ModelKey, seed: int, n: int, start_ns: int, span_ns: int) -> tuple[PredictionBatch, Column]:
    """Calibrated rows and their outcomes; the seed alone decides them."""
    rng = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-rng.normal(0, 1.5, n)))
    levels, codes = tuple(f"c{i}" for i in range(SLICES)), rng.integers(0, SLICES, n, dtype=np.int32)
    batch = PredictionBatch(
        model=key, event_time_ns=start_ns + np.sort(rng.integers(0, span_ns, n)), ids=[f"{seed}-{i}" for i in range(n)],
        score=NumberColumn.of(score), features={f"f{i}": NumberColumn.of(rng.normal(size=n)) for i in range(FEATURES)},
        duration_s=NumberColumn.of(rng.lognormal(-4, 0.5, n)), slices={"country": CodedColumn(levels, codes)},
    )  # fmt: skip
    return batch, NumberColumn.of(rng.random(n) < score)


def baseline() -> Baseline:
    """A week of rows."""
    key = ModelKey("default", "m0", "1")
    batch, outcome = draw(key, 1, 20_000, START - 7 * DAY, 7 * DAY)
    columns = BaselineColumns(batch, outcome, delay_s=np.full(20_000, 7200.0))
    return build(columns, Spec(positive="1"), window_s=300.0, slices=["country"])


def step_of(key: ModelKey, step: int, rows: int) -> Iterator[PredictionBatch | LabelBatch]:
    """What one model sends in one step: its rows, and the labels that have come."""
    yield draw(key, step, rows, START + step * STEP, STEP)[0]
    after = 0.0
    for wait, share in WAITS:
        if step >= wait:
            batch, outcome = draw(key, step - wait, rows, START + (step - wait) * STEP, STEP)
            place = np.arange(rows) / rows
            named = np.flatnonzero((place >= after) & (place < share))
            assert batch.ids is not None
            times = batch.event_time_ns[named] + wait * STEP
            yield LabelBatch("default", key.name, [batch.ids[i] for i in named], outcome.take(named), times)
        after = share


class Running:
    """An engine with its store, fed step by step."""

    def __init__(self, path: Path, rows: int) -> None:
        raw = baseline().to_bytes()
        names = [f"m{i}" for i in range(MODELS)]
        model = {"slices": ["country"], "fairness": {"attribute": "country"}}
        models = tuple(ModelConfig.model_validate({"name": name, **model}) for name in names)
        self.rows, self.keys = rows, [ModelKey("default", name, "1") for name in names]
        self.store = Store(path)
        self.checkpoint = Checkpoint(self.store)
        find = lambda *_: (Baseline.from_bytes(raw), "")  # noqa: E731  # each model reads a file of its own
        self.engine = Engine(CalidrisConfig(models=models), find, self.checkpoint)
        self.latest = snapshot(self.engine, 0)
        self.saving_s: list[float] = []

    def step(self, step: int) -> None:
        """Rows, labels and the seal of one step of every model; every hour a snapshot and a checkpoint."""
        end = START + (step + 1) * STEP
        for key in self.keys:
            for item in step_of(key, step, self.rows):
                self._apply(Decoded((item,), len(item), 0, {}, "", 0, 0), end)
        self._apply(None, end)
        if (step + 1) % 12 == 0:
            self.latest = snapshot(self.engine, end, self.latest)
            begun = time.process_time()
            self.checkpoint.save(self.engine)
            self.saving_s.append(time.process_time() - begun)

    def _apply(self, decoded: Decoded | None, arrival_ns: int) -> None:
        seq = self.engine.sequence + 1
        seal = arrival_ns if decoded is None else None
        self.engine.apply(Received(seq, arrival_ns, "default", seq.to_bytes(16, "big"), 0, decoded, seal, lambda: None))

    def parts(self) -> dict[str, tuple[int, int]]:
        """Bytes and number of what the models hold."""
        panes = [pane for model in self.engine.models.values() for pane in model.panes.memory.values()]
        sums = [pane for model in self.engine.models.values() for pane in model.panes.sums.values()]
        tables = [table for pane in panes for table in pane.labels.tables]
        chunks = [chunk for model in self.engine.models.values() for chunk in model.pending.chunks]
        return {
            "panes: counts": (sum(p.counts.array.nbytes for p in panes), len(panes)),
            "panes: moments": (sum(p.moments.array.nbytes for p in panes), len(panes)),
            "panes: labels": (sum(t.cells.nbytes + t.sums.nbytes for t in tables), len(tables)),
            "panes: display": (sum(p.display.nbytes for p in panes if p.display is not None), len(panes)),
            "hours summed up": (sum(p.nbytes for p in sums), len(sums)),
            "waiting predictions": (
                sum(c.rows.nbytes + c.ids.nbytes for c in chunks),
                sum(len(c.rows) for c in chunks),
            ),
        }


def rss_mib() -> float:
    """Resident memory of this process; what malloc holds for nobody is given back first, as it is worth nothing."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / MIB


def main(days: int, rows: int) -> None:
    """Print RSS day by day, and what it is made of at the end."""
    with tempfile.TemporaryDirectory() as path:
        empty = rss_mib()
        running = Running(Path(path), rows)
        print(
            f"{MODELS} models, {FEATURES} features, {SLICES + 1} slices, {rows} rows a step of 5m, labels on",
            flush=True,
        )
        print(f"{'imports alone':<28}{empty:8.0f} MiB")
        for day in range(days):
            for step in range(day * 288, day * 288 + 288):
                running.step(step)
            disk = sum(file.stat().st_size for file in Path(path).iterdir()) / MIB
            saving = np.array(running.saving_s[-24:]) * 1e3
            print(
                f"after {day + 1} days{'':<14}{rss_mib():8.0f} MiB RSS, {disk:.0f} MiB on disk,"
                f" checkpoint {np.median(saving):.0f} ms of CPU, at most {saving.max():.0f} ms",
                flush=True,
            )
        for part, (size, number) in running.parts().items():
            print(f"  {part:<26}{size / MIB:8.1f} MiB, {number} of them")


if __name__ == "__main__":
    main(*(int(a) for a in [*sys.argv[1:], *("4", "100")[len(sys.argv) - 1 :]]))
