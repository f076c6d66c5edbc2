"""The nine laws of every state (see ``calidris.state.base``), on batches that hypothesis makes up.

A new kind of state joins by one more ``Kind`` in ``tests.state.kinds``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.state.by_hand import Row
from tests.state.kinds import KINDS, OTHER, SPEC, Kind

from calidris.errors import CorruptState, IncompatibleState
from calidris.state import CountsState
from calidris.state.blocks.scores import P

# Edges themselves, values a hair beside them, and anything.
numbers_near_edges = st.sampled_from(
    [-1.0, 0.0, 0.5, 2.0, -0.0, float(np.nextafter(2.0, 3)), float(np.nextafter(-1, -2))]
)
any_number = st.one_of(st.none(), numbers_near_edges, st.floats())
finite_number = st.one_of(numbers_near_edges, st.floats(-1e3, 1e3), st.floats(allow_nan=False, allow_infinity=False))
probability = st.one_of(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0]), st.floats(0, 1))
row = st.builds(
    Row,
    x=any_number,
    c=st.sampled_from(["a", "b", "z", "", "é", None]),
    p=any_number,
    country=st.sampled_from(["NL", "BE", "FR", None]),
    sex=st.sampled_from(["f", "m", None]),
    score=probability,
    outcome=st.integers(0, 1),
    decision=st.sampled_from([0, 1, None]),
    value=any_number,
    truth=finite_number,
    delay_s=st.sampled_from([0.0, 3600.0, 3601.0, 1e5, 1e9]),
)
batch_of_rows = st.lists(row, max_size=12)
pytestmark = [pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)]


def state_of(kind: Kind, *batches: Sequence[Row]) -> Any:
    state = kind.make(SPEC)
    for rows in batches:
        kind.update(state, rows)
    return state


def merged(*states: Any) -> Any:
    out = states[0].copy()
    for other in states[1:]:
        out.merge(other)
    return out


examples = settings(max_examples=25, deadline=None)


@examples
@given(rows=batch_of_rows)
def test_1_the_empty_state_is_the_identity(kind: Kind, rows: list[Row]) -> None:
    empty, state = kind.make(SPEC), state_of(kind, rows)
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
    assert twice == merged(state, state)


@examples
@given(rows=batch_of_rows)
def test_6_bytes_round_trip(kind: Kind, rows: list[Row]) -> None:
    state = state_of(kind, rows)
    data = state.to_bytes()
    back = kind.load(SPEC, data)
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
        assert kind.load(SPEC, bytes(data)) == state


@examples
@given(rows=batch_of_rows, at=st.floats(0, 1, exclude_max=True))
def test_6_cut_and_prolonged_bytes_are_refused(kind: Kind, rows: list[Row], at: float) -> None:
    data = state_of(kind, rows).to_bytes()
    for wrong in (data[: int(at * len(data))], data + b"\0", b""):
        with pytest.raises(CorruptState):
            kind.load(SPEC, wrong)


def test_7_different_specs_and_kinds_refuse(kind: Kind) -> None:
    state = kind.make(SPEC)
    with pytest.raises(IncompatibleState):
        state.merge(kind.make(OTHER))
    with pytest.raises(IncompatibleState):
        kind.load(OTHER, state.to_bytes())
    for stranger in (k.make(SPEC) for k in KINDS.values() if k is not kind):
        assert state != stranger
        with pytest.raises(CorruptState):
            kind.load(SPEC, stranger.to_bytes())
        if hasattr(state, "table") == hasattr(stranger, "table"):
            with pytest.raises(IncompatibleState):
                state.merge(stranger)
    assert kind.make(SPEC) != kind.make(OTHER)


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
    got, want = kind.read(state), kind.by_hand(SPEC, rows)
    assert got == want if isinstance(got, dict) else np.array_equal(got, want)
    if kind is KINDS["scores"]:
        assert state.bins()[..., P].sum() == pytest.approx(sum(r.score for r in rows), abs=1e-8)
