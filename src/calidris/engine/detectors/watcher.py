"""Watch one model version: sealed windows go to the detectors, each exactly once and in order; alarms come out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from calidris.baseline import Baseline
from calidris.batch import Ints
from calidris.config import ModelConfig
from calidris.config.units import window_name
from calidris.detect import Alert, Slot, Verdict
from calidris.engine.detectors.budgets import budget_of
from calidris.engine.detectors.label_recipes import label_recipe
from calidris.engine.detectors.recipes import Recipe, recipe
from calidris.engine.detectors.slot import SlotWatcher
from calidris.engine.detectors.thresholds import KIND, threshold_alarm, thresholds_of
from calidris.engine.detectors.version_recipes import version_recipe
from calidris.engine.model import WatchedModel
from calidris.engine.panes.arrivals import stand_in
from calidris.engine.panes.pane import Window, merge_panes
from calidris.engine.readings.day_trend import note_day
from calidris.engine.readings.window import window_readings
from calidris.engine.snapshot import Alarm, NamedFeature, WindowPoint
from calidris.state import Role

HISTORY = 500
"""Sealed windows that are kept for lines in reports and terminals."""
LABEL_FED = frozenset({Alert.PERFORMANCE, Alert.CALIBRATION, Alert.FAIRNESS})


@dataclass(slots=True)
class Sealed:
    """What one seal brought: alarms that were raised, and slots in which everything that an alarm named has come back."""

    other: WatchedModel | None = None
    raised: list[Alarm] = field(default_factory=list)
    recovered: list[Slot] = field(default_factory=list)


class Watcher:
    """All detectors of one model version, sharing one false-alarm budget.

    Args:
        config: the user's settings.
        baseline: what windows are compared with; None before there is one.
        version: which one it watches.
    """

    def __init__(self, config: ModelConfig, baseline: Baseline | None, version: str = "") -> None:
        self.config = config
        self.version = version
        self.baseline = baseline
        self.budget = budget_of(config)
        self.limits = thresholds_of(config)
        self.history: deque[WindowPoint] = deque(maxlen=HISTORY)
        self.slots: dict[Slot, SlotWatcher] = {}
        if baseline is not None:
            self.adopt(baseline)

    def adopt(self, baseline: Baseline) -> None:
        """Begin anew against a baseline: evidence against another one means nothing here.

        A provisional baseline is compared with and never alarms, so nothing watches against it.
        """
        self.baseline = baseline
        made = {} if baseline.provisional else {slot: self._recipe(slot, baseline) for slot in self.budget.slots}
        self.slots = {
            slot: SlotWatcher(found, self.config, self.budget.threshold(slot))
            for slot, found in made.items()
            if found is not None
        }

    def _recipe(self, slot: Slot, baseline: Baseline) -> Recipe | None:
        if slot.kind is Alert.VERSIONS:
            mine = self.config.canary is not None and self.config.canary.version == self.version
            return version_recipe(slot, self.config, baseline) if mine else None
        make = label_recipe if slot.kind in LABEL_FED else recipe
        return make(slot, self.config, baseline)

    def take_over(self, other: Watcher) -> None:
        """Go on with another version's evidence on features. That on scores, decisions and labels is the other version's own.

        Nothing happens where the two are compared with different baselines or by different settings.
        """
        if self.baseline is None or other.baseline is None or self.baseline.id != other.baseline.id:
            return
        features = {f.name for f in self.baseline.spec.fields if f.role is Role.FEATURE}
        for slot, watch in self.slots.items():
            theirs = other.slots.get(slot)
            if slot.kind is Alert.DRIFT and slot.reference == "frozen" and theirs is not None:
                watch.take_over(theirs, features)

    def seal(
        self, model: WatchedModel, after_ns: int, until_ns: int, next_id: int, other: WatchedModel | None = None
    ) -> Sealed:
        """Take every window that ends in ``(after_ns, until_ns]``, and every one whose labels have come of age since.

        ``other`` is the version that this one is compared with.
        """
        out = Sealed(other=other)
        for window_s in self.config.all_windows_s:
            length = round(window_s * 1e9)
            for start, window in _windows(model, after_ns, until_ns, length):
                verdicts = self._score(model, window, window_s, start, 0.0, out, next_id)
                self._limit(model, window, window_s, start, out, next_id)
                self._remember(window_s, start + length, window, verdicts.get(Slot(Alert.DRIFT, window_s)))
                if length == model.config.step_ns:
                    model.newest_sealed_ns = max(model.newest_sealed_ns, start + length)
                model.touch()
        for window_s, age_s in sorted({(s.window_s, w.recipe.age_s) for s, w in self.slots.items() if w.recipe.age_s}):
            age = round(age_s * 1e9)
            for start, window in _windows(model, after_ns - age, until_ns - age, round(window_s * 1e9)):
                self._score(model, window, window_s, start, age_s, out, next_id)
        note_day(model.days, model, after_ns, until_ns)
        return out

    def _limit(
        self, model: WatchedModel, window: Window, window_s: float, start_ns: int, out: Sealed, next_id: int
    ) -> None:
        """Hold one window's figures against the fixed limits on windows of its length."""
        limits = [limit for limit in self.limits if limit.window_s == window_s]
        readings = list(window_readings(self.config, self.baseline, window, window_s)) if limits else []
        for limit in limits:
            found = limit.take(readings, start_ns)
            if found:
                number = next_id + len(out.raised)
                end_ns = start_ns + round(window_s * 1e9)
                out.raised.append(threshold_alarm(limit, found, model.key, number, end_ns, window.trace_ids))

    def _score(
        self,
        model: WatchedModel,
        window: Window,
        window_s: float,
        start_ns: int,
        age_s: float,
        out: Sealed,
        next_id: int,
    ) -> dict[Slot, Verdict | None]:
        """Feed one window to the detectors of its length and age."""
        verdicts: dict[Slot, Verdict | None] = {}
        for slot, watch in self.slots.items():
            if (slot.window_s, watch.recipe.age_s) != (window_s, age_s):
                continue
            counts = _counts(watch.recipe, window, start_ns, out.other)
            if counts is not None and slot.kind is Alert.DRIFT:
                counts = self._without_absent(model, counts, start_ns)
            if counts is None or not watch.recipe.layout.rows(counts):  # silence is no evidence
                continue
            if watch.recovers(counts, start_ns):
                out.recovered.append(slot)
            verdicts[slot] = verdict = watch.take(counts, start_ns)
            if verdict is not None and verdict.opened:
                raised_ns = start_ns + round((window_s + age_s) * 1e9)
                out.raised.append(self._alarm(model, watch, verdict, raised_ns, window, next_id + len(out.raised)))
            model.touch()
        return verdicts

    def _without_absent(self, model: WatchedModel, counts: Ints, start_ns: int) -> Ints:
        """Counts in which features that never came are no evidence."""
        absent = model.absent_in(start_ns)
        if not absent or self.baseline is None:
            return counts
        return stand_in(self.baseline.counts, counts, absent)

    def _alarm(
        self, model: WatchedModel, watch: SlotWatcher, verdict: Verdict, raised_ns: int, window: Window, number: int
    ) -> Alarm:
        run, slot = watch.end_run(), watch.recipe.slot
        assert self.baseline is not None, "slots are made from one"
        return Alarm(
            id=number,
            model=model.key,
            kind=slot.kind.value,
            window=window_name(slot.window_s),
            raised_ns=raised_ns,
            since_ns=run.since_ns,
            windows=run.windows,
            n=run.rows,
            evidence=verdict.evidence,
            features=tuple(NamedFeature(c.field, c.direction, c.evidence) for c in verdict.changes),
            baseline=self.baseline.id,
            budget=self.config.detect.budget,
            trace_ids=window.trace_ids,
            reference=slot.reference,
        )

    def _remember(self, window_s: float, end_ns: int, window: Window, verdict: Verdict | None) -> None:
        point = WindowPoint(window_name(window_s), end_ns, window.counts.count, None, None, False)
        if verdict is not None and verdict.scored:
            top = max(verdict.fields, key=lambda name: verdict.fields[name], default="")
            shown = top if verdict.fields.get(top, 0.0) > 0 else None
            point = WindowPoint(point.window, end_ns, point.rows, verdict.evidence, shown, verdict.opened)
        self.history.append(point)

    def slot_of(self, alarm: Alarm) -> Slot | None:
        """The detector that raised an alarm; None where the settings no longer have it."""
        return next((s for s in self.slots if alarm.is_of(s.kind.value, window_name(s.window_s), s.reference)), None)

    def clear(self, alarm: Alarm) -> None:
        """End an alarm; its detector's evidence starts from nothing."""
        slot = self.slot_of(alarm)
        if slot is not None:
            self.slots[slot].clear()
        for limit in self.limits:
            if alarm.kind == KIND and limit.reference == alarm.reference:
                limit.clear()


def _counts(made: Recipe, window: Window, start_ns: int, other: WatchedModel | None) -> Ints | None:
    """What a detector is fed with; None where it compares two versions and the other one is not there."""
    if made.pair is None:
        return made.counts(window)
    spec = window.counts.spec
    if other is None or not other.specs or other.spec.hash != spec.hash:
        return None
    length = round(made.slot.window_s * 1e9)
    return made.pair(window, merge_panes(spec, (p for _, p in other.panes_in(start_ns, start_ns + length))))


def _windows(model: WatchedModel, after_ns: int, until_ns: int, length_ns: int) -> Iterator[tuple[int, Window]]:
    """Begin and rows of every window with rows that ends in ``(after_ns, until_ns]``, oldest first."""
    for start in model.windows_between(after_ns, until_ns, length_ns):
        yield start, merge_panes(model.spec, (p for _, p in model.panes_in(start, start + length_ns)))
