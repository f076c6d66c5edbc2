"""Binned features: false alarms of quiet streams, delays of changes, other rules beside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from benchmarks.detection.config import CONFIG
from benchmarks.detection.rivals import rivals
from benchmarks.detection.streams import (
    AR,
    DAY,
    HOUR_NS,
    IID,
    NULLS,
    SAME,
    WEEK,
    WOBBLE,
    Change,
    Stream,
    as_counts,
    histograms,
    spec_of,
)
from benchmarks.detection.table import NEVER, Effort, delay, markdown, rate, streams

from calidris.batch import Floats, Ints
from calidris.detect import Detector, References, SeasonalBets, freeze, window_score_bets
from calidris.state import CountsState, Spec

BEFORE = 50  # quiet windows before a change
ROUND_WEEK = 168


def frozen(spec: Spec, windows: Ints, threshold: float = CONFIG["threshold"]) -> Detector:
    base = CountsState(spec, windows.sum(axis=0))
    bets = freeze(spec, base, windows, delta=CONFIG["delta"], tolerance=CONFIG["tolerance_sd"])
    return Detector(bets, threshold, CONFIG["minimum_rows"])


def quiet(live: Stream, base: Stream, windows: int, length: int, timed: bool, rng: np.random.Generator) -> float:
    spec = spec_of(1)
    before = as_counts(spec, base.counts(rng, windows))
    detector = (
        frozen(spec, before) if timed else Detector(freeze(spec, CountsState(spec, before.sum(0))), CONFIG["threshold"])
    )
    return sum(detector.score(w).fired for w in as_counts(spec, live.counts(rng, length, start=windows)))


def null_table(effort: Effort) -> str:
    many = Stream("", 5000, WOBBLE.mean)
    rows = [(s.name, s, s, s.baseline, True) for s in NULLS]
    rows += [
        ("iid, baseline 2000 rows without windows", IID, IID, 4, False),
        ("iid, baseline 30 windows", IID, IID, 30, True),
        ("wobble, baseline 30 windows", WOBBLE, WOBBLE, 30, True),
        ("AR(.9), baseline 30 windows", AR, AR, 30, True),
        ("wobble, traffic 10 × the baseline's", many, WOBBLE, 168, True),
    ]
    length = effort.windows
    out = []
    for i, (name, live, base, windows, timed) in enumerate(rows):
        alarms = streams(lambda rng: quiet(live, base, windows, length, timed, rng), effort.streams, i)  # noqa: B023
        out.append([name, *rate(alarms, length)])
    title = f"False alarms without change: 1 feature, A = 1000, {effort.streams} streams of {length} windows"
    return markdown(title, ("stream", "per 1000 windows", "streams with any"), out)


@dataclass(frozen=True)
class Case:
    name: str
    change: Change
    stream: Stream = IID
    features: int = 1
    threshold: float = float(CONFIG["threshold"])

    def delay(self, horizon: int, rng: np.random.Generator) -> float:
        """Windows from the change of the first feature to the alarm that names it."""
        spec, start = spec_of(self.features), self.stream.baseline + BEFORE
        tables = np.stack([self.stream.counts(rng, start + horizon) for _ in range(self.features)], axis=1)
        tables[start:, 0] = self.stream.counts(rng, horizon, self.change, start)
        counts = as_counts(spec, tables)
        detector = frozen(spec, counts[: self.stream.baseline], self.threshold)
        for window in counts[self.stream.baseline : start]:
            detector.score(window)
        for i, window in enumerate(counts[start:], 1):
            verdict = detector.score(window)
            if verdict.fired and verdict.changes[0].field == "x0":
                return float(i)
        return NEVER


CASES = (
    Case("+.25 σ, 1 feature", Change(0.25)),
    Case("+.25 σ, 1 of 100 features, A = 8760", Change(0.25), features=100, threshold=8760.0),
    Case("+.1 σ", Change(0.1)),
    Case("missing 1 → 3 %", Change(missing=0.03)),
    Case("scale × 1.25", Change(scale=1.25)),
    Case("unit change × 0.1 of values around 3", Change(shift=-2.7, scale=0.1)),
    Case("+.25 σ under wobble", Change(0.25), WOBBLE),
    Case("+.25 σ under AR(.9)", Change(0.25), AR),
    Case("+.25 σ under the daily cycle", Change(0.25), DAY),
)


def delay_table(effort: Effort) -> str:
    out = []
    for i, case in enumerate(CASES):
        n = max(effort.streams // 2, 3) if case.features > 1 else effort.streams
        delays = streams(lambda rng: case.delay(effort.horizon, rng), n, 1000 + i)  # noqa: B023
        found = [d for d in delays if d == d]
        out.append([case.name, str(n), str(len(found)), delay(delays), f"{max(found, default=0):.0f}"])
    title = f"Windows from a change to the alarm that names it, change after {BEFORE} quiet windows"
    return markdown(title, ("change", "streams", "found", "mean ± se", "largest"), out)


def rival_table(effort: Effort) -> str:
    """The same raw streams for every rule."""
    part, length = effort.part(0.25), effort.windows // 4
    nulls = (NULLS[0], IID, WOBBLE, AR, DAY)
    changes = (Change(0.25), Change(scale=1.25), Change(missing=0.03))
    names = ["Calidris", *(name for name, _ in rivals())]
    cells: dict[str, list[str]] = {name: [] for name in names}
    for i, stream in enumerate(nulls):
        for name, fired in _all(stream, SAME, length, part.streams, 2000 + i).items():
            cells[name].append(rate([float(f.sum()) for f in fired], length)[0])
    for i, change in enumerate(changes):
        for name, fired in _all(IID, change, part.horizon // 2, part.streams, 2100 + i).items():
            cells[name].append(delay([float(f.argmax() + 1) if f.any() else NEVER for f in fired]))
    head = ("rule", *(s.name for s in nulls), "delay: +.25 σ", "scale × 1.25", "missing 1 → 3 %")
    title = f"Beside other rules: alarms per 1000 windows without change, and delays; {part.streams} streams of {length} windows"
    return markdown(title, head, [[name, *row] for name, row in cells.items()])


def _all(stream: Stream, change: Change, length: int, count: int, seed: int) -> dict[str, list[np.ndarray]]:
    """Which windows each rule alarms on, by rule and stream: the windows are the same for all."""
    out: dict[str, list[np.ndarray]] = {}
    for s in range(count):
        rng = np.random.default_rng([seed, s])
        base, live = stream.raw(rng, stream.baseline), stream.raw(rng, length, change, stream.baseline)
        spec = spec_of(1)
        detector = frozen(spec, as_counts(spec, histograms(base)))
        ours = [detector.score(w).fired for w in as_counts(spec, histograms(live))]
        out.setdefault("Calidris", []).append(np.array(ours))
        for name, make in rivals():
            judge = make(base)
            out.setdefault(name, []).append(np.array([judge(w) for w in live]))
    return out


def season_table(effort: Effort) -> str:
    """Four weeks of baseline, then one week without change, then the change."""
    out = []
    part = effort.part(0.5)
    for name in ("frozen (R0)", "hour of week (R1)", "decayed (R2)", "baseline mean ± 3 σ"):
        alarms = streams(lambda rng: _season(name, SAME, rng)[0], part.streams, 3000)  # noqa: B023
        delays = [_season(name, Change(0.25), np.random.default_rng([3001, s]))[1] for s in range(part.streams)]
        out.append([name, *rate(alarms, 2 * ROUND_WEEK), delay(delays)])
    title = f"Seasons: {WEEK.name}, baseline of four weeks; {part.streams} streams of two weeks"
    return markdown(title, ("reference", "false alarms per 1000 windows", "streams with any", "delay to +.25 σ"), out)


def _season(name: str, change: Change, rng: np.random.Generator) -> tuple[float, float]:
    """Alarms in the quiet part, and the delay after it."""
    spec, t = spec_of(1), WEEK.baseline
    base = as_counts(spec, WEEK.counts(rng, t))
    first = WEEK.counts(rng, ROUND_WEEK, start=t)
    then = WEEK.counts(rng, ROUND_WEEK, change, start=t + ROUND_WEEK)
    live = as_counts(spec, np.concatenate([first, then]))
    judge = _three_sigma(base) if "σ" in name else _seasonal(name, spec, base)
    fired = np.array([judge(w, (t + i) * HOUR_NS) for i, w in enumerate(live)])
    quiet_windows = fired if change == SAME else fired[:ROUND_WEEK]
    after = fired[ROUND_WEEK:]
    return float(quiet_windows.sum()), float(after.argmax() + 1) if after.any() else NEVER


def _seasonal(name: str, spec: Spec, base: Ints):
    if name.startswith("frozen"):
        detector = frozen(spec, base)
        return lambda window, start: detector.score(window).fired
    references, starts = References(spec, 3600.0), np.arange(len(base)) * HOUR_NS
    for start, window in zip(starts.tolist(), base):
        references.learn(start, window)
    which = "hour_of_week" if name.startswith("hour") else "decayed"
    bets = SeasonalBets(
        spec, CountsState(spec, base.sum(0)), base, starts, references, which,
        delta=CONFIG["delta"], tolerance=CONFIG["tolerance_sd"],
    )  # fmt: skip
    moving = Detector(bets, CONFIG["threshold"], CONFIG["minimum_rows"])

    def judge(window: Ints, start: int) -> bool:
        verdict = moving.score(window, start_ns=start)
        references.learn(start, window, calm=not verdict.alarm and verdict.evidence < 0.5)
        return verdict.fired

    return judge


def _three_sigma(base: Ints):
    def mean(counts: Ints) -> Floats:
        return counts[..., -14:-4] @ np.arange(10.0) / np.maximum(counts[..., -14:-4].sum(-1), 1)

    means = mean(base)
    return lambda window, start: bool(abs(mean(window) - means.mean()) > 3 * means.std(ddof=1))


def window_score_table(effort: Effort) -> str:
    """Whole windows as observations, where rows depend on each other."""

    def run(stream: Stream, change: Change, length: int, rng: np.random.Generator) -> np.ndarray:
        spec = spec_of(1)
        base = as_counts(spec, stream.counts(rng, stream.baseline))
        bets = window_score_bets(spec, CountsState(spec, base.sum(0)), base, delta=CONFIG["delta"])
        detector = Detector(bets, CONFIG["threshold"], CONFIG["minimum_rows"])
        live = as_counts(spec, stream.counts(rng, length, change, stream.baseline))
        return np.array([detector.score(w).fired for w in live])

    out = []
    for i, stream in enumerate((WOBBLE, AR, DAY)):
        alarms = streams(lambda rng: run(stream, SAME, effort.windows, rng).sum(), effort.streams, 4000 + i)  # noqa: B023
        row = [stream.name, *rate(alarms, effort.windows)]
        for j, shift in enumerate((0.25, 0.5)):
            fired = [
                run(stream, Change(shift), effort.horizon, np.random.default_rng([4100 + 10 * i + j, s]))
                for s in range(effort.streams)
            ]
            row.append(delay([float(f.argmax() + 1) if f.any() else NEVER for f in fired]))
        out.append(row)
    title = f"Whole windows as observations (window scores), {effort.streams} streams of {effort.windows} windows"
    return markdown(title, ("stream", "per 1000 windows", "streams with any", "delay to +.25 σ", "+.5 σ"), out)


def tables(effort: Effort) -> Iterator[str]:
    yield null_table(effort)
    yield delay_table(effort)
    yield rival_table(effort)
    yield season_table(effort)
    yield window_score_table(effort)
