"""What is remembered: mergeable integer arrays under a ``Spec``. No I/O, no clock, no threads."""

from calidris.state.base import ArrayState, State
from calidris.state.counts import CountsState
from calidris.state.fields import Field, Kind, Role
from calidris.state.scores import ScoresState
from calidris.state.spec import Slice, Spec

__all__ = ["ArrayState", "CountsState", "Field", "Kind", "Role", "ScoresState", "Slice", "Spec", "State"]
