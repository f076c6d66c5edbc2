"""Detectors of the labels themselves: whether they come as late as they did. While they do not, what they say of a model is not judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import Ints
from calidris.config import ModelConfig
from calidris.config.detection import DetectConfig
from calidris.detect import Change, Game, Slot
from calidris.detect.bets.losses import Loss, layout_of
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.label_delays import (
    back_bets,
    coverage_counts,
    coverage_events,
    delay_counts,
    delay_events,
    moved_bets,
)
from calidris.engine.detectors.budgets import COVERAGE
from calidris.engine.detectors.recipes import Recipe, days_of, sum_of
from calidris.engine.panes.label_totals import labels_by_delay, whole_labels
from calidris.engine.panes.pane import Window
from calidris.state import Spec, class_names
from calidris.state.blocks.labelled import LabelStates


def make_delay_recipe(
    slot: Slot,
    baseline: Baseline,
    last: int,
    config: ModelConfig,
    anew: bool = False,
) -> Recipe | None:
    """The recipe of a detector of labels; None where the age is the shortest delay that is told apart.

    Args:
        slot: its place in the budget; its reference says what is watched.
        baseline: with labels.
        last: the delay bucket that ends at the age.
        config: the model's settings.
        anew: live windows tell how labels come, whatever the baseline knows.
    """
    if slot.reference == COVERAGE:
        return _watch_coverage(slot, last, config.detect)
    return _watch_delays(slot, baseline, last, config, anew or not baseline.label_times) if last else None


def _watch_coverage(slot: Slot, last: int, detect: DetectConfig) -> Recipe:
    """How many rows have a label at the age. Live windows alone tell: a file may hold labelled rows and no others."""

    def counts(window: Window) -> Ints:
        by_delay = labels_by_delay(window.labels)
        labelled = int(by_delay[: last + 1].sum())
        return coverage_counts(window.counts.count, labelled)

    watch = _Watch(coverage_events(last), detect)
    made = watch.make_recipe(slot, counts)
    # Of windows from before the first label a later one would be news for ever.
    return replace(made, teaches=_has_labels)


def _has_labels(counts: Ints) -> bool:
    return bool(counts[1])


def _watch_delays(
    slot: Slot,
    baseline: Baseline,
    last: int,
    config: ModelConfig,
    live: bool,
) -> Recipe:
    """How late the labels of each outcome are, of those that come by the age; from the baseline where it knows."""

    def counts(window: Window) -> Ints:
        labelled = _count_labelled(window.labels, last)
        return delay_counts(labelled)

    events = delay_events(_name_outcomes(baseline.spec), last)
    if live:
        return _Watch(events, config.detect).make_recipe(slot, counts)
    known = delay_counts(_count_labelled(baseline.labels, last))
    watch = _Watch(events, config.detect, known)
    made = watch.make_recipe(slot, counts)
    days = days_of(slot, config, baseline)
    return replace(made, spread=_count_windows(slot, baseline, last), days=days)


def _count_windows(slot: Slot, baseline: Baseline, last: int) -> Ints | None:
    """What the baseline's own windows say, int64[W, cells]."""
    tables = baseline.labels_of(slot.window_s)
    if tables is None:
        return None
    found = []
    for one in tables:
        labels = whole_labels(baseline.spec, [one])
        labelled = _count_labelled(labels, last)
        found.append(delay_counts(labelled))
    return np.array(found, dtype=np.int64)


def _name_outcomes(spec: Spec) -> tuple[str, ...]:
    if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        return ("",)
    return class_names(spec)


def _count_labelled(labels: LabelStates, last: int) -> Ints:
    """Labelled rows by outcome and delay, int64[outcomes, buckets up to the age]."""
    groups = labels.groups
    if groups.spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        by_delay = labels_by_delay(labels)
        return by_delay[None, : last + 1]
    by_truth: Ints = groups.array[0].sum(axis=2)
    return by_truth.T[:, : last + 1]


@dataclass(frozen=True)
class _Watch:
    """What happens to labels, and how often it did; None where live windows have to tell."""

    events: Sequence[Loss]
    detect: DetectConfig
    known: Ints | None = None

    def make_recipe(self, slot: Slot, counts: Callable[[Window], Ints]) -> Recipe:
        """The recipe of a detector that is fed so."""
        return Recipe(
            slot,
            layout_of(self.events),
            counts,
            self.lay_bets,
            None,
            age_s=self.detect.label_age,
            back=self.lay_back,
        )

    def lay_bets(self, windows: Ints | None, days: Days | None) -> Game:
        """The bets, from windows from before any change."""
        return moved_bets(
            self.events,
            self._find_known(windows),
            windows,
            delta=self.detect.delta,
            tolerance=self.detect.tolerance,
            minimum_rows=self.detect.minimum_rows,
            days=days,
        )

    def lay_back(
        self,
        _game: Game,
        changes: Sequence[Change],
        _counts: Ints,
        learned: Ints | None,
    ) -> Game:
        """Bets that what an alarm named is as it was."""
        named = [change.field for change in changes]
        return back_bets(
            self.events,
            self._find_known(learned),
            named,
            delta=self.detect.delta,
            tolerance=self.detect.tolerance,
            minimum_rows=self.detect.minimum_rows,
        )

    def _find_known(self, windows: Ints | None) -> Ints:
        if self.known is not None:
            return self.known
        return sum_of(windows, layout_of(self.events))
