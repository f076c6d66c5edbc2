"""The profile ``evidently``: what Evidently 0.7 says by its defaults of a baseline table and a window table.

=====================  ====================  ===================================================
baseline rows          column                rule, with missing and infinite values left out
=====================  ====================  ===================================================
up to 1000             more than 5 values    Kolmogorov-Smirnov p <= 0.05 (numbers)
up to 1000             3 values and more     Pearson chi-square p < 0.05, the baseline as exact shares
up to 1000             1 or 2 values         z-test of a share, p < 0.05
more than 1000         more than 5 values    Wasserstein over the baseline's deviation >= 0.1 (numbers)
more than 1000         otherwise             Jensen-Shannon distance, natural logarithms, >= 0.1
=====================  ====================  ===================================================

"Rows" are those with a value in that column, "values" the distinct ones of both tables together; categories have no limit of
five. No default rule bins: each value is a cell, and cells that the baseline lacks are not filled with a small share. A table
has drifted where at least half of its columns have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from scipy import special, stats
from scipy.spatial import distance

from calidris.batch import CodedColumn, Column, Floats, Ints

FEW_INTEGERS = 10
"""Integers of at most so many values are categories."""
MOSTLY_DISTINCT = 0.5
"""Strings of which more than this share are distinct are text."""

_INTEGERS = (pa.types.is_int8, pa.types.is_int16, pa.types.is_int32, pa.types.is_int64)
_STRINGS = (pa.types.is_string, pa.types.is_large_string)


class ColumnKind(StrEnum):
    """What that tool takes a column for."""

    NUMERICAL = "numerical"
    CATEGORICAL = "categorical"
    TEXT = "text"  # it trains a classifier: not reproduced
    OTHER = "other"  # dates, lists, unsigned integers, …: it leaves them out


class Left(StrEnum):
    """Why a column has no verdict."""

    TEXT = "text: that tool trains a classifier, which is not reproduced"
    OTHER = "a type that tool leaves out"
    GONE = "not in the window: that tool leaves it out"
    NEW = "not in the baseline: that tool stops with an error"
    EMPTY = "no values on one side: that tool stops with an error"
    CHANGED = "numbers on one side, strings on the other: not reproduced"

    @property
    def decides(self) -> bool:
        """Whether that tool's verdict on the table may depend on such a column."""
        return self in (Left.TEXT, Left.NEW, Left.EMPTY, Left.CHANGED)


def kind_of(stored: pa.DataType, column: Column) -> ColumnKind:
    """The kind that Evidently 0.7 infers for a column, as pandas reads the file.

    It looks at the *window's* column alone: integers with at most ten values are categories there, whatever the baseline
    holds. Integers with missing rows are floats in pandas, so numbers; booleans with missing rows are left out. O(n).

    Args:
        stored: type of the column in the window's file.
        column: its values.

    >>> from calidris.batch import NumberColumn
    >>> kind_of(pa.int64(), NumberColumn.of([1, 2, 2])), kind_of(pa.float64(), NumberColumn.of([1, 2, 2]))
    (<ColumnKind.CATEGORICAL: 'categorical'>, <ColumnKind.NUMERICAL: 'numerical'>)
    """
    if pa.types.is_dictionary(stored):
        return ColumnKind.CATEGORICAL
    if isinstance(column, CodedColumn):
        return _of_strings(column) if any(test(stored) for test in _STRINGS) else ColumnKind.OTHER
    whole = bool(column.valid.all())
    if pa.types.is_boolean(stored):
        return ColumnKind.CATEGORICAL if whole else ColumnKind.OTHER
    if any(test(stored) for test in _INTEGERS):
        few = whole and len(np.unique(column.values)) <= FEW_INTEGERS
        return ColumnKind.CATEGORICAL if few else ColumnKind.NUMERICAL
    return ColumnKind.NUMERICAL if pa.types.is_floating(stored) else ColumnKind.OTHER


def _of_strings(column: CodedColumn) -> ColumnKind:
    held = np.bincount(column.codes[column.valid], minlength=1)
    if not held.any():
        return ColumnKind.OTHER
    return ColumnKind.TEXT if np.count_nonzero(held) > held.sum() * MOSTLY_DISTINCT else ColumnKind.CATEGORICAL


VERSION = "0.7.23"
"""The version that the recorded verdicts of the tests come from."""
SMALL = 1000
FEW_VALUES = 5
DRIFTED_SHARE = 0.5
_LEAST_DEVIATION = 0.001
_LOOK = 1000


class Rule(NamedTuple):
    """A test or a distance, and where it begins to say "drift"."""

    name: str
    threshold: float


KS = Rule("K-S p_value", 0.05)
CHI_SQUARE = Rule("chi-square p_value", 0.05)
Z_TEST = Rule("Z-test p_value", 0.05)
WASSERSTEIN = Rule("Wasserstein distance (normed)", 0.1)
JENSEN_SHANNON = Rule("Jensen-Shannon distance", 0.1)


@dataclass(frozen=True, slots=True)
class ColumnVerdict:
    """One column.

    Attributes:
        column: its name.
        kind: what it is taken for; None where the window lacks it.
        rule: the rule that its kind, its values and the baseline's rows choose; None where there is no verdict.
        score: p-value or distance; None likewise.
        drifted: that tool's verdict; None likewise.
        left: why there is no verdict; None where there is one.
    """

    column: str
    kind: ColumnKind | None
    rule: Rule | None = None
    score: float | None = None
    drifted: bool | None = None
    left: Left | None = None


@dataclass(frozen=True, slots=True)
class TableVerdict:
    """All columns, and that tool's verdict on the table.

    Attributes:
        columns: in the order of the baseline, then those that only the window has.
        share: of the columns with a verdict that drifted; None without any.
        drifted: whether that is at least half; None where columns without a verdict may decide it.
    """

    columns: tuple[ColumnVerdict, ...]
    share: float | None
    drifted: bool | None


def verdicts(
    baseline: Mapping[str, Column], window: Mapping[str, Column], kinds: Mapping[str, ColumnKind]
) -> TableVerdict:
    """The verdict on every column, and on the table.

    Args:
        baseline: columns by name.
        window: likewise.
        kinds: what each column of the window is taken for (``kinds.kind_of``).

    Cost: two sorts a column of numbers, one count a column of categories.

    >>> from calidris.batch import NumberColumn
    >>> same = {"x": NumberColumn.of([1.0, 2.0, 3.0] * 100)}
    >>> verdicts(same, same, {"x": ColumnKind.NUMERICAL}).columns[0].rule
    Rule(name='chi-square p_value', threshold=0.05)
    """
    names = dict.fromkeys((*baseline, *window))
    columns = tuple(_column(name, baseline.get(name), window.get(name), kinds.get(name)) for name in names)
    share, drifted = _table(columns)
    return TableVerdict(columns, share, drifted)


def _table(columns: Sequence[ColumnVerdict]) -> tuple[float | None, bool | None]:
    known = [c.drifted for c in columns if c.drifted is not None]
    share = float(np.mean(known)) if known else None
    if any(c.left is not None and c.left.decides and c.left is not Left.TEXT for c in columns):
        return share, None
    text = sum(c.left is Left.TEXT for c in columns)
    total = len(known) + text
    # Whatever the text columns would say, the verdict may already stand.
    least, most = (sum(known) / total, (sum(known) + text) / total) if total else (0.0, 1.0)
    if least >= DRIFTED_SHARE or most < DRIFTED_SHARE:
        return share, least >= DRIFTED_SHARE
    return share, None


def _column(name: str, baseline: Column | None, window: Column | None, kind: ColumnKind | None) -> ColumnVerdict:
    left = _left(baseline, window, kind)
    if left is not None:
        return ColumnVerdict(name, kind, left=left)
    assert baseline is not None and window is not None and kind is not None
    m, n = int(baseline.valid.sum()), int(window.valid.sum())
    if not m or not n:
        return ColumnVerdict(name, kind, left=Left.EMPTY)
    counts = None if kind is ColumnKind.NUMERICAL and _surely_many(baseline) else _tally(baseline, window)
    rule = _rule(m, FEW_VALUES + 1 if counts is None else counts.shape[1], kind)
    if counts is None or rule in (KS, WASSERSTEIN):
        score = _of_numbers(rule, baseline, window)
    else:
        score = _of_counts(rule, *counts)
    return ColumnVerdict(name, kind, rule, score, _beyond(rule, score))


def _left(baseline: Column | None, window: Column | None, kind: ColumnKind | None) -> Left | None:
    if window is None:
        return Left.GONE
    if kind is ColumnKind.OTHER:
        return Left.OTHER
    if baseline is None:
        return Left.NEW
    if kind is ColumnKind.TEXT:
        return Left.TEXT
    return Left.CHANGED if isinstance(baseline, CodedColumn) != isinstance(window, CodedColumn) else None


def _surely_many(column: Column) -> bool:
    """Whether a look at the first rows already finds more than ``FEW_VALUES`` values: it saves a sort of both tables."""
    return len(np.unique(_numbers(column)[:_LOOK])) > FEW_VALUES


def _tally(baseline: Column, window: Column) -> Ints:
    """Rows of each value that either side has, int64[2, values]."""
    if isinstance(baseline, CodedColumn) and isinstance(window, CodedColumn):
        index = {level: i for i, level in enumerate(dict.fromkeys((*baseline.levels, *window.levels)))}
        rows = [
            np.array([index[level] for level in column.levels], dtype=np.int64)[column.codes[column.valid]]
            for column in (baseline, window)
        ]
    else:
        both = np.concatenate([_numbers(baseline), _numbers(window)])
        place = np.unique(both, return_inverse=True)[1]
        rows = np.split(place, [int(baseline.valid.sum())])
    size = 1 + max(int(part.max(initial=0)) for part in rows)
    counts = np.stack([np.bincount(part, minlength=size) for part in rows])
    return counts[:, counts.any(axis=0)]  # levels that no row has are no values


def _numbers(column: Column) -> Floats:
    assert not isinstance(column, CodedColumn)
    return column.values[column.valid]


def _rule(baseline_rows: int, values: int, kind: ColumnKind) -> Rule:
    by_value = kind is ColumnKind.CATEGORICAL or values <= FEW_VALUES
    if baseline_rows > SMALL:
        return JENSEN_SHANNON if by_value else WASSERSTEIN
    if not by_value:
        return KS
    return CHI_SQUARE if values > 2 else Z_TEST


def _of_numbers(rule: Rule, baseline: Column, window: Column) -> float:
    one, two = _numbers(baseline), _numbers(window)
    if rule is KS:
        return float(stats.ks_2samp(one, two).pvalue)
    return float(stats.wasserstein_distance(one, two) / max(float(one.std()), _LEAST_DEVIATION))


def _of_counts(rule: Rule, one: Ints, two: Ints) -> float:
    m, n = one.sum(), two.sum()
    if rule is JENSEN_SHANNON:
        return float(distance.jensenshannon(one / m, two / n))
    if rule is Z_TEST:
        pooled = 1.0 - (one[0] + two[0]) / (m + n)
        error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / m + 1.0 / n))
        return 1.0 if error == 0.0 else float(2.0 * special.ndtr(-abs(one[0] / m - two[0] / n) / error))
    expected = one * (n / m)
    with np.errstate(divide="ignore"):  # a level that the baseline lacks is infinitely far away there
        statistic = float(((two - expected) ** 2 / expected).sum())
    return float(special.chdtrc(len(one) - 1, statistic))


def _beyond(rule: Rule, score: float) -> bool:
    if rule in (WASSERSTEIN, JENSEN_SHANNON):
        return score >= rule.threshold
    return score <= rule.threshold if rule is KS else score < rule.threshold
