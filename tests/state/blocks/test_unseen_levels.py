from __future__ import annotations

import string
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.errors import CorruptState
from calidris.state import Field, Kind, LevelsState, Role, Spec, state_bytes
from calidris.state.blocks.unseen_levels import CAPACITY, MAX_CHARACTERS

SPEC = Spec(fields=(Field("c", Role.FEATURE, Kind.CATEGORICAL, levels=("known",)),))
ERROR, C = 0, 2


def add(state: LevelsState, column: Column | None, error: CodedColumn | None = None) -> None:
    n = len(column if column is not None else error or ())
    features = {} if column is None else {"c": column}
    batch = PredictionBatch(ModelKey("t", "m", "1"), np.zeros(n, np.int64), features, error=error)
    state.update(batch, state.spec.encode(batch))


def state_of(*batches: list[str | None]) -> LevelsState:
    state = LevelsState(SPEC)
    for names in batches:
        add(state, CodedColumn.of(names))
    return state


def check_guarantee(state: LevelsState, names: list[str | None]) -> None:
    true = Counter(name for name in names if name not in (None, "known"))
    n, top = sum(true.values()), state.top(C)
    held = {level.name: level for level in top}
    error = (n - sum(level.at_least for level in top)) / (CAPACITY + 1)
    assert state.unseen(C) == n
    assert len(held) <= CAPACITY
    for name, count in true.items():
        level = held.get(name)
        assert level is None or (level.at_least <= count <= level.at_most <= level.at_least + error)
        assert level is not None or count <= error


some_names = st.lists(
    st.one_of(st.sampled_from(["a", "b", "known", None]), st.text(string.ascii_lowercase, max_size=2))
)


@settings(max_examples=150, deadline=None)
@given(batches=st.lists(some_names, max_size=8), data=st.data())
def test_counts_are_within_the_guarantee_whatever_was_merged_in_whatever_order(
    batches: list[list[str | None]], data: st.DataObject
) -> None:
    parts = [state_of(names) for names in batches] or [state_of()]
    while len(parts) > 1:
        one = parts.pop(data.draw(st.integers(0, len(parts) - 1)))
        parts[data.draw(st.integers(0, len(parts) - 1))].merge(one)
    names = [name for batch in batches for name in batch]
    check_guarantee(parts[0], names)
    check_guarantee(state_of(names), names)
    assert parts[0].count == len(names)


def test_beyond_the_capacity_the_commonest_levels_stay() -> None:
    g = np.random.default_rng(0)
    rare = [f"id{i}" for i in range(5000)]
    common = ["FR"] * 900 + ["DE"] * 500
    names = [*rare, *common]
    g.shuffle(names)
    state = state_of(*[names[i : i + 200] for i in range(0, len(names), 200)])
    check_guarantee(state, names)
    assert [level.name for level in state.top(C, 2)] == ["FR", "DE"]
    assert len(state.to_bytes()) < 2000


def test_merging_two_is_the_same_in_either_order_beyond_the_capacity() -> None:
    one, two = state_of([f"a{i % 50}" for i in range(400)]), state_of([f"b{i % 70}" for i in range(300)] + ["a1"] * 9)
    ab, ba = one.copy(), two.copy()
    ab.merge(two)
    ba.merge(one)
    assert ab == ba


def test_names_and_bytes_are_bounded_whatever_the_input() -> None:
    names: list[str | None] = [chr(0x1F600 + i) * 10_000 for i in range(CAPACITY)]
    state = state_of(names)
    assert {len(level.name) for level in state.top(C)} == {MAX_CHARACTERS}
    back = LevelsState.from_bytes(SPEC, state.to_bytes())
    assert back == state
    assert back.top(C) == state.top(C)
    same_start = state_of([*("x" * MAX_CHARACTERS + end for end in "abc")])
    assert same_start.top(C)[0][1:] == (3, 3)


def test_a_lone_surrogate_and_quotes_survive_the_bytes() -> None:
    state = state_of(["\ud800", '"\\', "\0"])
    assert LevelsState.from_bytes(SPEC, state.to_bytes()) == state


def test_numbers_errors_and_absent_columns() -> None:
    state = LevelsState(SPEC)
    add(state, NumberColumn.of([1.0, 1.0, np.nan]), CodedColumn.of(["Timeout", None, "Timeout"]))
    add(state, None, CodedColumn.of(["Refused"]))
    assert state.top(C) == [("1", 2, 2)]
    assert state.top(ERROR) == [("Timeout", 2, 2), ("Refused", 1, 1)]
    assert (state.count, state.unseen(ERROR), state.unseen(1), state.top(1)) == (4, 3, 0, [])


def test_no_rows_all_missing_and_all_known() -> None:
    assert state_of([]) == LevelsState(SPEC)
    state = state_of([None, None], ["known"] * 5)
    assert (state.count, state.unseen(C), state.top(C)) == (7, 0, [])


@pytest.mark.parametrize(
    "raw", [b"{}", b"[1]", b"[1,[]]", b'[1,[[1,0,[["a",-1]]],[0,0,[]]]]', b"[1,[[0,0,[]],[0,0,[[1]]]]]", b"x"]
)
def test_bytes_that_no_rows_make_are_refused(raw: bytes) -> None:
    with pytest.raises(CorruptState):
        LevelsState.from_bytes(SPEC, state_bytes.pack(LevelsState.KIND, LevelsState.VERSION, SPEC.hash, raw))
    too_long = b" " * LevelsState.most_bytes(SPEC) + b"[0,[[0,0,[]],[0,0,[]]]]"
    with pytest.raises(CorruptState, match="most"):
        LevelsState.from_bytes(SPEC, state_bytes.pack(LevelsState.KIND, LevelsState.VERSION, SPEC.hash, too_long))


def test_presence_fields_have_no_levels() -> None:
    spec = replace(SPEC, fields=(Field("c", Role.FEATURE, Kind.PRESENCE),))
    state = LevelsState(spec)
    add(state, CodedColumn.of(["x"]))
    assert (state.count, state.top(C)) == (1, [])
