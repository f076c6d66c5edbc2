"""What is known only with labels: 0/1 loss, calibration, gaps between groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from benchmarks.detection.config import CONFIG
from benchmarks.detection.rivals import river_version
from benchmarks.detection.table import NEVER, Effort, delay, markdown, rate
from scipy.special import expit, logit

from calidris.batch import Floats, Ints
from calidris.detect import Detector, Loss, calibration_bets, group_bets, loss_bets, reliability_bets
from calidris.detect.feeds import calibration_counts
from calidris.state import ScoresState, Spec

SPEC = Spec()
LABELS, LABELLED_BASELINE, BEFORE = 200, 5000, 50
WRONG = Loss.zero_one("accuracy")

Judge = Callable[[np.ndarray], bool]
Draw = Callable[[np.random.Generator, float], np.ndarray]


def _table(
    title: str, rules: dict[str, Callable[[np.random.Generator], Judge]], draw: Draw, changes: dict[str, float], effort: Effort, seed: int
) -> str:  # fmt: skip
    """False alarms of each rule, and its delays; all rules see the same windows."""
    out = []
    for name, make in rules.items():
        alarms = [_quiet(make, draw, effort.windows, np.random.default_rng([seed, s])) for s in range(effort.streams)]
        row = [name, *rate(alarms, effort.windows)]
        for j, size in enumerate(changes.values(), 1):
            delays = [
                _delay(make, draw, size, effort.horizon, np.random.default_rng([seed + j, s]))
                for s in range(effort.streams)
            ]
            row.append(delay(delays))
        out.append(row)
    head = ("rule", "false alarms per 1000 windows", "streams with any", *changes)
    return markdown(f"{title}; {effort.streams} streams of {effort.windows} windows", head, out)


def _quiet(make: Callable[[np.random.Generator], Judge], draw: Draw, windows: int, rng: np.random.Generator) -> float:
    judge = make(rng)
    return float(sum(judge(draw(rng, 0.0)) for _ in range(windows)))


def _delay(
    make: Callable[[np.random.Generator], Judge], draw: Draw, size: float, horizon: int, rng: np.random.Generator
) -> float:
    judge = make(rng)
    for _ in range(BEFORE):
        judge(draw(rng, 0.0))
    return next((float(i) for i in range(1, horizon + 1) if judge(draw(rng, size))), NEVER)


def _ours(bets, counts: Callable[[np.ndarray], Ints]) -> Judge:
    detector = Detector(bets, CONFIG["threshold"], CONFIG["minimum_rows"])
    return lambda window: detector.score(counts(window)).fired


def loss_table(effort: Effort) -> str:
    """0/1 loss from .10 to more: raw losses, so that detectors of raw values can take part."""

    def counts(window: Floats) -> Ints:
        return WRONG.counts(window)

    def ours(rng: np.random.Generator) -> Judge:
        base = (rng.random(LABELLED_BASELINE) < 0.1).astype(float)
        return _ours(loss_bets([WRONG], counts(base), delta=CONFIG["delta"], tolerance=CONFIG["tolerance_sd"]), counts)

    def limit(z: float) -> Callable[[np.random.Generator], Judge]:
        def make(rng: np.random.Generator) -> Judge:
            mean = (rng.random(LABELLED_BASELINE) < 0.1).mean()
            return lambda window: bool(window.mean() > mean + z * np.sqrt(mean * (1 - mean) / len(window)))

        return make

    def of_river(name: str) -> Callable[[np.random.Generator], Judge]:
        def make(rng: np.random.Generator) -> Judge:
            from river import drift

            detector = getattr(drift, name)()

            def judge(window: Floats) -> bool:
                fired = False
                for x in window.tolist():
                    before = detector.estimation if name == "ADWIN" else 0.0
                    detector.update(x)
                    up = name != "ADWIN" or detector.estimation > before
                    fired = fired or (detector.drift_detected and up)
                return fired

            judge((rng.random(LABELLED_BASELINE) < 0.1).astype(float))
            return judge

        return make

    rules = {"Calidris": ours, "baseline + 3 σ": limit(3.0), "z, p < .05": limit(1.645)}
    if river_version():
        rules |= {"ADWIN, upwards (river)": of_river("ADWIN"), "Page-Hinkley (river)": of_river("PageHinkley")}
    return _table(
        f"0/1 loss of .10, {LABELS} labels a window, baseline {LABELLED_BASELINE}",
        rules,
        lambda rng, more: (rng.random(LABELS) < 0.1 + more).astype(float),
        {"→ .11": 0.01, "→ .12": 0.02, "→ .13": 0.03, "→ .15": 0.05, "→ .20": 0.1},
        effort.part(0.5),
        5000,
    )


def calibration_table(effort: Effort) -> str:
    """Changes are coded as one number: below 10 a shift in logits, above it ten plus a slope."""

    def draw(rng: np.random.Generator, change: float) -> np.ndarray:
        return _labelled(rng, LABELS, change)

    def counts(window: Floats) -> Ints:
        state = ScoresState(SPEC)
        state.update(window[0], window[1].astype(np.int64), np.zeros(window.shape[1]))
        return calibration_counts(state)

    def ideal(rng: np.random.Generator) -> Judge:
        return _ours(calibration_bets(SPEC, tolerance=CONFIG["tolerance_logit"]), counts)

    def own(rng: np.random.Generator) -> Judge:
        base = counts(_labelled(rng, LABELLED_BASELINE, 0.0))
        bets = reliability_bets(SPEC, base, delta=CONFIG["delta"], tolerance=CONFIG["tolerance_logit"])
        return _ours(bets, counts)

    def spiegelhalter(z: float) -> Callable[[np.random.Generator], Judge]:
        def judge(window: Floats) -> bool:
            p, y = window
            weight = 1 - 2 * p
            return bool(abs(((y - p) * weight).sum()) > z * np.sqrt((weight**2 * p * (1 - p)).sum()))

        return lambda rng: judge

    def ece(window: Floats) -> bool:
        p, y = window
        bins = np.minimum((10 * p).astype(int), 9)
        return bool(np.abs(np.bincount(bins, y - p, 10)).sum() / len(p) > 0.05)

    rules = {
        "Calidris, scores as they are": ideal,
        "Calidris, the baseline's map": own,
        "Spiegelhalter, abs Z > 1.96": spiegelhalter(1.96),
        "Spiegelhalter, abs Z > 3.29": spiegelhalter(3.29),
        "ECE (10 bins) > 0.05": lambda rng: ece,
    }
    return _table(
        f"Calibration, {LABELS} labels a window, scores Beta(2, 5), map from {LABELLED_BASELINE} labels",
        rules,
        draw,
        {"shift .2": 0.2, "shift .4": 0.4, "slope .7": 10.7},
        effort.part(0.5),
        6000,
    )


def _labelled(rng: np.random.Generator, n: int, change: float) -> Floats:
    p = rng.beta(2, 5, n)
    shift, slope = (0.0, change - 10.0) if change > 10.0 else (change, 1.0)
    return np.stack([p, rng.random(n) < expit(shift + slope * logit(p))])


def group_table(effort: Effort) -> str:
    def draw(rng: np.random.Generator, gap: float) -> np.ndarray:
        hits = rng.binomial([300, 60], [0.3, 0.3 + gap])
        return np.array([300 - hits[0], hits[0], 60 - hits[1], hits[1]])

    def ours(rng: np.random.Generator) -> Judge:
        return _ours(group_bets(["a", "b"], tolerance=CONFIG["tolerance_gap"]), lambda window: window)

    def larger(limit: float) -> Callable[[np.random.Generator], Judge]:
        return lambda rng: lambda window: bool(abs(window[1] / 300 - window[3] / 60) > limit)

    rules = {"Calidris": ours, "gap > 0.10": larger(0.1), "gap > 0.20": larger(0.2)}
    changes = {"gap .10": 0.1, "gap .15": 0.15, "gap .20": 0.2, "gap .30": 0.3}
    title = "Two groups of 300 and 60 rows a window, both at 30 %"
    return _table(title, rules, draw, changes, effort.part(0.5), 7000)


def tables(effort: Effort) -> Iterator[str]:
    yield loss_table(effort)
    yield calibration_table(effort)
    yield group_table(effort)
