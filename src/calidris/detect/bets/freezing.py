"""Freeze the bets of a model from its baseline, before any window is seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.bets import cells, learned_shapes, tilts
from calidris.detect.bets.features import Bets
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.evidence.design_effect import Windows
from calidris.detect.evidence.handicap import handicap
from calidris.detect.evidence.windows import MINIMUM_ROWS
from calidris.detect.layout import identity
from calidris.detect.relations import WEIGHT
from calidris.detect.watched_fields import WatchedFields
from calidris.errors import IncompatibleState
from calidris.state import CountsState, Kind, Role, Spec
from calidris.state.related import count_candidates

ALL_ROLES: frozenset[Role] = frozenset(Role)
SLOWER: frozenset[str] = frozenset({"mean up", "above the range"})
"""The directions of a duration that are bad news."""
_RULES = 3
"""Goes up whenever the same baseline would make bets on other things.

Not where only D or the weights of the same bets change: each e is valid given the past whatever it was before, so that the evidence
of an earlier version goes on, and its standing alarms with it."""


def freeze(
    spec: Spec,
    baseline: CountsState,
    windows: Ints | None = None,
    *,
    delta: float = 0.05,
    tolerance: float = 0.05,
    weights: Mapping[str, float] = MappingProxyType({}),
    roles: Collection[Role] = ALL_ROLES,
    minimum_rows: int = MINIMUM_ROWS,
    only: Collection[str] | None = None,
    days: Days | None = None,
    doubted: Collection[str] = frozenset(),
    small: bool = False,
) -> Bets:
    """The bets of a model, from its baseline.

    Guarantee: for rows that are independent given the past, with probability at least 1 - δ over the baseline's sample
    (exactly for bets on cells, to second order for tilts, asymptotically for learned bets; see ``detect/bounds.py``), every bet has
    E[e | past] <= 1 in every window whose rows are drawn from a distribution within χ-distance ``tolerance`` of the one the
    baseline was drawn from. δ is split in halves over the fixed and the learned bets, then over the F fields, then over the
    J bounds of a field; a pair's part of it is shared with all pairs that might have been picked in its place. With windows, the same is claimed of rows whose dependence the design effects describe; that part is
    approximate (``design``).

    Cost: O(W·F·K) once, the windows being played over twice; a tenth of a second at 100 fields and 168 windows.

    Args:
        spec: of the model version.
        baseline: counts of the baseline's rows.
        windows: counts int64[W, cells] of the baseline's own windows, or None where it has no time order.
        delta: chance that the baseline's sample misleads.
        tolerance: √τ: changes up to this many standard deviations (χ-distance) are not news.
        weights: importance of fields by name, 1 where not listed; fixed from here on.
        roles: columns that may be watched. Fields without baseline values never are.
        minimum_rows: baseline windows with fewer rows are merged with the next.
        only: directions to watch, all by default. The others have weight 0 and theirs goes to these, once and for all, so
            that the guarantee is untouched: ``SLOWER`` makes of ``roles={Role.DURATION}`` a watch on slower calls alone.
        days: the days that the windows lie in; without them windows are taken as independent of each other.
        doubted: fields whose levels were picked and counted by the same rows: only missing values of these are bet on.
        small: lay bets on small changes only, as the early one of two levels does: the strong one has those on large changes.

    Raises:
        IncompatibleState: the baseline has another spec.
        ValueError: delta, tolerance or a weight is out of range.

    >>> from calidris.state import Field
    >>> spec = Spec(fields=(Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 30.0, 60.0)),))
    >>> baseline = CountsState(spec)
    >>> baseline.field(0)[0] = 2000  # every row is in one cell of every field: no error, age known
    >>> baseline.field(2)[:2] = [900, 1100]
    >>> bets = freeze(spec, baseline)
    >>> bets.names, bets.design_known
    (('age',), False)
    """
    _check(spec, baseline, delta, tolerance)
    watch = WatchedFields.of(spec, baseline, roles)
    seen = Windows.of(watch, windows, minimum_rows, days) if windows is not None else None
    # Roles that the model has nothing of make no other bets.
    told = sorted(role for role in roles if role is not Role.PAIR or spec.pairs)
    settings = (delta, tolerance, sorted(weights.items()), told, minimum_rows, *(("small",) if small else ()))
    bets = lay(
        watch,
        baseline,
        seen if seen is not None and seen.known else None,
        delta=delta,
        tolerance=tolerance,
        weights=weights,
        only=only,
        name=_identity(baseline, windows, settings, only),
        small=small,
    )
    bets = replace(bets, doubted=frozenset(doubted))
    return replace(bets, handicap=handicap(bets, windows, minimum_rows))


def lay(
    watch: WatchedFields,
    baseline: CountsState,
    seen: Windows | None,
    *,
    delta: float,
    tolerance: float,
    weights: Mapping[str, float] = MappingProxyType({}),
    only: Collection[str] | None = None,
    name: bytes = bytes(16),
    small: bool = False,
) -> Bets:
    """The bets on watched fields, from a baseline and the variation between its windows; ``freeze`` says the rest."""
    counts = watch.padded(baseline.array).astype(np.float64)
    p = np.where(watch.real, (counts + 0.5) / (counts + 0.5 * watch.real).sum(-1, keepdims=True), 0.0)
    thetas, raises = (tilts.SMALL_THETAS, cells.SMALL_RAISES) if small else (tilts.THETAS, cells.RAISES)
    picked, fields = _picked(watch), max(len(watch.fields), 1)
    alpha = delta / (2.0 * _bounds(watch, len(thetas)) * fields) * picked
    return Bets(
        watch=watch,
        tilts=tilts.make(watch, p, baseline.count, alpha, seen, tolerance, thetas),
        cells=cells.make(watch, counts, p, alpha, seen, tolerance, raises),
        learned=learned_shapes.make(watch, counts, p, delta / (2.0 * fields) * picked, seen, tolerance),
        field_weight=shares(watch, weights),
        window_rows=float(seen.rows.mean()) if seen else 0.0,
        design_known=seen is not None,
        days_depend=seen is not None and seen.depend,
        identity=name,
        only=None if only is None else frozenset(only),
        tolerance=tolerance,
    )


def _check(spec: Spec, baseline: CountsState, delta: float, tolerance: float) -> None:
    if baseline.spec.hash != spec.hash:
        raise IncompatibleState(f"a baseline of spec {baseline.spec.hash[:8]} for a model of spec {spec.hash[:8]}")
    if not 0.0 < delta < 1.0:
        raise ValueError(f"delta must lie between 0 and 1, got {delta}")
    if not 0.0 <= tolerance < 1.0:
        raise ValueError(f"tolerance must be at least 0 and below 1 standard deviation, got {tolerance}")


def _identity(
    baseline: CountsState, windows: Ints | None, settings: tuple[object, ...], only: Collection[str] | None
) -> bytes:
    """A digest of what the bets are made from, not of their floats: a new numpy must not orphan a detector."""
    raw = None if windows is None else windows.astype("<i8").tobytes()
    directions = None if only is None else sorted(only)
    return identity(_RULES, baseline.spec.hash, baseline.array.astype("<i8").tobytes(), raw, settings, directions)


def _bounds(watch: WatchedFields, thetas: int) -> Floats:
    """J: how many scalar bounds each field rests on, float64[F]."""
    pairs = watch.of_kind(Kind.PAIR)
    special = (watch.real & ~watch.ordered).sum(-1) * ~pairs
    levels = 2 * watch.ordered.sum(-1) * watch.of_kind(Kind.CATEGORICAL)
    tilted = tilts.DIRECTIONS * thetas * watch.of_kind(Kind.NUMERIC) + thetas * pairs
    bounds: Floats = (special + levels + tilted).astype(np.float64)
    return bounds


def _picked(watch: WatchedFields) -> Floats:
    """What of its part of δ a field has for itself, float64[F].

    Pairs were picked by the rows that are counted, out of all pairs of columns: their part pays for every one that might have been.
    """
    of_pair = len(watch.spec.pairs) / max(count_candidates(watch.spec), 1)
    return np.where(watch.of_kind(Kind.PAIR), min(of_pair, 1.0), 1.0)


def shares(watch: WatchedFields, weights: Mapping[str, float]) -> Floats:
    """Weight of each watched field, float64[F]; adds up to 1. Pairs have ``relations.WEIGHT`` of it together."""
    importance = np.array([weights.get(f.name, 1.0) for f in watch.fields], dtype=np.float64)
    if (importance < 0).any() or not np.isfinite(importance).all():
        raise ValueError(f"weights must be finite and not negative, got {dict(weights)}")
    pairs = watch.of_kind(Kind.PAIR)
    of_pairs, of_columns = float(importance[pairs].sum()), float(importance[~pairs].sum())
    part = (WEIGHT if of_columns else 1.0) if of_pairs else 0.0
    total = np.where(pairs, of_pairs, of_columns)
    share: Floats = importance / np.maximum(total, 1e-300) * np.where(pairs, part, 1.0 - part)
    return share
