"""Binned features: false alarms of quiet streams, and delays of changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from benchmarks.detection.common import BEFORE, Case, drawn, frozen
from benchmarks.detection.streams import AR, DAY, IID, LEVELS, NULLS, WEEK, WOBBLE, AnyStream, Change, Stream
from benchmarks.detection.table import Effort, Must, Table, delay, markdown, quiet, rate, streams

BUSY = Stream("", 5000, WOBBLE.mean)


def null_table(effort: Effort) -> Table:
    week = replace(WEEK, baseline=168)
    rows: list[tuple[str, AnyStream, AnyStream, bool]] = [(s.name, s, s, True) for s in NULLS]
    rows += [
        (f"{WEEK.name}, baseline of one week", week, week, True),
        ("iid, baseline 2000 rows without windows", IID, replace(IID, baseline=4), False),
        ("iid, baseline 30 windows", IID, replace(IID, baseline=30), True),
        ("wobble, baseline 30 windows", WOBBLE, replace(WOBBLE, baseline=30), True),
        ("AR(.9), baseline 30 windows", AR, replace(AR, baseline=30), True),
        ("wobble, traffic 10 × the baseline's", BUSY, WOBBLE, True),
    ]
    out, musts = [], []
    for i, (name, live, base, timed) in enumerate(rows):
        alarms = streams(lambda rng: _alarms(live, base, effort.windows, timed, rng), effort.streams, i)  # noqa: B023
        out.append([name, *rate(alarms, effort.windows)])
        musts.append(quiet(name, alarms, effort.windows))
    few = effort.part(0.125)
    hundred = streams(lambda rng: _hundred(few.windows, rng), few.streams, len(rows))
    name = f"100 features, iid, n = 500, A = 8760 ({few.streams} streams)"
    out.append([name, *rate(hundred, few.windows)])
    musts.append(quiet(name, hundred, few.windows))
    title = f"False alarms without change: 1 feature, A = 1000, {effort.streams} streams of {effort.windows} windows"
    return Table(markdown(title, ("stream", "per 1000 windows", "streams with any"), out), tuple(musts))


def _alarms(live: AnyStream, base: AnyStream, length: int, timed: bool, rng: np.random.Generator) -> float:
    detector = frozen(live.spec(), drawn(base, 1, rng, base.baseline), timed=timed)
    return sum(detector.score(w).fired for w in drawn(live, 1, rng, length, base.baseline))


def _hundred(length: int, rng: np.random.Generator) -> float:
    detector = frozen(IID.spec(100), drawn(IID, 100, rng, IID.baseline), 8760.0)
    return sum(detector.score(w).fired for w in drawn(IID, 100, rng, length))


ONE, HUNDRED = "+.25 σ, 1 feature", "+.25 σ, 1 of 100 features, A = 8760"
GONE = "missing 1 → 3 %"
LITTLE = "+.1 σ"
CASES = (
    Case(ONE, Change(0.25)),
    Case(HUNDRED, Change(0.25), features=100, threshold=8760.0),
    Case(LITTLE, Change(0.1)),
    Case("ramp of .003 σ a window", Change(ramp=0.003)),
    Case("scale × 1.25", Change(scale=1.25)),
    Case(GONE, Change(missing=0.03)),
    Case("a new level in 1 % of rows", Change(new=0.01), LEVELS),
    Case("unit change × 0.1 of values around 3", Change(shift=-2.7, scale=0.1)),
    Case("+.25 σ, n = 50", Change(0.25), NULLS[0]),
    Case("+.25 σ under wobble", Change(0.25), WOBBLE),
    Case("+.25 σ under AR(.9)", Change(0.25), AR),
    Case("+.25 σ under the daily cycle", Change(0.25), DAY),
    Case("+.25 σ under daily and weekly cycles", Change(0.25), WEEK),
    Case(f"{GONE} under daily and weekly cycles", Change(missing=0.03), WEEK),
)
LIMITS = {ONE: 3.0, HUNDRED: 6.0, GONE: 8.0, LITTLE: 15.0}
SOON = 8


def delay_table(effort: Effort) -> Table:
    out, musts = [], []
    for i, case in enumerate(CASES):
        n = max(effort.delay_streams // 4, 3) if case.features > 1 else effort.delay_streams
        delays = np.array(streams(lambda rng: case.delay(effort.horizon, rng), n, 1000 + i))  # noqa: B023
        found = delays[~np.isnan(delays)]
        soon = f"{100.0 * np.mean(delays <= SOON):.0f} %"
        out.append([case.name, str(n), delay(delays.tolist()), soon, f"{max(found, default=0):.0f}"])
        if case.name in LIMITS:
            mean = float(found.mean()) if len(found) == n else float("nan")
            musts.append(Must(f"delay in windows: {case.name}", LIMITS[case.name], mean))
    title = f"Windows from a change to the alarm that names it, change after {BEFORE} quiet windows"
    head = ("change", "streams", "mean ± se", f"within {SOON}", "largest")
    return Table(markdown(title, head, out), tuple(musts))


def tables(effort: Effort) -> Iterator[Table]:
    yield null_table(effort)
    yield delay_table(effort)
