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
MOST = (40.0, 3.0, 100.0, 160.0)
"""Windows that each change may take: what must hold."""


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
    """A version a day; ``alone`` gives each a receiver that has never seen another one, ``files`` each a baseline of its own."""

    def __init__(self, rng: np.random.Generator, alone: bool = False, files: bool = False) -> None:
        self.rng = rng
        self.alone = alone
        self.files = files
        self.base = baseline(rng)
        self.of_versions: dict[str, Baseline] = {}
        self.hours = 0
        self.seq = 0
        self.alarms: list[tuple[str, int]] = []
        self._renew()

    def _renew(self) -> None:
        config = CalidrisConfig(models=(ModelConfig.model_validate(MODEL),))
        self.engine = Engine(config, lambda key, _: (self._file(key.version), ""))
        self._told = 0

    def _file(self, version: str) -> Baseline:
        if not self.files or version == KEY.version:
            return self.base
        if version not in self.of_versions:
            # Not from the stream's own generator: the rows are those of the other columns.
            self.of_versions[version] = baseline(np.random.default_rng([9700, int(version)]))
        return self.of_versions[version]

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


def delays(how: How, streams: int, horizon: int, seed: int, alone: bool = False, files: bool = False) -> list[float]:
    """Hours from a change to the alarm of its kind, a number a stream."""
    found = []
    for stream in range(streams):
        life = Pipeline(np.random.default_rng([seed, stream]), alone, files)
        life.live(LEARNED, QUIET)
        found.append(life.live(horizon, how, how.kind))
    return found


FILES = {False: "one for all versions", True: "each version its own"}
"""What baseline files there are."""


def null_table(effort: Effort) -> Table:
    rows: list[list[str]] = []
    musts: list[Must] = []
    for files, said in FILES.items():
        alarms = []
        for stream in range(effort.streams):
            life = Pipeline(np.random.default_rng([9500, stream]), files=files)
            life.live(effort.windows, QUIET)
            alarms.append(float(len(life.alarms)))
        scaled = [n * 1000.0 / effort.windows for n in alarms]
        rows.append([said, str(effort.streams), str(effort.windows), mean_se(scaled, 2)])
        named = "a version a day with a file of its own, all kinds" if files else "a version a day, all kinds"
        musts.append(quiet(named, alarms, effort.windows))
    title = f"A version a day, nothing changed: all kinds, one budget of 1 per {CONFIG['threshold']} windows"
    head = ("baseline files", "streams", "windows each", "false alarms per 1000 windows")
    return Table(markdown(title, head, rows), tuple(musts))


def change_table(streams: int, horizon: int) -> Table:
    rows: list[list[str]] = []
    musts: list[Must] = []
    for i, how in enumerate(CHANGES):
        seed = 9600 + i
        alone = delays(how, streams, horizon * 2 // 3, seed, alone=True)
        together = delays(how, streams, horizon, seed)
        own = delays(how, streams, horizon, seed, files=True)
        rows.append([how.name, delay(alone), delay(together), delay(own)])
        musts.append(Must(f"delay in windows: a version a day, {how.name}", MOST[i], float(np.mean(together))))
        musts.append(
            Must(f"delay in windows: a version a day with a file of its own, {how.name}", MOST[i], float(np.mean(own)))
        )
    title = f"A version a day: windows of {ROWS} rows to the alarm, {streams} streams, at most {horizon} windows"
    head = (
        "change",
        "each version by itself",
        "what outlives a deploy",
        "the same, each version with a file of its own",
    )
    return Table(markdown(title, head, rows), tuple(musts))


def tables(effort: Effort) -> Iterator[Table]:
    yield null_table(effort.part(0.15, 0.2))
    yield change_table(max(effort.streams // 7, 2), max(effort.horizon * 3 // 2, 120))
