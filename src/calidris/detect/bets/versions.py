"""Version against version: a canary, a shadow or a challenger beside the model that serves, without a baseline."""

from __future__ import annotations

import numpy as np

from calidris.batch import Ints
from calidris.detect.bets.groups import GroupBets, group_bets
from calidris.detect.evidence.windows import MINIMUM_ROWS
from calidris.errors import IncompatibleState
from calidris.state import CountsState, Field, Kind
from calidris.state.coding.fields import HIGH, LOW, MISSING, OTHER, RARE

MOST_BINS = 10
"""Neighbouring bins of a number are taken together down to so many."""


def version_bets(
    field: Field,
    version: str,
    other: str,
    windows: Ints | None = None,
    *,
    tolerance: float = 0.05,
    minimum_rows: int = MINIMUM_ROWS,
) -> GroupBets:
    """Bets that one version's column (score, decision, value, a feature, duration, error) is distributed otherwise than another's.

    Guarantee, that of ``group_bets``, exact and without a baseline: for rows that are independent given the past and the
    numbers of rows, E[e | past] <= 1 in every window in which the two distributions over the cells are within ``tolerance`` in
    total variation, however both move from window to window. For a canary it needs that chance and not the row decides which
    version serves it. For a shadow, which sees the same rows, it needs that the two answers to a row are not negatively
    correlated in any event: every bet rewards hits of one side and misses of the other, so that then the mean of a pair's
    product is at most the product of the means.

    Args:
        field: the column, of a spec that both versions are counted in.
        version: what an alarm names.
        other: what it is compared with.
        windows: int64[W, cells] of ``version_counts`` in which all was well (the same version twice), or None.
        tolerance: total variation that is no news.
        minimum_rows: rows that either side needs; until then they wait.

    >>> from calidris.state import Role
    >>> field = Field("ml.prediction.score", Role.SCORE, Kind.NUMERIC, edges=(0.0, 0.5, 1.0))
    >>> bets = version_bets(field, "v2", "v1")
    >>> bets.names, bets.layout.cells
    (('v2',), 12)
    """
    numeric = field.kind is Kind.NUMERIC
    return group_bets(
        (version, other), _categories(field), windows,
        tolerance=tolerance, ordered=numeric, minimum_rows=minimum_rows,
    )  # fmt: skip


def version_counts(field: str, version: CountsState, other: CountsState) -> Ints:
    """Both versions' counts of a column in one window, for ``version_bets``: int64[2·categories].

    A number's categories are in order: below the range, bins, above the range; then missing and unknown values.

    Raises:
        IncompatibleState: the two are counted in different cells.
        ValueError: no such column.
    """
    if version.spec.hash != other.spec.hash:
        raise IncompatibleState(f"specs {version.spec.hash[:8]} and {other.spec.hash[:8]}: count both versions in one")
    at = next((i for i, f in enumerate(version.spec.fields) if f.name == field), None)
    if at is None:
        raise ValueError(f"{field!r} is no column of this model; it has {[f.name for f in version.spec.fields]}")
    known = version.spec.fields[at]
    sides: Ints = np.concatenate([_ordered(known, side.field(at)) for side in (version, other)])
    return sides


def _parts(field: Field) -> list[Ints]:
    """Which ordered cells are taken together."""
    size = min(field.ordered, MOST_BINS) if field.kind is Kind.NUMERIC else field.ordered
    return [part.astype(np.int64) for part in np.array_split(np.arange(field.ordered), size)]


def _categories(field: Field) -> tuple[str, ...]:
    if field.kind is Kind.NUMERIC:
        bins = [f"from {field.edges[p[0]]:g} to {field.edges[p[-1] + 1]:g}" for p in _parts(field)]
        return ("below the range", *bins, "above the range", "missing", "unknown values")
    levels = field.levels if field.kind is Kind.CATEGORICAL else ("present",)
    return (*levels, "missing", "unknown values")


def _ordered(field: Field, cells: Ints) -> Ints:
    """Cells int64[K + 4] in the order of the categories."""
    inside = [int(cells[part].sum()) for part in _parts(field)]
    special = cells[field.ordered :].tolist()
    if field.kind is Kind.NUMERIC:
        inside = [special[LOW], *inside, special[HIGH]]
    others = special[OTHER]
    if field.kind is Kind.CATEGORICAL:
        # Each version's baseline met others: together they are the same values.
        others += special[RARE]
    return np.array([*inside, special[MISSING], others], dtype=np.int64)
