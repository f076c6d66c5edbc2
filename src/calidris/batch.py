"""The columns that every room shares: what a request becomes once it is decoded.

Missing values, NaN and infinity are settled here, once:

* a NaN or absent number is *missing*;
* an infinite number is kept as *missing* and counted (``non_finite``), because no bin can honestly hold it;
* so is a number beyond ``LARGEST`` for all sums; a histogram counts it as below or above its range;
* a score outside [0, 1] never gets here: the wire cuts a rounding error off, and rejects the span of any other;
* an empty string is kept as it was sent, ``null`` is missing; before features and slices are counted both are (``settle``);
* an embedding with a number in it that is not finite is missing as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

LARGEST = 1e300
"""Numbers beyond it are no measurements: C's and Java's largest double stands for a gap in many programs, and overflows any sum."""

DEFAULT_TENANT = "default"
UNKNOWN_VERSION = "unknown"


class ModelKey(NamedTuple):
    """One version of one model of one tenant: the unit that is monitored."""

    tenant: str
    name: str
    version: str

    def __str__(self) -> str:
        """``name:version``, with the tenant in front unless it is the default one."""
        label = f"{self.name}:{self.version}"
        return label if self.tenant == DEFAULT_TENANT else f"{self.tenant}/{label}"


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """Numbers of n rows: ``values`` float64[n], at most ``LARGEST`` in size wherever ``valid`` bool[n] is true."""

    values: Floats
    valid: Mask
    non_finite: int = 0

    @classmethod
    def of(cls, values: npt.ArrayLike) -> NumberColumn:
        """Settle NaN, infinity and numbers beyond ``LARGEST``; n values, O(n), one copy at the most.

        >>> c = NumberColumn.of([1.0, float("nan"), float("inf"), -1.7e308])
        >>> c.valid.tolist(), c.non_finite
        ([True, False, False, False], 2)
        """
        array = np.asarray(values, dtype=np.float64)
        valid: Mask = np.abs(array) <= LARGEST
        bad = array.size - int(np.count_nonzero(valid))
        infinite = bad - int(np.count_nonzero(np.isnan(array))) if bad else 0
        return cls(array, valid, infinite)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def beyond(self) -> Mask:
        """True where a number is finite and beyond ``LARGEST``."""
        return ~self.valid & is_beyond(self.values)

    def take(self, rows: Mask | Ints) -> NumberColumn:
        """The same column for some rows, in their order."""
        return NumberColumn(self.values[rows], self.valid[rows])


def is_beyond(values: Floats) -> Mask:
    """Where numbers are finite and beyond ``LARGEST``, of any shape.

    >>> is_beyond(np.array([1e300, 1.1e300, -np.inf])).tolist()
    [False, True, False]
    """
    size = np.abs(values)
    beyond: Mask = (size > LARGEST) & (size < np.inf)
    return beyond


def find_missing(values: Floats, valid: Mask) -> Mask:
    """Where there is no number at all, of any shape; one beyond ``LARGEST`` has a place below or above the others."""
    missing = ~valid
    if missing.any():  # mostly not
        missing &= ~is_beyond(values)
    return missing


@dataclass(frozen=True, slots=True)
class CodedColumn:
    """Strings of n rows: ``codes`` int32[n] into ``levels``; -1 is missing."""

    levels: tuple[str, ...]
    codes: Codes

    @classmethod
    def of(cls, values: Sequence[str | None]) -> CodedColumn:
        """Code plain strings in order of first appearance; ``None`` is missing.

        >>> CodedColumn.of(["b", None, "a", "b"])
        CodedColumn(levels=('b', 'a'), codes=array([ 0, -1,  1,  0], dtype=int32))
        """
        index: dict[str, int] = {}
        codes = [-1 if v is None else index.setdefault(v, len(index)) for v in values]
        return cls(tuple(index), np.array(codes, dtype=np.int32))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def valid(self) -> Mask:
        """True where a value is present."""
        return self.codes >= 0

    def take(self, rows: Mask | Ints) -> CodedColumn:
        """The same column for some rows, in their order."""
        return CodedColumn(self.levels, self.codes[rows])

    def strings(self) -> list[str | None]:
        """The values as plain strings."""
        levels = (*self.levels, None)
        return [levels[code] for code in self.codes.tolist()]


Column = NumberColumn | CodedColumn


@dataclass(frozen=True, slots=True)
class MatrixColumn:
    """Embeddings of n rows: ``values`` float32[m, d] of the m rows where ``valid`` bool[n] is true, in their order.

    Missing rows take no room: a request of a few kilobytes may hold one embedding and a hundred thousand nulls, and n·d
    numbers for it would be gigabytes.
    """

    values: Singles
    valid: Mask
    non_finite: int = 0

    @classmethod
    def of(cls, rows: npt.ArrayLike) -> MatrixColumn:
        """Settle NaN and infinity of raw rows, float[n, d]; no copy of float32 where all rows are whole.

        >>> c = MatrixColumn.of([[1.0, 2.0], [float("nan"), 0.0], [0.0, 1e300]])
        >>> c.values.tolist(), c.valid.tolist(), c.non_finite, c.dimension
        ([[1.0, 2.0]], [True, False, False], 1, 2)

        Raises:
            ValueError: no two dimensions.
        """
        with np.errstate(over="ignore"):  # what single precision cannot hold is infinite, and so missing
            matrix = np.asarray(rows, dtype=np.float32)
        if matrix.ndim != 2:
            raise ValueError(f"embeddings of n rows have two dimensions, not {matrix.ndim}")
        valid: Mask = np.asarray(np.isfinite(matrix).all(axis=1))
        if valid.all():
            return cls(matrix, valid)
        return cls(matrix[valid], valid, int(np.isinf(matrix).any(axis=1).sum()))

    def __len__(self) -> int:
        return len(self.valid)

    @property
    def dimension(self) -> int:
        """d, numbers of a row."""
        return int(self.values.shape[1])

    def take(self, rows: Mask | Ints) -> MatrixColumn:
        """The same column for some rows, in their order."""
        kept = self.valid[rows]
        return MatrixColumn(self.values[(np.cumsum(self.valid) - 1)[rows][kept]], kept)

    def spread(self, there: Mask) -> MatrixColumn:
        """The same rows among others that are missing: the i-th goes where ``there`` is true for the i-th time."""
        valid = np.zeros(len(there), dtype=np.bool_)
        valid[there] = self.valid
        return MatrixColumn(self.values, valid, self.non_finite)

    def dense(self) -> Singles:
        """All rows, float32[n, d], NaN where they are missing."""
        if len(self.values) == len(self.valid):
            return self.values
        out = np.full((len(self.valid), self.dimension), np.nan, dtype=np.float32)
        out[self.valid] = self.values
        return out


@dataclass(frozen=True, slots=True)
class PredictionBatch:
    """n predictions of one model version, as columns of equal length.

    Attributes:
        model: whose predictions they are.
        event_time_ns: int64[n], when each call began, ns since the epoch.
        features: name to column of n rows.
        task: one of ``semconv.ML_MODEL_TASK_*`` or None where the span did not say.
        ids: n ids that labels will name, or None where none were sent.
        score: probability of the positive class, n rows.
        class_scores: class to its probability, for several classes.
        decision: predicted class, n rows.
        value: regression output, n rows.
        duration_s: seconds of each call.
        error: error type of failed rows; missing means the row succeeded.
        slices: name to column of n rows.
        weight: inverse inclusion probability where rows were sampled.
        trace_ids: hexadecimal ids of the calls' traces, for examples.
        embeddings: name to vectors of n rows; a name is a feature's or an embedding's, not both.
        spans: int64[n], the span that each row came in, by its place in the request; None where rows came in no span.
        batch_id: the job that made them; None where they were made one by one, as they were asked for.
        moved_ns: int64[n], by how much the time of each row was moved because it lay too far from its arrival; None where none
            was, as is usual.
        role: what its version does beside others, one of ``semconv.ML_MODEL_ROLE_*``; None where nobody said, which is champion.
    """

    model: ModelKey
    event_time_ns: Ints
    features: Mapping[str, Column]
    task: str | None = None
    ids: Sequence[str] | None = None
    score: NumberColumn | None = None
    class_scores: Mapping[str, NumberColumn] = field(default_factory=dict)
    decision: Column | None = None
    value: NumberColumn | None = None
    duration_s: NumberColumn | None = None
    error: CodedColumn | None = None
    slices: Mapping[str, CodedColumn] = field(default_factory=dict)
    weight: NumberColumn | None = None
    trace_ids: CodedColumn | None = None
    embeddings: Mapping[str, MatrixColumn] = field(default_factory=dict)
    spans: Ints | None = None
    batch_id: str | None = None
    moved_ns: Ints | None = None
    role: str | None = None

    def __len__(self) -> int:
        return len(self.event_time_ns)


@dataclass(frozen=True, slots=True)
class LabelBatch:
    """n true outcomes of earlier predictions, each named by the prediction's id.

    Attributes:
        tenant: who sent them.
        model_name: whose predictions they label (the version is the prediction's own).
        ids: n ids.
        label: the outcomes: numbers or classes, n rows.
        label_time_ns: int64[n], when each outcome became known, ns since the epoch.
        spans: int64[n], as of predictions.
        untimed: bool[n], labels that did not say when; None where all did. Beside others for the same prediction they count as of
            their arrival.
    """

    tenant: str
    model_name: str
    ids: Sequence[str]
    label: Column
    label_time_ns: Ints
    spans: Ints | None = None
    untimed: Mask | None = None

    def __len__(self) -> int:
        return len(self.label_time_ns)
