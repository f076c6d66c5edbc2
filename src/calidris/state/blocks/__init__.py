"""The integer arrays that are merged: one kind of state a file."""

from calidris.state.blocks.counts import CountsState
from calidris.state.blocks.display import DisplayState
from calidris.state.blocks.groups import GroupsState, class_codes, class_names, decision_codes
from calidris.state.blocks.labelled import LabelStates, LabelTables
from calidris.state.blocks.losses import LossesState
from calidris.state.blocks.memory_estimate import pane_bytes
from calidris.state.blocks.moments import MomentsState
from calidris.state.blocks.residuals import ResidualsState
from calidris.state.blocks.scores import ScoresState
from calidris.state.blocks.sparse import SparseTable
from calidris.state.blocks.table_state import Entries, TableState
from calidris.state.blocks.unseen_levels import LevelsState
from calidris.state.blocks.wide_errors import WideErrorsState

__all__ = [
    "CountsState",
    "DisplayState",
    "Entries",
    "GroupsState",
    "LabelStates",
    "LabelTables",
    "LevelsState",
    "LossesState",
    "MomentsState",
    "ResidualsState",
    "ScoresState",
    "SparseTable",
    "TableState",
    "WideErrorsState",
    "class_codes",
    "class_names",
    "decision_codes",
    "pane_bytes",
]
