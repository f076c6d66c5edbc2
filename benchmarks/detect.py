"""False alarms and delays of the detector, simulated with one configuration for every row.

Streams are drawn as histograms (multinomial), which is exact for independent rows; the AR(1) stream is drawn row by row.
Each stream has a baseline of its own: 168 windows drawn as its live windows are drawn.

    python benchmarks/detect.py             # a few minutes
    python benchmarks/detect.py --quick     # under a minute
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

from calidris.batch import Floats, Ints, NumberColumn
from calidris.config.budget import FalseAlarmBudget
from calidris.detect import Bets, Detector, freeze, thresholds
from calidris.state import CountsState, Field, Kind, Role, Spec

BASELINE_WINDOWS = 168
BEFORE = 50  # quiet windows before a change
HORIZON = 200  # windows a change is given to be found
MISSING = 0.01
EDGES = (-4.5, *ndtri(np.arange(1, 10) / 10).tolist(), 4.5)


@dataclass(frozen=True)
class Null:
    name: str
    rows: int
    draw: Callable[[np.random.Generator, int, float, float, float], Ints]

    def windows(
        self, rng: np.random.Generator, t: int, shift: float = 0.0, scale: float = 1.0, miss: float = MISSING
    ) -> Ints:
        """T windows of one field as counts int64[T, 14]."""
        return self.draw(rng, t, shift, scale, miss)


def cells(mean: Floats, scale: float = 1.0, missing: float = MISSING) -> Floats:
    """Cell probabilities of N(mean, scale²), float64[T, 14]: bins, missing, other, low, high."""
    cdf = ndtr((np.array(EDGES) - np.asarray(mean)[:, None]) / scale) * (1.0 - missing)
    p = np.empty((len(cdf), 14))
    p[:, :10] = np.diff(cdf, axis=1)
    p[:, 10], p[:, 11] = missing, 0.0
    p[:, 12], p[:, 13] = cdf[:, 0], 1.0 - missing - cdf[:, -1]
    return p


def independent(rows: int, mean: Callable[[np.random.Generator, int], Floats]):
    def draw(rng: np.random.Generator, t: int, shift: float, scale: float, missing: float) -> Ints:
        return rng.multinomial(rows, cells(mean(rng, t) + shift, scale, missing))

    return draw


def autoregressive(rows: int, phi: float = 0.9):
    """An AR(1) stream of standard normal margins, cut into windows."""

    def draw(rng: np.random.Generator, t: int, shift: float, scale: float, missing: float) -> Ints:
        noise = rng.standard_normal(t * rows) * np.sqrt(1 - phi**2)
        x = lfilter([1.0], [1.0, -phi], noise, zi=[phi * rng.standard_normal()])[0] * scale + shift
        position = np.searchsorted(EDGES, x)
        cell = np.r_[12, np.arange(10), 13][position]
        cell[rng.random(len(cell)) < missing] = 10
        window = np.repeat(np.arange(t), rows)
        return np.bincount(window * 14 + cell, minlength=t * 14).reshape(t, 14)

    return draw


def still(rng: np.random.Generator, t: int) -> Floats:
    return np.zeros(t)


def wobble(rng: np.random.Generator, t: int) -> Floats:
    return rng.normal(0.0, 0.05, t)


def cycle(rng: np.random.Generator, t: int) -> Floats:
    return 0.2 * np.sin(2 * np.pi * np.arange(t) / 24)


NULLS = (
    Null("iid n=50", 50, independent(50, still)),
    Null("iid n=500", 500, independent(500, still)),
    Null("iid n=20000", 20_000, independent(20_000, still)),
    Null("wobble N(0,.05²) n=500", 500, independent(500, wobble)),
    Null("AR(.9) stream n=500", 500, autoregressive(500)),
    Null("daily cycle ±.2σ n=500", 500, independent(500, cycle)),
)
IID = NULLS[1]


def spec_of(features: int) -> Spec:
    return Spec(fields=tuple(Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=EDGES) for i in range(features)))


def as_counts(spec: Spec, histograms: Ints) -> Ints:
    """Histograms int64[T, F, 14] of all features as counts int64[T, cells] of the model."""
    t, features, _ = histograms.shape
    counts = np.zeros((t, spec.cells), dtype=np.int64)
    rows = histograms[:, 0].sum(axis=1)
    counts[:, 0] = rows  # no errors
    counts[:, spec.offsets[1] + spec.fields[1].ordered] = rows  # no durations
    counts[:, spec.offsets[2] :] = histograms.reshape(t, features * 14)
    return counts


def baseline(spec: Spec, windows: Ints, timed: bool = True) -> Bets:
    return freeze(spec, CountsState(spec, windows.sum(axis=0)), windows if timed else None)


def features_of(null: Null, rng: np.random.Generator, t: int, features: int) -> Ints:
    return np.stack([null.windows(rng, t) for _ in range(features)], axis=1)


@dataclass(frozen=True)
class Quiet:
    """A stream without change, and the baseline it is compared with."""

    name: str
    live: Null
    base: Null | None = None  # None: as the live windows
    windows: int = BASELINE_WINDOWS
    timed: bool = True

    def alarms(self, threshold: float, length: int, rng: np.random.Generator) -> int:
        spec = spec_of(1)
        base = (self.base or self.live).windows(rng, self.windows)
        detector = Detector(baseline(spec, as_counts(spec, base[:, None]), self.timed), threshold)
        live = as_counts(spec, self.live.windows(rng, length)[:, None])
        return sum(detector.score(window).fired for window in live)


QUIET = (
    *(Quiet(null.name, null) for null in NULLS),
    Quiet("iid, baseline 2000 rows, no windows", IID, windows=4, timed=False),
    Quiet("iid, baseline 30 windows", IID, windows=30),
    Quiet("wobble, baseline 30 windows", NULLS[3], windows=30),
    Quiet("AR(.9), baseline 30 windows", NULLS[4], windows=30),
    Quiet("wobble, traffic 10 × baseline's", Null("", 5000, independent(5000, wobble)), base=NULLS[3]),
)


@dataclass(frozen=True)
class Case:
    name: str
    null: Null
    change: dict[str, float]
    features: int = 1
    threshold: float = 1000.0
    factor: float = 1.0  # "unit change": the values are multiplied by this

    def changed(self, rng: np.random.Generator) -> Ints:
        if self.factor == 1.0:
            return self.null.windows(rng, HORIZON, **self.change)
        # A change of unit multiplies mean and spread alike; the stream's values lie around 3 with spread 1 here.
        shift = 3.0 * (self.factor - 1.0)
        return self.null.windows(rng, HORIZON, shift=shift, scale=self.factor)


CASES = (
    Case("+.25σ, 1 feature", IID, {"shift": 0.25}),
    Case("+.25σ, 1 of 100 features, A=8760", IID, {"shift": 0.25}, features=100, threshold=8760.0),
    Case("+.1σ, 1 feature", IID, {"shift": 0.1}),
    Case("missing 1→3 %", IID, {"miss": 0.03}),
    Case("scale ×1.25", IID, {"scale": 1.25}),
    Case("unit change ×0.1", IID, {}, factor=0.1),
    Case("+.25σ under wobble", NULLS[3], {"shift": 0.25}),
    Case("+.25σ under AR(.9)", NULLS[4], {"shift": 0.25}),
    Case("+.25σ under daily cycle", NULLS[5], {"shift": 0.25}),
)


def delay(case: Case, rng: np.random.Generator) -> float:
    """Windows from the change of the first feature to the alarm; NaN where it was not found within the horizon."""
    spec = spec_of(case.features)
    quiet = features_of(case.null, rng, BASELINE_WINDOWS + BEFORE + HORIZON, case.features)
    start = BASELINE_WINDOWS + BEFORE
    quiet[start:, 0] = case.changed(rng)
    counts = as_counts(spec, quiet)
    detector = Detector(baseline(spec, counts[:BASELINE_WINDOWS]), case.threshold)
    for window in counts[BASELINE_WINDOWS:start]:
        detector.score(window)
    for i, window in enumerate(counts[start:], 1):
        verdict = detector.score(window)
        if verdict.fired and verdict.changes[0].field == "x0":
            return float(i)
    return float("nan")


def mean_se(values: Sequence[float]) -> str:
    if not values:
        return "-"
    spread = float(np.std(values, ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{np.mean(values):.2f} ± {spread:.2f}"


def null_rows(quick: bool) -> Iterator[str]:
    streams, length = (10, 500) if quick else (100, 1000)
    yield f"False alarms at A = 1000, 1 feature, {streams} streams of {length} windows"
    yield f"{'stream without change':36} {'per 1000 windows ± se':>22} {'streams with any':>17}"
    for i, quiet in enumerate(QUIET):
        alarms = [quiet.alarms(1000.0, length, np.random.default_rng([i, s])) for s in range(streams)]
        rate = [a * 1000.0 / length for a in alarms]
        yield f"{quiet.name:36} {mean_se(rate):>22} {sum(a > 0 for a in alarms):>17}"


def delay_rows(quick: bool) -> Iterator[str]:
    streams = 10 if quick else 100
    yield f"Delay in windows from the change to the alarm that names it, change after {BEFORE} quiet windows"
    yield f"{'change':36} {'streams':>8} {'found':>6} {'mean ± se':>16} {'largest':>8}"
    for i, case in enumerate(CASES):
        n = max(streams // 5, 3) if case.features > 1 else streams
        delays = [delay(case, np.random.default_rng([1000 + i, s])) for s in range(n)]
        found = [d for d in delays if d == d]
        yield f"{case.name:36} {n:>8} {len(found):>6} {mean_se(found):>16} {max(found, default=0):>8.0f}"


DEMO_FEATURES = tuple(
    f"{stat} {what}"
    for stat in ("mean", "worst")
    for what in ("radius", "texture", "smoothness", "concavity", "symmetry")
)


def demo_rows(seeds: int) -> Iterator[str]:
    """Ten features of a small real data set, drawn with replacement: does it stay quiet, and does it see a unit change?"""
    lengths = (2.0, 10.0)
    for seconds, threshold in zip(
        lengths, thresholds(FalseAlarmBudget.parse("1 per day").mean_seconds(lengths), lengths)
    ):
        rows = int(50 * seconds)
        alarms, delays = zip(*(demo(seed, threshold, rows) for seed in range(seeds)))
        found = [d for d in delays if d == d]
        yield (
            f"windows of {seconds:.0f} s, about {rows} rows: A = {threshold:.0f}, {sum(alarms)} false alarms in {seeds} × 60 "
            f"windows; worst radius / 10 found in {len(found)} of {seeds}, delay {mean_se(found)}, "
            f"largest {max(found, default=0):.0f}"
        )


def demo(seed: int, threshold: float, rows: int) -> tuple[int, float]:
    """False alarms in 60 quiet windows, then windows until the change is named."""
    pool, rng = _demo_pool(seed), np.random.default_rng(seed)
    spec = _demo_spec(pool, rng)
    base = np.array([_demo_window(spec, pool, rng, 100) for _ in range(40)])
    detector = Detector(baseline(spec, base), threshold)
    alarms = sum(detector.score(_demo_window(spec, pool, rng, rng.poisson(rows))).fired for _ in range(60))
    pool[:, DEMO_FEATURES.index("worst radius")] /= 10.0
    for i in range(1, 21):
        changes = detector.score(_demo_window(spec, pool, rng, rng.poisson(rows))).changes
        if changes and changes[0].field == "worst radius":
            return alarms, float(i)
    return alarms, float("nan")


def _demo_pool(seed: int) -> Floats:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    columns = [list(data.feature_names).index(name) for name in DEMO_FEATURES]
    return data.data[np.random.default_rng([77, seed]).permutation(569)[:342]][:, columns]


def _demo_spec(pool: Floats, rng: np.random.Generator) -> Spec:
    sample = pool[rng.integers(0, len(pool), 4000)]
    edges = [tuple(np.unique(np.quantile(column, np.linspace(0, 1, 11))).tolist()) for column in sample.T]
    fields = (Field(n, Role.FEATURE, Kind.NUMERIC, edges=e) for n, e in zip(DEMO_FEATURES, edges))
    return Spec(fields=tuple(fields))


def _demo_window(spec: Spec, pool: Floats, rng: np.random.Generator, n: int) -> Ints:
    rows = pool[rng.integers(0, len(pool), n)]
    state = CountsState(spec)
    columns = [None, None, *(NumberColumn.of(c) for c in rows.T)]
    encoded = [f.encode(c, n) + o for f, c, o in zip(spec.fields, columns, spec.offsets)]
    state.update(np.array(encoded))
    state.array[: spec.fields[0].width] = np.eye(spec.fields[0].width, dtype=np.int64)[0] * n  # no errors
    return state.array


def run(quick: bool = False) -> list[str]:
    """Print and return the tables."""
    lines = []
    for rows in (null_rows(quick), delay_rows(quick), demo_rows(5 if quick else 200)):
        started = time.perf_counter()
        for line in rows:
            print(line, flush=True)
            lines.append(line)
        print(f"({time.perf_counter() - started:.0f} s)\n", flush=True)
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer streams, under a minute")
    run(parser.parse_args().quick)
