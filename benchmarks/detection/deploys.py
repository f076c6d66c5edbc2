"""A version a day in the receiver's own engine: what outlives a deploy is found, what each version had to learn anew never was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from benchmarks.detection.config import CONFIG
from benchmarks.detection.table import NEVER, Effort, Must, Table, delay, markdown, mean_se, quiet

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.state import Spec
from calidris.wire import Decoded

KEY = ModelKey("default", "credit", "1")
HOUR_NS = 3_600_000_000_000
DAY = 24
START = 500_000 * HOUR_NS
ROWS = 1000
WEEKS = 4 * 168
LEARNED = 168 + 2 * DAY
"""Hours of quiet: a week in which the first version shows what is ordinary, and two deploys."""
MODEL = {
    "name": "credit",
    "windows": ["1h"],
    "detect": {
        "false_alarms": f"1 per {CONFIG['threshold']} windows",
        "delta": CONFIG["delta"],
        "tolerance": CONFIG["tolerance_sd"],
        "minimum_rows": CONFIG["minimum_rows"],
    },
}


class How(NamedTuple):
    """How rows are drawn; the defaults are those of before the change."""

    name: str = "nothing"
    kind: str = ""
    failed: float = 0.04
    slower: float = 1.0
    shift: float = 0.0  # of one feature, in standard deviations
    daily: float = 0.0  # likewise, more each day


QUIET = How()
CHANGES = (
    How("errors 4 → 6 % from a deploy on", "errors", failed=0.06),
    How("calls 1.3 times as long from a deploy on", "latency", slower=1.3),
    How("a feature by .1 σ", "drift", shift=0.1),
    How("a feature by .02 σ more each day", "drift", daily=0.02),
)
MOST = {"errors": 60.0, "latency": 4.0, "drift": 250.0}
"""Windows that a change may take, by kind: what must hold."""


def drawn(rng: np.random.Generator, hour: int, key: ModelKey, how: How, changed: int) -> PredictionBatch:
    """An hour of calls; what changes does so from the ``changed``-th hour on."""
    moved = how.shift + how.daily * ((hour - changed) // DAY + 1)
    features = {f"x{i}": rng.normal(size=ROWS) for i in range(5)}
    features["x0"] = features["x0"] + moved
    failed = np.where(rng.random(ROWS) < how.failed, 0, -1).astype(np.int32)
    times = START + hour * HOUR_NS + np.sort(rng.integers(0, HOUR_NS, ROWS))
    return PredictionBatch(
        model=key,
        event_time_ns=times,
        features={name: NumberColumn.of(values) for name, values in features.items()},
        score=NumberColumn.of(rng.beta(2.0, 5.0, ROWS)),
        duration_s=NumberColumn.of(rng.lognormal(-4.0, 0.5, ROWS) * how.slower),
        error=CodedColumn(("timeout",), failed),
    )


def baseline(rng: np.random.Generator) -> Baseline:
    """Four weeks of training rows: they know neither errors nor durations, which are learned live."""
    n = WEEKS * ROWS // 3
    times = START - WEEKS * HOUR_NS + np.arange(n) * (WEEKS * HOUR_NS // n)
    features = {f"x{i}": NumberColumn.of(rng.normal(size=n)) for i in range(5)}
    score = NumberColumn.of(rng.beta(2.0, 5.0, n))
    rows = PredictionBatch(KEY, times, features, score=score)
    return build(BaselineColumns(rows), Spec(positive="1"), window_s=3600.0)


class Pipeline:
    """A version a day; ``alone`` gives each a receiver that has never seen another one."""

    def __init__(self, rng: np.random.Generator, alone: bool = False) -> None:
        self.rng = rng
        self.alone = alone
        self.base = baseline(rng)
        self.hours = 0
        self.seq = 0
        self.alarms: list[tuple[str, int]] = []
        self._renew()

    def _renew(self) -> None:
        config = CalidrisConfig(models=(ModelConfig.model_validate(MODEL),))
        self.engine = Engine(config, lambda *_: (self.base, ""))
        self._told = 0

    def live(self, hours: int, how: How, until: str = "") -> float:
        """Hours until an alarm of a kind, at most so many."""
        changed = self.hours
        for lived in range(1, hours + 1):
            self._hour(how, changed)
            if until in {kind for kind, hour in self.alarms if hour > changed}:
                return float(lived)
        return NEVER

    def _hour(self, how: How, changed: int) -> None:
        # The first version serves for as long as is learned, and a day or two.
        served = max(self.hours - 168, 0)
        if self.alone and served % DAY == 0 and served:
            self._renew()
        key = KEY._replace(version=str(1 + served // DAY))
        self._apply(drawn(self.rng, self.hours, key, how, changed))
        self.hours += 1
        self._apply(None)
        new = self.engine.alarms[self._told :]
        self.alarms += [(alarm.kind, self.hours) for alarm in new]
        self._told += len(new)

    def _apply(self, item: PredictionBatch | None) -> None:
        self.seq += 1
        digest = hashlib.blake2b(self.seq.to_bytes(8, "little"), digest_size=16).digest()
        decoded = None if item is None else Decoded((item,), len(item), 0, {}, "", 0, 0)
        at_ns = START + self.hours * HOUR_NS
        seal = at_ns if item is None else None
        self.engine.apply(Received(self.seq, at_ns, "default", digest, 0, decoded, seal, lambda: None))


def delays(how: How, streams: int, horizon: int, seed: int, alone: bool) -> list[float]:
    """Hours from a change to the alarm of its kind, a number a stream."""
    found = []
    for stream in range(streams):
        life = Pipeline(np.random.default_rng([seed, stream]), alone)
        life.live(LEARNED, QUIET)
        found.append(life.live(horizon, how, how.kind))
    return found


def null_table(effort: Effort) -> Table:
    alarms = []
    for stream in range(effort.streams):
        life = Pipeline(np.random.default_rng([9500, stream]))
        life.live(effort.windows, QUIET)
        alarms.append(float(len(life.alarms)))
    scaled = [n * 1000.0 / effort.windows for n in alarms]
    title = f"A version a day, nothing changed: all kinds, one budget of 1 per {CONFIG['threshold']} windows"
    head = ("streams", "windows each", "false alarms per 1000 windows")
    row = [str(effort.streams), str(effort.windows), mean_se(scaled, 2)]
    return Table(markdown(title, head, [row]), (quiet("a version a day, all kinds", alarms, effort.windows),))


def change_table(streams: int, horizon: int) -> Table:
    rows: list[list[str]] = []
    musts: list[Must] = []
    for i, how in enumerate(CHANGES):
        together = delays(how, streams, horizon, 9600 + i, alone=False)
        alone = delays(how, max(streams // 2, 2), horizon // 2, 9600 + i, alone=True)
        rows.append([how.name, delay(alone), delay(together)])
        musts.append(Must(f"delay in windows: a version a day, {how.name}", MOST[how.kind], float(np.mean(together))))
    title = f"A version a day: windows of {ROWS} rows to the alarm, {streams} streams, at most {horizon} windows"
    head = ("change", "each version by itself", "what outlives a deploy")
    return Table(markdown(title, head, rows), tuple(musts))


def tables(effort: Effort) -> Iterator[Table]:
    yield null_table(effort.part(0.2, 0.25))
    yield change_table(max(effort.streams // 4, 2), max(effort.horizon * 2, 120))
