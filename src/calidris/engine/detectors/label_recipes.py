"""Detectors of what labels say: performance, calibration, fairness. A window is scored once, at a fixed age of its labels.

Labels come late. A window of predictions is scored once, when every row in it is older than a fixed age, and only labels
that came within that age count: ``delay`` is the last bucket of ``DELAY_EDGES_S`` that does. Whatever arrived today must
not be fed instead: the faster class arrives first and looks like a change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

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
from calidris.engine.detectors.recipes import Recipe, days_of
from calidris.state import GroupsState, TableState
from calidris.state.blocks.labelled import LabelTables
from calidris.state.blocks.table_state import DELAY_EDGES_S

_T = TypeVar("_T", bound=TableState)


def label_recipe(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe | None:
    """The recipe of a slot that labels feed; None where the baseline's own labels are none or too few."""
    if not baseline.labels.count:
        return None
    make = {Alert.PERFORMANCE: _performance, Alert.CALIBRATION: _calibration, Alert.FAIRNESS: _fairness}[slot.kind]
    return make(slot, config, baseline)


def age_bucket(config: ModelConfig) -> int:
    """The last delay bucket whose labels count at the fixed age."""
    return DELAY_EDGES_S.index(config.detect.label_age)


def _performance(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe | None:
    detect, delay, losses = config.detect, age_bucket(config), watched_losses(baseline.spec)
    if not losses:
        return None
    known = loss_counts(baseline.labels.losses, delay)

    def game(windows: Ints | None, days: Days | None) -> Game:
        def at(margin: float) -> Game:
            return loss_bets(
                losses, known, windows, delta=detect.delta, tolerance=0.0, margin=margin,
                minimum_rows=detect.minimum_rows, former_tolerance=detect.tolerance, days=days,
            )  # fmt: skip

        strong, early = detect.loss_tolerance, detect.early_loss_tolerance
        return TwoLevels(at(strong), at(early)) if early < strong else at(strong)

    def back(game: Game, _changes: Sequence[Change], _counts: Ints) -> Game:
        margin = game.margin if isinstance(game, LossBets) else detect.loss_tolerance
        return loss_bets(
            losses, known, None, delta=detect.delta, tolerance=0.0, margin=margin, side="recovered",
            minimum_rows=detect.minimum_rows,
        )  # fmt: skip

    spread = _spread(baseline, slot, type(baseline.labels.losses), lambda state: loss_counts(state, delay))
    return Recipe(
        slot, layout_of(losses), lambda window: loss_counts(window.labels.losses, delay), game, spread,
        days_of(slot, baseline), age_s=detect.label_age, back=back,
    )  # fmt: skip


def _calibration(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe | None:
    detect, delay, spec = config.detect, age_bucket(config), baseline.spec
    known = calibration_counts(baseline.scores, delay)

    def game(windows: Ints | None, days: Days | None, recovered: str | None = None) -> Game:
        return reliability_bets(
            spec, known, windows, delta=detect.delta, tolerance=detect.calibration_tolerance, recovered=recovered,
            minimum_rows=detect.minimum_rows, days=days,
        )  # fmt: skip

    def back(_game: Game, changes: Sequence[Change], _counts: Ints) -> Game:
        return game(None, None, changes[0].direction)

    try:
        game(None, None)
    except ValueError:  # too few labelled rows for a map from scores to outcomes
        return None
    spread = _spread(baseline, slot, type(baseline.scores), lambda state: calibration_counts(state, delay))
    return Recipe(
        slot, calibration_layout(spec), lambda window: calibration_counts(window.scores, delay), game, spread,
        days_of(slot, baseline), age_s=detect.label_age, back=back,
    )  # fmt: skip


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

    def back(_game: Game, changes: Sequence[Change], _counts: Ints) -> Game:
        return game(None, None, changes[0].direction)

    spread = _spread(baseline, slot, GroupsState, counts)
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


def _spread(baseline: Baseline, slot: Slot, kind: type[_T], feed: Callable[[_T], Ints]) -> Ints | None:
    """The feed of each of the baseline's windows, int64[W, cells]; None where they are too few or have no labels."""
    windows = baseline.labels_of(slot.window_s)
    return None if windows is None else np.array(list(_fed(kind, windows, feed)), dtype=np.int64)


def _fed(kind: type[_T], windows: Iterable[LabelTables], feed: Callable[[_T], Ints]) -> Iterable[Ints]:
    """One dense state serves all windows: making one for each would take longer than all the rest."""
    state: _T | None = None
    for tables in windows:
        table = tables.table(kind)
        state = kind(tables.spec) if state is None else state
        table.add_to(state)
        yield feed(state)
        state.cells[table.cells] = 0
