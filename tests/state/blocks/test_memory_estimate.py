from __future__ import annotations

import numpy as np

from calidris.state import (
    CountsState,
    DisplayState,
    Field,
    GroupsState,
    Kind,
    LevelsState,
    Loss,
    LossesState,
    MomentsState,
    ResidualsState,
    Role,
    ScoresState,
    Slice,
    Spec,
    WideErrorsState,
    pane_bytes,
)
from calidris.state.blocks.display import shown
from calidris.state.cell_sums import CellSums


def wide() -> Spec:
    features = [Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=tuple(range(11))) for i in range(80)]
    features += [Field(f"c{i}", Role.FEATURE, Kind.CATEGORICAL, levels=("a", "b")) for i in range(20)]
    value = Field("value", Role.VALUE, Kind.NUMERIC, edges=(0.0, 1.0))
    slices = tuple(Slice(f"s{i}", tuple(f"l{j}" for j in range(4))) for i in range(4))
    losses = (Loss("error"), Loss("brier"))
    return Spec(fields=(*features, value), slices=slices, losses=losses, intersections=(("s0", "s1"),))


def test_it_is_what_the_arrays_take() -> None:
    for spec in (Spec(), wide()):
        size = pane_bytes(spec)
        states = (
            CellSums, CountsState, ScoresState, LossesState, GroupsState, MomentsState, ResidualsState, WideErrorsState,
        )  # fmt: skip
        names = ("cell_sums", "counts", "scores", "losses", "groups", "moments", "residuals", "wide_errors")
        for name, state in zip(names, states, strict=True):
            assert size[name] == state(spec).array.nbytes
        assert size["levels"] == LevelsState.most_bytes(spec)


def test_no_rows_make_the_display_larger() -> None:
    spec = wide()
    state = DisplayState(spec)
    state._add(np.arange(len(shown(spec)) * 4099))  # whatever cells there are, and more
    assert state.nbytes <= pane_bytes(spec)["display"]


def test_a_wide_model_stays_within_a_few_megabytes() -> None:
    size = pane_bytes(wide())
    assert size["counts"] < 20_000
    assert size["moments"] < 5_000
    assert sum(size.values()) < 8 << 20
