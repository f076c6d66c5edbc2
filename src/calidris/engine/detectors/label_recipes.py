"""Detectors of what labels say: performance, calibration, fairness. A window is scored once, at a fixed age of its labels.

Labels come late. A window of predictions is scored once, when every row in it is older than a fixed age, and only labels
that came within that age count: ``delay`` is the last bucket of ``DELAY_EDGES_S`` that does. Whatever arrived today must
not be fed instead: the faster class arrives first and looks like a change.

A baseline that does not say when its labels came has all of them, whatever their age, and live windows have those of one age: to
compare the two takes what has not changed for a change. So without label times live windows are learned first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from calidris.baseline import Baseline
from calidris.batch import Ints
from calidris.config import ModelConfig
from calidris.detect import Alert, Change, Game, Slot, group_bets, loss_bets, reliability_bets
from calidris.detect.bets.calibration import calibration_counts
from calidris.detect.bets.calibration import layout_of as calibration_layout
from calidris.detect.bets.groups import group_counts, level_names
from calidris.detect.bets.loss_game import LossBets
from calidris.detect.bets.losses import layout_of, loss_counts, watched_losses
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.levels import TwoLevels
from calidris.engine.detectors.delay_recipes import make_delay_recipe
from calidris.engine.detectors.recipes import MakeGame, Recipe, TooFewLearned, days_of, sum_of
from calidris.state import GroupsState, TableState
from calidris.state.blocks.labelled import LabelTables
from calidris.state.blocks.table_state import DELAY_EDGES_S

_T = TypeVar("_T", bound=TableState)


def label_recipe(slot: Slot, config: ModelConfig, baseline: Baseline, *, anew: bool = False) -> Recipe | None:
    """The recipe of a slot that labels feed; None where the baseline's own labels are none or too few.

    ``anew`` where live windows tell how labels come, whatever the baseline knows.
    """
    if not baseline.labels.count:
        return None
    if slot.kind is Alert.LABELS:
        return make_delay_recipe(slot, baseline, age_bucket(config), config, anew)
    make = {Alert.PERFORMANCE: _performance, Alert.CALIBRATION: _calibration, Alert.FAIRNESS: _fairness}[slot.kind]
    return make(slot, config, baseline)


def age_bucket(config: ModelConfig) -> int:
    """The last delay bucket whose labels count at the fixed age."""
    return DELAY_EDGES_S.index(config.detect.label_age)


def _performance(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe | None:
    detect, delay, losses = config.detect, age_bucket(config), watched_losses(baseline.spec)
    if not losses:
        return None
    layout, known = layout_of(losses), loss_counts(baseline.labels.losses, delay)

    def bets(rows: Ints, windows: Ints | None, days: Days | None) -> Game:
        def at(margin: float) -> Game:
            return loss_bets(
                losses, rows, windows, delta=detect.delta, tolerance=0.0, margin=margin,
                minimum_rows=detect.minimum_rows, former_tolerance=detect.tolerance, days=days,
            )  # fmt: skip

        strong, early = detect.loss_tolerance, detect.early_loss_tolerance
        return TwoLevels(at(strong), at(early)) if early < strong else at(strong)

    def game(windows: Ints | None, days: Days | None) -> Game:
        return bets(known if baseline.label_times else sum_of(windows, layout), windows, days)

    def back(game: Game, _changes: Sequence[Change], _counts: Ints, learned: Ints | None) -> Game:
        margin = game.margin if isinstance(game, LossBets) else detect.loss_tolerance
        rows = known if baseline.label_times or learned is None else sum_of(learned, layout)
        return loss_bets(
            losses, rows, None, delta=detect.delta, tolerance=0.0, margin=margin, side="recovered",
            minimum_rows=detect.minimum_rows,
        )  # fmt: skip

    made = Recipe(
        slot, layout, lambda window: loss_counts(window.labels.losses, delay), game, None, age_s=detect.label_age, back=back,
        both_levels=detect.early_loss_tolerance < detect.loss_tolerance,
    )  # fmt: skip
    spread = _Spread(config, baseline, slot, type(baseline.labels.losses), lambda state: loss_counts(state, delay))
    return spread.given_to(made, lambda windows, days: bets(known, windows, days))


def _calibration(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe | None:
    detect, delay, spec = config.detect, age_bucket(config), baseline.spec
    layout, known = calibration_layout(spec), calibration_counts(baseline.scores, delay)

    def bets(rows: Ints, windows: Ints | None, days: Days | None, recovered: str | None = None) -> Game:
        return reliability_bets(
            spec, rows, windows, delta=detect.delta, tolerance=detect.calibration_tolerance, recovered=recovered,
            minimum_rows=detect.minimum_rows, days=days,
        )  # fmt: skip

    def game(windows: Ints | None, days: Days | None) -> Game:
        if baseline.label_times:
            return bets(known, windows, days)
        try:
            return bets(sum_of(windows, layout), windows, days)
        except ValueError as error:
            raise TooFewLearned(str(error)) from error

    def back(_game: Game, changes: Sequence[Change], _counts: Ints, learned: Ints | None) -> Game:
        rows = known if baseline.label_times or learned is None else sum_of(learned, layout)
        return bets(rows, None, None, changes[0].direction)

    try:
        bets(known, None, None)
    except ValueError:  # too few labelled rows for a map from scores to outcomes
        return None
    made = Recipe(
        slot, layout, lambda window: calibration_counts(window.scores, delay), game, None, age_s=detect.label_age, back=back
    )  # fmt: skip
    spread = _Spread(config, baseline, slot, type(baseline.scores), lambda state: calibration_counts(state, delay))
    return spread.given_to(made, lambda windows, days: bets(known, windows, days))


def _fairness(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe | None:
    """Groups against each other, so that no baseline is needed but for the spread of its windows."""
    fairness, delay, spec = config.fairness, age_bucket(config), baseline.spec
    if fairness is None or fairness.attribute not in {s.name for s in spec.slices}:
        return None
    attribute, measure, least = fairness.attribute, slot.reference, config.detect.minimum_rows
    groups = [f"{attribute}={level}" for level in level_names(spec, attribute)]

    def game(windows: Ints | None, _days: Days | None, recovered: str | None = None) -> Game:
        return group_bets(
            groups, _WORDS[measure], windows, tolerance=fairness.tolerance, recovered=recovered, minimum_rows=least
        )

    def counts(state: GroupsState) -> Ints:
        return group_counts(state, attribute, measure, delay)

    def back(_game: Game, changes: Sequence[Change], _counts: Ints, _learned: Ints | None) -> Game:
        return game(None, None, changes[0].direction)

    spread = _Spread(config, baseline, slot, GroupsState, counts).windows()
    return Recipe(
        slot, game(None, None).layout, lambda window: counts(window.labels.groups), game, spread, learns=False,
        age_s=config.detect.label_age, back=back,
    )  # fmt: skip


_WORDS = {
    "demographic_parity": ("decided negative", "decided positive"),
    "equal_opportunity": ("missed", "found"),
    "false_positive_rate": ("passed", "false alarm"),
    "accuracy": ("wrong", "right"),
}
"""What "no" and "yes" are called in an alarm."""


@dataclass(frozen=True)
class _Spread(Generic[_T]):
    """The baseline's own windows as one detector is fed with them."""

    config: ModelConfig
    baseline: Baseline
    slot: Slot
    kind: type[_T]
    feed: Callable[[_T], Ints]

    def windows(self) -> Ints | None:
        """The feed of each, int64[W, cells]; None where they are too few or have no labels."""
        windows = self.baseline.labels_of(self.slot.window_s)
        if windows is None:
            return None
        return np.array(list(_fed(self.kind, windows, self.feed)), dtype=np.int64)

    def given_to(self, made: Recipe, bets: MakeGame) -> Recipe:
        """The recipe with the baseline's windows; without them where these may hold labels that live windows have not yet."""
        days = days_of(self.slot, self.config, self.baseline)
        if self.baseline.label_times:
            return replace(made, spread=self.windows(), days=days)
        if self.baseline.label_times is None:
            return replace(made, former=lambda: bets(self.windows(), days))
        return made


def _fed(kind: type[_T], windows: Iterable[LabelTables], feed: Callable[[_T], Ints]) -> Iterable[Ints]:
    """One dense state serves all windows: making one for each would take longer than all the rest."""
    state: _T | None = None
    for tables in windows:
        table = tables.table(kind)
        state = kind(tables.spec) if state is None else state
        table.add_to(state)
        yield feed(state)
        state.cells[table.cells] = 0
