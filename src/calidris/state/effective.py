"""Rows by weight as so many rows as they are worth: the one place where weighted states become counts that figures and detectors read.

Each cell becomes its share of Σw times Kish's number of rows, (Σw)²/Σw² (L. Kish, "Survey Sampling", 1965): shares are the weighted
ones, and an interval from such counts is as wide as the weights make it, as long as a row's weight says nothing about its answer.
Figures read counts as they are; detectors, which take whole ones, read them rounded so that each field and each table keeps its sum.

::

    WeightedRows ──► effective_counts ──► float64 ──► figures of all rows         ──┬──► rounded_counts ──► detectors
    LabelStates  ──► effective_labels ──► float64 ──► figures of labelled rows    ──┴──► rounded_labels ──► detectors
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from calidris.batch import Floats, Ints
from calidris.state import fixed
from calidris.state.blocks.counts import CountsState
from calidris.state.blocks.groups import GroupsState
from calidris.state.blocks.labelled import LabelStates, LabelTables
from calidris.state.blocks.losses import LOSS_BINS, SHIFT, LossesState
from calidris.state.blocks.moments import MomentsState
from calidris.state.blocks.residuals import ResidualsState, residual_scales
from calidris.state.blocks.scores import N, ScoresState
from calidris.state.blocks.sparse import SparseTable
from calidris.state.blocks.weighted_rows import WeightedRows
from calidris.state.blocks.weighted_tables import WeightedTables, Worth, worth_of_sums
from calidris.state.blocks.wide_errors import WideErrorsState
from calidris.state.fixed import Moments
from calidris.state.spec import Spec
from calidris.state.weights import ONE, squares_of

_BIN = 2.0**SHIFT / LOSS_BINS
"""How wide a bin of losses is, in what they are summed in."""


class EffectiveResiduals(ResidualsState):
    """Sums of errors by weight, read as the rows that they are worth."""

    __slots__ = ("worth",)

    def __init__(
        self,
        spec: Spec,
        array: Ints,
        worth: Floats,
    ) -> None:
        super().__init__(spec, array)
        self.worth = worth

    def variable(
        self,
        which: int,
        slice_row: int = 0,
        delay: int | None = None,
    ) -> Moments:
        """Moments of one of ``VARIABLES`` in one slice; all delays, or up to bucket ``delay``."""
        end = None if delay is None else delay + 1
        part = self.array[slice_row, :end, which]
        scale = residual_scales(self.spec)[which]
        worth = float(self.worth[slice_row])
        return fixed.weighted_moments(
            part.sum(axis=0),
            scale,
            worth,
        )


class EffectiveMoments(MomentsState):
    """Moments by weight, of as many rows as they are worth."""

    __slots__ = ("worth",)

    def __init__(self, rows: WeightedRows) -> None:
        super().__init__(rows.spec, rows.moments)
        self.worth = worth_of(rows)

    def field(self, i: int) -> Moments:
        """Moments of field i of the spec.

        Raises:
            KeyError: the field is not measured.
        """
        sums, scale = self.sums_of(i)
        return fixed.weighted_moments(
            sums,
            scale,
            self.worth,
        )


def worth_of(rows: WeightedRows) -> float:
    """Rows that a weight of one is worth: Σw / Σw²."""
    high = rows.squares[:1]
    low = rows.squares[1:]
    total = np.array([rows.total / ONE])
    worth = worth_of_sums(total, squares_of(high, low))
    return float(worth[0])


def effective_counts(rows: WeightedRows) -> CountsState:
    """Counts that add up to Kish's number of rows in each field, float64."""
    return scaled_counts(
        rows.spec,
        rows.cells,
        worth_of(rows),
    )


def scaled_counts(
    spec: Spec,
    units: Ints,
    worth: float,
) -> CountsState:
    """Σw of each cell, in units, as so many rows as they are worth, float64."""
    counts = units / ONE * worth
    return CountsState(spec, _as_counts(counts))


def worth_of_labels(labels: LabelStates) -> float:
    """Labelled rows that a weight of one is worth; 1 where each counts once."""
    if labels.weighted is None:
        return 1.0
    worth = Worth.of(labels.weighted)
    return float(worth.of_rows[0])


def effective_labels(labels: LabelStates) -> LabelStates:
    """Labelled rows as those that they are worth, slice by slice; the very same states where each counts once."""
    states = labels.weighted
    if states is None:
        return labels
    spec = labels.groups.spec
    worth = Worth.of(states)
    scale = worth.of_rows
    scores = _scale(states.scores.array, scale, N)
    losses = _scale(states.losses.array, scale, 0)
    # Groups have no axis of sums: their only one counts rows.
    groups = _scale(states.groups.array[..., None], scale, 0)
    return LabelStates(
        ScoresState(spec, scores),
        LossesState(spec, losses),
        GroupsState(spec, groups[..., 0]),
        EffectiveResiduals(
            spec,
            states.residuals.array,
            scale,
        ),
        WideErrorsState(spec),
        worth=worth,
    )


def _scale(
    array: Ints,
    by_slice: Floats,
    of_rows: int,
) -> Ints:
    """Sums [slice, …, sum] of so many rows, one of them in units."""
    others = [1] * (array.ndim - 1)
    out = array * by_slice.reshape(-1, *others)
    out[..., of_rows] /= ONE
    return _as_counts(out)


def rounded_counts(counts: CountsState) -> CountsState:
    """The same in whole rows, as many in each field."""
    scaled = np.multiply(
        counts.array,
        _to_whole(counts),
        dtype=np.float64,
    )
    whole = _round(scaled)
    return CountsState(counts.spec, whole)


def _to_whole(counts: CountsState) -> float:
    """By what all rows are multiplied to be whole ones."""
    end = counts.spec.offsets[1]
    rows = float(counts.array[:end].sum())
    return float(round(rows) / rows) if rows else 0.0


def rounded_labels(labels: LabelStates) -> LabelStates:
    """The same in whole rows, as many in each slice; of a regression the losses only."""
    spec = labels.groups.spec
    scores = _round_scores(labels.scores.array)
    losses = _round_losses(labels.losses.array)
    groups = _round_slices(labels.groups.array)
    return LabelStates(
        ScoresState(spec, scores),
        LossesState(spec, losses),
        GroupsState(spec, groups),
        ResidualsState(spec),
        WideErrorsState(spec),
    )


def whole_moments(rows: WeightedRows, worth: float) -> MomentsState:
    """Moments by weight as those of whole rows."""
    out = MomentsState(rows.spec)
    out.array[1:] = _whole_sums(rows.moments[1:], worth)
    out.array[0, 0] = round(rows.total / ONE * worth)
    return out


def whole_labels(
    labels: LabelTables,
    parts: Sequence[LabelTables],
    worth: float,
) -> tuple[LabelStates, tuple[LabelTables, ...]]:
    """All labelled rows by weight, and some parts of them, as whole rows; the first is the sum of the parts and of what is in none."""
    weighted = [part.by_weight() for part in parts]
    rest = labels.by_weight()
    for part in weighted:
        rest.take_off(part)
    whole = [_whole_tables(part, worth) for part in weighted]
    total = _whole_tables(rest, worth)
    for one in whole:
        total.merge(one)
    return LabelStates.of(total), tuple(whole)


def _whole_tables(weighted: WeightedTables, worth: float) -> LabelTables:
    """Where a weight of one is worth so many rows; all slices alike."""
    scores, losses, groups, residuals, _ = weighted.tables
    spec = weighted.spec
    each = (
        _whole_table(scores, worth),
        _whole_losses(losses, worth),
        _whole_table(groups, worth),
        _whole_residuals(residuals, worth),
        SparseTable(WideErrorsState, spec),
    )
    return LabelTables(spec, each)


def _whole_table(table: SparseTable[Any], worth: float) -> SparseTable[Any]:
    held = _held(table.sums)
    rows = _round(held * worth)
    sums = _stretch(table.sums, rows)
    return _hold(table, sums)


def _whole_losses(table: SparseTable[LossesState], worth: float) -> SparseTable[LossesState]:
    held = _held(table.sums)
    rows = _round(held * worth)
    sums = _stretch(table.sums, rows)
    bins = table.cells % (LOSS_BINS + 1)
    is_inside = bins < LOSS_BINS
    totals = _within(bins, rows, sums[:, 1])
    # Behind the bins there is how many lay above the cap.
    clipped = np.rint(table.sums[:, 1] * worth)
    sums[:, 1] = np.where(is_inside, totals, clipped)
    return _hold(table, sums)


def _whole_residuals(table: SparseTable[ResidualsState], worth: float) -> SparseTable[ResidualsState]:
    # Not by running sums: each variable has the same rows.
    return _hold(table, _whole_sums(table.sums, worth))


def _whole_sums(sums: Ints, worth: float) -> Ints:
    """Of ``fixed``, [m, 6]; one clipped row stays one."""
    of_rows = sums[:, fixed.OF_ROWS] / ONE * worth
    rows = np.rint(of_rows[:, 0])
    out = _stretch(sums, rows)
    out[:, fixed.CLIPPED] = np.ceil(of_rows[:, 1])
    return out


def _stretch(sums: Ints, rows: Floats | Ints) -> Ints:
    """Sums [m, sums] by weight as those of so many whole rows."""
    held = _held(sums)
    factor = rows / np.where(held > 0, held, 1.0)
    out = _to_whole_numbers(sums * factor[:, None])
    out[:, 0] = rows
    return out


def _held(sums: Ints) -> Floats:
    """Σw of each cell."""
    weights: Floats = sums[:, 0] / ONE
    return weights


def _to_whole_numbers(values: Floats) -> Ints:
    whole: Ints = np.rint(values).astype(np.int64)
    return whole


def _hold(table: SparseTable[Any], sums: Ints) -> SparseTable[Any]:
    """The cells that something is left of."""
    held = sums.any(axis=1)
    return SparseTable(
        table.table,
        table.spec,
        table.cells[held],
        sums[held],
    )


def _round_scores(array: Ints) -> Ints:
    rows = _round_slices(array[..., N])
    means = _means(array, array[..., N, None])
    out = _to_whole_numbers(means * rows[..., None])
    out[..., N] = rows
    return out


def _round_losses(array: Ints) -> Ints:
    """Each sum stays inside its bin: bets take that for granted."""
    if not array.size:
        return array.astype(np.int64)
    held, sums = array[..., 0], array[..., 1]
    rows = _round_rows(held)
    totals = np.rint(_means(sums, held) * rows)
    bins = np.arange(LOSS_BINS + 1)
    totals = _within(bins, rows, totals)
    totals[..., LOSS_BINS] = np.rint(sums[..., LOSS_BINS])
    whole = totals.astype(np.int64)
    return np.stack([rows, whole], axis=-1)


def _round_rows(held: Ints) -> Ints:
    """Each loss has every row: they are rounded for each by itself."""
    by_loss = np.moveaxis(held, 2, 0)
    rounded = [_round_slices(one) for one in by_loss]
    return np.stack(rounded, axis=2)


def _within(
    bins: Ints,
    rows: Ints,
    totals: Floats | Ints,
) -> Floats:
    """Sums of so many losses of some bins, between the ends of these."""
    begins = bins * _BIN
    ends = begins + _BIN
    inside: Floats = np.clip(
        totals,
        np.ceil(begins * rows),
        np.floor(ends * rows),
    )
    return inside


def _means(sums: Ints, rows: Ints) -> Floats:
    held = np.where(rows > 0, rows, 1.0)
    means: Floats = sums / held
    return means


def _round_slices(array: Ints) -> Ints:
    flat = array.reshape(len(array), -1)
    rounded = _round(flat)
    return rounded.reshape(array.shape)


def _round(array: Floats | Ints) -> Ints:
    """Whole numbers of which each running sum is as near as can be to that of the last axis."""
    sums = np.cumsum(array, axis=-1)
    ends = np.rint(sums)
    parts = np.diff(
        ends,
        axis=-1,
        prepend=0.0,
    )
    return parts.astype(np.int64)


def _as_counts(array: Floats) -> Ints:
    """Counts that need not be whole, in place of whole ones: whoever reads them divides."""
    return cast(Ints, array)
