"""One model's world at work: the drift detectors of its features, fed by all versions that serve; evidence outlives each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from calidris.baseline import Baseline
from calidris.batch import Ints, ModelKey
from calidris.config import ModelConfig
from calidris.config.units import window_name
from calidris.detect import Slot, Verdict
from calidris.engine.alarms import AlarmBook, Failures
from calidris.engine.detectors.recipes import SHARED, WATCHED, Recipe, recipe
from calidris.engine.detectors.slot import SlotWatcher
from calidris.engine.detectors.watcher import Seal, Watcher, frozen_drift
from calidris.engine.model import WatchedModel
from calidris.engine.panes.arrivals import stand_in
from calidris.engine.panes.panes import ClosedPanes
from calidris.engine.panes.shared_features import SharedFeatures
from calidris.engine.snapshot import Alarm

Owner = tuple[str, str]
MOST_EXAMPLES = 5


class SharedWatcher(Watcher):
    """The detectors of what versions share: of drift against the frozen baseline, on features alone; their alarms are ``shared``."""

    def adopt(self, baseline: Baseline) -> None:
        """Begin anew against a baseline."""
        super().adopt(baseline)
        roles = WATCHED - SHARED
        others = {field.name for field in baseline.spec.fields if field.role in roles}
        # The bets are on all that the baseline has, so that weights are those of before; then the others are left out.
        for watch in self.slots.values():
            watch.leave_out(others)

    def _recipe(self, slot: Slot, baseline: Baseline) -> Recipe | None:
        return recipe(slot, self.config, baseline) if frozen_drift(slot) else None

    def _alarm(self, *args: Any, **named: Any) -> Alarm:
        alarm = super()._alarm(*args, **named)
        return replace(alarm, shared=True)

    def standing(self, book: AlarmBook, key: ModelKey) -> list[Alarm]:
        """The alarms that stand of its detectors, whichever version they are told of."""
        return book.shared_of(key[:2])

    def latches(self) -> Iterator[SlotWatcher]:
        """Everything that an alarm latches."""
        yield from self.slots.values()

    def latch_of(self, alarm: Alarm) -> SlotWatcher | None:
        """What raised an alarm; None where it was compared with another baseline, or the settings no longer have it."""
        slot = self.slot_of(alarm)
        if slot is None or not alarm.shared or self.baseline is None:
            return None
        return self.slots[slot] if alarm.baseline == self.baseline.id else None


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
        self.watcher = SharedWatcher(config, baseline)
        self.verdicts: dict[tuple[float, int], Verdict] = {}
        longest_ns = round(max(config.detect_windows_s) * 1e9)
        self.shared = SharedFeatures(
            self.key,
            baseline.spec,
            config.step_ns,
            longest_ns,
            closed,
        )

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
        """Names of what it watches: features, and relations of two of them."""
        return frozenset(f.name for f in self.baseline.spec.fields if f.role in SHARED)

    @property
    def slots(self) -> dict[Slot, SlotWatcher]:
        """Its detectors."""
        return self.watcher.slots

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
                self._succeed(watch, theirs, before.key, book)

    def _succeed(
        self,
        watch: SlotWatcher,
        theirs: SlotWatcher,
        key: ModelKey,
        book: AlarmBook,
    ) -> None:
        """Take over a version's detector; its alarms where one of them is about features."""
        slot = watch.recipe.slot
        about = (slot.kind.value, window_name(slot.window_s), slot.reference)
        alarms = [alarm for alarm in book.own_of(key) if alarm.is_of(*about)]
        named = {feature.name for alarm in alarms for feature in alarm.features}
        ours = bool(named & self.features)
        # Its evidence on scores comes along and weighs nothing here, as that on features will there.
        watch.succeed(theirs, take_alarms=ours)
        for alarm in alarms if ours else ():
            book.share(alarm)

    def restart(self, before: World) -> None:
        """Take the place of a world that was compared with another baseline: no evidence and no counts of it, which had other bins."""
        self.began_ns = self.shared.sealed_ns = before.shared.sealed_ns
        self.shared.arrivals.take_over(before.shared.arrivals)
        self.shared.first_event_ns = before.shared.first_event_ns

    def seal(self, seal: Seal, members: Iterable[WatchedModel]) -> None:
        """Take every window that a seal closes; each detector is a part by itself, as those of a version are.

        ``seal`` is of the version that leads, under whose name alarms are told; ``members`` are those whose rows are counted.
        """
        # Of this seal alone: versions read them while they close the same windows.
        self.verdicts = {}
        for slot, watch in self.slots.items():
            length = round(slot.window_s * 1e9)
            for start in self.shared.windows_between(seal.after_ns, seal.until_ns, length):
                with self.failures.surviving(f"features of all versions on {window_name(slot.window_s)} windows"):
                    self._feed(seal, watch, start, members)
        self.shared.close(seal.until_ns)

    def _feed(
        self,
        seal: Seal,
        watch: SlotWatcher,
        start_ns: int,
        members: Iterable[WatchedModel],
    ) -> None:
        window_s = watch.recipe.slot.window_s
        length_ns = round(window_s * 1e9)
        counts = self._counts(start_ns, length_ns)
        # Silence is no evidence.
        if not watch.recipe.layout.rows(counts):
            return
        examples = _examples(
            members,
            start_ns,
            start_ns + length_ns,
        )
        verdict = self.watcher.judge(
            seal,
            watch,
            counts,
            start_ns,
            examples,
        )
        if verdict is not None:
            self.verdicts[window_s, start_ns] = verdict

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

    def speaks_of(self, model: WatchedModel) -> bool:
        """Whether what it says is about a version: one that serves, with rows in the newest windows that it closed."""
        newest_ns = self.shared.sealed_ns - self.shared.step_ns
        return model.serves and model.last_event_ns >= newest_ns


def _examples(
    members: Iterable[WatchedModel],
    start_ns: int,
    end_ns: int,
) -> tuple[str, ...]:
    """Trace ids of the first few calls of a window."""
    found: dict[str, None] = {}
    # Those whose rows are older lie on the disk, if anywhere.
    recent = [model for model in members if model.last_event_ns >= start_ns]
    for model in recent:
        for _, pane in model.panes_in(start_ns, end_ns):
            found.update(dict.fromkeys(pane.trace_ids))
    return tuple(found)[:MOST_EXAMPLES]


NO_VERDICTS: Mapping[tuple[float, int], Verdict] = {}
"""Of a version that shares its features with nobody."""
