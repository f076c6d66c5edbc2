"""References that move with the season, and whole windows as observations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from benchmarks.detection.common import frozen
from benchmarks.detection.config import CONFIG
from benchmarks.detection.streams import AR, DAY, HOUR_NS, SAME, WEEK, WOBBLE, Change, Stream, as_counts
from benchmarks.detection.table import NEVER, Effort, Table, delay, markdown, quiet, rate, streams

from calidris.batch import Floats, Ints
from calidris.detect import Detector, References, SeasonalBets, window_score_bets
from calidris.state import CountsState, Spec

ROUND_WEEK = 168


def season_table(effort: Effort) -> Table:
    """Four weeks of baseline, then one week without change, then the change."""
    out, musts, part = [], [], effort.part(0.5)
    for name in ("frozen (R0)", "hour of week (R1)", "decayed (R2)", "baseline mean ± 3 σ"):
        alarms = streams(lambda rng: _season(name, SAME, rng)[0], part.streams, 3000)  # noqa: B023
        row = [name, *rate(alarms, 2 * ROUND_WEEK)]
        for j, shift in enumerate((0.25, 0.5)):
            seeds = [np.random.default_rng([3001 + j, s]) for s in range(part.streams)]
            row.append(delay([_season(name, Change(shift), rng)[1] for rng in seeds]))
        out.append(row)
        if "σ" not in name:
            musts.append(quiet(f"seasons, {name}", alarms, 2 * ROUND_WEEK))
    title = f"Seasons: {WEEK.name}, baseline of four weeks; {part.streams} streams of two weeks"
    head = ("reference", "false alarms per 1000 windows", "streams with any", "delay to +.25 σ", "+.5 σ")
    return Table(markdown(title, head, out), tuple(musts))


def _season(name: str, change: Change, rng: np.random.Generator) -> tuple[float, float]:
    """Alarms in the quiet part, and the delay after it."""
    spec, t = WEEK.spec(), WEEK.baseline
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


def window_score_table(effort: Effort) -> Table:
    """Whole windows as observations, where rows depend on each other."""
    out, musts = [], []
    for i, stream in enumerate((WOBBLE, AR, DAY, WEEK)):
        alarms = streams(lambda rng: _scored(stream, SAME, effort.windows, rng).sum(), effort.streams, 4000 + i)  # noqa: B023
        row = [stream.name, *rate(alarms, effort.windows)]
        musts.append(quiet(f"window scores, {stream.name}", alarms, effort.windows))
        for j, shift in enumerate((0.25, 0.5)):
            seeds = [np.random.default_rng([4100 + 10 * i + j, s]) for s in range(effort.streams)]
            fired = [_scored(stream, Change(shift), effort.horizon, rng) for rng in seeds]
            row.append(delay([float(f.argmax() + 1) if f.any() else NEVER for f in fired]))
        out.append(row)
    title = f"Whole windows as observations (window scores), {effort.streams} streams of {effort.windows} windows"
    head = ("stream", "per 1000 windows", "streams with any", "delay to +.25 σ", "+.5 σ")
    return Table(markdown(title, head, out), tuple(musts))


def _scored(stream: Stream, change: Change, length: int, rng: np.random.Generator) -> np.ndarray:
    spec = stream.spec()
    base = as_counts(spec, stream.counts(rng, stream.baseline))
    bets = window_score_bets(spec, CountsState(spec, base.sum(0)), base, delta=CONFIG["delta"])
    detector = Detector(bets, CONFIG["threshold"], CONFIG["minimum_rows"])
    live = as_counts(spec, stream.counts(rng, length, change, stream.baseline))
    return np.array([detector.score(w).fired for w in live])


def tables(effort: Effort) -> Iterator[Table]:
    yield season_table(effort)
    yield window_score_table(effort)
