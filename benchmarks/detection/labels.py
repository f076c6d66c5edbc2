"""What is known only with labels: 0/1 loss, calibration, gaps between groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from benchmarks.detection.common import BEFORE, EARLY
from benchmarks.detection.config import CONFIG
from benchmarks.detection.rivals import ks, psi, quantile_histograms, river_rules
from benchmarks.detection.table import NEVER, Effort, Must, Table, delay, markdown, quiet, rate
from scipy.special import expit, logit

from calidris.batch import Floats, Ints
from calidris.detect import Detector, Game, Loss, calibration_bets, group_bets, loss_bets, reliability_bets
from calidris.detect.bets.calibration import calibration_counts
from calidris.detect.levels import TwoLevels
from calidris.state import ScoresState, Spec

SPEC = Spec()
LABELS, LABELLED_BASELINE = 200, 5000
WRONG = Loss.zero_one("accuracy")

SOON = {"→ .13": 20.0}
"""Changes that must be found in every stream, after so many windows in the mean."""

Judge = Callable[[np.ndarray], bool]
Make = Callable[[np.random.Generator], Judge]
Draw = Callable[[np.random.Generator, float], np.ndarray]


def _table(
    title: str, rules: Mapping[str, Make], draw: Draw, changes: Mapping[str, float], effort: Effort, seed: int
) -> Table:
    """False alarms of each rule, and its delays; all rules see the same windows."""
    out, musts, count = [], [], effort.streams
    for name, make in rules.items():
        alarms = [_alarms(make, draw, effort.windows, np.random.default_rng([seed, s])) for s in range(count)]
        row = [name, *rate(alarms, effort.windows)]
        for j, (change, size) in enumerate(changes.items(), 1):
            seeds = [np.random.default_rng([seed + j, s]) for s in range(count)]
            delays = [_delay(make, draw, size, effort.horizon, rng) for rng in seeds]
            row.append(delay(delays))
            if name.startswith("Calidris") and change in SOON:
                musts.append(
                    Must(
                        f"delay in windows: {title.split(',', maxsplit=1)[0]} {change}",
                        SOON[change],
                        float(np.mean(delays)),
                    )
                )
        out.append(row)
        if name.startswith("Calidris"):
            musts.append(quiet(f"{title.split(',', maxsplit=1)[0]}, {name}", alarms, effort.windows))
    head = ("rule", "false alarms per 1000 windows", "streams with any", *changes)
    return Table(markdown(f"{title}; {count} streams of {effort.windows} windows", head, out), tuple(musts))


def _alarms(make: Make, draw: Draw, windows: int, rng: np.random.Generator) -> float:
    judge = make(rng)
    return float(sum(judge(draw(rng, 0.0)) for _ in range(windows)))


def _delay(make: Make, draw: Draw, size: float, horizon: int, rng: np.random.Generator) -> float:
    judge = make(rng)
    for _ in range(BEFORE):
        judge(draw(rng, 0.0))
    return next((float(i) for i in range(1, horizon + 1) if judge(draw(rng, size))), NEVER)


def _ours(bets, counts: Callable[[np.ndarray], Ints]) -> Judge:
    detector = Detector(bets, CONFIG["threshold"], CONFIG["minimum_rows"])
    return lambda window: detector.score(counts(window)).fired


def _others(base: Draw, values: Callable[[np.ndarray], Floats], of: str) -> dict[str, Make]:
    """Rules on one value a row: PSI, KS and river's, from the same baseline rows."""

    def made(make: Callable[[Floats], Judge]) -> Make:
        def of_rng(rng: np.random.Generator) -> Judge:
            judge = make(values(base(rng, 0.0)).reshape(-1, LABELS))
            return lambda window: judge(values(window))

        return of_rng

    rules = {"PSI > 0.2": lambda x: psi(x, quantile_histograms(x)), "KS p < .05": ks, **river_rules()}
    return {f"{name}{of}": made(make) for name, make in rules.items()}


def loss_table(effort: Effort) -> Table:
    """0/1 loss from .10 to more: raw losses, so that detectors of raw values can take part."""

    def base(rng: np.random.Generator, more: float) -> Floats:
        return (rng.random(LABELLED_BASELINE) < 0.1).astype(float)

    def ours(rng: np.random.Generator) -> Judge:
        known = WRONG.counts(base(rng, 0.0))

        def at(margin: float) -> Game:
            return loss_bets([WRONG], known, delta=CONFIG["delta"], tolerance=0.0, margin=margin)

        both = TwoLevels(at(CONFIG["tolerance_loss"]), at(EARLY.early_loss_tolerance))
        return _ours(both, WRONG.counts)

    def limit(z: float) -> Make:
        def make(rng: np.random.Generator) -> Judge:
            mean = base(rng, 0.0).mean()
            return lambda window: bool(window.mean() > mean + z * np.sqrt(mean * (1 - mean) / len(window)))

        return make

    rules = {"Calidris": ours, "baseline + 3 σ": limit(3.0), "z, p < .05": limit(1.645)}
    return _table(
        f"0/1 loss of .10, {LABELS} labels a window, baseline {LABELLED_BASELINE}",
        {**rules, **_others(base, lambda window: window, "")},
        lambda rng, more: (rng.random(LABELS) < 0.1 + more).astype(float),
        {"→ .11": 0.01, "→ .12": 0.02, "→ .13": 0.03, "→ .15": 0.05, "→ .20": 0.1},
        effort.part(0.5, 0.4),
        5000,
    )


def calibration_table(effort: Effort) -> Table:
    """Changes are coded as one number: below 10 a shift in logits, above it ten plus a slope."""

    def base(rng: np.random.Generator, change: float) -> Floats:
        return _labelled(rng, LABELLED_BASELINE, 0.0)

    def counts(window: Floats) -> Ints:
        state = ScoresState(SPEC)
        state.update(window[0], window[1].astype(np.int64), np.zeros(window.shape[1]))
        return calibration_counts(state)

    def ideal(rng: np.random.Generator) -> Judge:
        return _ours(calibration_bets(SPEC, tolerance=CONFIG["tolerance_logit"]), counts)

    def own(rng: np.random.Generator) -> Judge:
        bets = reliability_bets(
            SPEC, counts(base(rng, 0.0)), delta=CONFIG["delta"], tolerance=CONFIG["tolerance_logit"]
        )
        return _ours(bets, counts)

    rules = {
        "Calidris, scores as they are": ideal,
        "Calidris, the baseline's map": own,
        "Spiegelhalter, abs Z > 1.96": _spiegelhalter(1.96),
        "Spiegelhalter, abs Z > 3.29": _spiegelhalter(3.29),
        "ECE (10 bins) > 0.05": lambda rng: _ece,
    }
    return _table(
        f"Calibration, {LABELS} labels a window, scores Beta(2, 5), map from {LABELLED_BASELINE} labels",
        {**rules, **_others(base, lambda window: window[1] - window[0], " of y − p")},
        lambda rng, change: _labelled(rng, LABELS, change),
        {"shift .2": 0.2, "shift .4": 0.4, "slope .7": 10.7},
        effort.part(0.5, 0.4),
        6000,
    )


def _labelled(rng: np.random.Generator, n: int, change: float) -> Floats:
    p = rng.beta(2, 5, n)
    shift, slope = (0.0, change - 10.0) if change > 10.0 else (change, 1.0)
    return np.stack([p, rng.random(n) < expit(shift + slope * logit(p))])


def _spiegelhalter(z: float) -> Make:
    def judge(window: Floats) -> bool:
        p, y = window
        weight = 1 - 2 * p
        return bool(abs(((y - p) * weight).sum()) > z * np.sqrt((weight**2 * p * (1 - p)).sum()))

    return lambda rng: judge


def _ece(window: Floats) -> bool:
    p, y = window
    bins = np.minimum((10 * p).astype(int), 9)
    return bool(np.abs(np.bincount(bins, y - p, 10)).sum() / len(p) > 0.05)


def group_table(effort: Effort) -> Table:
    def draw(rng: np.random.Generator, gap: float) -> np.ndarray:
        hits = rng.binomial([300, 60], [0.3, 0.3 + gap])
        return np.array([300 - hits[0], hits[0], 60 - hits[1], hits[1]])

    def ours(rng: np.random.Generator) -> Judge:
        return _ours(group_bets(["a", "b"], tolerance=CONFIG["tolerance_gap"]), lambda window: window)

    def larger(limit: float) -> Make:
        return lambda rng: lambda window: bool(abs(window[1] / 300 - window[3] / 60) > limit)

    rules = {"Calidris": ours, "gap > 0.10": larger(0.1), "gap > 0.20": larger(0.2)}
    changes = {"gap .10": 0.1, "gap .15": 0.15, "gap .20": 0.2, "gap .30": 0.3}
    title = "Two groups of 300 and 60 rows a window, both at 30 %"
    return _table(title, rules, draw, changes, effort.part(0.5, 0.4), 7000)


def tables(effort: Effort) -> Iterator[Table]:
    yield loss_table(effort)
    yield calibration_table(effort)
    yield group_table(effort)
