"""What Calidris says beside it: quiet on no change at every n, loud on a real one, and never a guess."""

from __future__ import annotations

import numpy as np
import pytest

from calidris.batch import CodedColumn, Column, NumberColumn
from calidris.compat import Finding, beside
from calidris.metrics import Status


def table(seed: int, n: int, shift: float = 0.0, missing: float = 0.0) -> dict[str, Column]:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(shift, 1.0, n), rng.normal(size=n)
    y[rng.random(n) < missing] = np.nan
    levels = tuple("abcdefgh")
    return {
        "x": NumberColumn.of(x),
        "y": NumberColumn.of(y),
        "level": CodedColumn(levels, rng.integers(0, 8, n).astype(np.int32)),
        "same": NumberColumn.of(np.full(n, 3.0)),
    }


def test_no_change_is_found_changed_as_rarely_as_promised() -> None:
    found = [
        any(b.finding is Finding.CHANGED for b in beside(table(2 * i, 3000), table(2 * i + 1, n)).values())
        for i, n in enumerate((100, 1000, 3000) * 8)
    ]
    assert sum(found) <= 4  # 24 tables at 5 %: five and more come once in four hundred runs


@pytest.mark.parametrize("n", [100, 1000])
def test_a_shift_is_more_than_chance(n: int) -> None:
    found = beside(table(1, 5000), table(3, n, shift=0.8))
    assert found["x"].finding is Finding.CHANGED and found["x"].reading.lower > 0
    assert {found[name].finding for name in ("y", "level", "same")} == {Finding.CHANCE}


def test_missing_values_are_a_change() -> None:
    assert beside(table(1, 5000), table(2, 2000, missing=0.03))["y"].finding is Finding.CHANGED


def test_few_rows_are_no_answer() -> None:
    found = beside(table(1, 5000), table(2, 40))["x"]
    assert (found.finding, found.p, found.reading.value) == (Finding.UNKNOWN, None, None)
    assert found.reading.status is Status.TOO_FEW and found.reading.n == 40


def test_another_type_is_a_change() -> None:
    found = beside({"x": table(1, 500)["x"]}, {"x": table(1, 500)["level"]})
    assert found["x"].finding is Finding.CHANGED


def test_columns_of_one_side_are_left_out_and_order_does_not_matter() -> None:
    one, two = table(1, 500), table(2, 500)
    assert set(beside({**one, "z": one["x"]}, two)) == set(one)
    again = beside(dict(reversed(one.items())), two)
    assert {name: b.reading for name, b in again.items()} == {name: b.reading for name, b in beside(one, two).items()}
    assert beside({"a": one["x"]}, {"b": one["x"]}) == {}


def test_no_rows() -> None:
    with pytest.raises(ValueError, match="without rows"):
        beside({"x": NumberColumn.of([])}, {"x": NumberColumn.of([1.0])})
