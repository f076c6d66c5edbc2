"""Data quality: rows of a window, and the share of them in which a feature is missing, rare, unseen, out of range or no number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calidris import semconv
from calidris.batch import Ints
from calidris.metrics.base import Reading, reading, share_reading
from calidris.state import CountsState, Field, Kind, Role, Spec
from calidris.state.coding.fields import HIGH, LOW, MISSING, OTHER, RARE

UNSEEN, RARE_LEVELS, OTHER_LEVELS = "unseen", "rare", "other"
KINDS: dict[str, tuple[frozenset[Kind], tuple[int, ...]]] = {
    "missing": (frozenset(Kind), (MISSING,)),
    RARE_LEVELS: (frozenset({Kind.CATEGORICAL}), (RARE,)),
    UNSEEN: (frozenset({Kind.CATEGORICAL}), (OTHER,)),
    "out_of_range": (frozenset({Kind.NUMERIC}), (LOW, HIGH)),
    "type_violation": (frozenset({Kind.NUMERIC}), (OTHER,)),
}
"""Kind of fault on the wire (``ml.data_quality.kind``): the fields that can have it, and the special cells that count it."""


def is_new(f: Field, baseline: Ints | None) -> bool:
    """Whether a level that a categorical field counts as ``other`` was in no row of the baseline.

    It was not where the field knows its rare levels, or where the baseline, int64[cells of the field], has no row of others.
    """
    if f.known is not None:
        return True
    return baseline is not None and not baseline[f.ordered + OTHER]


def quality_readings(
    spec: Spec,
    counts: CountsState,
    window: str,
    *,
    kinds: Sequence[str] = tuple(KINDS),
    baseline: CountsState | None = None,
) -> list[Reading]:
    """``ml.data_quality.ratio`` of each feature and each kind of fault it can have, with Wilson's interval.

    The denominator is all rows of the window. A presence feature (no edges yet) can only be missing. Levels beyond those that a field
    keeps are ``rare`` or ``unseen``; where nobody can tell which, because the baseline is of an earlier version, they are ``other``.

    >>> from calidris.state import Field, Kind, Role
    >>> spec = Spec(fields=(Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 30.0)),))
    >>> [dict(r.attributes)["ml.data_quality.kind"] for r in quality_readings(spec, CountsState(spec), "1h")]
    ['missing', 'out_of_range', 'type_violation']
    """
    features = [(i, f) for i, f in enumerate(spec.fields) if f.role is Role.FEATURE]
    return [
        r
        for i, f in features
        for r in _of_feature(
            f, counts.field(i).tolist(), window, kinds, None if baseline is None else baseline.field(i)
        )
    ]


def rows_reading(counts: CountsState, window: str) -> Reading:
    """``ml.window.rows``: rows of a window. No rows is an answer too: 0, ``ok``."""
    return reading(semconv.METRIC_ML_WINDOW_ROWS, counts.count, counts.count, window=window)


def _of_feature(
    f: Field, cells: Sequence[float], window: str, kinds: Sequence[str], baseline: Ints | None
) -> Iterator[Reading]:
    n = sum(cells)
    for kind in kinds:
        fields, special = KINDS[kind]
        if f.kind not in fields or (kind == RARE_LEVELS and f.known is None):
            continue
        faults = sum(cells[f.ordered + cell] for cell in special)
        called = OTHER_LEVELS if kind == UNSEEN and not is_new(f, baseline) else kind
        attributes = {semconv.ML_FEATURE_NAME: f.name, semconv.ML_DATA_QUALITY_KIND: called}
        yield share_reading(semconv.METRIC_ML_DATA_QUALITY_RATIO, faults, n, window, attributes)
