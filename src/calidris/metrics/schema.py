"""Schema: features that came or went, and features that stopped varying."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from calidris import semconv
from calidris.batch import Ints
from calidris.metrics.base import Reading, Status, counted_reading, reading
from calidris.state import CountsState, Field, Kind, Role, Spec
from calidris.state.coding.fields import MISSING

UNCHANGED_ROWS = 50
"""Rows with a value that a feature needs before it can be called constant."""

ODDS = 1e-6
"""A feature is constant only where the baseline would put all of its rows in one cell less often than this."""


class SchemaChange(NamedTuple):
    """Features that the baseline has and the traffic has not, and the other way round, by name."""

    absent: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether there is any."""
        return bool(self.absent or self.unexpected)


def schema_change(expected: Iterable[str], seen: Iterable[str]) -> SchemaChange:
    """Compare the feature names of a spec with those that a window's batches carried.

    A feature that comes without a value is *seen*: it is ``missing``, not absent.

    >>> schema_change(["age", "income"], ["age", "inc"])
    SchemaChange(absent=('income',), unexpected=('inc',))
    """
    old, new = set(expected), set(seen)
    return SchemaChange(tuple(sorted(old - new)), tuple(sorted(new - old)))


def features_of(spec: Spec) -> tuple[str, ...]:
    """Names of the features that batches carry: those that codebooks make of embeddings never come as columns."""
    return tuple(name for _, name in spec.sent_features)


def with_values(baseline: CountsState, counts: CountsState, seen: Mapping[str, int]) -> dict[str, int]:
    """The columns of a window without those of which no row has a value although the baseline's have.

    A service that declares its features sends a column for each, also for one that its rows never have.

    Args:
        baseline: counts of the baseline.
        counts: of the window, in the same spec.
        seen: rows that carried a column, by feature name.
    """
    rows = counts.count
    found = dict(seen)
    for at, name in counts.spec.sent_features:
        # A column that the baseline lacks values of too has not changed.
        if rows and not _values(counts, at) and _values(baseline, at):
            found.pop(name, None)
    return found


def _values(counts: CountsState, at: int) -> int:
    cells = counts.field(at)
    return int(cells.sum()) - int(cells[counts.spec.fields[at].ordered + MISSING])


def schema_readings(spec: Spec, seen: Mapping[str, int], rows: int, window: str) -> list[Reading]:
    """``ml.data_quality.ratio`` of kinds ``absent`` and ``unexpected``: one reading a feature that is either.

    ``absent`` is the share of the window's rows that came without the feature's column, for features that some rows lack it
    of, and all rows where none has a value of it; ``unexpected`` the share that came with a column the spec does not know. Both with the exact interval.

    Args:
        spec: the spec of the model.
        seen: rows that carried a column, by feature name; bounded by whoever counts them.
        rows: rows of the window.
        window: its length.
    """
    lacking = {name: rows - min(seen.get(name, 0), rows) for name in features_of(spec)}
    unknown = {name: min(count, rows) for name, count in seen.items() if name not in lacking}
    found = [("absent", lacking), ("unexpected", unknown)]
    return [
        _of_kind(kind, name, count, rows, window)
        for kind, counts in found
        for name, count in sorted(counts.items())
        if count
    ]


def constant_readings(
    spec: Spec, baseline: CountsState, counts: CountsState, window: str, *, minimum: int = UNCHANGED_ROWS
) -> list[Reading]:
    """``ml.data_quality.ratio`` of kind ``constant``: share of a feature's values in its fullest cell, where it is stuck.

    Given only for features all of whose values lie in one cell although that would happen less often than one time in a
    million if they were drawn like the baseline's. A numeric cell is a bin: a feature may still move inside it. Features
    without edges are left out. ``no_baseline`` never shows: without one there is nothing to be stuck against.
    """
    out = []
    for i, f in enumerate(spec.fields):
        if f.role is Role.FEATURE and f.kind is not Kind.PRESENCE:
            cells, before = _valued(f, counts.field(i)), _valued(f, baseline.field(i))
            n = int(cells.sum())
            if n >= minimum and _stuck(cells, before):
                out.append(_of_kind("constant", f.name, n, n, window))
    return out


def _stuck(cells: Ints, before: Ints) -> bool:
    """Whether all values share one cell, and the baseline's spread says that they should not."""
    n, m = int(cells.sum()), int(before.sum())
    if m == 0 or int((cells > 0).sum()) != 1:
        return False
    share = (before + 0.5) / (m + len(before) / 2)
    return bool(n * math.log(float(share.max())) + math.log(len(before)) < math.log(ODDS))


def _valued(f: Field, cells: Ints) -> Ints:
    """The cells of a field but ``missing``."""
    return np.delete(cells, f.ordered + MISSING)


def _of_kind(kind: str, name: str, count: int, rows: int, window: str) -> Reading:
    attributes = {semconv.ML_FEATURE_NAME: name, semconv.ML_DATA_QUALITY_KIND: kind}
    metric = semconv.METRIC_ML_DATA_QUALITY_RATIO
    if rows == 0:
        return reading(metric, 0.0, 0, window=window, attributes=attributes, status=Status.TOO_FEW)
    return counted_reading(metric, count, rows, window, attributes)
