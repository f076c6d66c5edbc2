"""Features beside other rules, on the same raw streams."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from benchmarks.detection.common import frozen
from benchmarks.detection.config import CONFIG
from benchmarks.detection.rivals import feature_rules
from benchmarks.detection.streams import IID, LEVELS, NULLS, SAME, AnyStream, Change, as_counts
from benchmarks.detection.table import NEVER, Effort, Table, delay, markdown, rate

OURS = "Calidris"
CHANGES: tuple[tuple[str, AnyStream, Change], ...] = (
    ("+.25 σ", IID, Change(0.25)),
    ("ramp of .003 σ a window", IID, Change(ramp=0.003)),
    ("scale × 1.25", IID, Change(scale=1.25)),
    ("missing 1 → 3 %", IID, Change(missing=0.03)),
    ("a new level in 1 % of rows", LEVELS, Change(new=0.01)),
)


def null_table(effort: Effort) -> Table:
    rows = []
    for i, stream in enumerate(NULLS):
        part = effort.part(0.1, 0.02) if stream.rows > 1000 else effort.part(0.25, 0.1)
        fired = _all(stream, SAME, part.windows, part.streams, 2000 + i)
        rows.append([stream.name, f"{part.streams} × {part.windows}", *_rates(fired, part.windows)])
    part = effort.part(0.1, 0.02)
    fired = _all(IID, SAME, part.windows, part.streams, 2050, features=100)
    rows.append(
        ["any of 100 features, iid, A = 8760", f"{part.streams} × {part.windows}", *_rates(fired, part.windows)]
    )
    head = ("stream without change", "windows", *fired)
    return Table(markdown("Beside other rules: false alarms per 1000 windows, on the same streams", head, rows))


def _rates(fired: dict[str, list[np.ndarray]], windows: int) -> list[str]:
    return [rate([float(f.sum()) for f in each], windows)[0].split(" ±")[0] for each in fired.values()]


def change_table(effort: Effort) -> Table:
    rows, part = [], effort.part(0.25)
    for i, (name, stream, change) in enumerate(CHANGES):
        fired = _all(stream, change, part.horizon, part.streams, 2100 + i)
        rows.append([name, *(delay([_first(f) for f in each]) for each in fired.values())])
    fired = _all(IID, CHANGES[0][2], part.horizon // 4, effort.part(0.1).streams, 2150, features=100)
    rows.append(["+.25 σ in 1 of 100 features, A = 8760", *(delay([_first(f) for f in x]) for x in fired.values())])
    title = f"Beside other rules: windows from the change to the first alarm, {part.streams} streams"
    return Table(markdown(title, ("change", *fired), rows))


def _first(fired: np.ndarray) -> float:
    return float(fired.argmax() + 1) if fired.any() else NEVER


def _all(
    stream: AnyStream, change: Change, length: int, count: int, seed: int, features: int = 1
) -> dict[str, list[np.ndarray]]:
    """Which windows each rule alarms on, by rule and stream: the windows are the same for all; the first feature changes."""
    rules = feature_rules(stream.histograms)
    out: dict[str, list[np.ndarray]] = {name: [] for name in (OURS, *rules)}
    for s in range(count):
        rng, tables = np.random.default_rng([seed, s]), []
        fired = {name: np.zeros(length, dtype=bool) for name in rules}
        for f in range(features):
            base = stream.raw(rng, stream.baseline)
            live = stream.raw(rng, length, change if f == 0 else SAME, stream.baseline)
            tables.append(stream.histograms(np.concatenate([base, live])))
            for name, make in rules.items():
                judge = make(base)
                fired[name] |= np.array([judge(w) for w in live])
        spec = stream.spec(features)
        counts = as_counts(spec, np.stack(tables, axis=1))
        detector = frozen(spec, counts[: stream.baseline], CONFIG["threshold"] if features == 1 else 8760.0)
        out[OURS].append(np.array([detector.score(w).fired for w in counts[stream.baseline :]]))
        for name in rules:
            out[name].append(fired[name])
    return out


def tables(effort: Effort) -> Iterator[Table]:
    yield null_table(effort)
    yield change_table(effort)
