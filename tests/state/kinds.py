"""Every kind of state: how rows get into it, and what a plain loop over the rows says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from tests.state import by_hand
from tests.state.by_hand import Row

from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.state import (
    CountsState,
    DisplayState,
    Field,
    GroupsState,
    LevelsState,
    Loss,
    LossesState,
    MomentsState,
    ResidualsState,
    Role,
    ScoresState,
    Slice,
    SparseTable,
    Spec,
    TableState,
    WideErrorsState,
    row_losses,
)
from calidris.state import Kind as FieldKind
from calidris.state.blocks.scores import N

SPEC = Spec(
    fields=(
        Field("x", Role.FEATURE, FieldKind.NUMERIC, edges=(-1.0, 0.0, 0.5, 2.0)),
        Field("c", Role.FEATURE, FieldKind.CATEGORICAL, levels=("a", "b")),
        Field("p", Role.FEATURE, FieldKind.PRESENCE),
        Field("value", Role.VALUE, FieldKind.NUMERIC, edges=(-3.0, 0.0, 3.0)),
    ),
    slices=(Slice("country", ("NL", "BE")), Slice("sex", ("f",))),
    losses=(Loss("error"), Loss("brier"), Loss("absolute_error", 2.0)),
    intersections=(("country", "sex"),),
)
OTHER = Spec(fields=SPEC.fields, slices=SPEC.slices, losses=SPEC.losses, threshold=0.25)
X, C, P, VALUE = 2, 3, 4, 5


@dataclass(frozen=True)
class Kind:
    """One kind of state.

    Attributes:
        make: an empty state of a spec.
        load: the state in some bytes.
        update: adds rows.
        by_hand: what a plain loop makes of rows.
        read: the same out of a state.
    """

    make: Callable[[Spec], Any]
    load: Callable[[Spec, bytes], Any]
    update: Callable[[Any, Sequence[Row]], None]
    by_hand: Callable[[Spec, Sequence[Row]], Any]
    read: Callable[[Any], Any]


def numbers(values: Sequence[float | None]) -> NumberColumn:
    return NumberColumn.of([np.nan if v is None else v for v in values])


def floats(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.array([np.nan if getattr(r, name) is None else getattr(r, name) for r in rows], dtype=np.float64)


def batch_of(rows: Sequence[Row]) -> PredictionBatch:
    features = {
        "x": numbers([r.x for r in rows]),
        "c": CodedColumn.of([r.c for r in rows]),
        "p": numbers([r.p for r in rows]),
    }
    value = numbers([r.value for r in rows])
    return PredictionBatch(ModelKey("t", "m", "1"), np.zeros(len(rows), np.int64), features, value=value)


def slices_of(spec: Spec, rows: Sequence[Row]) -> np.ndarray:
    columns = [CodedColumn.of([r.country for r in rows]), CodedColumn.of([r.sex for r in rows])]
    return spec.cross(spec.slice_rows(columns))


def score_columns(spec: Spec, rows: Sequence[Row]) -> tuple[np.ndarray, ...]:
    outcome = floats(rows, "outcome").astype(np.int64)
    return floats(rows, "score"), outcome, floats(rows, "delay_s"), slices_of(spec, rows)


def loss_columns(spec: Spec, rows: Sequence[Row]) -> tuple[np.ndarray, ...]:
    classes = row_losses(spec.losses[:2], floats(rows, "outcome"), floats(rows, "decision"), floats(rows, "score"))
    value = floats(rows, "value")
    numbers = row_losses(spec.losses[2:], floats(rows, "truth"), None, np.where(np.isfinite(value), value, np.nan))
    return np.concatenate([classes, numbers]), floats(rows, "delay_s"), slices_of(spec, rows)


def group_columns(spec: Spec, rows: Sequence[Row]) -> tuple[np.ndarray, ...]:
    truth = floats(rows, "outcome").astype(np.int64)
    decision = np.array([-1 if r.decision is None else r.decision for r in rows], dtype=np.int64)
    return truth, decision, floats(rows, "delay_s"), slices_of(spec, rows)


def residual_columns(spec: Spec, rows: Sequence[Row]) -> tuple[np.ndarray, ...]:
    return floats(rows, "truth"), floats(rows, "value"), floats(rows, "delay_s"), slices_of(spec, rows)


def read_display(state: DisplayState) -> np.ndarray:
    return np.stack([state.field(i) for i in (X, P, VALUE)])


def read_scores(state: ScoresState) -> np.ndarray:
    return state.array[..., N]


def read_moments(state: MomentsState) -> np.ndarray:
    return np.concatenate([state.array.ravel(), state.in_cells.array])


def array(state: Any) -> np.ndarray:
    return state.array


def table(
    state: type[TableState],
    columns: Callable[[Spec, Sequence[Row]], tuple[np.ndarray, ...]],
    loop: Callable[[Spec, Sequence[Row]], Any],
    read: Callable[[Any], Any] = array,
) -> dict[str, Kind]:
    """A table twice: dense, and as the sparse one of a pane."""
    name = state.__name__.removesuffix("State").lower()
    dense = Kind(state, state.from_bytes, lambda s, rows: s.update(*columns(s.spec, rows)), loop, read)
    sparse = Kind(
        partial(SparseTable, state),
        partial(SparseTable.from_bytes, state),
        lambda s, rows: s.add(state.place(s.spec, *columns(s.spec, rows))),
        loop,
        lambda s: read(s.dense()),
    )
    return {name: dense, f"sparse {name}": sparse}


def count_rows(state: CountsState, rows: Sequence[Row]) -> None:
    state.update(state.spec.encode(batch_of(rows)))


def level_rows(state: LevelsState, rows: Sequence[Row]) -> None:
    batch = batch_of(rows)
    state.update(batch, state.spec.encode(batch))


def sum_cells(state: MomentsState, rows: Sequence[Row]) -> None:
    batch = batch_of(rows)
    state.update(batch, state.spec.encode(batch))


KINDS = {
    "counts": Kind(CountsState, CountsState.from_bytes, count_rows, by_hand.counts, array),
    **table(ScoresState, score_columns, by_hand.scores, read_scores),
    **table(LossesState, loss_columns, by_hand.losses),
    **table(GroupsState, group_columns, by_hand.groups),
    "moments": Kind(MomentsState, MomentsState.from_bytes, sum_cells, by_hand.moments, read_moments),
    **table(ResidualsState, residual_columns, by_hand.residuals),
    **table(WideErrorsState, residual_columns, by_hand.wide_errors),
    "levels": Kind(
        LevelsState, LevelsState.from_bytes, level_rows, by_hand.levels,
        lambda s: {level.name: level.at_least for level in s.top(C)},
    ),
    "display": Kind(
        DisplayState, DisplayState.from_bytes, lambda s, rows: s.update(batch_of(rows)), by_hand.display, read_display
    ),
}  # fmt: skip
