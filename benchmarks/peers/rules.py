"""The rules that are compared, each made from a baseline column and then shown one window after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
from benchmarks.peers.streams import WINDOWS, Scene
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp

from calidris.baseline import BaselineColumns, build
from calidris.batch import CodedColumn, Column, Floats, Ints, ModelKey, PredictionBatch
from calidris.compat import ColumnKind, verdicts
from calidris.config import DetectConfig
from calidris.detect import Bets, Detector, freeze
from calidris.detect.levels import TwoLevels
from calidris.state import CountsState, Spec

Judge = Callable[[Column], bool]
"""Takes one window, says whether it alarms."""
THRESHOLD, DELTA, TOLERANCE = 1000.0, 0.05, 0.05
EARLY = DetectConfig().early_tolerance
PSI_ABOVE, P_BELOW, SIGMAS = 0.2, 0.05, 3.0
FEWEST_CHUNKS = 10
NAMES = ("Evidently 0.7", "NannyML mean + 3 σ", "PSI > 0.2", "p < .05 (KS, χ²)", "Calidris")
_HOUR_NS = 3_600_000_000_000
_KEY = ModelKey("default", "same-shift", "1")


def evidently(baseline: Column) -> Judge:
    """That tool's defaults, through the profile."""
    kind = {"x": ColumnKind.CATEGORICAL if isinstance(baseline, CodedColumn) else ColumnKind.NUMERICAL}
    return lambda window: bool(verdicts({"x": baseline}, {"x": window}, kind).columns[0].drifted)


def nannyml(baseline: Column, chunk: int) -> Judge:
    """NannyML 0.13: Jensen-Shannon distance above mean + 3 standard deviations of the reference's own chunks."""
    distance, limit = nannyml_parts(baseline, chunk)
    return lambda window: distance(window) > limit


def nannyml_parts(baseline: Column, chunk: int) -> tuple[Callable[[Column], float], float]:
    """Its distance (base 2) and its limit.

    Numbers in the bins of Doane's rule, levels by value; what falls outside is a bin of its own, missing values are left out.
    """
    shares = _shares_of(baseline)
    whole = shares(baseline)

    def distance(window: Column) -> float:
        return float(jensenshannon(whole, shares(window), base=2))

    rows = np.arange(len(baseline))
    own = [distance(baseline.take(rows[i : i + chunk])) for i in range(0, len(rows), chunk)]
    return distance, float(np.mean(own) + SIGMAS * np.std(own))


def _shares_of(baseline: Column) -> Callable[[Column], Floats]:
    if isinstance(baseline, CodedColumn):
        tally = _tally_of(baseline)
        return lambda column: tally(column) / max(tally(column).sum(), 1)
    edges = np.histogram_bin_edges(_values(baseline), bins="doane")

    def shares(column: Column) -> Floats:
        inside = np.histogram(_values(column), edges)[0] / len(_values(column))
        return np.append(inside, max(1.0 - inside.sum(), 0.0))

    return shares


def psi(baseline: Column) -> Judge:
    """The rule of thumb: ten equal-mass bins, or levels; an empty cell counts as 0.01 %; missing values are left out."""
    if isinstance(baseline, CodedColumn):
        cells: Callable[[Column], Floats] = _shares_of(baseline)
    else:
        edges = np.quantile(_values(baseline), np.arange(1, 10) / 10)

        def cells(column: Column) -> Floats:
            values = _values(column)
            return np.bincount(np.searchsorted(edges, values), minlength=10) / len(values)

    p = np.maximum(cells(baseline), 1e-4)

    def judge(window: Column) -> bool:
        q = np.maximum(cells(window), 1e-4)
        return float(((q - p) * np.log(q / p)).sum()) > PSI_ABOVE

    return judge


def p_value(baseline: Column) -> Judge:
    """Kolmogorov-Smirnov for numbers, the χ² test of homogeneity for levels, both at 5 %."""
    if isinstance(baseline, CodedColumn):
        tally = _tally_of(baseline)
        known = tally(baseline)

        def judge(window: Column) -> bool:
            table = np.stack([known, tally(window)])
            return bool(chi2_contingency(table[:, table.any(axis=0)]).pvalue < P_BELOW)

        return judge
    values = np.sort(_values(baseline))
    return lambda window: bool(ks_2samp(values, _values(window), method="asymp").pvalue < P_BELOW)


def ours(baseline: Column) -> Judge:
    """The detector at one false alarm in a thousand windows of both levels together, with the default tolerances."""
    size = len(baseline) // WINDOWS
    times = np.repeat(np.arange(WINDOWS) * _HOUR_NS, size)
    made = build(BaselineColumns(PredictionBatch(_KEY, times, {"x": baseline})), Spec(), window_s=3600.0)

    def bets(tolerance: float, *, small: bool) -> Bets:
        return freeze(made.spec, made.counts, made.windows, delta=DELTA, tolerance=tolerance, small=small)

    # As the receiver has them: an early alarm is a ticket, and one that a user sees.
    levels = TwoLevels(bets(TOLERANCE, small=False), bets(EARLY, small=True))
    detector = Detector(levels, THRESHOLD)

    def judge(window: Column) -> bool:
        counts = CountsState(made.spec)
        batch = PredictionBatch(_KEY, np.zeros(len(window), dtype=np.int64), {"x": window})
        counts.update(made.spec.encode(batch))
        return detector.score(counts.array).fired

    return judge


def rules(scene: Scene, baseline: Column, only: Collection[str] = NAMES) -> Mapping[str, Judge]:
    """Rules out of ``NAMES`` that the baseline has rows enough for, all made from it."""
    makers: dict[str, Callable[[Column], Judge]] = {
        "Evidently 0.7": evidently,
        "NannyML mean + 3 σ": lambda rows: nannyml(rows, scene.rows),
        "PSI > 0.2": psi,
        "p < .05 (KS, χ²)": p_value,
        "Calidris": ours,
    }
    if len(baseline) < FEWEST_CHUNKS * scene.rows:
        del makers["NannyML mean + 3 σ"]
    return {name: make(baseline) for name, make in makers.items() if name in only}


def _values(column: Column) -> Floats:
    assert not isinstance(column, CodedColumn)
    return column.values[column.valid]


def _tally_of(baseline: CodedColumn) -> Callable[[Column], Ints]:
    """Rows of each of the baseline's levels, and of all others together: int64[levels + 1]."""
    held = np.bincount(baseline.codes[baseline.valid], minlength=len(baseline.levels)) > 0
    place = {level: i for i, level in enumerate(np.array(baseline.levels)[held].tolist())}

    def tally(column: Column) -> Ints:
        assert isinstance(column, CodedColumn)
        cells = np.array([place.get(level, len(place)) for level in column.levels])
        return np.bincount(cells[column.codes[column.valid]], minlength=len(place) + 1)

    return tally
