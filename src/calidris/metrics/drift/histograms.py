"""Two histograms of every field of a model side by side: what all drift measures read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.errors import IncompatibleState
from calidris.metrics.drift.psi_noise import Noise, find_noise
from calidris.state import CountsState, Kind, MomentsState, Role, Spec
from calidris.state.cell_sums import centres, units
from calidris.state.coding.fields import HIGH, LOW, MISSING, OTHER, SPECIALS

COMPARED = frozenset({Role.FEATURE, Role.SCORE, Role.DECISION, Role.VALUE})
"""Roles whose distribution is compared with the baseline's. Duration and errors have figures of their own."""

BLOCK_CELLS = 12_000
"""Cells handled at once: an array of them (96 KB) stays in cache and under the size from which malloc asks the system for
fresh pages, whose faults cost more than the arithmetic (300 faults a call at 20 000, none at 12 000)."""


@dataclass(frozen=True)
class Block:
    """Where the cells of some F fields are: everything of a ``Pair`` that does not depend on counts.

    Attributes:
        names: F field names.
        numeric: bool[F], fields with a number line.
        edges: float64[K_max + 1, F], the last edge repeated in the padding; 0 for the other kinds.
        widths: float64[K_max, F], of the bins.
        index: int64[K_max + 4, F] into the counts with one zero appended.
    """

    names: tuple[str, ...]
    numeric: Mask
    edges: Floats
    widths: Floats
    index: Ints

    @classmethod
    def of(cls, spec: Spec, rows: Sequence[int]) -> Block:
        """The fields of a spec at some positions."""
        fields = [spec.fields[i] for i in rows]
        widest = max(f.ordered for f in fields)
        special = spec.padded_index.shape[1] - len(SPECIALS)
        columns = [special + LOW, *range(widest), *(special + i for i in (HIGH, OTHER, MISSING))]
        edges = np.ascontiguousarray(spec.padded_edges[rows, : widest + 1].T)
        return cls(
            names=tuple(f.name for f in fields),
            numeric=np.array([f.kind is Kind.NUMERIC for f in fields], dtype=np.bool_),
            edges=edges,
            widths=np.diff(edges, axis=0),
            # Contiguous, because a gather takes on the memory order of its index.
            index=np.ascontiguousarray(spec.padded_index[np.ix_(rows, columns)].T),
        )


@lru_cache(maxsize=64)
def blocks(spec: Spec) -> tuple[Block, ...]:
    """The compared fields of a spec, in order, in blocks of about ``BLOCK_CELLS``. Remembered for the last 64 specs."""
    rows = [i for i, f in enumerate(spec.fields) if f.role in COMPARED]
    widest = max((spec.fields[i].width for i in rows), default=1)
    step = max(1, BLOCK_CELLS // widest)
    return tuple(Block.of(spec, rows[i : i + step]) for i in range(0, len(rows), step))


Moments = tuple[MomentsState, MomentsState]
"""Of the baseline and of a window."""


def pairs(
    spec: Spec,
    baseline: CountsState,
    window: CountsState,
    moments: Moments | None = None,
) -> list[Pair]:
    """The compared fields of two states, side by side; O(cells).

    ``moments`` of the same rows say where in its cell each side's numbers lie; without, or where an earlier version counted some of the
    rows, nobody knows.

    Raises:
        IncompatibleState: a state of another spec.
    """
    if not spec.hash == baseline.spec.hash == window.spec.hash:
        raise IncompatibleState("drift compares counts under one spec only")
    b, c = (np.append(spec.join_rare(state.array), 0).astype(np.float64) for state in (baseline, window))
    means = _find_means(spec, (baseline, window), moments)
    found = []
    for block in blocks(spec):
        at = block.index
        lie = None if means is None else Means(*(each[at] for each in means))
        found.append(Pair(block, b[at], c[at], lie))
    return found


def has_means(counts: tuple[CountsState, CountsState], moments: Moments | None) -> bool:
    """Whether the values of every row of both sides are summed by cell."""
    if moments is None:
        return False
    return all(sums.in_cells.count == side.count for sums, side in zip(moments, counts))


def _find_means(
    spec: Spec,
    counts: tuple[CountsState, CountsState],
    moments: Moments | None,
) -> list[Floats] | None:
    """Mean of the values of each cell on either side and their unit, with one zero appended as to the counts; None where rows lack them."""
    if moments is None or not has_means(counts, moments):
        return None
    found = []
    for sums, side in zip(moments, counts):
        from_centre = sums.in_cells.from_centre() / np.maximum(side.array, 1)
        found.append(np.append(centres(spec) + from_centre, 0.0))
    return [*found, np.append(units(spec), 0.0)]


class Means(NamedTuple):
    """Where values lie in their cells, each laid out as the counts of a ``Pair``.

    Attributes:
        baseline: mean of the values of each cell.
        window: likewise.
        unit: what sums are rounded to.
    """

    baseline: Floats
    window: Floats
    unit: Floats


@dataclass(frozen=True)
class Pair:
    """Counts of F fields in the baseline and in a window, float64[K_max + 4, F].

    Cells come first, so that every sum over cells runs along contiguous fields. Their order is that of the number line,
    and what has no place on it comes last::

        low | 0 … K-1 | padding | high | other | missing

    A cell that is empty on both sides is not a cell: it says nothing, and smoothing it would invent a distance wherever
    the two sides differ in rows. Padding falls away by the same rule, so fields of any width share one array.
    """

    block: Block
    baseline: Floats
    window: Floats
    means: Means | None = None

    @property
    def numeric(self) -> Mask:
        """Fields with a number line, bool[F]."""
        return self.block.numeric

    @cached_property
    def m(self) -> Floats:
        """Rows of the baseline, float64[F]."""
        return total(self.baseline)

    @cached_property
    def n(self) -> Floats:
        """Rows of the window, float64[F]."""
        return total(self.window)

    @cached_property
    def s(self) -> Floats:
        """1/n + 1/m, the scale of every figure's noise, float64[F]; NaN where a side has no rows."""
        n, m = _or_nan(self.n), _or_nan(self.m)
        s: Floats = 1 / n + 1 / m
        return s

    @cached_property
    def both(self) -> Floats:
        """Rows of the two sides together, float64[K_max + 4, F]."""
        return self.baseline + self.window

    @cached_property
    def cells(self) -> Floats:
        """K, the cells that hold a row on either side, float64[F]."""
        cells: Floats = (self.both > 0).sum(axis=0, dtype=np.float64)
        return cells

    @cached_property
    def p(self) -> Floats:
        """Shares of the baseline; NaN where it has no rows."""
        return self.baseline * (1 / _or_nan(self.m))

    @cached_property
    def q(self) -> Floats:
        """Shares of the window; NaN where it has no rows."""
        return self.window * (1 / _or_nan(self.n))

    @cached_property
    def difference(self) -> Floats:
        """``q - p``."""
        return self.q - self.p

    @cached_property
    def smoothed(self) -> Smoothed:
        """Sums over the smoothed shares of both sides."""
        return Smoothed.of(self)

    @cached_property
    def psi_noise(self) -> Noise:
        """What PSI reads on average where nothing has changed, and its variance; float64[F] each, NaN where a side has no rows."""
        return find_noise(self.both, _or_nan(self.n), _or_nan(self.m), self.cells)

    @cached_property
    def line_baseline(self) -> Floats:
        """Baseline rows at or below each edge, and all numbers at the end: float64[K_max + 2, F]."""
        return cumulated(self.baseline[:-2])

    @cached_property
    def line_window(self) -> Floats:
        """Window rows at or below each edge, and all numbers at the end: float64[K_max + 2, F]."""
        return cumulated(self.window[:-2])

    @cached_property
    def iqr(self) -> Floats:
        """Distance of the quartiles of the baseline's numbers, interpolated inside bins, float64[F].

        Bins of one value have their quantiles there, as far as that leaves a distance. NaN without numbers, and where half of them are
        one value: a bin as wide as the rounding of its edges is no scale.
        """
        m = np.where(self.numeric, _or_nan(self.line_baseline[-1]), np.nan)
        iqr = self._quantile(0.75 * m) - self._quantile(0.25 * m)
        if self.means is not None:
            between = self._quantile(0.75 * m, self.single) - self._quantile(0.25 * m, self.single)
            iqr = np.where(between > 0, between, iqr)
        edges = self.block.edges
        rounding = np.maximum(1e-12 * np.maximum(np.abs(edges[0]), np.abs(edges[-1])), np.finfo(np.float64).tiny)
        return np.where(iqr > rounding, iqr, np.nan)

    @cached_property
    def single(self) -> Mask:
        """Bins whose baseline rows are one value, as far as can be told, bool[K_max, F]; none where means are not known.

        A mean on an edge is of rows that all lie there. Edges between few values lie half-way, so that from one on the next is known.
        """
        edges = self.block.edges
        if self.means is None:
            return np.zeros((len(edges) - 1, edges.shape[1]), dtype=np.bool_)
        mean, unit = self.means.baseline[1:-3], self.means.unit[1:-3]
        met = self.baseline[1:-3] > 0
        left = met & (np.abs(mean - edges[:-1]) <= unit)
        right = met & (np.abs(mean - edges[1:]) <= unit)
        single: Mask = left | right
        half_way = met[1:] & (np.abs(mean[1:] + mean[:-1] - 2 * edges[1:-1]) <= 2 * unit[1:])
        for i, is_half_way in enumerate(half_way):
            single[i + 1] |= single[i] & is_half_way
        return single

    def _quantile(self, target: Floats, single: Mask | None = None) -> Floats:
        """The point that ``target`` baseline rows lie at or below, float64[F]: an outer edge, or inside a bin, or its one value."""
        line = self.line_baseline[:-1]
        # How many edges have too few rows below them: none is on the first edge, all of them over the last.
        right = np.minimum((line < target).sum(axis=0), len(line) - 1)
        left = np.maximum(right - 1, 0)
        columns = np.arange(line.shape[1])
        start, stop = line[left, columns], line[right, columns]
        part = (target - start) / np.where(stop > start, stop - start, np.inf)
        a, b = self.block.edges[left, columns], self.block.edges[right, columns]
        point: Floats = a + np.clip(part, 0.0, 1.0) * (b - a)
        if single is None or self.means is None:
            return point
        value = self.means.baseline[1:-3][left, columns]
        return np.where(single[left, columns] & (right > left), value, point)


class Smoothed(NamedTuple):
    """Sums over cells of the shares ``(count + 1/2) / (rows + K/2)`` (Krichevsky & Trofimov, IEEE Trans. IT 1981).

    Every one is float64[F]; p and q are smoothed here, r = q/p, and a cell that is empty on both sides is left out.
    """

    q_log: Floats  # Σ q ln r
    p_log: Floats  # Σ p ln r
    q_log2: Floats  # Σ q (ln r)²
    p_log2: Floats  # Σ p (ln r)²
    ratio: Floats  # Σ r
    inverse: Floats  # Σ 1/r
    q_ratio: Floats  # Σ q r
    p_inverse: Floats  # Σ p / r

    @classmethod
    def of(cls, pair: Pair) -> Smoothed:
        """The sums of one pair, in six passes of arithmetic and eight of addition.

        Half a row is added to *every* cell: where both sides are empty the counts are equal, the logarithm of their ratio
        is 0, and what such cells add to the other sums is known and taken off. No mask, no array of shares.
        """
        c, b = pair.window + 0.5, pair.baseline + 0.5
        raw, inverse = c / b, b / c
        log = np.log(raw)
        log2 = log * log
        n, m = _or_nan(pair.n) + pair.cells / 2, _or_nan(pair.m) + pair.cells / 2
        empty, scale = len(c) - pair.cells, m / n
        shift = np.log(scale)
        q1, p1 = dot(c, log) / n, dot(b, log) / m
        return cls(
            q_log=q1 + shift,
            p_log=p1 + shift,
            q_log2=dot(c, log2) / n + 2 * shift * q1 + shift**2,
            p_log2=dot(b, log2) / m + 2 * shift * p1 + shift**2,
            ratio=scale * (total(raw) - empty),
            inverse=(total(inverse) - empty) / scale,
            q_ratio=scale / n * (dot(c, raw) - empty / 2),
            p_inverse=(dot(b, inverse) - empty / 2) / (scale * m),
        )


def total(cells: Floats) -> Floats:
    """Sum over the cells of each field, float64[F]."""
    out: Floats = cells.sum(axis=0)
    return out


def dot(a: Floats, b: Floats) -> Floats:
    """Sum over the cells of each field of a product, float64[F], without an array for the product."""
    out: Floats = np.einsum("kf,kf->f", a, b)
    return out


def cumulated(cells: Floats) -> Floats:
    """Running sum over the cells of each field: numpy's ``cumsum``, three times faster along this axis."""
    out = np.empty_like(cells)
    out[0] = cells[0]
    for i in range(1, len(cells)):
        np.add(out[i - 1], cells[i], out=out[i])
    return out


def _or_nan(rows: Floats) -> Floats:
    return np.where(rows > 0, rows, np.nan)
