"""What the states of one pane take, before anything is counted: for ``calidris check``."""

from __future__ import annotations

import math

from calidris.state.base import ArrayState
from calidris.state.blocks.counts import CountsState
from calidris.state.blocks.display import FIELD, PAGES, shown
from calidris.state.blocks.groups import GroupsState
from calidris.state.blocks.losses import LossesState
from calidris.state.blocks.moments import MomentsState
from calidris.state.blocks.residuals import ResidualsState
from calidris.state.blocks.scores import ScoresState
from calidris.state.blocks.unseen_levels import LevelsState
from calidris.state.blocks.wide_errors import WideErrorsState
from calidris.state.cell_sums import CellSums
from calidris.state.spec import Spec

_ARRAYS: dict[str, type[ArrayState]] = {
    "counts": CountsState,
    "scores": ScoresState,
    "losses": LossesState,
    "groups": GroupsState,
    "moments": MomentsState,
    "cell_sums": CellSums,
    "residuals": ResidualsState,
    "wide_errors": WideErrorsState,
}


def pane_bytes(spec: Spec) -> dict[str, int]:
    """The most bytes that each kind of state takes in memory under a spec, whatever the rows; nothing is allocated.

    ``counts``, ``moments`` and ``cell_sums`` always take this much. The tables of labelled rows do so in windows and baselines, while the
    panes' sparse ones take about 8 bytes a sum for each cell that a label touched. ``levels`` and ``display`` start near 0.

    >>> pane_bytes(Spec())["counts"]
    1192
    """
    out = {name: 8 * math.prod(kind.shape(spec)) for name, kind in _ARRAYS.items()}
    fields = len(shown(spec))
    return out | {"levels": LevelsState.most_bytes(spec), "display": fields * (8 * FIELD + 8 * PAGES)}
