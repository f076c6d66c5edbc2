"""Which fields of a model a detector watches, and their histograms as one rectangle.

Every field has its ordered cells first, padding up to the widest watched field, and the special cells in the last four
columns, so that one array operation serves all of them::

    | 0 … K-1 ordered | padding … | missing | other | low | high |

A special cell that a kind of field can never fill (``high`` of a categorical one) is padding too. Rare levels of a categorical
field are counted as ``other``, as ``Spec.join_rare`` says why. A pair is a field with the cells of its table in front.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect.relations import find_direction
from calidris.state import CountsState, Field, Kind, Pair, Role, Spec
from calidris.state.coding.fields import HIGH, LOW, MISSING, OTHER, RARE, SPECIALS

_POSSIBLE: dict[Kind, tuple[int, ...]] = {
    Kind.NUMERIC: (MISSING, OTHER, LOW, HIGH),
    Kind.CATEGORICAL: (MISSING, OTHER),
    Kind.PRESENCE: (MISSING,),
    Kind.PAIR: (MISSING,),
}


@dataclass(frozen=True, eq=False)
class WatchedFields:
    """The watched fields of a spec.

    Attributes:
        spec: the spec they belong to.
        fields: the F watched fields, in the order of the spec.
        index: int64[F, K], the cell of the spec behind each cell of the rectangle; padding points one past the last.
    """

    spec: Spec
    fields: tuple[Field, ...]
    index: Ints

    @classmethod
    def of(cls, spec: Spec, baseline: CountsState, roles: Collection[Role]) -> WatchedFields:
        """The fields of these roles of which the baseline has anything to compare with."""
        rows = [i for i, f in enumerate(spec.fields) if f.role in roles and _known(f, baseline.field(i))]
        fields = tuple(spec.fields[i] for i in rows)
        widest = max((f.ordered for f in fields), default=0)
        index = np.full((len(fields), widest + len(SPECIALS)), spec.cells, dtype=np.int64)
        for row, (i, f) in enumerate(zip(rows, fields)):
            start = int(spec.offsets[i])
            index[row, : f.ordered] = start + np.arange(f.ordered)
            for special in _POSSIBLE[f.kind]:
                index[row, widest + special] = start + f.ordered + special
        return cls(spec, fields, index)

    @property
    def real(self) -> Mask:
        """Cells that a row can fall in, bool[F, K]: all but the padding."""
        return self.index < self.spec.cells

    @property
    def ordered(self) -> Mask:
        """Bins and levels, bool[F, K]."""
        mask = self.real.copy()
        mask[:, -len(SPECIALS) :] = False
        return mask

    def of_kind(self, kind: Kind) -> Mask:
        """Fields of one kind, bool[F]."""
        return np.array([f.kind is kind for f in self.fields], dtype=np.bool_)

    @property
    def pairs(self) -> tuple[tuple[int, Pair], ...]:
        """Row of each watched pair, and the pair."""
        known = {pair.name: pair for pair in self.spec.pairs}
        return tuple((row, known[f.name]) for row, f in enumerate(self.fields) if f.kind is Kind.PAIR)

    def directions(self, p: Floats) -> tuple[Floats, Mask]:
        """``directions`` of the fields; a pair has its relation in place of a location, and no spread."""
        g, varies = directions(p, self.ordered)
        for row, pair in self.pairs:
            cells = pair.field.ordered
            g[row] = 0.0
            g[row, 0, :cells] = find_direction(p[row, :cells], pair.shape)
            varies[row] = g[row, 0].any(), False
        return g, varies

    def padded(self, counts: Ints) -> Ints:
        """Counts int64[..., cells] of a model as rectangles int64[..., F, K], zero in the padding."""
        zero = np.zeros((*counts.shape[:-1], 1), dtype=np.int64)
        joined = self.spec.join_rare(counts)
        rectangle: Ints = np.concatenate([joined, zero], axis=-1)[..., self.index]
        return rectangle

    def lay_out(self, row: int, values: Floats) -> Floats:
        """Values float64[..., K] of one field's cells of the rectangle over all cells of the spec, float64[..., cells]; 0 elsewhere."""
        spec = self.spec
        out = np.zeros((*values.shape[:-1], spec.cells + 1))
        out[..., self.index[row]] = values * self.real[row]
        # What is said of other levels is said of rare ones: they are counted together.
        rare = spec.rare_cells
        out[..., rare] = out[..., rare - RARE + OTHER]
        return out[..., :-1]

    def rows(self, counts: Ints) -> int:
        """Rows behind counts int64[cells]: every row is in exactly one cell of the first field."""
        return rows_of(self.spec, counts)


def rows_of(spec: Spec, counts: Ints) -> int:
    """Rows behind counts int64[cells] of a spec: every row is in exactly one cell of its first field."""
    return int(counts[: spec.offsets[1]].sum())


def _known(f: Field, cells: Ints) -> bool:
    """Whether the baseline holds values of a field.

    A baseline of training rows has neither durations nor errors; watching those would call the first live call a change.
    """
    ordinary = cells[: f.ordered] if f.role is not Role.ERROR else cells[1:]
    return bool(ordinary.any() or (f.role is not Role.ERROR and cells[f.ordered + OTHER :].any()))


def directions(p: Floats, ordered: Mask) -> tuple[Floats, Mask]:
    """Location and spread over the bins by mid-rank u, and whether they vary: float64[F, 2, K], bool[F, 2].

    Both have mean 0 and variance 1 under p and are 0 on special cells.
    """
    inside = p * ordered
    location = _centre(_middle_ranks(inside), inside, ordered)
    spread = _centre(location**2, inside, ordered)
    g = np.stack([location, spread], axis=1)
    square = np.einsum("fk,fdk->fd", p, g**2)
    deviation = np.sqrt(square)
    # A field of one bin has no location, and one of two equal bins no spread.
    varies: Mask = deviation > 1e-6
    scale = np.where(varies, deviation, 1.0)
    scaled = g / scale[..., None]
    return np.where(varies[..., None], scaled, 0.0), varies


def _middle_ranks(inside: Floats) -> Floats:
    """The share of rows below the middle of each bin."""
    below = np.cumsum(inside, -1)
    ranks: Floats = (below - inside / 2) / _total(inside)
    return ranks


def _centre(
    values: Floats,
    inside: Floats,
    ordered: Mask,
) -> Floats:
    """Values less their mean over the bins."""
    weighted = inside * values
    mean = weighted.sum(-1, keepdims=True) / _total(inside)
    centred: Floats = (values - mean) * ordered
    return centred


def _total(inside: Floats) -> Floats:
    total: Floats = inside.sum(-1, keepdims=True)
    return np.maximum(total, 1e-300)
