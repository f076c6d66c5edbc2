"""Spec: what is counted for one model version, frozen and hashed.

A spec encodes a batch **once** into integer cells; every state is an array over those cells. States of different specs
never merge, so two histograms that are compared always have the same edges.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from calidris import semconv
from calidris.batch import CodedColumn, Column, Floats, Ints, NumberColumn, PredictionBatch
from calidris.state.bounded import Loss
from calidris.state.coding.codebook import Codebook, embedded
from calidris.state.coding.encoding import CountedFields
from calidris.state.coding.fields import OTHER, RARE, SPECIALS, Field, Kind, Role
from calidris.state.coding.pair_cells import PairCells
from calidris.state.coding.pairs import Pair
from calidris.state.coding.slices import MAX_SLICE_ROWS, Slice, SliceAxis

DURATION_EDGES: tuple[float, ...] = tuple(float(f"{10 ** (e / 20):.6g}") for e in range(-100, 41))
"""10 µs to 100 s, twenty bins a decade: a quantile read from them is within 6 % of the exact one."""

_DURATION = Field(semconv.ML_PREDICTION_DURATION, Role.DURATION, Kind.NUMERIC, edges=DURATION_EDGES)
_ERROR = Field(semconv.ML_PREDICTION_ERROR, Role.ERROR, Kind.CATEGORICAL, levels=("none",))
ALWAYS: tuple[Field, ...] = (_ERROR, _DURATION)
"""Fields that every model has, whoever configured it; the first of them counts the rows."""


@dataclass(frozen=True, eq=False)
class Spec:
    """What is counted for one model version.

    Attributes:
        task: one of ``semconv.ML_MODEL_TASK_*``.
        fields: the columns that are counted; ``ALWAYS`` are added in front and those of codebooks and pairs behind where they
            are absent.
        positive: the label that counts as 1 (binary tasks), as text.
        classes: the classes of a multi-class task, commonest first.
        threshold: a score at or above it is a positive decision.
        slices: what to cut labelled rows by.
        losses: the bounded losses that are kept.
        intersections: pairs of slices to cut by together.
        slice_cap: rows that slices and intersections may have together.
        codebooks: how embeddings are counted.
        pairs: features whose relation is counted, strongest first.

    Raises:
        ValueError: the parts contradict each other; the message says what to change.
    """

    task: str = semconv.ML_MODEL_TASK_BINARY
    fields: tuple[Field, ...] = ()
    positive: str = "1"
    classes: tuple[str, ...] = ()
    threshold: float = 0.5
    slices: tuple[Slice, ...] = ()
    losses: tuple[Loss, ...] = ()
    intersections: tuple[tuple[str, str], ...] = ()
    slice_cap: int = MAX_SLICE_ROWS
    codebooks: tuple[Codebook, ...] = ()
    pairs: tuple[Pair, ...] = ()
    axis: SliceAxis = field(init=False, repr=False)
    _paired: PairCells = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", _completed(self.fields, self.codebooks, self.pairs))
        object.__setattr__(self, "threshold", float(self.threshold))
        object.__setattr__(self, "axis", SliceAxis(self.slices, self.intersections, self.slice_cap))
        if len({(f.role, f.name) for f in self.fields}) != len(self.fields):
            raise ValueError("a field is listed twice")
        if len({loss.name for loss in self.losses}) != len(self.losses):
            raise ValueError("a loss is listed twice")
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"a threshold is a probability, got {self.threshold}")
        object.__setattr__(self, "_paired", PairCells(self.fields, self.offsets, self.pairs))

    @cached_property
    def offsets(self) -> Ints:
        """First cell of each field, and the number of all cells at the end: int64[fields + 1]."""
        return np.cumsum([0, *(f.width for f in self.fields)], dtype=np.int64)

    @cached_property
    def rare_cells(self) -> Ints:
        """Cells of rare levels, of the fields that know theirs: int64[fields that do]."""
        pairs = zip(self.fields, self.offsets.tolist())
        special = [begin + f.ordered for f, begin in pairs if f.known is not None]
        return np.array(special, dtype=np.int64) + RARE

    def join_rare(self, counts: Ints) -> Ints:
        """Counts int64[..., cells] with rare levels among the others, as distances compare them.

        Which levels a baseline met is a matter of its size, so all its own rows are known and none is ever new: set apart from
        rare ones, the few that are new in any later sample would look like a change.
        """
        rare = self.rare_cells
        if not len(rare):
            return counts
        joined = counts.copy()
        joined[..., rare - RARE + OTHER] += counts[..., rare]
        joined[..., rare] = 0
        return joined

    @cached_property
    def feature_names(self) -> frozenset[str]:
        """Names of the features that have a field."""
        return frozenset(f.name for f in self.fields if f.role is Role.FEATURE)

    @cached_property
    def sent_features(self) -> tuple[tuple[int, str], ...]:
        """Place and name of each feature that rows come with: not those that codebooks make of embeddings."""
        made = {f.name for book in self.codebooks for f in book.fields}
        features = ((at, f.name) for at, f in enumerate(self.fields) if f.role is Role.FEATURE)
        return tuple((at, name) for at, name in features if name not in made)

    @cached_property
    def paired_features(self) -> tuple[tuple[int, tuple[str, str]], ...]:
        """Place of each pair's field, and the names of its two features."""
        columns = {pair.name: pair.columns for pair in self.pairs}
        return tuple((at, columns[f.name]) for at, f in enumerate(self.fields) if f.role is Role.PAIR)

    @cached_property
    def blank_levels(self) -> frozenset[str]:
        """Names of features and slices of which the empty text is a level: of baselines that were built when it was a value."""
        features = {f.name for f in self.fields if "" in f.levels}
        return frozenset(features | {s.name for s in self.slices if "" in s.levels})

    @property
    def cells(self) -> int:
        """Cells of all fields together."""
        return int(self.offsets[-1])

    @cached_property
    def score_edges(self) -> Floats:
        """Inner edges of the score bins: even in logit, with every tenth, one half and the threshold among them.

        Bin i holds ``[edges[i-1], edges[i])``, so that a whole number of bins lies at or above the threshold.
        """
        logit = np.linspace(-9.0, 9.0, 61)
        even = 1.0 / (1.0 + np.exp(-logit))
        tenths = np.arange(1, 10) / 10
        # Rounded, so that 0.5 reached by two ways is one edge; the threshold is not, or 1/3 would decide otherwise here.
        return np.unique(np.concatenate([np.round(even, 12), tenths, [self.threshold]]))

    @property
    def slice_count(self) -> int:
        """Rows on the slice axis: all rows together, each level and the rest of each slice, then intersections."""
        return self.axis.count

    @cached_property
    def hash(self) -> str:
        """16 bytes of BLAKE2b over the canonical JSON, hexadecimal: the identity of the spec."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def __eq__(self, other: object) -> bool:
        return self.hash == other.hash if isinstance(other, Spec) else NotImplemented

    def __hash__(self) -> int:
        # Not field by field, which is a millisecond on a wide model: specs are keys of caches.
        return hash(self.hash)

    def index(self, role: Role, name: str | None = None) -> int | None:
        """Position of the first field of a role (and name), or None."""
        for i, f in enumerate(self.fields):
            if f.role is role and name in (None, f.name):
                return i
        return None

    def encode(self, batch: PredictionBatch) -> Ints:
        """The cell of every row in every field, int64[fields, n]: unique over all fields, ready for one ``bincount``."""
        n, batch = len(batch), self.embedded(batch)
        out = np.empty((len(self.fields), n), dtype=np.int64)
        counted: dict[int, NumberColumn] = {}
        for i, f in enumerate(self.fields):
            if f.role is Role.PAIR:
                continue
            column = column_of(batch, f)
            if isinstance(column, NumberColumn) and i in self._counted.rows:
                counted[i] = column
            else:
                np.add(f.encode(column, n), self.offsets[i], out=out[i])
        self._counted.encode(counted, out)
        self._paired.encode(out)
        return out

    def embedded(self, batch: PredictionBatch) -> PredictionBatch:
        """The batch with the columns of each codebook among its features: ``codebook.embedded``, which ``encode`` does too."""
        return embedded(batch, self.codebooks)

    @cached_property
    def _counted(self) -> CountedFields:
        return CountedFields(self.fields, self.offsets)

    def slice_rows(self, slices: Sequence[CodedColumn | None]) -> Ints:
        """Row on the slice axis, int64[slices that are there, n]; -1 where the value is missing, None where the column is."""
        return self.axis.rows(slices)

    def cross(self, slice_rows: Ints) -> Ints:
        """Rows int64[slices, n] with those of the intersections behind them, int64[slices + intersections, n]."""
        return self.axis.cross(slice_rows)

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``Spec.from_json`` reads back exactly."""
        # Without pairs as before there were any: a spec keeps its hash.
        pairs = {"pairs": [pair.to_json() for pair in self.pairs]} if self.pairs else {}
        return {
            "format": 1,
            "task": self.task,
            "fields": [f.to_json() for f in self.fields],
            "positive": self.positive,
            "classes": list(self.classes),
            "threshold": self.threshold,
            "slices": [[s.name, list(s.levels)] for s in self.slices],
            "losses": [loss.to_json() for loss in self.losses],
            "intersections": [list(pair) for pair in self.intersections],
            "slice_cap": self.slice_cap,
            "codebooks": [book.to_json() for book in self.codebooks],
            **pairs,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Spec:
        """The spec that ``to_json`` described."""
        return cls(
            task=data["task"],
            fields=tuple(Field.from_json(f) for f in data["fields"]),
            positive=data["positive"],
            classes=tuple(data["classes"]),
            threshold=data["threshold"],
            slices=tuple(Slice(name, tuple(levels)) for name, levels in data["slices"]),
            losses=tuple(Loss(*values) for values in data["losses"]),
            intersections=tuple((one, two) for one, two in data["intersections"]),
            slice_cap=data["slice_cap"],
            codebooks=tuple(Codebook.from_json(book) for book in data["codebooks"]),
            pairs=tuple(map(Pair.from_json, data.get("pairs", ()))),
        )

    @cached_property
    def padded_index(self) -> Ints:
        """int64[fields, K_max + 4]: cell of each ordered bin, padding, then the four special cells in the last columns.

        Padding points one past the last cell, so ``np.append(counts, 0)[padded_index]`` is a rectangular histogram with
        zeros where a field has fewer bins than the widest.
        """
        widest = max(f.ordered for f in self.fields)
        out = np.full((len(self.fields), widest + len(SPECIALS)), self.cells, dtype=np.int64)
        for i, f in enumerate(self.fields):
            start = self.offsets[i]
            out[i, : f.ordered] = start + np.arange(f.ordered)
            out[i, widest:] = start + f.ordered + np.arange(len(SPECIALS))
        return out

    @cached_property
    def padded_edges(self) -> Floats:
        """float64[fields, K_max + 1]: edges of the numeric fields, the last one repeated up to the widest field.

        Repeated edges make padding bins of no width. Zeros for the other kinds.
        """
        widest = max(f.ordered for f in self.fields)
        out = np.zeros((len(self.fields), widest + 1))
        for i, f in enumerate(self.fields):
            if f.kind is Kind.NUMERIC:
                out[i, : len(f.edges)] = f.edges
                out[i, len(f.edges) :] = f.edges[-1]
        return out


def _completed(
    fields: tuple[Field, ...], codebooks: tuple[Codebook, ...], pairs: tuple[Pair, ...]
) -> tuple[Field, ...]:
    """The fields with those that every model has in front, and those of the codebooks and then of the pairs behind."""
    roles = {f.role for f in fields}
    made = [f for book in codebooks for f in book.fields] + [pair.field for pair in pairs]
    missing = {(f.role, f.name): f for f in made}
    for f in fields:
        if missing.pop((f.role, f.name), f) != f:
            raise ValueError(f"field {f.name!r} is not the one of its codebook or pair")
    return (*(f for f in ALWAYS if f.role not in roles), *fields, *missing.values())


def column_of(batch: PredictionBatch, f: Field) -> Column | None:
    """The column of a batch that a field reads, or None where the batch does not have it; a pair reads none."""
    if f.role is Role.FEATURE:
        return batch.features.get(f.name)
    if f.role is Role.ERROR:
        return _errors(batch)
    return _COLUMN[f.role](batch)


_COLUMN: dict[Role, Callable[[PredictionBatch], Column | None]] = {
    Role.SCORE: lambda batch: batch.score,
    Role.DECISION: lambda batch: batch.decision,
    Role.VALUE: lambda batch: batch.value,
    Role.DURATION: lambda batch: batch.duration_s,
}


def _errors(batch: PredictionBatch) -> CodedColumn:
    """The error column with success as a level of its own: a row without an error is not a row without a value."""
    if batch.error is None:
        return CodedColumn(("none",), np.zeros(len(batch), dtype=np.int32))
    return CodedColumn(("none", *batch.error.levels), batch.error.codes + np.int32(1))
