"""What each detector of a model is made of: what it is fed with, its bets, and what it has to learn first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calidris.baseline import Baseline
from calidris.batch import Ints
from calidris.config import DetectConfig, ModelConfig
from calidris.detect import (
    SLOWER,
    Alert,
    Bets,
    Change,
    Game,
    Layout,
    References,
    SeasonalBets,
    Slot,
    drift_recovery,
    freeze,
    loss_bets,
    window_score_bets,
)
from calidris.detect.bets.losses import ERRORS, error_counts, layout_of
from calidris.detect.bets.seasonal import Which
from calidris.detect.bets.window_scores import FEWEST, needed
from calidris.detect.calendar import Calendar
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.evidence.windows import merge_small
from calidris.detect.levels import TwoLevels
from calidris.engine.panes.pane import Window
from calidris.state import CountsState, Role, Spec
from calidris.state.spec import ALWAYS

SHARED = frozenset({Role.FEATURE, Role.PAIR})
"""What is the model's, whichever of its versions serves."""
WATCHED = SHARED | {Role.SCORE, Role.DECISION, Role.VALUE}

MakeGame = Callable[[Ints | None, Days | None], Game]
MakeRecovery = Callable[[Game, Sequence[Change], Ints, Ints | None], Game | None]


@dataclass(frozen=True)
class Recipe:
    """One detector.

    Attributes:
        slot: its place in the budget.
        layout: what it is fed with.
        counts: a sealed window's counts int64[cells] of that layout.
        game: the bets, from windows that show the ordinary spread, int64[W, cells], and the days that they lie in.
        spread: the baseline's own windows; None where it has none.
        days: that those lie in.
        learns: whether live windows must show the spread first where the baseline does not.
        age_s: how old a window is when it is scored: 0 is when it closes.
        back: bets on the return of what an alarm named, from the game, the names, the window that fired and the windows that were
            learned live, if any were; None where there are none.
        pair: the counts of a window beside the same window of the version that it is compared with, in place of ``counts``; None where
            the two are counted in different cells.
        references: what a seasonal game is laid against, and learns from each window.
        teaches: whether a window's counts are to be learned from, where not all are.
        both_levels: whether what it learns will have bets at both levels: series of alarms are there before it speaks.
        former: the bets that earlier versions made of a baseline that does not say whether it has label times: their evidence goes on.
    """

    slot: Slot
    layout: Layout
    counts: Callable[[Window], Ints]
    game: MakeGame
    spread: Ints | None
    days: Days | None = None
    learns: bool = True
    age_s: float = 0.0
    back: MakeRecovery | None = None
    references: References | None = None
    pair: Callable[[Window, Window], Ints | None] | None = None
    teaches: Callable[[Ints], bool] | None = None
    former: Callable[[], Game] | None = None
    both_levels: bool = False


class TooFewLearned(Exception):
    """What was learned live is too little to make bets from: more windows are needed."""


def recipe(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe | None:
    """The recipe of a slot whose feed is known when a window closes; None where the baseline has nothing to compare with."""
    if slot.kind is Alert.ERRORS:
        return _errors(slot, config, baseline)
    if slot.kind is Alert.LATENCY:
        return _latency(slot, config, baseline)
    return _drift(slot, config, baseline) if slot.reference == "frozen" else _seasonal(slot, config, baseline)


def _drift(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe:
    detect, spec, spread = config.detect, baseline.spec, baseline.windows_of(slot.window_s)
    roles, importance = _watched(config, baseline)

    def game(windows: Ints | None, days: Days | None) -> Game:
        def at(tolerance: float, small: bool) -> Bets:
            return freeze(
                spec, baseline.counts, windows, delta=detect.delta, tolerance=tolerance, weights=importance,
                roles=roles, minimum_rows=detect.minimum_rows, days=days, doubted=baseline.same_rows, small=small,
            )  # fmt: skip

        bets = at(detect.tolerance, False)
        if windows is None or not needed(bets) or len(merge_small(spec, windows, detect.minimum_rows)) < FEWEST:
            return with_early(detect, at, bets)
        # A distance looks at all levels at once.
        weights = detect.importance | dict.fromkeys(baseline.same_rows, 0.0)
        return window_score_bets(
            spec, baseline.counts, windows, delta=detect.delta, weights=weights, roles=WATCHED,
            minimum_rows=detect.minimum_rows,
        )  # fmt: skip

    days = days_of(slot, config, baseline)
    return Recipe(slot, Layout.of(spec), _cells, game, spread, days, back=_drift_back(config, baseline.rows))


def _watched(config: ModelConfig, baseline: Baseline) -> tuple[frozenset[Role], dict[str, float]]:
    """What is watched, and the weights of its names: of the baseline's pairs as many as the settings allow, the strongest first."""
    most, given = config.detect.pairs, config.detect.importance
    if not most:
        return WATCHED - {Role.PAIR}, given
    return WATCHED, given | {pair.name: 0.0 for pair in baseline.spec.pairs[most:]}


def _drift_back(config: ModelConfig, rows: int) -> MakeRecovery:
    def back(game: Game, changes: Sequence[Change], counts: Ints, _learned: Ints | None) -> Game | None:
        if not isinstance(game, Bets):  # a distance has no way back
            return None
        return drift_recovery(game, rows, changes, counts, delta=config.detect.delta, tolerance=game.tolerance)

    return back


def _seasonal(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe | None:
    """Needs the baseline's windows with their times; the frozen reference goes without."""
    detect, spread = config.detect, baseline.windows_of(slot.window_s)
    if spread is None:
        return None
    which: Which = "hour_of_week" if slot.reference == "hour_of_week" else "decayed"
    references = references_of(slot, config, baseline, spread)
    roles, importance = _watched(config, baseline)

    def game(windows: Ints | None, days: Days | None) -> Game:
        assert windows is not None, "they are the baseline's own"
        return SeasonalBets(
            baseline.spec, baseline.counts, windows, baseline.starts_of(slot.window_s), references, which,
            delta=detect.delta, tolerance=detect.tolerance, weights=importance, roles=roles,
            minimum_rows=detect.minimum_rows,
        )  # fmt: skip

    return Recipe(slot, Layout.of(baseline.spec), _cells, game, spread, references=references)


def references_of(slot: Slot, config: ModelConfig, baseline: Baseline, windows: Ints) -> References:
    """What the hours of the week were in the baseline's windows, int64[W, cells]. The last day begins with nothing: the baseline's is long ago."""
    if slot.reference != "hour_of_week":
        return References(baseline.spec, slot.window_s)
    filled = References(baseline.spec, slot.window_s, calendar=Calendar(config.timezone))
    filled.fill(baseline.starts_of(slot.window_s), windows)
    return filled


def _errors(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe:
    layout, known = layout_of([ERRORS]), _served(baseline) or _failed(baseline)
    found = baseline.windows_of(slot.window_s) if known else None
    spread = None if found is None else np.array([error_counts(CountsState(baseline.spec, w)) for w in found])

    def game(windows: Ints | None, days: Days | None) -> Game:
        counts = error_counts(baseline.counts) if known else sum_of(windows, layout)

        def at(tolerance: float, _small: bool) -> Game:
            return loss_bets(
                [ERRORS], counts, windows, delta=config.detect.delta, tolerance=tolerance,
                minimum_rows=config.detect.minimum_rows, days=days,
            )  # fmt: skip

        return with_early(config.detect, at)

    return Recipe(
        slot, layout, lambda window: error_counts(window.counts), game, spread, days_of(slot, config, baseline),
        both_levels=has_early(config.detect),
    )  # fmt: skip


def _latency(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe:
    detect, spec, known = config.detect, baseline.spec, _served(baseline)

    def game(windows: Ints | None, days: Days | None) -> Game:
        counts = baseline.counts if known else CountsState(spec, sum_of(windows, Layout.of(spec)))

        def at(tolerance: float, small: bool) -> Game:
            return freeze(
                spec, counts, windows, delta=detect.delta, tolerance=tolerance, roles={Role.DURATION},
                minimum_rows=detect.minimum_rows, only=SLOWER, days=days, small=small,
            )  # fmt: skip

        return with_early(detect, at)

    spread = baseline.windows_of(slot.window_s) if known else None
    days = days_of(slot, config, baseline)
    return Recipe(
        slot, Layout.of(spec), _cells, game, spread, days, back=_drift_back(config, baseline.rows),
        both_levels=has_early(detect),
    )  # fmt: skip


def carried_recipe(slot: Slot, config: ModelConfig, base: Baseline) -> Recipe | None:
    """The recipe of errors or latency against another version's baseline: rows of any spec are fed into it.

    All specs have the fields of errors and of durations, with the same cells: what is fed is bit for bit what it would be there.
    """
    made = recipe(slot, config, base)
    if made is None or slot.kind is not Alert.LATENCY:
        return made

    def counts(window: Window) -> Ints:
        fed: Ints = np.zeros(base.spec.cells, dtype=np.int64)
        shared = base.spec.offsets[len(ALWAYS)]
        fed[:shared] = window.counts.array[:shared]
        return fed

    return replace(made, counts=counts)


def counts_calls_alike(one: Spec, other: Spec) -> bool:
    """Whether two specs have the same cells for errors and durations: all do, but for those of a release that had others."""
    return one.fields[: len(ALWAYS)] == other.fields[: len(ALWAYS)] == ALWAYS


def with_early(detect: DetectConfig, at: Callable[[float, bool], Game], strong: Game | None = None) -> Game:
    """Bets at both levels; at one where the settings have no narrower tolerance for the other.

    Args:
        detect: the settings.
        at: makes the bets at a tolerance, on small changes alone where that is asked.
        strong: those at ``tolerance``, where they are made already.
    """
    bets = at(detect.tolerance, False) if strong is None else strong
    if not has_early(detect):
        return bets
    return TwoLevels(bets, at(detect.early_tolerance, True))


def has_early(detect: DetectConfig) -> bool:
    """Whether the settings have a narrower tolerance for early evidence."""
    return detect.early_tolerance < detect.tolerance


def days_of(slot: Slot, config: ModelConfig, baseline: Baseline) -> Days:
    """The days of the baseline's windows, where the model's users live."""
    starts = baseline.starts_of(slot.window_s)
    return Days.of(starts, calendar=Calendar(config.timezone))


def _served(baseline: Baseline) -> bool:
    """Whether the baseline's rows are calls of a service: training rows have neither durations nor errors."""
    i = baseline.spec.index(Role.DURATION)
    return i is not None and bool(baseline.counts.field(i)[: baseline.spec.fields[i].ordered].any())


def _failed(baseline: Baseline) -> bool:
    """Whether any of the baseline's rows is an error: then all of them say whether they are."""
    errors = baseline.counts.field(0)
    succeeded = errors[0]
    return bool(errors.sum() > succeeded)


def sum_of(windows: Ints | None, layout: Layout) -> Ints:
    """All rows of the windows that were learned live: they are the baseline."""
    total: Ints = np.zeros(layout.cells, dtype=np.int64) if windows is None else windows.sum(axis=0)
    return total


def _cells(window: Window) -> Ints:
    return window.counts.array
