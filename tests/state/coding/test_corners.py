"""Corners of the space: the tree against brute force and scikit-learn, rows against their conditions, and what corners are called."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.state import Corners, Field, Kind, LossesState, Role, Spec, fit_corners
from calidris.state.bounded import LARGE_ERROR, Loss, row_losses
from calidris.state.coding.corners import Split
from calidris.state.coding.fields import LOW, MISSING, OTHER

N = 4000
EDGES = tuple(np.linspace(0.0, 1.0, 11).tolist())
FIELDS = (
    Field("x", Role.FEATURE, Kind.NUMERIC, edges=EDGES),
    Field("y", Role.FEATURE, Kind.NUMERIC, edges=EDGES),
    Field("land", Role.FEATURE, Kind.CATEGORICAL, levels=("NL", "BE", "DE", "FR", "LU")),
)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells of three features, and a number that depends on all of them."""
    rng = np.random.default_rng(seed)
    cells = np.stack([rng.integers(0, 10, N), rng.integers(0, 10, N), rng.integers(0, 5, N)])
    height = (
        3.0 * (cells[0] > 4) + 2.0 * (cells[1] > 2) * (cells[0] > 4) + np.array([0.0, 1.5, 0.0, 1.5, 0.0])[cells[2]]
    )
    return cells, height + rng.normal(0, 0.3, N)


def squares_left(target: np.ndarray, corner: np.ndarray) -> float:
    """Σ (t - mean of its corner)²."""
    return sum(float(((target[corner == c] - target[corner == c].mean()) ** 2).sum()) for c in np.unique(corner))


def test_the_tree_of_numbers_is_that_of_scikit_learn() -> None:
    cells, target = drawn(0)
    tree = fit_corners(FIELDS[:2], cells[:2], target)
    assert tree is not None
    theirs = DecisionTreeRegressor(max_depth=3, min_samples_leaf=0.05).fit(cells[:2].T, target)
    ours = squares_left(target, tree.place(FIELDS[:2], cells[:2]))
    assert ours == pytest.approx(squares_left(target, theirs.apply(cells[:2].T)), rel=1e-9)


def test_of_levels_the_first_split_is_the_best_of_all_subsets() -> None:
    cells, _ = drawn(1)
    target = np.array([0.0, 5.0, 1.0, 6.0, 2.0])[cells[2]]
    tree = fit_corners(FIELDS, cells, target)
    assert tree is not None and tree.splits[0] is not None
    assert (tree.splits[0].feature, tree.splits[0].left) == ("land", (0, 2, 4))
    subsets = [np.isin(cells[2], [i for i in range(5) if number >> i & 1]) for number in range(1, 31)]
    best = min(squares_left(target, inside) for inside in subsets)
    assert squares_left(target, np.isin(cells[2], [0, 2, 4])) == pytest.approx(best)


def test_rows_lie_where_the_conditions_of_their_corner_hold() -> None:
    cells, target = drawn(2)
    tree = fit_corners(FIELDS, cells, target)
    assert tree is not None
    corner = tree.place(FIELDS, cells)
    for at, steps in enumerate(tree.paths):
        inside = np.ones(N, dtype=bool)
        for split, left in steps:
            here = np.isin(cells[["x", "y", "land"].index(split.feature)], split.left)
            inside &= here if left else ~here
        assert np.array_equal(corner == at, inside)
        assert inside.sum() >= 0.05 * N
    assert set(corner.tolist()) == set(range(tree.count)) and tree.count <= 8


def test_low_goes_with_the_first_bin_and_what_is_missing_or_unknown_goes_right() -> None:
    tree = Corners((Split("x", (0, 1, 2)), Split("land", (1, 2), True), None, None, None, None, None))
    special = np.array([[10 + LOW, 10 + LOW, 10 + MISSING, 3], [0, 0, 0, 0], [1, 5 + MISSING, 1, 5 + OTHER]])
    assert tree.place(FIELDS, special).tolist() == [0, 1, 2, 2]
    assert tree.names(FIELDS) == (
        "x <= 0.3 and land among BE, DE", "x <= 0.3 and land other than BE, DE", "x > 0.3",
    )  # fmt: skip


def test_conditions_on_one_number_are_told_together_and_long_lists_are_cut() -> None:
    two = Corners((Split("x", (0, 1, 2, 3, 4)), Split("x", (0, 1), True), None, None, None, None, None))
    assert two.names(FIELDS) == ("x <= 0.2", "0.2 < x <= 0.5", "x > 0.5")
    levels = Corners((Split("land", (0, 1, 2, 3)), Split("land", (3,)), None, None, None, None, None))
    assert levels.names(FIELDS) == ("land = FR", "land among NL, BE, DE", "land other than NL, BE, DE and 1 more")


@pytest.mark.parametrize("target", [np.ones(N), np.full(N, np.nan)])
def test_what_is_everywhere_alike_has_no_corners(target: np.ndarray) -> None:
    assert fit_corners(FIELDS, drawn(3)[0], target) is None
    assert fit_corners(FIELDS, drawn(3)[0][:, :30], np.arange(30.0)) is None


def test_a_spec_keeps_its_corners_and_one_without_them_its_hash() -> None:
    cells, target = drawn(4)
    tree = fit_corners(FIELDS, cells, target)
    plain = Spec(fields=FIELDS)
    cut = replace(plain, corners=tree)
    assert "corners" not in plain.to_json() and cut.hash != plain.hash
    again = Spec.from_json(cut.to_json())
    assert again == cut and again.corners == tree and again.corner_names == cut.corner_names
    with pytest.raises(ValueError, match="no such cells"):
        Spec(fields=FIELDS[1:], corners=Corners((Split("x", (0,)), *[None] * 6)))


def test_losses_of_corners_are_those_of_their_raw_rows() -> None:
    rng = np.random.default_rng(5)
    tree = Corners((Split("x", (0, 1, 2)), None, Split("land", (0,)), None, None, None, None))
    spec = Spec(
        task="regression", fields=FIELDS, losses=(Loss("absolute_error", 2.0), Loss(LARGE_ERROR, 3.0)), corners=tree
    )
    x, land = rng.random(N), rng.choice(["NL", "BE", "XX"], N)
    batch = PredictionBatch(
        ModelKey("default", "m", "1"), np.zeros(N, dtype=np.int64),
        {"x": NumberColumn.of(x), "y": NumberColumn.of(rng.random(N)), "land": CodedColumn.of(land.tolist())},
    )  # fmt: skip
    corner = spec.corner_of(spec.encode(batch))
    error = rng.normal(0, 2, N)
    losses = row_losses(spec.losses, np.zeros(N), None, error)
    state = LossesState(spec)
    state.update(losses, np.zeros(N), spec.corner_rows(corner))
    inside = [
        x <= np.float32(EDGES[3]),
        (x > np.float32(EDGES[3])) & (land == "NL"),
        (x > np.float32(EDGES[3])) & (land != "NL"),
    ]
    for row, here in enumerate([np.ones(N, bool), np.ones(N, bool), *inside]):
        found = state.bins(row)
        assert found.n.sum(axis=1).tolist() == [here.sum()] * 2
        assert found.total[0].sum() == pytest.approx(np.minimum(np.abs(error[here]), 2.0).sum() / 2.0, abs=1e-5)
        assert found.total[1].sum() == np.count_nonzero(np.abs(error[here]) > 3.0)
    assert state.count == N


def test_an_error_is_large_or_not_and_a_missing_one_is_neither() -> None:
    found = row_losses([Loss(LARGE_ERROR, 3.0)], np.array([0.0, 0.0, 0.0]), None, np.array([3.0, 3.1, np.nan]))
    np.testing.assert_array_equal(found, [[0.0, 3.0, np.nan]])


def test_edges_that_differ_in_late_digits_only_are_told_apart() -> None:
    day = Field("day", Role.FEATURE, Kind.NUMERIC, edges=(20240101.0, 20240201.5, 20240301.0, 20240401.0))
    tree = Corners((Split("day", (0, 1)), Split("day", (0,)), None, None, None, None, None))
    assert tree.names([day]) == ("day <= 20240201.5", "20240201.5 < day <= 20240301", "day > 20240301")
    tight = replace(day, edges=(1.0, float(np.nextafter(1.0, 2.0)), 2.0, 3.0))
    assert len(set(tree.names([tight]))) == 3
