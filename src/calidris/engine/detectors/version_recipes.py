"""Detectors of one version against another that serves beside it: a canary, a challenger, a shadow. They need no baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import Ints
from calidris.config import ModelConfig
from calidris.detect import Change, Game, Layout, Slot, group_bets, version_bets, version_counts
from calidris.detect.bets.losses import error_counts, loss_counts, watched_losses
from calidris.detect.evidence.day_blocks import Days
from calidris.engine.detectors.label_recipes import age_bucket
from calidris.engine.detectors.recipes import Recipe
from calidris.engine.panes.pane import Window
from calidris.state import CountsState, Spec

_COLUMNS = {
    "score": semconv.ML_PREDICTION_SCORE,
    "decision": semconv.ML_PREDICTION_CLASS,
    "value": semconv.ML_PREDICTION_VALUE,
    "duration": semconv.ML_PREDICTION_DURATION,
}
_UNIT = 1 << 30


def version_recipe(slot: Slot, config: ModelConfig, baseline: Baseline) -> Recipe | None:
    """The recipe of a comparison; None where the model has no such column."""
    canary = config.canary
    assert canary is not None, "its slots are made from it"
    sides, least = (canary.version, canary.against), config.detect.minimum_rows
    if slot.reference == "errors":
        return _rates(slot, config, ("answered", "failed"), _failed, 0.0)
    if slot.reference == "accuracy":
        if not any(loss.name == "accuracy" for loss in watched_losses(baseline.spec)):
            return None
        delay = age_bucket(config)
        return _rates(slot, config, ("wrong", "right"), lambda window: _right(window, delay), config.detect.label_age)
    name = _COLUMNS[slot.reference]
    field = next((f for f in baseline.spec.fields if f.name == name), None)
    if field is None:
        return None

    def game(windows: Ints | None, _days: Days | None) -> Game:
        return version_bets(field, *sides, windows, tolerance=canary.tolerance, minimum_rows=least)

    def pair(window: Window, other: Window) -> Ints | None:
        theirs = _column_in(window.counts.spec, other.counts, name)
        return None if theirs is None else version_counts(name, window.counts, theirs)

    return Recipe(slot, game(None, None).layout, _alone, game, None, learns=False, pair=pair)


def _column_in(spec: Spec, counts: CountsState, name: str) -> CountsState | None:
    """Counts of one column as another spec has them; None where it has other cells there, as bins that were learned apart."""
    mine = counts.spec
    if spec.hash == mine.hash:
        return counts
    here, there = ([f.name for f in one.fields].index(name) if _has(one, name) else -1 for one in (mine, spec))
    if min(here, there) < 0 or mine.fields[here] != spec.fields[there]:
        return None
    out = CountsState(spec)
    begin, end = spec.offsets[there : there + 2]
    out.array[begin:end] = counts.field(here)
    return out


def _has(spec: Spec, name: str) -> bool:
    return any(f.name == name for f in spec.fields)


def _rates(
    slot: Slot, config: ModelConfig, words: tuple[str, str], feed: Callable[[Window], Ints], age_s: float
) -> Recipe:
    """How often something happens to either version: ``feed`` gives int64[2], no and yes."""
    canary = config.canary
    assert canary is not None, "its slots are made from it"
    sides = (canary.version, canary.against)

    def game(windows: Ints | None, _days: Days | None, recovered: str | None = None) -> Game:
        least = config.detect.minimum_rows
        return group_bets(sides, words, windows, tolerance=canary.tolerance, recovered=recovered, minimum_rows=least)

    def back(_game: Game, changes: Sequence[Change], _counts: Ints, _learned: Ints | None) -> Game:
        return game(None, None, changes[0].direction)

    def pair(window: Window, other: Window) -> Ints:
        both: Ints = np.concatenate([feed(window), feed(other)])
        return both

    layout: Layout = game(None, None).layout
    return Recipe(slot, layout, _alone, game, None, learns=False, age_s=age_s, back=back, pair=pair)


def _failed(window: Window) -> Ints:
    rows, failed = error_counts(window.counts).tolist()
    return np.array([rows - failed // _UNIT, failed // _UNIT], dtype=np.int64)


def _right(window: Window, delay: int) -> Ints:
    names = [loss.name for loss in watched_losses(window.labels.losses.spec)]
    assert names[0] == "accuracy", "the first loss of every task with classes"
    rows, wrong = loss_counts(window.labels.losses, delay)[:2].tolist()
    return np.array([wrong // _UNIT, rows - wrong // _UNIT], dtype=np.int64)


def _alone(_window: Window) -> Ints:
    raise AssertionError("a comparison is fed with two windows")
