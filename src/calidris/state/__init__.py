"""What is remembered: mergeable integer arrays under a ``Spec``. No I/O, no clock, no threads."""

from calidris.state.base import ArrayState, State
from calidris.state.bounded import Loss, row_losses
from calidris.state.centroids import fitting_rows, learn_codebook
from calidris.state.codebook import Codebook
from calidris.state.counts import CountsState
from calidris.state.display import DisplayState
from calidris.state.fields import Field, Kind, Role
from calidris.state.groups import GroupsState, class_codes, class_names, decision_codes
from calidris.state.levels import LevelsState
from calidris.state.losses import LossesState
from calidris.state.memory import pane_bytes
from calidris.state.moments import MomentsState
from calidris.state.residuals import ResidualsState
from calidris.state.scores import ScoresState
from calidris.state.slices import Slice
from calidris.state.sparse import SparseTable
from calidris.state.spec import Spec
from calidris.state.table import Entries, TableState

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
    "ResidualsState",
    "Role",
    "ScoresState",
    "Slice",
    "SparseTable",
    "Spec",
    "State",
    "TableState",
    "class_codes",
    "class_names",
    "decision_codes",
    "fitting_rows",
    "learn_codebook",
    "pane_bytes",
    "row_losses",
]
