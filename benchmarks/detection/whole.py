"""A whole model in the receiver's own engine: rows and labels in, every kind of alarm out, one budget over all of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from benchmarks.detection.common import BEFORE
from benchmarks.detection.config import CONFIG
from benchmarks.detection.table import NEVER, Effort, Must, Table, delay, markdown, mean_se, quiet

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.state import Spec
from calidris.wire import Decoded

KEY = ModelKey("default", "credit", "1")
ROWS, STEP_NS, HOUR_NS = 500, 60_000_000_000, 3_600_000_000_000
START = 1_800_000_000_000_000_000
MODEL = {
    "name": "credit",
    "windows": ["1m"],
    "detect": {
        "false_alarms": f"1 per {CONFIG['threshold']} windows",
        "label_age": "1h",
        "delta": CONFIG["delta"],
        "tolerance": CONFIG["tolerance_sd"],
        "calibration_tolerance": CONFIG["tolerance_logit"],
        "minimum_rows": CONFIG["minimum_rows"],
    },
    "fairness": {"attribute": "sex", "tolerance": CONFIG["tolerance_gap"]},
}


@dataclass(frozen=True)
class How:
    """How rows are drawn; the defaults are the baseline's."""

    name: str = "nothing"
    kind: str = ""
    shift: float = 0.0  # of a feature that the score does not use, in standard deviations
    wrong: float = 0.0  # share of outcomes that are turned round
    offset: float = 0.0  # of what the score means, in logits
    failed: float = 0.01
    slower: float = 1.0
    favoured: float = 0.0  # of one group's scores, in logits


CHANGES = (
    How("a feature by .25 σ", "drift", shift=0.25),
    How("one outcome in ten turned round", "performance", wrong=0.1),
    How("outcomes .5 logits more frequent", "calibration", offset=0.5),
    How("failed calls 1 → 3 %", "errors", failed=0.03),
    How("calls 1.3 times as long", "latency", slower=1.3),
    How("one group's scores 1 logit higher", "fairness", favoured=1.0),
)


def drawn(
    rng: np.random.Generator, n: int, start_ns: int, span_ns: int, how: How
) -> tuple[PredictionBatch, LabelBatch]:
    sex = rng.integers(0, 2, n)
    logit = rng.normal(0.0, 1.5, n) + how.favoured * sex
    outcome = rng.random(n) < 1.0 / (1.0 + np.exp(-logit - how.offset))
    outcome ^= rng.random(n) < how.wrong
    times = start_ns + np.sort(rng.integers(0, span_ns, n))
    ids = [f"{start_ns}-{i}" for i in range(n)]
    features = {"x0": rng.normal(how.shift, 1.0, n)} | {f"x{i}": rng.normal(size=n) for i in range(1, 10)}
    rows = PredictionBatch(
        model=KEY,
        event_time_ns=times,
        features={name: NumberColumn.of(values) for name, values in features.items()},
        ids=ids,
        score=NumberColumn.of(1.0 / (1.0 + np.exp(-logit))),
        duration_s=NumberColumn.of(rng.lognormal(-4.0, 0.5, n) * how.slower),
        error=CodedColumn(("timeout",), np.where(rng.random(n) < how.failed, 0, -1).astype(np.int32)),
        slices={"sex": CodedColumn(("f", "m"), sex.astype(np.int32))},
    )
    return rows, LabelBatch("default", KEY.name, ids, NumberColumn.of(outcome), times + 1_000_000_000)


def baseline(rng: np.random.Generator) -> Baseline:
    windows = int(CONFIG["baseline_windows"])
    rows, labels = drawn(rng, windows * ROWS, START - windows * STEP_NS, windows * STEP_NS, How())
    columns = BaselineColumns(rows, labels.label, delay_s=np.full(len(rows), 1.0))
    return build(columns, Spec(positive="1"), window_s=60.0, slices=["sex"])


class Life:
    """One engine with one model and its journal."""

    def __init__(self, rng: np.random.Generator) -> None:
        base = baseline(rng)
        self.rng, self.windows, self.seq = rng, 0, 0
        self.engine = Engine(CalidrisConfig(models=(ModelConfig.model_validate(MODEL),)), lambda *_: (base, ""))

    def live(self, windows: int, how: How) -> None:
        for _ in range(windows):
            begin = START + self.windows * STEP_NS
            for item in drawn(self.rng, ROWS, begin, STEP_NS, how):
                self._apply(begin, item)
            self.windows += 1
            self._apply(begin + STEP_NS, None)

    def come_of_age(self) -> None:
        """An hour of silence: every window's labels are scored."""
        self.windows += HOUR_NS // STEP_NS + 1
        self._apply(START + self.windows * STEP_NS, None)

    def _apply(self, at_ns: int, item: PredictionBatch | LabelBatch | None) -> None:
        self.seq += 1
        digest = hashlib.blake2b(self.seq.to_bytes(8, "little"), digest_size=16).digest()
        decoded = None if item is None else Decoded((item,), len(item), 0, {}, "", 0, 0)
        seal = at_ns if item is None else None
        self.engine.apply(Received(self.seq, at_ns, "default", digest, 0, decoded, seal, lambda: None))


def _delay(seed: list[int], how: How, horizon: int) -> tuple[float, set[str]]:
    """Windows from the change to the alarm of its kind, whatever its labels' age; and which other kinds spoke after it."""
    life = Life(np.random.default_rng(seed))
    life.live(BEFORE, How())
    life.come_of_age()
    changed = START + life.windows * STEP_NS
    life.live(horizon, how)
    life.come_of_age()
    after = [a for a in life.engine.alarms if a.since_ns + STEP_NS > changed]
    found = next((a for a in after if a.kind == how.kind), None)
    others = {a.kind for a in after} - {how.kind}
    if found is None:
        return NEVER, others
    age = HOUR_NS if how.kind in ("performance", "calibration", "fairness") else 0
    return (found.raised_ns - age - changed) / STEP_NS, others


def null_table(effort: Effort) -> Table:
    alarms, kinds = [], Counter()
    for s in range(effort.streams):
        life = Life(np.random.default_rng([9000, s]))
        life.live(effort.windows, How())
        life.come_of_age()
        alarms.append(float(len(life.engine.alarms)))
        kinds.update(a.kind for a in life.engine.alarms)
    scaled = [a * 1000.0 / effort.windows for a in alarms]
    said = ", ".join(f"{kind}: {n}" for kind, n in sorted(kinds.items())) or "none"
    title = f"A whole model, six kinds of alarms, one budget of 1 per {CONFIG['threshold']} windows, nothing changed"
    head = ("streams", "windows each", "false alarms per 1000 windows", "of which kinds")
    row = [str(effort.streams), str(effort.windows), mean_se(scaled, 2), said]
    return Table(markdown(title, head, [row]), (quiet("a whole model, all kinds", alarms, effort.windows),))


def change_table(effort: Effort) -> Table:
    rows, musts = [], []
    for i, how in enumerate(CHANGES):
        found = [_delay([9100 + i, s], how, effort.horizon) for s in range(effort.streams)]
        others = Counter(kind for _, spoke in found for kind in spoke)
        said = ", ".join(f"{kind} {n}" for kind, n in sorted(others.items())) or "none"
        rows.append([how.name, how.kind, delay([d for d, _ in found]), said])
        missed = sum(d != d for d, _ in found)
        musts.append(Must(f"{how.name}: streams without an alarm of its kind", 0.0, float(missed)))
    title = f"The same model after one change, {effort.streams} streams, at most {effort.horizon} windows"
    head = ("change", "alarm", "delay in windows", "streams in which other kinds spoke too")
    return Table(markdown(title, head, rows), tuple(musts))


def tables(effort: Effort) -> Iterator[Table]:
    yield null_table(effort.part(0.2, 0.2))
    yield change_table(Effort(max(effort.streams // 8, 3), 0, 0, min(effort.horizon, 40)))
