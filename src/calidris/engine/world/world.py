"""One model's world at work: the drift detectors of its features, fed by all versions that serve; evidence outlives each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from calidris.baseline import Baseline
from calidris.batch import Ints, ModelKey
from calidris.config import ModelConfig
from calidris.config.units import window_name
from calidris.detect import Slot, Verdict
from calidris.engine.alarms import AlarmBook, Failures
from calidris.engine.detectors.budgets import budget_of
from calidris.engine.detectors.recipes import WATCHED, recipe
from calidris.engine.detectors.slot import SlotWatcher
from calidris.engine.detectors.watcher import SILENT_NS, Watcher, frozen_drift, named_features
from calidris.engine.model import WatchedModel
from calidris.engine.panes.arrivals import stand_in
from calidris.engine.panes.panes import ClosedPanes
from calidris.engine.panes.shared_features import SharedFeatures
from calidris.engine.snapshot import Alarm
from calidris.state import Role

Owner = tuple[str, str]
MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class WorldSeal:
    """One seal of a world, and where its alarms go.

    Attributes:
        until_ns: windows that end by then are closed.
        lead: the version that serves, under whose name an alarm is told.
        members: the versions whose rows are in it.
        book: where an alarm is written down, in the same step in which its detector latches.
        silence_ns: how long no rows of any version have come.
        note_recovered: told of an alarm when all that it named has come back.
    """

    until_ns: int
    lead: ModelKey
    members: tuple[WatchedModel, ...]
    book: AlarmBook
    silence_ns: int
    note_recovered: Callable[[Alarm], None]


class World:
    """The features of one model, whichever version serves.

    Bets on features leave the slots of the versions, with the weights that they have there, and are these: the threshold is the
    slot's, so that the two together have what the one had. Guarantee: with R the weighted mean over the bets of a slot as
    ``Detector`` has it, Σ over the world's bets reaches A within T windows with chance at most w·T/A, Σ over the version's with
    (1 - w)·T/A, where w is the weight of the features: no more than T/A together, however the two depend on each other.

    Args:
        number: names it in the checkpoint; below zero, as no model's is.
        owner: tenant and name of the model.
        config: the user's settings of the model.
        founder: the version whose baseline it is compared with.
        baseline: that one: the first that was confirmed.
        closed: where panes are that memory does not hold.
    """

    def __init__(
        self,
        number: int,
        owner: Owner,
        config: ModelConfig,
        founder: ModelKey,
        baseline: Baseline,
        closed: ClosedPanes,
    ) -> None:
        self.number = number
        self.owner = owner
        self.config = config
        self.founder = founder
        self.baseline = baseline
        self.began_ns = 0
        self.failures = Failures(f"{config.series_name} (features of all versions)")
        self.verdicts: dict[tuple[float, int], Verdict] = {}
        longest_ns = round(max(config.detect_windows_s) * 1e9)
        self.shared = SharedFeatures(
            self.key,
            baseline.spec,
            config.step_ns,
            longest_ns,
            closed,
        )
        self.slots = self._make_slots()

    @property
    def key(self) -> ModelKey:
        """Under which its panes are put away. No model has an empty name."""
        return ModelKey(
            self.owner[0],
            "",
            str(self.number),
        )

    @property
    def features(self) -> frozenset[str]:
        """Names of what it watches."""
        return frozenset(f.name for f in self.baseline.spec.fields if f.role is Role.FEATURE)

    def _make_slots(self) -> dict[Slot, SlotWatcher]:
        budget = budget_of(self.config)
        # All that the baseline's bets are on, so that their weights are those of before; then the others are left out.
        roles = WATCHED - {Role.FEATURE}
        others = {f.name for f in self.baseline.spec.fields if f.role in roles}
        slots = {}
        for slot in filter(frozen_drift, budget.slots):
            made = recipe(
                slot,
                self.config,
                self.baseline,
            )
            if made is not None:
                slots[slot] = watch = SlotWatcher(
                    made,
                    self.config,
                    budget.threshold(slot),
                )
                watch.leave_out(others)
        return slots

    def begin(
        self,
        before: WatchedModel,
        watcher: Watcher,
        book: AlarmBook,
    ) -> None:
        """Go on where the version is that served before: its evidence on features, what it learned, rows of open windows.

        A standing alarm of it that names features is the world's from here on.
        """
        self.began_ns = self.shared.sealed_ns = before.sealed_ns
        self.shared.arrivals.take_over(before.arrivals)
        self.shared.first_event_ns = before.first_event_ns
        if watcher.baseline is None or watcher.baseline.id != self.baseline.id:
            return
        for slot, watch in self.slots.items():
            theirs = watcher.slots.get(slot)
            if theirs is not None:
                # Its evidence on scores comes along and weighs nothing here, as that on features will there.
                watch.succeed(theirs)
                self._take_alarm(
                    slot,
                    theirs,
                    before.key,
                    book,
                )

    def restart(self, before: World) -> None:
        """Take the place of a world that was compared with another baseline: no evidence and no counts of it, which had other bins."""
        self.began_ns = self.shared.sealed_ns = before.shared.sealed_ns
        self.shared.arrivals.take_over(before.shared.arrivals)
        self.shared.first_event_ns = before.shared.first_event_ns

    def _take_alarm(
        self,
        slot: Slot,
        theirs: SlotWatcher,
        key: ModelKey,
        book: AlarmBook,
    ) -> None:
        """The alarm of a version's slot, where it is about features."""
        for alarm in book.own_of(key):
            if not alarm.is_of(
                slot.kind.value,
                window_name(slot.window_s),
                slot.reference,
            ):
                continue
            if self.features & {feature.name for feature in alarm.features}:
                self.slots[slot].take_alarm(theirs)
                book.share(alarm)

    def seal(self, seal: WorldSeal) -> None:
        """Take every window that a seal closes; each detector is a part by itself, as those of a version are."""
        after_ns = self.shared.sealed_ns
        # Of this seal alone: versions read them while they close the same windows.
        self.verdicts = {}
        if seal.until_ns <= after_ns:
            return
        for slot, watch in self.slots.items():
            length = round(slot.window_s * 1e9)
            for start in self.shared.windows_between(
                after_ns,
                seal.until_ns,
                length,
            ):
                with self.failures.surviving(f"features of all versions on {window_name(slot.window_s)} windows"):
                    self._feed(
                        seal,
                        watch,
                        start,
                        length,
                    )
        self.shared.close(seal.until_ns)

    def _feed(
        self,
        seal: WorldSeal,
        watch: SlotWatcher,
        start_ns: int,
        length_ns: int,
    ) -> None:
        counts = self._counts(start_ns, length_ns)
        # Silence is no evidence.
        if not watch.recipe.layout.rows(counts):
            return
        recovered = watch.recovers(counts, start_ns)
        verdict = watch.take(counts, start_ns)
        if verdict is not None:
            self.verdicts[watch.recipe.slot.window_s, start_ns] = verdict
            if verdict.opened:
                alarm = self._alarm(
                    watch,
                    verdict,
                    seal,
                    start_ns + length_ns,
                )
                seal.book.open(alarm)
        if recovered:
            for alarm in self._alarms_of(watch, seal.book):
                seal.note_recovered(alarm)

    def _counts(
        self,
        start_ns: int,
        length_ns: int,
    ) -> Ints:
        """One window, in which features that never came are no evidence."""
        counts = self.shared.counts_of(start_ns, length_ns)
        absent = self.shared.absent_in(start_ns)
        if not absent:
            return counts
        return stand_in(
            self.baseline.counts,
            counts,
            absent,
        )

    def _alarm(
        self,
        watch: SlotWatcher,
        verdict: Verdict,
        seal: WorldSeal,
        raised_ns: int,
    ) -> Alarm:
        length_ns = round(watch.recipe.slot.window_s * 1e9)
        examples = _examples(
            seal.members,
            raised_ns - length_ns,
            raised_ns,
        )
        silent = seal.silence_ns >= max(SILENT_NS, 2 * length_ns)
        alarm = self._told(
            watch,
            verdict,
            seal.lead,
            seal.book.next_id,
            raised_ns,
        )
        return replace(
            alarm,
            trace_ids=examples,
            silent=silent,
        )

    def _told(
        self,
        watch: SlotWatcher,
        verdict: Verdict | None,
        lead: ModelKey,
        number: int,
        raised_ns: int,
    ) -> Alarm:
        """The alarm of a detector; without what its verdict said where that is not known any more."""
        run, slot = watch.end_run(), watch.recipe.slot
        alarm = Alarm(
            id=number,
            model=lead,
            kind=slot.kind.value,
            window=window_name(slot.window_s),
            raised_ns=raised_ns,
            since_ns=run.since_ns or raised_ns,
            windows=run.windows,
            n=run.rows,
            evidence=1.0,
            features=(),
            baseline=self.baseline.id,
            budget=self.config.detect.budget,
            reference=slot.reference,
            shared=True,
        )
        return alarm if verdict is None else _with_verdict(alarm, verdict)

    def _alarms_of(
        self,
        watch: SlotWatcher,
        book: AlarmBook,
    ) -> list[Alarm]:
        return [alarm for alarm in book.shared_of(self.owner) if self.latch_of(alarm) is watch]

    def latches(self) -> Iterator[SlotWatcher]:
        """Everything that an alarm latches."""
        yield from self.slots.values()

    def latch_of(self, alarm: Alarm) -> SlotWatcher | None:
        """What raised an alarm; None where it was compared with another baseline, or the settings no longer have it."""
        if not alarm.shared or alarm.baseline != self.baseline.id:
            return None
        for slot, watch in self.slots.items():
            if alarm.is_of(
                slot.kind.value,
                window_name(slot.window_s),
                slot.reference,
            ):
                return watch
        return None

    def alarm_of(
        self,
        latch: object,
        key: ModelKey,
        number: int,
        raised_ns: int,
    ) -> Alarm:
        """The alarm of what is latched, from what it still knows of it."""
        assert isinstance(latch, SlotWatcher), "there are no others"
        return self._told(
            latch,
            latch.alarmed,
            key,
            number,
            raised_ns,
        )

    def clear(self, alarm: Alarm) -> None:
        """End an alarm; its detector's evidence starts from nothing."""
        latch = self.latch_of(alarm)
        if latch is not None:
            latch.clear()

    def speaks_of(self, model: WatchedModel) -> bool:
        """Whether what it says is about a version: one that serves, with rows in the newest windows that it closed."""
        newest_ns = self.shared.sealed_ns - self.shared.step_ns
        return model.serves and model.last_event_ns >= newest_ns


def _with_verdict(alarm: Alarm, verdict: Verdict) -> Alarm:
    """An alarm with what its detector said."""
    named = named_features(verdict)
    return replace(alarm, evidence=verdict.evidence, features=named)


def _examples(
    members: Iterable[WatchedModel],
    start_ns: int,
    end_ns: int,
) -> tuple[str, ...]:
    """Trace ids of the first few calls of a window."""
    found: dict[str, None] = {}
    for model in members:
        for _, pane in model.panes_in(start_ns, end_ns):
            found.update(dict.fromkeys(pane.trace_ids))
    return tuple(found)[:MOST_EXAMPLES]


NO_VERDICTS: Mapping[tuple[float, int], Verdict] = {}
"""Of a version that shares its features with nobody."""
