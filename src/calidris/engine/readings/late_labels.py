"""Labels that come late: figures at a fixed age, figures adjusted for labels still to come, and how long labels take.

``arrived`` is of the newest window, with whatever labels are in. The others need rows of some age, and so are of an earlier
window of the same length: ``fixed_age`` of the newest one that is as old as ``detect.label_age`` (the one that alarms
are about), ``delay_adjusted`` of the newest one that is an hour old, the shortest delay that is told apart, ``complete`` of the
newest one whose rows are so old that nearly all labels are in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from calidris import semconv
from calidris.config.units import window_name
from calidris.engine.model import WatchedModel
from calidris.engine.panes.label_totals import added, counted_cohort, scored_cohort, uncut, whole_labels
from calidris.engine.panes.pane import Pane, PaneKey
from calidris.engine.readings.labels import HEADLINE, label_readings, standard_measures
from calidris.metrics.base import Reading, Status
from calidris.metrics.labels.late_label_readings import adjusted_calibration, adjusted_performance, delay_readings
from calidris.metrics.labels.maturity import Cohort, Reporting, delay_adjusted, find_settled_age_s, reporting
from calidris.metrics.performance.confusion import Performance
from calidris.metrics.performance.decisions import RANKED, threshold_decides
from calidris.metrics.performance.performance_measures import score_reading
from calidris.state.blocks.labelled import LabelStates
from calidris.state.blocks.table_state import DELAY_EDGES_S
from calidris.state.effective import effective_labels

YOUNGEST_S = DELAY_EDGES_S[0]
"""Rows younger than the shortest delay tell nothing about delays."""

COMPLETE = semconv.ML_LABEL_MATURITY_COMPLETE

Panes = list[tuple[PaneKey, Pane]]


@dataclass(frozen=True)
class Aged:
    """The newest window of a length whose rows are all of some age, and whether it can be taken as it stands."""

    panes: Panes
    how: Status


@dataclass(frozen=True)
class Late:
    """What the rows that windows need say about delays, once for all windows of a model.

    Attributes:
        model: whose panes they are.
        newest_ns: end of the newest sealed step.
        now_ns: until when the journal is sealed: what ages are reckoned from.
        scored: scored rows of all panes, by how many delay buckets they are old enough for.
        counted: likewise all labelled rows, by delay only.
        known: the delay distribution of each class.
    """

    model: WatchedModel
    newest_ns: int
    now_ns: int
    scored: tuple[Cohort, ...]
    counted: tuple[Cohort, ...]
    known: Reporting
    _matured: dict[float, tuple[LabelStates, Status] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, model: WatchedModel, newest_ns: int, now_ns: int) -> Late | None:
        """What is known when the journal is sealed until ``now_ns``; None where no label ever came."""
        if not model.labels:
            return None
        now_ns = max(now_ns, newest_ns)
        parts = _by_age(model, _own(model, model.needed_since_ns(now_ns), newest_ns), now_ns)
        scored = tuple(scored_cohort(*part) for part in parts)
        return cls(model, newest_ns, now_ns, scored, tuple(counted_cohort(*p) for p in parts), reporting(scored))

    def readings(self, window_s: float) -> Iterator[Reading]:
        """Figures of the two earlier windows of a length."""
        aged, young = self.matured(window_s), self.aged(window_s, YOUNGEST_S)
        if aged is not None:
            yield from _marked(self._fixed_age(aged[0], window_s), aged[1])
        if young is not None and self.model.config.task != semconv.ML_MODEL_TASK_REGRESSION:
            yield from _marked(self._adjusted(young, window_s), young.how)
        yield from self._complete(window_s)

    def aged(self, window_s: float, age_s: float) -> Aged | None:
        """The newest window whose rows are all of an age; None where its steps may be rolled up."""
        step = self.model.config.step_ns
        end = min(self.newest_ns, (self.now_ns - round(age_s * 1e9)) // step * step)
        begin = end - round(window_s * 1e9)
        if begin < self.model.needed_since_ns(self.now_ns):
            return None
        found = self.model.panes_in(begin, end)
        return Aged(_own_of(self.model, found), self.model.judge_window(found, begin).status)

    def matured(self, window_s: float) -> tuple[LabelStates, Status] | None:
        """Labelled rows of the newest window whose labels are of age; None where its steps may be rolled up."""
        if window_s not in self._matured:
            aged = self.aged(window_s, self.model.config.detect.label_age)
            labels = (pane.labels for _, pane in aged.panes) if aged else ()
            found = None if aged is None else effective_labels(whole_labels(self.model.spec, labels))
            self._matured[window_s] = None if aged is None or found is None else (found, aged.how)
        return self._matured[window_s]

    @cached_property
    def settled_age_s(self) -> float | None:
        """Age from which nearly all labels of the model's rows are in; None where it cannot be said yet."""
        if self.model.spec.task == semconv.ML_MODEL_TASK_REGRESSION:
            known = reporting(self.counted)
            return find_settled_age_s(self.counted, known, outcomes=(1,))
        return find_settled_age_s(self.scored, self.known)

    def delays(self) -> list[Reading]:
        """How long labels take, of the rows that windows need; its window is the model's longest."""
        return delay_readings(self.counted, window_name(max(self.model.config.all_windows_s)))

    def _fixed_age(self, labels: LabelStates, window_s: float) -> list[Reading]:
        age = semconv.ML_LABEL_MATURITY_FIXED_AGE
        return label_readings(uncut(self.model.spec), labels, window_name(window_s), age, delay=age_bucket(self.model))

    def _complete(self, window_s: float) -> list[Reading]:
        """Of the newest window of settled rows; where nobody can say from when they are, a figure that says so."""
        spec, window = uncut(self.model.spec), window_name(window_s)
        age_s = self.settled_age_s
        settled = None if age_s is None else self.aged(window_s, age_s)
        if settled is not None:
            labels = effective_labels(whole_labels(self.model.spec, (pane.labels for _, pane in settled.panes)))
            found = label_readings(spec, labels, window, COMPLETE)
            return _marked(found, settled.how)
        if spec.task not in HEADLINE:
            return []
        nothing = Performance(0.0, 0)
        return [score_reading(HEADLINE[spec.task], nothing, window, COMPLETE, status=Status.TOO_FEW)]

    def _adjusted(self, young: Aged, window_s: float) -> list[Reading]:
        spec, window = uncut(self.model.spec), window_name(window_s)
        parts = _by_age(self.model, young.panes, self.now_ns)
        found = [scored_cohort(*part) for part in parts]
        adjusted = delay_adjusted(found, self.known) if found else None
        measures, labels = standard_measures(spec), added(self.model.spec, (labels for _, _, labels in parts))
        binary = spec.task == semconv.ML_MODEL_TASK_BINARY  # several classes have no table of two by two
        if binary and not threshold_decides(labels.groups.confusion(), labels.scores.bins(), spec):
            measures = tuple(m for m in measures if m in RANKED)  # weights are those of scores, not of decisions
        figures = adjusted_calibration(adjusted, spec, window) + adjusted_performance(
            adjusted, spec, window, measures=measures
        )
        # Rows that have weights of their own would need both at once.
        return _marked(figures, Status.UNDEFINED if self.model.weighted else Status.OK)


def age_bucket(model: WatchedModel) -> int:
    """The last delay bucket whose labels count at the fixed age."""
    return DELAY_EDGES_S.index(model.config.detect.label_age)


def _own(model: WatchedModel, start_ns: int, end_ns: int) -> Panes:
    """Panes that are counted as rows are counted now."""
    return _own_of(model, model.panes_in(start_ns, end_ns))


def _own_of(model: WatchedModel, panes: Panes) -> Panes:
    return [(k, p) for k, p in panes if model.specs[k.spec] == model.spec]


def _by_age(model: WatchedModel, panes: Panes, now_ns: int) -> list[tuple[float, int, LabelStates]]:
    """Age, rows and labels of the panes that are old enough for the same delay buckets, youngest first."""
    step, by_complete = model.config.step_ns, dict[int, list[tuple[float, Pane]]]()
    for key, pane in panes:
        age_s = max(now_ns - key.start_ns - key.length_ns(step), 0) / 1e9  # of its youngest rows
        complete = int(np.searchsorted(DELAY_EDGES_S, age_s, side="right"))
        by_complete.setdefault(complete, []).append((age_s, pane))
    return [_together(model, found) for _, found in sorted(by_complete.items())]


def _together(model: WatchedModel, panes: list[tuple[float, Pane]]) -> tuple[float, int, LabelStates]:
    labels = whole_labels(model.spec, (pane.labels for _, pane in panes))
    return min(age for age, _ in panes), sum(pane.counts.count for _, pane in panes), labels


def _marked(readings: list[Reading], how: Status) -> list[Reading]:
    return readings if how is Status.OK else [r.marked(how) for r in readings]
