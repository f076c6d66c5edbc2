"""Watch one model version: sealed windows go to the detectors, each exactly once and in order; alarms come out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import Ints, ModelKey
from calidris.config import ModelConfig
from calidris.config.units import window_name
from calidris.detect import Alert, Slot, Verdict
from calidris.detect.levels import Level
from calidris.engine.alarms import AlarmBook, Failures
from calidris.engine.alarms.mending import Latch
from calidris.engine.alarms.provenance import stamp
from calidris.engine.detectors.budgets import budget_of
from calidris.engine.detectors.label_recipes import label_recipe
from calidris.engine.detectors.moved import MOST_WINDOWS, find_moved
from calidris.engine.detectors.recipes import SHARED, Recipe, carried_recipe, counts_calls_alike, recipe
from calidris.engine.detectors.slot import Renewed, Run, SlotWatcher
from calidris.engine.detectors.thresholds import KIND, ThresholdWatcher, threshold_alarm, thresholds_of
from calidris.engine.detectors.version_recipes import version_recipe
from calidris.engine.model import WatchedModel
from calidris.engine.panes.arrivals import stand_in
from calidris.engine.panes.pane import Window, merge_panes
from calidris.engine.readings.day_trend import note_day, note_traffic
from calidris.engine.readings.window import leave_out_absent, window_families
from calidris.engine.snapshot import Alarm, NamedFeature, WindowPoint
from calidris.metrics.base import Reading

SILENT_NS = 1_800_000_000_000
"""Without rows for half an hour, and for two windows, a live model is silent, as alerts on what is said of it have it."""
HISTORY = 500
"""Sealed windows that are kept for lines in reports and terminals."""
OF_SERVICE = frozenset({Alert.ERRORS, Alert.LATENCY})
"""What is watched of the calls themselves, which a new version answers in the place of the one before."""
HELD = frozenset({Alert.PERFORMANCE, Alert.CALIBRATION, Alert.FAIRNESS})
"""What labels of one age say of a model, which holds while these come at other times than they did."""
COMPARED = HELD - {Alert.FAIRNESS}
"""What is compared with the baseline's labels of that age; fairness compares groups with each other."""
LABEL_FED = HELD | {Alert.LABELS}


@dataclass(frozen=True, slots=True)
class Seal:
    """One seal of a model version: what it closes, and where alarms go while its windows are taken.

    Attributes:
        model: whose windows.
        after_ns: windows that end by then were closed before.
        until_ns: those that end by then are closed now.
        book: where an alarm is written down, in the same step in which its detector latches.
        silence_ns: how long no rows of the model have come.
        note_recovered: told of a slot when all that one of its standing alarms named has come back; 0 is the first alarm, else
            its number.
        other: the version that this one is compared with.
        shared: verdicts on the features of all versions, by length and begin of the window; none of a version that has its own.
    """

    model: WatchedModel
    after_ns: int
    until_ns: int
    book: AlarmBook
    silence_ns: int
    note_recovered: Callable[[Slot, int], None]
    other: WatchedModel | None = None
    shared: Mapping[tuple[float, int], Verdict] = field(default_factory=dict)

    def open(self, alarm: Alarm, window_s: float) -> None:
        """Write an alarm down, and whether it is about rows of before its model fell silent."""
        longest_ns = max(SILENT_NS, round(2e9 * window_s))
        told = replace(alarm, silent=self.silence_ns >= longest_ns)
        self.book.open(stamp(told, self.model.config))


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
        self.failures = Failures(f"{config.series_name}:{version}")
        self.history: deque[WindowPoint] = deque(maxlen=HISTORY)
        self.slots: dict[Slot, SlotWatcher] = {}
        self.carried: Baseline | None = (
            None  # what errors and latency are compared with, where that is another version's
        )
        self.relabelled = False  # whether live windows tell how labels come, by somebody's decision
        if baseline is not None:
            self.adopt(baseline)

    def adopt(self, baseline: Baseline) -> None:
        """Begin anew against a baseline: evidence against another one means nothing here.

        A provisional baseline is compared with and never alarms, so nothing watches against it.
        """
        self.baseline, self.carried, self.relabelled = baseline, None, False
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

    @property
    def features(self) -> frozenset[str]:
        """Names of the features of its baseline, and of relations of two of them."""
        spec = None if self.baseline is None else self.baseline.spec
        return frozenset() if spec is None else frozenset(f.name for f in spec.fields if f.role in SHARED)

    def leave_features(self) -> None:
        """Bet on features no longer: they are watched together with those of the other versions."""
        # Seasonal references learn from each version's own windows, and have a share of their own.
        for watch in filter(lambda one: frozen_drift(one.recipe.slot), self.slots.values()):
            watch.leave_out(self.features)

    def learn_service_anew(self) -> list[SlotWatcher]:
        """Begin anew with errors and latency, by its own baseline; the detectors that there were."""
        ended = self._of_service()
        assert self.baseline is not None, "slots are made from one"
        self.carried = None
        for slot in ended:
            made = self._recipe(slot, self.baseline)
            assert made is not None, "every baseline has errors and durations"
            self.slots[slot] = SlotWatcher(made, self.config, self.budget.threshold(slot))
        return list(ended.values())

    def learn_labels_anew(self) -> None:
        """Learn from live windows when labels come, and of how many rows: as they do now is ordinary."""
        self.relabelled = True
        for slot in [slot for slot in self.slots if slot.kind is Alert.LABELS]:
            assert self.baseline is not None, "slots are made from one"
            made = label_recipe(slot, self.config, self.baseline, anew=True)
            assert made is not None, "there is one already"
            self.slots[slot] = SlotWatcher(made, self.config, self.budget.threshold(slot))

    def _of_service(self) -> dict[Slot, SlotWatcher]:
        return {slot: watch for slot, watch in self.slots.items() if slot.kind in OF_SERVICE}

    def carry(self, base: Baseline) -> None:
        """Watch errors and latency against another version's baseline from here on; evidence begins anew."""
        self.carried = base
        for slot in self._of_service():
            made = carried_recipe(slot, self.config, base)
            assert made is not None, "every baseline has errors and durations"
            self.slots[slot] = SlotWatcher(made, self.config, self.budget.threshold(slot))

    def base_of(self, slot: Slot) -> Baseline | None:
        """What a detector compares with: its own baseline, or of errors and latency what the version before was compared with."""
        return self.carried if self.carried is not None and slot.kind in OF_SERVICE else self.baseline

    def take_over(self, other: Watcher) -> None:
        """Go on from the version before: with its evidence on features, and with all that its detectors of errors and of latency are.

        What they learned from live windows is what the new version is compared with, from its first window on: a bad first day is no
        baseline. So it is where each version has a baseline file of its own, as errors and durations are counted alike in all of
        them. Evidence on features goes on so only under one baseline (under several it is the model's world that keeps it); that on
        scores, decisions and labels is the other version's own.
        """
        if self.baseline is None or other.baseline is None:
            return
        self._succeed_in_service(other, other.carried or other.baseline)
        if other.relabelled:
            self._succeed_in_labels(other)
        if self.baseline.id != other.baseline.id:
            return
        for slot, watch in self.slots.items():
            theirs = other.slots.get(slot)
            if theirs is not None and frozen_drift(slot):
                watch.take_over(theirs, self.features)

    def _succeed_in_labels(self, other: Watcher) -> None:
        """Learn on how labels come where somebody had the version before learn it: whoever labels does so for all versions."""
        self.learn_labels_anew()
        for slot, watch in self.slots.items():
            theirs = other.slots.get(slot)
            if slot.kind is Alert.LABELS and theirs is not None and theirs.recipe.layout == watch.recipe.layout:
                watch.succeed(theirs)

    def _succeed_in_service(self, other: Watcher, base: Baseline) -> None:
        """Take over the detectors of errors and latency of the version before, whatever they are compared with."""
        theirs = other._of_service()
        assert self.baseline is not None, "the caller has looked"
        if not theirs or not counts_calls_alike(self.baseline.spec, base.spec):
            return
        if base.id != self.baseline.id:
            self.carry(base)
        for slot, watch in self._of_service().items():
            if slot in theirs:
                watch.succeed(theirs[slot])

    def seal(self, seal: Seal) -> None:
        """Take every window that a seal closes, and every one whose labels have come of age since the one before.

        Each window, detector, fixed limit and history is a part by itself: one that fails costs none of the others.
        """
        for window_s in self.config.all_windows_s:
            self._close(seal, window_s)
        for window_s, age_s in sorted({(s.window_s, w.recipe.age_s) for s, w in self.slots.items() if w.recipe.age_s}):
            self._come_of_age(seal, window_s, age_s)
        with self.failures.surviving("the days"):
            note_day(seal.model.days, seal.model, seal.after_ns, seal.until_ns)
        with self.failures.surviving("the rows of days"):
            note_traffic(seal.model, seal.after_ns, seal.until_ns)

    def _close(self, seal: Seal, window_s: float) -> None:
        """Take the windows of one length."""
        model, length = seal.model, round(window_s * 1e9)
        for start in model.windows_between(seal.after_ns, seal.until_ns, length):
            with self.failures.surviving(f"windows of {window_name(window_s)}"):
                window = _window(model, start, length)
                verdicts = self._score(seal, window, window_s, start, 0.0)
                self._limit(seal, window, window_s, start)
                with self.failures.surviving("the history"):
                    found = (_drift_of(verdicts), seal.shared.get((window_s, start)))
                    self._remember(window_s, start + length, window, _strongest(found))
            if length == model.config.step_ns:
                model.newest_sealed_ns = max(model.newest_sealed_ns, start + length)
            model.touch()

    def _come_of_age(self, seal: Seal, window_s: float, age_s: float) -> None:
        """Take the windows of one length whose labels have reached one age."""
        length, age = round(window_s * 1e9), round(age_s * 1e9)
        for start in seal.model.windows_between(seal.after_ns - age, seal.until_ns - age, length):
            with self.failures.surviving(f"labels of windows of {window_name(window_s)}"):
                self._score(seal, _window(seal.model, start, length), window_s, start, age_s)

    def _limit(self, seal: Seal, window: Window, window_s: float, start_ns: int) -> None:
        """Hold one window's figures against the fixed limits on windows of its length."""
        limits = [limit for limit in self.limits if limit.window_s == window_s]
        absent = seal.model.absent_names(start_ns)
        readings = list(leave_out_absent(self._figures(window, window_s), absent)) if limits else []
        for limit in limits:
            with self.failures.surviving(f"the limit {limit.reference}"):
                found = limit.take(readings, start_ns)
                if found:
                    end_ns, key = start_ns + round(window_s * 1e9), seal.model.key
                    alarm = threshold_alarm(limit, found, key, seal.book.next_id, end_ns, window.trace_ids)
                    limit.latch()
                    seal.open(alarm, window_s)

    def _figures(self, window: Window, window_s: float) -> list[Reading]:
        """All figures of a window but those of a family that fails."""
        readings: list[Reading] = []
        for family, figures in window_families(self.config, self.baseline, window, window_s).items():
            with self.failures.surviving(f"figures of {family}"):
                readings += figures
        return readings

    def _score(
        self, seal: Seal, window: Window, window_s: float, start_ns: int, age_s: float
    ) -> dict[Slot, Verdict | None]:
        """Feed one window to the detectors of its length and age."""
        verdicts: dict[Slot, Verdict | None] = {}
        for slot, watch in self.slots.items():
            if (slot.window_s, watch.recipe.age_s) == (window_s, age_s):
                with self.failures.surviving(f"the {slot.kind} detector ({slot.reference}) on {window_name(window_s)}"):
                    self._feed(seal, watch, window, start_ns, verdicts)
        return verdicts

    def _feed(
        self, seal: Seal, watch: SlotWatcher, window: Window, start_ns: int, verdicts: dict[Slot, Verdict | None]
    ) -> None:
        model, slot = seal.model, watch.recipe.slot
        counts = _counts(watch.recipe, window, start_ns, seal.other)
        if counts is not None and slot.kind is Alert.DRIFT:
            counts = self._without_absent(model, counts, start_ns)
        if counts is None or not watch.recipe.layout.rows(counts):  # silence is no evidence
            return
        verdicts[slot] = self.judge(seal, watch, counts, start_ns, window.trace_ids)

    def judge(
        self, seal: Seal, watch: SlotWatcher, counts: Ints, start_ns: int, trace_ids: tuple[str, ...]
    ) -> Verdict | None:
        """Feed the counts of one window to a detector; what it says, and alarms into the book."""
        model, slot = seal.model, watch.recipe.slot
        hold = self.holds(slot)
        recovered = [] if hold else watch.recovers(counts, start_ns)
        verdict = watch.take(counts, start_ns, hold)
        raised_ns = start_ns + round((slot.window_s + watch.recipe.age_s) * 1e9)
        if verdict is not None and verdict.opened:
            alarm = self._alarm(model.key, watch, verdict, raised_ns, seal.book.next_id, trace_ids)
            seal.open(self._side_by_side(seal, slot, alarm, start_ns), slot.window_s)
        if verdict is not None and verdict.level == Level.STRONG:
            self._raise_levels(seal, watch, verdict, counts, raised_ns)
        new = watch.unwritten
        if new is not None:
            alarm = self._renewal(seal.book, model.key, watch, new, raised_ns, trace_ids)
            seal.open(alarm, slot.window_s)
        model.touch()
        for number in recovered:
            seal.note_recovered(slot, number)
        return verdict

    def _side_by_side(self, seal: Seal, slot: Slot, alarm: Alarm, start_ns: int) -> Alarm:
        """An alarm of one version against another with the figures of both since the change began."""
        if slot.kind is not Alert.VERSIONS or seal.other is None:
            return alarm
        length_ns = round(slot.window_s * 1e9)
        end_ns = start_ns + length_ns
        since_ns = max(alarm.since_ns, end_ns - MOST_WINDOWS * length_ns)
        with self.failures.surviving(f"figures of {slot.reference} side by side"):
            alarm = replace(alarm, moved=find_moved(slot.reference, seal.model, seal.other, since_ns, end_ns))
        return alarm

    def _raise_levels(self, seal: Seal, watch: SlotWatcher, verdict: Verdict, counts: Ints, at_ns: int) -> None:
        """Early alarms that stand on what has strong evidence now are strong ones from here on."""
        changed = {change.field for change in verdict.changes}
        for alarm in self.standing(seal.book, seal.model.key):
            early = alarm.level == Level.EARLY and self.latch_of(alarm) is watch
            if early and changed & {feature.name for feature in alarm.features}:
                watch.raise_level(alarm.id, counts)
                severity = self.config.detect.severity(alarm.kind, verdict.level)
                seal.book.raise_level(replace(alarm, level=verdict.level, severity=severity, strong_ns=at_ns))

    def holds(self, slot: Slot) -> bool:
        """Whether a detector judges nothing now: what feeds it has moved, and that alarm neither was cleared nor is over."""
        moved = (watch for other, watch in self.slots.items() if other.kind is Alert.LABELS)
        return slot.kind in HELD and any(watch.stands for watch in moved)

    def waits_for(self, watch: SlotWatcher) -> str | None:
        """What a detector waits for, a value of ``ml.detection.waits_for``; None where it is at work."""
        return semconv.ML_DETECTION_WAITS_FOR_LABELS_MOVED if self.holds(watch.recipe.slot) else watch.waits_for

    def _without_absent(self, model: WatchedModel, counts: Ints, start_ns: int) -> Ints:
        """Counts in which features that never came are no evidence."""
        absent = model.absent_in(start_ns)
        if not absent or self.baseline is None:
            return counts
        return stand_in(self.baseline.counts, counts, absent)

    def _alarm(
        self,
        key: ModelKey,
        watch: SlotWatcher,
        verdict: Verdict | None,
        raised_ns: int,
        number: int,
        trace_ids: tuple[str, ...] = (),
    ) -> Alarm:
        """The alarm of a detector; without what its verdict said where that is not known any more."""
        run, slot = watch.end_run(), watch.recipe.slot
        level = Level.STRONG if verdict is None else verdict.level
        onset = None if verdict is None else verdict.onset
        begin = run if onset is None else Run(onset.at_ns, onset.windows, onset.rows)
        base = self.base_of(slot)
        assert base is not None, "slots are made from one"
        return Alarm(
            id=number,
            model=key,
            kind=slot.kind.value,
            window=window_name(slot.window_s),
            raised_ns=raised_ns,
            since_ns=begin.since_ns or raised_ns,
            windows=begin.windows,
            n=begin.rows,
            evidence=1.0 if verdict is None else verdict.evidence,
            features=() if verdict is None else named_features(verdict),
            baseline=base.id,
            budget=self.config.detect.budget,
            trace_ids=trace_ids,
            reference=slot.reference,
            level=level,
            severity=self.config.detect.severity(slot.kind, level),
            onset=onset,
        )

    def _renewal(
        self,
        book: AlarmBook,
        key: ModelKey,
        watch: SlotWatcher,
        new: Renewed,
        raised_ns: int,
        trace_ids: tuple[str, ...] = (),
    ) -> Alarm:
        """The alarm that renews the oldest one of a detector which stands."""
        alarm = self._alarm(key, watch, new.verdict, raised_ns, book.next_id, trace_ids)
        mine = (one.id for one in self.standing(book, key) if self.latch_of(one) is watch)
        new.number = alarm.id
        return replace(alarm, renews=next(mine, 0))

    def _remember(self, window_s: float, end_ns: int, window: Window, verdict: Verdict | None) -> None:
        point = WindowPoint(window_name(window_s), end_ns, window.counts.count, None, None, False)
        if verdict is not None and verdict.scored:
            top = max(verdict.fields, key=lambda name: verdict.fields[name], default="")
            shown = top if verdict.fields.get(top, 0.0) > 0 else None
            raised = verdict.opened or verdict.renewed is not None
            point = WindowPoint(point.window, end_ns, point.rows, verdict.evidence, shown, raised)
        self.history.append(point)

    def slot_of(self, alarm: Alarm) -> Slot | None:
        """The detector that raised an alarm; None where the settings no longer have it."""
        return next((s for s in self.slots if alarm.is_of(s.kind.value, window_name(s.window_s), s.reference)), None)

    def standing(self, book: AlarmBook, key: ModelKey) -> list[Alarm]:
        """The alarms that stand of its detectors, oldest first."""
        return book.own_of(key)

    def latches(self) -> Iterator[SlotWatcher | ThresholdWatcher]:
        """Everything that an alarm latches."""
        yield from self.slots.values()
        yield from self.limits

    def latch_of(self, alarm: Alarm) -> SlotWatcher | ThresholdWatcher | None:
        """What raised an alarm; None where it was compared with another baseline, or the settings no longer have it."""
        if alarm.kind == KIND:
            return next((limit for limit in self.limits if limit.reference == alarm.reference), None)
        if alarm.shared:
            return None
        slot = self.slot_of(alarm)
        base = None if slot is None else self.base_of(slot)
        mine = base is not None and alarm.baseline == base.id
        return self.slots[slot] if slot is not None and mine else None

    def alarm_of(self, latch: Latch, key: ModelKey, book: AlarmBook, raised_ns: int) -> Alarm:
        """The alarm of what is latched and not in the list, from what is still known of it."""
        return stamp(self._late_alarm(latch, key, book, raised_ns), self.config)

    def _late_alarm(self, latch: Latch, key: ModelKey, book: AlarmBook, raised_ns: int) -> Alarm:
        number = book.next_id
        if isinstance(latch, ThresholdWatcher):
            return threshold_alarm(latch, [], key, number, raised_ns, ())
        assert isinstance(latch, SlotWatcher), "there are no others"
        new = latch.unwritten
        if new is not None:
            return self._renewal(book, key, latch, new, raised_ns)
        return self._alarm(key, latch, latch.alarmed, raised_ns, number)

    def clear(self, alarm: Alarm) -> None:
        """End an alarm; its detector's evidence starts from nothing."""
        latch = self.latch_of(alarm)
        if latch is not None:
            latch.clear(alarm.id)


def frozen_drift(slot: Slot) -> bool:
    """Whether it watches columns against the baseline: features among them, until versions share theirs."""
    return slot.kind is Alert.DRIFT and slot.reference == "frozen"


def slot_name(slot: Slot) -> str:
    """What tells a detector from the others of its model, in a checkpoint and for people."""
    return f"{slot.kind} {slot.window_s:.17g} {slot.reference}"


def _drift_of(verdicts: dict[Slot, Verdict | None]) -> Verdict | None:
    """What drift's first detector said: against the frozen baseline, unless another reference stands in its place."""
    drift = (verdict for slot, verdict in verdicts.items() if slot.kind is Alert.DRIFT)
    return next(drift, None)


def named_features(verdict: Verdict) -> tuple[NamedFeature, ...]:
    """What a verdict says has changed, as an alarm names it."""
    return tuple(NamedFeature(c.field, c.direction, c.evidence) for c in verdict.changes)


def _strongest(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    """Of what a version's own columns and the features of all say of a window, that with more evidence."""
    known = [verdict for verdict in verdicts if verdict is not None]
    return max(known, key=lambda verdict: (verdict.scored, verdict.evidence), default=None)


def _counts(made: Recipe, window: Window, start_ns: int, other: WatchedModel | None) -> Ints | None:
    """What a detector is fed with; None where it compares two versions and the other one is not there."""
    if made.pair is None:
        return made.counts(window.evidence)
    if other is None or not other.specs:
        return None
    beside = _window(other, start_ns, round(made.slot.window_s * 1e9))
    return made.pair(window.evidence, beside.evidence)


def _window(model: WatchedModel, start_ns: int, length_ns: int) -> Window:
    """The rows of one window, merged."""
    return merge_panes(model.spec, (pane for _, pane in model.panes_in(start_ns, start_ns + length_ns)))
