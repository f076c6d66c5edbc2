"""Rows by weight as so many rows as they are worth: the one place where weighted states become counts that figures and detectors read.

Each cell becomes its share of Σw times Kish's number of rows, (Σw)²/Σw² (L. Kish, "Survey Sampling", 1965): shares are the weighted
ones, and an interval from such counts is as wide as the weights make it, as long as a row's weight says nothing about its answer.
Figures read counts as they are; detectors, which take whole ones, read them rounded so that each field and each table keeps its sum.

::

    WeightedRows ──► effective_counts ──► float64 ──► figures of all rows         ──┬──► rounded_counts ──► detectors
    LabelStates  ──► effective_labels ──► float64 ──► figures of labelled rows    ──┴──► rounded_labels ──► detectors
"""

from __future__ import annotations

from typing import cast

import numpy as np

from calidris.batch import Floats, Ints
from calidris.state import fixed
from calidris.state.blocks.counts import CountsState
from calidris.state.blocks.groups import GroupsState
from calidris.state.blocks.labelled import LabelStates
from calidris.state.blocks.losses import LOSS_BINS, SHIFT, LossesState
from calidris.state.blocks.moments import MomentsState
from calidris.state.blocks.residuals import ResidualsState, residual_scales
from calidris.state.blocks.scores import N, ScoresState
from calidris.state.blocks.weighted_rows import WeightedRows
from calidris.state.blocks.weighted_tables import Worth, worth_of_sums
from calidris.state.fixed import Moments
from calidris.state.spec import Spec
from calidris.state.weights import ONE, squares_of


class EffectiveResiduals(ResidualsState):
    """Sums of errors by weight, read as the rows that they are worth."""

    __slots__ = ("worth",)

    def __init__(self, spec: Spec, array: Ints, worth: Floats) -> None:
        super().__init__(spec, array)
        self.worth = worth

    def variable(self, which: int, slice_row: int = 0, delay: int | None = None) -> Moments:
        """Moments of one of ``VARIABLES`` in one slice; all delays, or up to bucket ``delay``."""
        part = self.array[slice_row] if delay is None else self.array[slice_row, : delay + 1]
        sums = part[:, which].sum(axis=0)
        return fixed.weighted_moments(sums, residual_scales(self.spec)[which], float(self.worth[slice_row]))


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
        return fixed.weighted_moments(sums, scale, self.worth)


def worth_of(rows: WeightedRows) -> float:
    """Rows that a weight of one is worth: Σw / Σw²."""
    high, low = rows.squares[:1], rows.squares[1:]
    return float(worth_of_sums(np.array([rows.total / ONE]), squares_of(high, low))[0])


def effective_counts(rows: WeightedRows) -> CountsState:
    """Counts that add up to Kish's number of rows in each field, float64."""
    return CountsState(rows.spec, _as_counts(rows.cells / ONE * worth_of(rows)))


def effective_labels(labels: LabelStates) -> LabelStates:
    """Labelled rows as those that they are worth, slice by slice; the very same states where each counts once."""
    states = labels.weighted
    if states is None:
        return labels
    worth = Worth.of(states)
    scale = worth.of_rows

    spec = labels.groups.spec
    return LabelStates(
        ScoresState(spec, _scaled(states.scores.array, scale, N)),
        LossesState(spec, _scaled(states.losses.array, scale, 0)),
        GroupsState(spec, _scaled(states.groups.array[..., None], scale, 0)[..., 0]),
        EffectiveResiduals(spec, states.residuals.array, scale),
        worth=worth,
    )


def _scaled(array: Ints, by_slice: Floats, of_rows: int) -> Ints:
    """Sums [slice, …, sum] of so many rows, one of them in units."""
    out = array * by_slice.reshape(-1, *[1] * (array.ndim - 1))
    out[..., of_rows] /= ONE
    return _as_counts(out)


def rounded_counts(counts: CountsState) -> CountsState:
    """The same in whole rows, as many in each field."""
    rows = counts.array[: counts.spec.offsets[1]].sum()
    whole = counts.array * (np.rint(rows) / rows if rows else 0.0)
    return CountsState(counts.spec, _round(whole))


def rounded_labels(labels: LabelStates) -> LabelStates:
    """The same in whole rows, as many in each slice; of a regression the losses only."""
    spec = labels.groups.spec
    return LabelStates(
        ScoresState(spec, _whole_scores(labels.scores.array)),
        LossesState(spec, _whole_losses(labels.losses.array)),
        GroupsState(spec, _by_slice(labels.groups.array)),
        ResidualsState(spec),
    )


def _whole_scores(array: Ints) -> Ints:
    rows = _by_slice(array[..., N])
    means = array / np.where(array[..., N] > 0, array[..., N], 1.0)[..., None]
    out: Ints = np.rint(means * rows[..., None]).astype(np.int64)
    out[..., N] = rows
    return out


def _whole_losses(array: Ints) -> Ints:
    """Each sum stays inside its bin: bets take that for granted."""
    if not array.size:
        return array.astype(np.int64)
    by_loss = np.moveaxis(array[..., 0], 2, 1)
    rows = np.moveaxis(_round(by_loss.reshape(*by_loss.shape[:2], -1)).reshape(by_loss.shape), 1, 2)
    means = array[..., 1] / np.where(array[..., 0] > 0, array[..., 0], 1.0)
    totals = np.rint(means * rows)
    bins = np.arange(LOSS_BINS) * 2.0**SHIFT / LOSS_BINS
    inner = np.s_[..., :LOSS_BINS]
    lowest, highest = np.ceil(bins * rows[inner]), np.floor((bins + 2.0**SHIFT / LOSS_BINS) * rows[inner])
    totals[inner] = np.clip(totals[inner], lowest, highest)
    totals[..., LOSS_BINS] = np.rint(array[..., LOSS_BINS, 1])
    return np.stack([rows, totals.astype(np.int64)], axis=-1)


def _by_slice(array: Ints) -> Ints:
    return _round(array.reshape(len(array), -1)).reshape(array.shape)


def _round(array: Floats | Ints) -> Ints:
    """Whole numbers of which each running sum is as near as can be to that of the last axis."""
    ends = np.rint(np.cumsum(array, axis=-1))
    return np.diff(ends, axis=-1, prepend=0.0).astype(np.int64)


def _as_counts(array: Floats) -> Ints:
    """Counts that need not be whole, in place of whole ones: whoever reads them divides."""
    return cast(Ints, array)
