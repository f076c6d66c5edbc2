"""Feeds of detectors from labelled rows of any task: bounded losses and groups. Pure functions, integers to integers.

As in ``feeds``, ``delay`` is the last bucket of ``DELAY_EDGES_S`` whose labels count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calidris.batch import Ints
from calidris.detect.bets.loss import Loss
from calidris.detect.feeds import level_names
from calidris.state import GroupsState, LossesState, Spec
from calidris.state import Loss as CountedLoss
from calidris.state.blocks.losses import LOSS_BINS

NAMES = {"error": "accuracy", "brier": "brier", "absolute_error": "absolute error"}
"""Counted losses that are watched, and what an alarm calls them. Squared errors are left out: a few rows carry them."""
NO, YES = 0, 1


def watched_losses(spec: Spec) -> tuple[Loss, ...]:
    """The losses of a spec that a detector can watch."""
    return tuple(_watched(loss) for loss in spec.losses if loss.name in NAMES)


def _watched(loss: CountedLoss) -> Loss:
    name = NAMES[loss.name]
    return (
        Loss.zero_one(name)
        if loss.name == "error"
        else Loss.binned(name, np.linspace(0.0, 1.0, LOSS_BINS + 1).tolist())
    )


def loss_counts(state: LossesState, delay: int, slice_row: int = 0) -> Ints:
    """Rows and sums of ``watched_losses``, int64[cells] of ``layout_of(watched_losses(spec))``."""
    cells = state.array[slice_row, : delay + 1].sum(axis=0)[:, :LOSS_BINS]
    parts = [
        cells[i].sum(axis=0) if loss.name == "error" else cells[i].T.ravel()
        for i, loss in enumerate(state.spec.losses)
        if loss.name in NAMES
    ]
    out: Ints = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    return out


def group_counts(state: GroupsState, attribute: str, measure: str, delay: int) -> Ints:
    """Rows of each level of a slice, and of the other levels, by no and yes; int64[2·(levels + 1)].

    Args:
        state: of a binary task.
        attribute: the slice.
        measure: what "yes" is: ``demographic_parity`` decided positive, of all rows; ``equal_opportunity`` decided positive,
            of positive outcomes; ``false_positive_rate`` likewise of negative ones; ``accuracy`` decided right, of all rows.
            Rows without a decision are left out.
        delay: last bucket whose labels count.
    """
    start = state.spec.axis.starts[[s.name for s in state.spec.slices].index(attribute)]
    levels = len(level_names(state.spec, attribute))
    confusion = state.array[start : start + levels, : delay + 1].sum(axis=1)[..., :2]  # level, truth, decision
    if measure == "accuracy":
        right = confusion[:, NO, NO] + confusion[:, YES, YES]
        split = np.stack([confusion.sum(axis=(1, 2)) - right, right], axis=1)
    else:
        of: Sequence[int] = {"equal_opportunity": (YES,), "false_positive_rate": (NO,)}.get(measure, (NO, YES))
        split = confusion[:, of].sum(axis=1)
    out: Ints = split.ravel()
    return out
