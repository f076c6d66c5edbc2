from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from calidris.batch import CodedColumn, NumberColumn
from calidris.config.class_names import class_text
from calidris.state import GroupsState, Slice, SparseTable, Spec, class_codes, class_names, decision_codes
from calidris.state.blocks.groups import MAX_CLASSES
from calidris.state.blocks.table_state import DELAY_EDGES_S

SEX = Slice("sex", ("f", "m"))
PETS = Spec(task="multiclass", classes=("cat", "dog", "2"), slices=(SEX,))


def test_confusion_is_that_of_scikit_learn_by_slice_and_delay() -> None:
    g = np.random.default_rng(0)
    names = np.array([*PETS.classes, "cow"])
    truth, decision, delay = names[g.integers(0, 4, 4000)], names[g.integers(0, 4, 4000)], g.exponential(1e5, 4000)
    slice_row = g.choice([-1, 1, 2, 3], 4000)
    state = GroupsState(PETS)
    codes = [class_codes(PETS, CodedColumn.of(values.tolist())) for values in (truth, decision)]
    state.update(*codes, delay, slice_row[None, :])
    for row in range(4):
        for bucket in (None, 0, 2):
            chosen = (slice_row == row) | (row == 0)
            chosen &= True if bucket is None else delay <= DELAY_EDGES_S[bucket]
            want = confusion_matrix(truth[chosen], decision[chosen], labels=names)
            assert np.array_equal(state.confusion(row, bucket), want)
    assert not state.undecided().any()


def test_binary_decisions_are_explicit_ones_else_the_score_against_the_threshold() -> None:
    spec = Spec(positive="yes", threshold=0.3)
    decision = CodedColumn.of(["yes", "no", None, None, None])
    score = NumberColumn.of([0.0, 1.0, 0.3, 0.29, np.nan])
    assert decision_codes(spec, decision, score, 5).tolist() == [1, 0, 1, 0, -1]
    assert decision_codes(spec, None, score, 5).tolist() == [0, 1, 1, 0, -1]
    assert decision_codes(spec, decision, None, 5).tolist() == [1, 0, -1, -1, -1]
    assert decision_codes(spec, None, None, 2).tolist() == [-1, -1]
    assert decision_codes(PETS, CodedColumn.of(["dog", None]), NumberColumn.of([1.0, 1.0]), 2).tolist() == [1, -1]


def test_numbers_and_texts_of_one_value_are_one_class() -> None:
    assert class_codes(PETS, NumberColumn.of([2.0, 3.0, np.nan, np.inf])).tolist() == [2, 3, -1, -1]
    assert class_codes(PETS, CodedColumn.of(["2.0", "2", "02", "two"])).tolist() == [2, 2, 3, 3]
    zero = Spec(task="multiclass", classes=("0",))
    assert class_codes(zero, NumberColumn.of([0.0, -0.0])).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("one", "other", "is_one"),
    [
        ("1", "1.0", True),
        ("1.", "+1", True),
        ("-0.0", "0", True),
        ("true", "1", True),
        ("yes ", "yes", True),
        ("1.0E7", "10000000", True),
        ("9007199254740993", "9007199254740992", False),
        ("100000000000000000", "1e+17", True),
        ("01", "1", False),
        ("1e3", "1000", False),
        ("Yes", "yes", False),
        ("0x1F", "31", False),
    ],
)
def test_texts_are_one_class_where_they_are_one_number_as_numbers_are_written(
    one: str, other: str, is_one: bool
) -> None:
    assert (class_text(one) == class_text(other)) is is_one


def test_classes_beyond_the_cap_are_other() -> None:
    spec = Spec(task="multiclass", classes=tuple(f"c{i}" for i in range(30)))
    assert len(class_names(spec)) == MAX_CLASSES + 1
    assert class_codes(spec, CodedColumn.of(["c0", "c19", "c20", "c29", "x"])).tolist() == [0, 19, 20, 20, 20]
    assert GroupsState.shape(spec)[2:] == (MAX_CLASSES + 1, MAX_CLASSES + 2)


def test_unknown_classes_and_no_rows() -> None:
    spec = Spec(task="multiclass")
    state = GroupsState(spec)
    state.update(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    assert state.count == 0
    codes = class_codes(spec, CodedColumn.of(["cat", None]))
    assert codes.tolist() == [0, -1]
    state.update(np.zeros(1, np.int64), codes[1:], np.zeros(1))
    assert (state.count, state.confusion().tolist(), state.undecided().tolist()) == (1, [[0]], [1])


@pytest.mark.parametrize(("truth", "decision"), [(-1, 0), (2, 0), (0, 2), (0, -2)])
def test_codes_that_are_no_class_are_refused(truth: int, decision: int) -> None:
    state = GroupsState(Spec())
    with pytest.raises(ValueError, match="class"):
        state.update(np.array([0, truth]), np.array([0, decision]), np.zeros(2))
    assert state == GroupsState(Spec())


def test_a_sparse_table_holds_what_was_touched_and_no_more() -> None:
    spec = Spec(task="multiclass", classes=tuple(f"c{i}" for i in range(20)), slices=(SEX,))
    pane = SparseTable(GroupsState, spec)
    rows = np.array([[1, 2, -1]])
    for _ in range(3):
        pane.add(GroupsState.place(spec, np.array([0, 1, 2]), np.array([0, 1, -1]), np.zeros(3), rows))
    assert (pane.count, len(pane.cells), int(pane.sums.sum())) == (9, 5, 15)
    assert SparseTable.of(pane.dense()) == pane
    assert pane != SparseTable(GroupsState, spec)
    assert pane != 1
