"""Rare levels in what detectors see: one cell with the other levels, in the rectangle, laid out again, and beside another version."""

from __future__ import annotations

import numpy as np
import pytest

from calidris.detect.bets.versions import _ordered
from calidris.detect.watched_fields import WatchedFields
from calidris.state import CountsState, Field, Kind, Role, Spec
from calidris.state.coding.fields import HIGH, LOW, MISSING, OTHER, RARE
from calidris.state.coding.known_levels import KnownLevels

LEVELS = ("a", "b", "c")
RECTANGLE_OTHER = OTHER - 4


def spec_of(known: KnownLevels | None) -> Spec:
    edges = tuple(np.linspace(0.0, 1.0, 9).tolist())
    return Spec(
        fields=(
            Field("age", Role.FEATURE, Kind.NUMERIC, edges=edges),
            Field("shop", Role.FEATURE, Kind.CATEGORICAL, levels=LEVELS, known=known),
        )
    )


def drawn(spec: Spec, seed: int) -> CountsState:
    counts = np.random.default_rng(seed).integers(1, 50, spec.cells)
    for i, f in enumerate(spec.fields):
        if f.kind is Kind.CATEGORICAL:
            # No level is above a range, and without names none is rare.
            counts[spec.offsets[i] + f.ordered + HIGH] = 0
            counts[spec.offsets[i] + f.ordered + RARE] *= f.known is not None
    return CountsState(spec, counts.astype(np.int64))


@pytest.mark.parametrize("known", [None, KnownLevels.of(["x", "y"])])
def test_the_rectangle_holds_every_row_once(known: KnownLevels | None) -> None:
    spec = spec_of(known)
    counts = drawn(spec, 1)
    watch = WatchedFields.of(spec, counts, (Role.FEATURE,))
    rectangle = watch.padded(counts.array)
    sums = [int(counts.field(i).sum()) for i, f in enumerate(spec.fields) if f.role is Role.FEATURE]
    assert rectangle.sum(axis=1).tolist() == sums
    shop = counts.field(next(i for i, f in enumerate(spec.fields) if f.name == "shop"))
    assert rectangle[1, RECTANGLE_OTHER] == shop[3 + OTHER] + shop[3 + RARE]
    assert rectangle[1, LOW - 4] == 0, "below a range is nothing of a text"
    windows = np.stack([counts.array, 2 * counts.array])
    assert np.array_equal(watch.padded(windows), np.stack([rectangle, 2 * rectangle]))


@pytest.mark.parametrize("known", [None, KnownLevels.of(["x", "y"])])
def test_what_is_laid_out_weighs_counts_as_the_rectangle_does(known: KnownLevels | None) -> None:
    spec = spec_of(known)
    counts = drawn(spec, 2)
    watch = WatchedFields.of(spec, counts, (Role.FEATURE,))
    rectangle = watch.padded(counts.array)
    values = np.random.default_rng(3).normal(size=(4, rectangle.shape[1]))
    for row in range(len(watch.fields)):
        laid = watch.lay_out(row, values)
        assert laid.shape == (4, spec.cells)
        assert np.allclose(laid @ counts.array, values @ rectangle[row])


def test_versions_with_and_without_names_of_rare_levels_are_compared_alike() -> None:
    old, new = (
        Field("shop", Role.FEATURE, Kind.CATEGORICAL, levels=LEVELS, known=k) for k in (None, KnownLevels.of(["x"]))
    )
    cells = np.array([10, 20, 30, 1, 0, 0, 0], dtype=np.int64)
    together, apart = cells.copy(), cells.copy()
    together[3 + OTHER] = 9
    apart[3 + OTHER], apart[3 + RARE] = 2, 7
    assert _ordered(old, together).tolist() == _ordered(new, apart).tolist() == [10, 20, 30, cells[3 + MISSING], 9]
