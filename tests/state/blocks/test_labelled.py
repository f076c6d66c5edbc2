"""The tables of labelled rows together: sparse, dense, bytes."""

from __future__ import annotations

import numpy as np
import pytest

from calidris.errors import CorruptState, IncompatibleState
from calidris.state import Field, Kind, Loss, Role, Slice, Spec
from calidris.state.blocks.labelled import ClassRows, LabelStates, LabelTables, NumberRows

BINARY = Spec(slices=(Slice("sex", ("f",)),), losses=(Loss("error"), Loss("brier")))
VALUE = Field("ml.prediction.value", Role.VALUE, Kind.NUMERIC, edges=(0.0, 1.0, 2.0))
NUMBERS = Spec(task="regression", fields=(VALUE,), losses=(Loss("absolute_error", 2.0),))


def class_rows(seed: int, n: int = 60) -> ClassRows:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    score = np.where(rng.random(n) < 0.2, np.nan, rng.random(n))
    return ClassRows(
        score, truth, truth, rng.integers(-1, 2, n), rng.exponential(9999.0, n), rng.choice([-1, 1, 2], (1, n))
    )


def number_rows(seed: int, n: int = 60) -> NumberRows:
    rng = np.random.default_rng(seed)
    return NumberRows(rng.random(n), rng.random(n), rng.exponential(9999.0, n))


@pytest.mark.parametrize(("spec", "draw"), [(BINARY, class_rows), (NUMBERS, number_rows)])
def test_parts_make_the_whole_and_bytes_come_back(spec, draw) -> None:
    parts = [draw(seed) for seed in range(3)]
    tables, whole = LabelTables(spec), LabelStates.empty(spec)
    for rows in parts:
        one = LabelTables(spec)
        one.add(rows)
        before = one.to_bytes()
        tables.merge(one)
        assert one.to_bytes() == before
        whole.add(one)
    assert LabelStates.of(tables) == whole
    assert whole.count == tables.count == 180
    again = LabelTables.from_bytes(spec, tables.to_bytes())
    assert again.to_bytes() == tables.to_bytes()
    assert LabelStates.of(again) == whole


def test_tables_of_an_earlier_version_come_back_without_errors_by_level() -> None:
    """Until November 2026 a pane had four tables: their sizes, then the tables."""
    tables = LabelTables(NUMBERS)
    tables.add(number_rows(1))
    parts = [table.to_bytes() for table in tables.tables[:4]]
    earlier = b"".join([len(part).to_bytes(4, "little") for part in parts] + parts)
    back = LabelTables.from_bytes(NUMBERS, earlier)
    assert back.tables[:4] == tables.tables[:4] and back.tables[4].count == 0
    assert back.to_bytes() == earlier
    back.merge(tables)
    assert (back.count, LabelStates.of(back).wide_errors.count) == (120, 60)


def test_classes_take_no_more_bytes_than_they_did() -> None:
    tables = LabelTables(BINARY)
    tables.add(class_rows(1))
    parts = [table.to_bytes() for table in tables.tables[:4]]
    assert tables.to_bytes() == b"".join([len(part).to_bytes(4, "little") for part in parts] + parts)


def test_a_row_without_a_score_counts_by_its_decision_alone() -> None:
    tables = LabelTables(BINARY)
    nothing = np.full(2, np.nan)
    tables.add(ClassRows(nothing, np.array([1, 0]), np.array([1, 0]), np.array([1, 1]), np.zeros(2)))
    states = LabelStates.of(tables)
    assert (states.count, states.scores.count, states.groups.confusion().tolist()) == (2, 0, [[0, 1], [0, 1]])
    error = states.losses.bins()
    assert (error.n[0].sum(), error.total[0].sum(), error.missing.tolist()) == (2, 1.0, [0, 2])


def test_two_classes_beyond_the_cap_are_not_one() -> None:
    spec = Spec(task="multiclass", classes=("a",), losses=(Loss("error"),))
    other = np.array([1])
    tables = LabelTables(spec)
    tables.add(ClassRows(np.array([0.9]), np.array([0]), other, other, np.zeros(1)))
    assert LabelStates.of(tables).losses.bins().total.sum() == 1.0


def test_foreign_bytes_are_refused() -> None:
    data = LabelTables(BINARY).to_bytes()
    with pytest.raises(IncompatibleState):
        LabelTables.from_bytes(NUMBERS, data)
    for broken in (b"", data[:-1], data + b"x", data[:20]):
        with pytest.raises(CorruptState):
            LabelTables.from_bytes(BINARY, broken)
