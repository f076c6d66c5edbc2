"""The nine laws of every state (see ``calidris.state.base``), on batches that hypothesis makes up.

A new kind of state joins by one more ``Kind`` in ``KINDS``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.errors import CorruptState, IncompatibleState
from calidris.state import ArrayState, CountsState, Field, Role, ScoresState, Slice, Spec
from calidris.state import Kind as FieldKind
from calidris.state.scores import DELAY_EDGES_S, N, P

SPEC = Spec(
    fields=(
        Field("x", Role.FEATURE, FieldKind.NUMERIC, edges=(-1.0, 0.0, 0.5, 2.0)),
        Field("c", Role.FEATURE, FieldKind.CATEGORICAL, levels=("a", "b")),
        Field("p", Role.FEATURE, FieldKind.PRESENCE),
    ),
    slices=(Slice("country", ("NL", "BE")), Slice("sex", ("f",))),
)
OTHER = Spec(fields=SPEC.fields, slices=SPEC.slices, threshold=0.25)


@dataclass(frozen=True)
class Row:
    """Everything that any state looks at in one row."""

    x: float | None
    c: str | None
    p: float | None
    country: str | None
    sex: str | None
    score: float
    outcome: int
    delay_s: float


@dataclass(frozen=True)
class Kind:
    """How rows get into a state, and what a plain loop over the rows says of it."""

    state: type[ArrayState]
    update: Callable[[Any, Sequence[Row]], None]
    by_hand: Callable[[Spec, Sequence[Row]], NDArray[np.int64]]


def numbers(values: Sequence[float | None]) -> NumberColumn:
    return NumberColumn.of([np.nan if v is None else v for v in values])


def count_rows(state: CountsState, rows: Sequence[Row]) -> None:
    features = {
        "x": numbers([r.x for r in rows]),
        "c": CodedColumn.of([r.c for r in rows]),
        "p": numbers([r.p for r in rows]),
    }
    batch = PredictionBatch(ModelKey("t", "m", "1"), np.zeros(len(rows), np.int64), features)
    state.update(state.spec.encode(batch))


def score_rows(state: ScoresState, rows: Sequence[Row]) -> None:
    slices = [CodedColumn.of([r.country for r in rows]), CodedColumn.of([r.sex for r in rows])]
    outcome = np.array([r.outcome for r in rows], dtype=np.int64)
    columns = [np.array([getattr(r, name) for r in rows], dtype=np.float64) for name in ("score", "delay_s")]
    state.update(columns[0], outcome, columns[1], state.spec.slice_rows(slices))


def counts_by_hand(spec: Spec, rows: Sequence[Row]) -> NDArray[np.int64]:
    x_edges = (-1.0, 0.0, 0.5, 2.0)
    cells = {"x": [0] * 7, "c": [0] * 6, "p": [0] * 5, "error": [0] * 5}
    for r in rows:
        cells["error"][0] += 1
        cells["p"][1 if r.p is None or not np.isfinite(r.p) else 0] += 1
        cells["c"][2 if r.c is None else {"a": 0, "b": 1}.get(r.c, 3)] += 1
        if r.x is None or not np.isfinite(r.x):
            at = 3
        elif r.x < x_edges[0] or r.x > x_edges[-1]:
            at = 5 if r.x < x_edges[0] else 6
        else:
            at = next(k for k in range(3) if r.x <= x_edges[k + 1])
        cells["x"][at] += 1
    duration = np.zeros(spec.fields[1].width, np.int64)
    duration[spec.fields[1].ordered] = len(rows)  # no duration was sent
    return np.concatenate([cells["error"], duration, cells["x"], cells["c"], cells["p"]])


def scores_by_hand(spec: Spec, rows: Sequence[Row]) -> NDArray[np.int64]:
    out = np.zeros(ScoresState.shape(spec)[:-1], np.int64)
    for r in rows:
        where = [0]
        where += [] if r.country is None else [{"NL": 1, "BE": 2}.get(r.country, 3)]
        where += [] if r.sex is None else [{"f": 4}.get(r.sex, 5)]
        delay = sum(r.delay_s > edge for edge in DELAY_EDGES_S)
        score_bin = sum(r.score >= edge for edge in spec.score_edges)
        for row in where:
            out[row, r.outcome, delay, score_bin] += 1
    return out


KINDS = {
    "counts": Kind(CountsState, count_rows, counts_by_hand),
    "scores": Kind(ScoresState, score_rows, scores_by_hand),
}

# Edges themselves, values a hair beside them, and anything.
numbers_near_edges = st.sampled_from(
    [-1.0, 0.0, 0.5, 2.0, -0.0, float(np.nextafter(2.0, 3)), float(np.nextafter(-1, -2))]
)
any_number = st.one_of(st.none(), numbers_near_edges, st.floats())
probability = st.one_of(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0]), st.floats(0, 1))
row = st.builds(
    Row,
    x=any_number,
    c=st.sampled_from(["a", "b", "z", "", None]),
    p=any_number,
    country=st.sampled_from(["NL", "BE", "FR", None]),
    sex=st.sampled_from(["f", "m", None]),
    score=probability,
    outcome=st.integers(0, 1),
    delay_s=st.sampled_from([0.0, 3600.0, 3601.0, 1e5, 1e9]),
)
batch_of_rows = st.lists(row, max_size=12)
pytestmark = [pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)]


def state_of(kind: Kind, *batches: Sequence[Row], spec: Spec = SPEC) -> ArrayState:
    state = kind.state(spec)
    for rows in batches:
        kind.update(state, rows)
    return state


def merged(*states: ArrayState) -> ArrayState:
    out = states[0].copy()
    for other in states[1:]:
        out.merge(other)
    return out


examples = settings(max_examples=40, deadline=None)


@examples
@given(rows=batch_of_rows)
def test_1_the_empty_state_is_the_identity(kind: Kind, rows: list[Row]) -> None:
    empty, state = kind.state(SPEC), state_of(kind, rows)
    assert merged(empty, state) == merged(state, empty) == state
    assert empty.count == merged(empty, empty).count == 0


@examples
@given(one=batch_of_rows, two=batch_of_rows)
def test_2_order_does_not_matter(kind: Kind, one: list[Row], two: list[Row]) -> None:
    assert merged(state_of(kind, one), state_of(kind, two)) == merged(state_of(kind, two), state_of(kind, one))
    assert state_of(kind, one, two) == state_of(kind, two[::-1], one[::-1])


@examples
@given(one=batch_of_rows, two=batch_of_rows, three=batch_of_rows)
def test_3_grouping_does_not_matter(kind: Kind, one: list[Row], two: list[Row], three: list[Row]) -> None:
    a, b, c = (state_of(kind, rows) for rows in (one, two, three))
    assert merged(merged(a, b), c) == merged(a, merged(b, c))


@examples
@given(one=batch_of_rows, two=batch_of_rows)
def test_4_parts_merge_to_one_pass(kind: Kind, one: list[Row], two: list[Row]) -> None:
    whole = state_of(kind, [*one, *two])
    assert merged(state_of(kind, one), state_of(kind, two)) == state_of(kind, one, two) == whole
    assert merged(state_of(kind, one), state_of(kind, two)).to_bytes() == whole.to_bytes()


@examples
@given(one=batch_of_rows, two=batch_of_rows)
def test_5_merge_leaves_its_argument_untouched(kind: Kind, one: list[Row], two: list[Row]) -> None:
    state, other = state_of(kind, one), state_of(kind, two)
    before = other.to_bytes()
    state.merge(other)
    kind.update(state, one)
    assert other.to_bytes() == before
    twice = state.copy()
    twice.merge(twice)  # itself as the argument
    assert twice.count == 2 * state.count


@examples
@given(rows=batch_of_rows)
def test_6_bytes_round_trip(kind: Kind, rows: list[Row]) -> None:
    state = state_of(kind, rows)
    data = state.to_bytes()
    back = kind.state.from_bytes(SPEC, data)
    assert back == state
    assert back.to_bytes() == data
    kind.update(back, rows)  # and it can be written to
    assert back.count == 2 * state.count


@examples
@given(rows=batch_of_rows, at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_6_damaged_bytes_never_read_as_another_state(kind: Kind, rows: list[Row], at: float, flip: int) -> None:
    """Refused, unless the deflated stream still says the very same numbers (one run of zeros, copied from elsewhere)."""
    state = state_of(kind, rows)
    data = bytearray(state.to_bytes())
    data[int(at * len(data))] ^= flip
    with contextlib.suppress(CorruptState, IncompatibleState):
        assert kind.state.from_bytes(SPEC, bytes(data)) == state


@examples
@given(rows=batch_of_rows, at=st.floats(0, 1, exclude_max=True))
def test_6_cut_and_prolonged_bytes_are_refused(kind: Kind, rows: list[Row], at: float) -> None:
    data = state_of(kind, rows).to_bytes()
    for wrong in (data[: int(at * len(data))], data + b"\0", b""):
        with pytest.raises(CorruptState):
            kind.state.from_bytes(SPEC, wrong)


def test_7_different_specs_and_kinds_refuse(kind: Kind) -> None:
    state = kind.state(SPEC)
    with pytest.raises(IncompatibleState):
        state.merge(kind.state(OTHER))
    with pytest.raises(IncompatibleState):
        kind.state.from_bytes(OTHER, state.to_bytes())
    stranger = next(k.state for k in KINDS.values() if k is not kind)
    with pytest.raises(IncompatibleState):
        state.merge(stranger(SPEC))
    with pytest.raises(CorruptState):
        kind.state.from_bytes(SPEC, stranger(SPEC).to_bytes())
    assert kind.state(SPEC) != kind.state(OTHER)


@examples
@given(one=batch_of_rows, two=batch_of_rows)
def test_8_every_row_is_counted(kind: Kind, one: list[Row], two: list[Row]) -> None:
    state = state_of(kind, one, two)
    assert state.count == len(one) + len(two)
    if isinstance(state, CountsState):
        assert {int(state.field(i).sum()) for i in range(len(SPEC.fields))} == {state.count}


@examples
@given(rows=batch_of_rows)
def test_9_it_holds_what_a_plain_loop_counts(kind: Kind, rows: list[Row]) -> None:
    state = state_of(kind, rows)
    got = state.array if isinstance(state, CountsState) else state.array[..., N]
    assert np.array_equal(got, kind.by_hand(SPEC, rows))
    if isinstance(state, ScoresState):
        assert state.bins()[..., P].sum() == pytest.approx(sum(r.score for r in rows), abs=1e-8)
