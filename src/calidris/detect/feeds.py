"""What each kind of detector is fed with, from the states of a sealed window: pure functions, integers to integers.

Labels come late. A window of predictions is scored once, when every row in it is older than a fixed age, and only labels
that came within that age count: ``delay`` is the last bucket of ``DELAY_EDGES_S`` that does. Whatever arrived today must
not be fed instead: the faster class arrives first and looks like a change.
"""

from __future__ import annotations

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.bets.loss import Loss
from calidris.state import CountsState, Role, ScoresState, Spec
from calidris.state.blocks.scores import DELAY_EDGES_S, N, P

ALL_DELAYS = len(DELAY_EDGES_S)
_UNIT = 1 << 30


def labelled(scores: ScoresState, delay: int, slice_row: int = 0) -> Ints:
    """Sums of the labels that came within bucket ``delay``, int64[2 classes, bins, stats]."""
    sums: Ints = scores.array[slice_row, :, : delay + 1].sum(axis=1)
    return sums


ERRORS = Loss.zero_one("errors")


def error_counts(counts: CountsState) -> Ints:
    """Calls and failed calls, for ``ERRORS``: int64[2]."""
    i = counts.spec.index(Role.ERROR)
    cells = counts.field(i if i is not None else 0)
    return np.array([cells.sum(), (cells.sum() - cells[0]) * _UNIT], dtype=np.int64)


def calibration_counts(scores: ScoresState, delay: int = ALL_DELAYS, slice_row: int = 0) -> Ints:
    """Rows and sums of scores by class and bin, for calibration: int64[4·bins], ``[n0 | n1 | Σp0 | Σp1]``."""
    sums = labelled(scores, delay, slice_row)
    out: Ints = np.concatenate([sums[..., N].ravel(), sums[..., P].ravel()])
    return out


def level_names(spec: Spec, attribute: str) -> tuple[str, ...]:
    """Names of the rows that feeds of groups have: the levels of a slice, and the rest of it."""
    found = next((s for s in spec.slices if s.name == attribute), None)
    if found is None:
        raise ValueError(f"{attribute!r} is no slice of this model; it has {[s.name for s in spec.slices]}")
    return (*found.levels, "(other)")


def bin_ends(spec: Spec) -> tuple[Floats, Floats]:
    """Low and high end of each score bin, float64[bins] each."""
    edges = np.concatenate([[0.0], spec.score_edges, [1.0]])
    return edges[:-1], edges[1:]
