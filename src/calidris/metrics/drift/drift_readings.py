"""Drift: how far the rows of a window are from the baseline, for every field of a model at once.

Every distance takes missing, unseen and out-of-range values as cells of their own: a feature that goes missing has
drifted. All of them grow when n shrinks although nothing changed; ``expected`` is what each would read on average then,
and ``psi_debiased`` has it taken off. They are effect sizes to look at, not alarms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calidris import semconv
from calidris.batch import Floats
from calidris.metrics.base import Reading, Status, reading
from calidris.metrics.drift.drift_measures import LENGTHS, MEASURES
from calidris.metrics.drift.histograms import Moments, Pair, has_means, pairs
from calidris.state import CountsState, Spec

MINIMUM_ROWS = 50
"""A window of fewer rows is ``too_few``."""

STANDARD = ("psi_debiased",)
"""What is exported by default: one measure a feature."""


@dataclass(frozen=True)
class DriftTable:
    """Drift of F fields. NaN marks what is not defined: an empty side, or a measure of numbers on a categorical field.

    Attributes:
        names: F field names.
        n: rows of the window, float64[F].
        m: rows of the baseline, float64[F].
        cells: K, cells that hold a row on either side, float64[F].
        values: measure to float64[F].
        expected: measure to its mean if nothing had changed, float64[F].
        lower: measure to the lower end of its 95 % interval, float64[F]; only where one is known.
        upper: likewise the upper end.
        error: measure to its standard error, float64[F]; only where one is known.
    """

    names: tuple[str, ...]
    n: Floats
    m: Floats
    cells: Floats
    values: Mapping[str, Floats]
    expected: Mapping[str, Floats]
    lower: Mapping[str, Floats]
    upper: Mapping[str, Floats]
    error: Mapping[str, Floats]


def drift_table(
    spec: Spec,
    baseline: CountsState,
    window: CountsState,
    measures: Sequence[str] = STANDARD,
    moments: Moments | None = None,
) -> DriftTable:
    """Measures of every feature, score, decision and value of a model.

    Cost: a dozen passes over fields times bins for all of them together.

    Args:
        spec: the spec of both states.
        baseline: counts of the baseline.
        window: counts of the window.
        measures: names out of ``MEASURES``.
        moments: of the same two sides, so that lengths are between values and not between bins.

    Raises:
        IncompatibleState: a state of another spec.
        KeyError: an unknown measure.
    """
    parts = pairs(spec, baseline, window, moments)
    found = {name: MEASURES[name] for name in measures}
    bounds = {name: [m.bounds(part) for part in parts] for name, m in found.items() if m.bounds}
    return DriftTable(
        names=tuple(name for part in parts for name in part.block.names),
        n=_joined(parts, lambda part: part.n),
        m=_joined(parts, lambda part: part.m),
        cells=_joined(parts, lambda part: part.cells),
        values={name: _joined(parts, measure.value) for name, measure in found.items()},
        expected={name: _joined(parts, measure.expected) for name, measure in found.items()},
        lower={name: _laid_out([low for low, _ in of_parts]) for name, of_parts in bounds.items()},
        upper={name: _laid_out([high for _, high in of_parts]) for name, of_parts in bounds.items()},
        error={name: _joined(parts, m.error) for name, m in found.items() if m.error},
    )


def _joined(parts: Sequence[Pair], measure: Callable[[Pair], Floats]) -> Floats:
    return _laid_out([measure(part) for part in parts])


def _laid_out(of_parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.zeros(0), *of_parts], dtype=np.float64)


def drift_readings(
    spec: Spec,
    baseline: CountsState,
    window_counts: CountsState,
    *,
    window: str,
    baseline_id: str | None = None,
    measures: Sequence[str] = STANDARD,
    minimum: int = MINIMUM_ROWS,
    moments: Moments | None = None,
) -> list[Reading]:
    """``ml.drift.score`` of every compared field and measure, in the order of the spec.

    A field is ``no_baseline`` where the baseline has no rows, ``too_few`` below ``minimum`` rows in the window, and
    ``undefined`` where the measure is not defined for it. Lengths are ``approximate`` without the ``moments`` of both sides, which
    say where in its cell each value lies.

    >>> from calidris.state import Field, Kind, Role
    >>> spec = Spec(fields=(Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 30.0, 60.0)),))
    >>> drift_readings(spec, CountsState(spec), CountsState(spec), window="1h")[0].status.value
    'no_baseline'
    """
    table = drift_table(spec, baseline, window_counts, measures, moments)
    found = _readings(table, window, baseline_id, minimum)
    if has_means((baseline, window_counts), moments):
        return list(found)
    return [_mark_length(r) for r in found]


def _mark_length(found: Reading) -> Reading:
    """The same figure; a length between bins stands for one between values."""
    is_length = dict(found.attributes)[semconv.ML_DRIFT_MEASURE] in LENGTHS
    return found.marked(Status.APPROXIMATE) if is_length else found


def _readings(table: DriftTable, window: str, baseline_id: str | None, minimum: int) -> Iterator[Reading]:
    for i, name in enumerate(table.names):
        n, status = round(table.n[i]), _status(table.n[i], table.m[i], minimum)
        for measure, values in table.values.items():
            lower = table.lower[measure][i] if measure in table.lower else math.nan
            upper = table.upper[measure][i] if measure in table.upper else math.nan
            yield reading(
                semconv.METRIC_ML_DRIFT_SCORE,
                values[i],
                n,
                window=window,
                lower=lower,
                upper=upper,
                attributes={semconv.ML_FEATURE_NAME: name, semconv.ML_DRIFT_MEASURE: measure},
                baseline=baseline_id,
                status=status,
            )


def _status(n: float, m: float, minimum: int) -> Status:
    if m == 0:
        return Status.NO_BASELINE
    return Status.TOO_FEW if n < max(minimum, 1) else Status.OK
