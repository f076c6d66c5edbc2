"""What is remembered: mergeable integer arrays under a ``Spec``. No I/O, no clock, no threads."""

from calidris.state.base import ArrayState, State
from calidris.state.blocks.counts import CountsState
from calidris.state.blocks.display import DisplayState
from calidris.state.blocks.groups import GroupsState, class_codes, class_names, decision_codes
from calidris.state.blocks.losses import LossesState
from calidris.state.blocks.memory_estimate import pane_bytes
from calidris.state.blocks.moments import MomentsState
from calidris.state.blocks.residuals import ResidualsState
from calidris.state.blocks.scores import ScoresState
from calidris.state.blocks.sparse import SparseTable
from calidris.state.blocks.table_state import Entries, TableState
from calidris.state.blocks.unseen_levels import LevelsState
from calidris.state.blocks.wide_errors import WideErrorsState
from calidris.state.bounded import Loss, row_losses
from calidris.state.coding.centroids import fitting_rows, learn_codebook
from calidris.state.coding.codebook import Codebook
from calidris.state.coding.fields import Field, Kind, Role
from calidris.state.coding.pairs import Pair
from calidris.state.coding.slices import Slice
from calidris.state.related import pick_pairs
from calidris.state.spec import Spec

__all__ = [
    "ArrayState",
    "Codebook",
    "CountsState",
    "DisplayState",
    "Entries",
    "Field",
    "GroupsState",
    "Kind",
    "LevelsState",
    "Loss",
    "LossesState",
    "MomentsState",
    "Pair",
    "ResidualsState",
    "Role",
    "ScoresState",
    "Slice",
    "SparseTable",
    "Spec",
    "State",
    "TableState",
    "WideErrorsState",
    "class_codes",
    "class_names",
    "decision_codes",
    "fitting_rows",
    "learn_codebook",
    "pane_bytes",
    "pick_pairs",
    "row_losses",
]
