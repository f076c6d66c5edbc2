"""The table of bets of one model, frozen from its baseline before any window is seen."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect import cells, learned, tilts
from calidris.detect.cells import CellBets
from calidris.detect.design import Windows
from calidris.detect.learned import GROUP, MEMORY, Learned, Stake
from calidris.detect.tilts import Tilts
from calidris.detect.watch import Watch
from calidris.detect.windows import MINIMUM_ROWS
from calidris.errors import IncompatibleState
from calidris.state import CountsState, Kind, Role, Spec

ALL_ROLES: frozenset[Role] = frozenset(Role)
_RULES = 1
"""Goes up whenever the same baseline would make other bets."""


@dataclass(frozen=True, eq=False)
class Bets:
    """B bets of fixed weight on the F watched fields of a model; made by ``freeze``.

    Bets are stored kind by kind: tilts, cells, then the learned ones (γ by γ, field by field).

    Attributes:
        watch: the fields and their rectangle.
        tilts: bets on location and spread.
        cells: bets on single cells.
        learned: bets on the shape of past windows.
        field_weight: weight of each field, float64[F]; adds up to 1.
        window_rows: mean rows of a baseline window, 0 where they are not known.
        design_known: whether the design effects were measured; otherwise they are 1.
        identity: 16 bytes of BLAKE2b over all that the bets were made from; equal identities score alike.
    """

    watch: Watch
    tilts: Tilts
    cells: CellBets
    learned: Learned
    field_weight: Floats
    window_rows: float
    design_known: bool
    identity: bytes

    @property
    def spec(self) -> Spec:
        """The spec whose counts the bets score."""
        return self.watch.spec

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the watched fields, F of them."""
        return tuple(f.name for f in self.watch.fields)

    def __len__(self) -> int:
        return len(self.owner)

    @cached_property
    def owner(self) -> Ints:
        """Field of each bet, int64[B]."""
        every = np.arange(len(self.watch.fields), dtype=np.int64)
        return np.concatenate([self.tilts.field, self.cells.field, *([every] * len(MEMORY))])

    @cached_property
    def directions(self) -> tuple[str, ...]:
        """What each bet says has happened, B texts."""
        return tuple(direction for _, direction in self._labels)

    @cached_property
    def log_weight(self) -> Floats:
        """Log weight of each bet within its field, float64[B].

        A field's groups (location, spread, special cells, levels, shape) share it equally, and so do a group's bets.
        """
        groups: dict[tuple[int, str], list[int]] = {}
        for bet, (field, (group, _)) in enumerate(zip(self.owner.tolist(), self._labels)):
            groups.setdefault((field, group), []).append(bet)
        per_field = np.bincount([field for field, _ in groups], minlength=len(self.names))
        weight = np.zeros(len(self))
        for (field, _), members in groups.items():
            weight[members] = 1.0 / (per_field[field] * len(members))
        return np.log(weight)

    @cached_property
    def excess(self) -> Floats:
        """D - 1 of each bet, float64[B]."""
        effects = [self.tilts.effect, self.cells.effect, *([self.learned.effect] * len(MEMORY))]
        return np.concatenate(effects) - 1.0

    def design(self, rows: int) -> Floats:
        """Design effect of each bet in a window of n rows, float64[B].

        What makes whole windows differ (a wobble of the mean) counts for more in a larger window, ``1 + n·σ²``; what
        repeats rows does not depend on n. Baseline windows cannot tell the two apart, so the larger is taken when a window
        is larger than they were: ``1 + (D-1)·max(1, n/n̄)``.
        """
        effect: Floats = 1.0 + self.excess * max(1.0, rows / self.window_rows if self.window_rows else 1.0)
        return effect

    def log_e(self, counts: Floats, stake: Stake, rows: int) -> Floats:
        """Log e-value of every bet for one window, float64[B]; counts float64[F, K]."""
        shape = np.einsum("gfk,fk->gf", stake.log_ratio, counts).ravel()
        raw = np.concatenate([self.tilts.score(counts), self.cells.score(counts), shape])
        log_e: Floats = raw / self.design(rows)
        return log_e

    @property
    def _labels(self) -> tuple[tuple[str, str], ...]:
        shape = ((GROUP, GROUP),) * (len(MEMORY) * len(self.names))
        return self.tilts.names + self.cells.names + shape


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
) -> Bets:
    """The bets of a model, from its baseline.

    Guarantee: for rows that are independent given the past, with probability at least 1 - δ over the baseline's sample
    (exactly for bets on cells, to second order for tilts, asymptotically for learned bets; see ``bounds``), every bet has
    E[e | past] <= 1 in every window whose rows are drawn from a distribution within χ-distance ``tolerance`` of the one the
    baseline was drawn from. δ is split in halves over the fixed and the learned bets, then over the F fields, then over the
    J bounds of a field. With windows, the same is claimed of rows whose dependence the design effects describe; that part is
    approximate (``design``).

    Cost: O(W·F·K) once; a few hundredths of a second at 100 fields.

    Args:
        spec: of the model version.
        baseline: counts of the baseline's rows.
        windows: counts int64[W, cells] of the baseline's own windows, or None where it has no time order.
        delta: chance that the baseline's sample misleads.
        tolerance: √τ: changes up to this many standard deviations (χ-distance) are not news.
        weights: importance of fields by name, 1 where not listed; fixed from here on.
        roles: columns that may be watched. Fields without baseline values never are.
        minimum_rows: baseline windows with fewer rows are merged with the next.

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
    watch = Watch.of(spec, baseline, roles)
    counts = watch.padded(baseline.array).astype(np.float64)
    p = np.where(watch.real, (counts + 0.5) / (counts + 0.5 * watch.real).sum(-1, keepdims=True), 0.0)
    seen = Windows.of(watch, windows, minimum_rows) if windows is not None else None
    seen = seen if seen is not None and seen.known else None
    alpha = delta / (2.0 * _bounds(watch) * max(len(watch.fields), 1))
    return Bets(
        watch=watch,
        tilts=tilts.make(watch, p, baseline.count, alpha, seen, tolerance),
        cells=cells.make(watch, counts, p, alpha, seen, tolerance),
        learned=learned.make(watch, counts, p, delta / (2.0 * max(len(p), 1)), seen, tolerance),
        field_weight=_shares(watch, weights),
        window_rows=float(seen.rows.mean()) if seen else 0.0,
        design_known=seen is not None,
        identity=_identity(baseline, windows, (delta, tolerance, sorted(weights.items()), sorted(roles), minimum_rows)),
    )


def _check(spec: Spec, baseline: CountsState, delta: float, tolerance: float) -> None:
    if baseline.spec.hash != spec.hash:
        raise IncompatibleState(f"a baseline of spec {baseline.spec.hash[:8]} for a model of spec {spec.hash[:8]}")
    if not 0.0 < delta < 1.0:
        raise ValueError(f"delta must lie between 0 and 1, got {delta}")
    if not 0.0 <= tolerance < 1.0:
        raise ValueError(f"tolerance must be at least 0 and below 1 standard deviation, got {tolerance}")


def _identity(baseline: CountsState, windows: Ints | None, settings: tuple[object, ...]) -> bytes:
    """A digest of what the bets are made from, not of their floats: a new numpy must not orphan a detector."""
    digest = hashlib.blake2b(bytes.fromhex(baseline.spec.hash), digest_size=16)
    digest.update(baseline.array.astype("<i8").tobytes())
    digest.update(b"" if windows is None else windows.astype("<i8").tobytes())
    digest.update(repr((_RULES, windows is not None, settings)).encode())
    return digest.digest()


def _bounds(watch: Watch) -> Floats:
    """J: how many scalar bounds each field rests on, float64[F]."""
    special = (watch.real & ~watch.ordered).sum(-1)
    levels = 2 * watch.ordered.sum(-1) * watch.of_kind(Kind.CATEGORICAL)
    bounds: Floats = (special + levels + tilts.BETS * watch.of_kind(Kind.NUMERIC)).astype(np.float64)
    return bounds


def _shares(watch: Watch, weights: Mapping[str, float]) -> Floats:
    importance = np.array([weights.get(f.name, 1.0) for f in watch.fields], dtype=np.float64)
    if (importance < 0).any() or not np.isfinite(importance).all():
        raise ValueError(f"weights must be finite and not negative, got {dict(weights)}")
    share: Floats = importance / max(float(importance.sum()), 1e-300)
    return share
