"""Every model's world: when it begins, who is in it, when it closes its windows, and when it goes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import ModelKey
from calidris.detect import Slot
from calidris.engine.alarms import AlarmBook
from calidris.engine.alarms.mending import mend_alarms
from calidris.engine.detectors.watcher import Seal
from calidris.engine.model import WatchedModel
from calidris.engine.registry import Fleet
from calidris.engine.snapshot import Alarm
from calidris.engine.world.world import Owner, World

_logger = logging.getLogger(__name__)


class Worlds:
    """The worlds of all models of which a second version has come. One writer, the engine.

    A world begins with the first row of a second version that serves, when one of the two has a confirmed baseline. A shadow begins
    none: it is asked what the champion is asked. Models that a checkpoint of before brings back go on as they were until a new
    version comes.

    Args:
        fleet: the versions.
        book: the alarms.

    Attributes:
        found: by tenant and name of the model.
        gone: numbers of those that the checkpoint may still have.
    """

    def __init__(
        self,
        fleet: Fleet,
        book: AlarmBook,
    ) -> None:
        self.fleet = fleet
        self.book = book
        self.found: dict[Owner, World] = {}
        self.gone: list[int] = []
        self._last = 0

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[World]:
        yield from self.found.values()

    def of(self, key: ModelKey) -> World | None:
        """The world of a model, if it has one."""
        return self.found.get(key[:2])

    def next_number(self) -> int:
        """What a new one is called in the checkpoint."""
        self._last -= 1
        return self._last

    def admit(
        self,
        model: WatchedModel,
        role: str | None,
    ) -> None:
        """Have a version in its model's world before rows of it are counted; O(1) where it is."""
        if model.shared is not None:
            return
        world = self.of(model.key)
        if world is not None:
            self._join(world, model)
            return
        shadowed = role == semconv.ML_MODEL_ROLE_SHADOW
        # One that served already was here before there were worlds: it goes on as it is.
        is_new = not model.rows or not model.serves
        if is_new and not shadowed:
            self._begin(model)

    def _begin(self, newest: WatchedModel) -> None:
        """Begin a world where another version serves."""
        before = self._serving_beside(newest)
        if not before:
            return
        confirmed = filter(_is_confirmed, [*before, newest])
        founder = next(confirmed, None)
        if founder is None or founder.baseline is None:
            return
        world = self._found(founder, founder.baseline)
        # Without features, or a share of the budget for drift, there is nothing to share.
        if world.features and world.slots:
            self._fill(world, before)

    def _serving_beside(self, newest: WatchedModel) -> list[WatchedModel]:
        """The other versions that serve and have rows."""
        versions = self._versions(newest.key[:2])
        others = [model for model in versions if model is not newest]
        return [model for model in others if model.serves and model.rows]

    def _found(
        self,
        founder: WatchedModel,
        baseline: Baseline,
    ) -> World:
        return World(
            self.next_number(),
            founder.key[:2],
            founder.config,
            founder.key,
            baseline,
            self.fleet.closed,
        )

    def _fill(
        self,
        world: World,
        before: Sequence[WatchedModel],
    ) -> None:
        """Let a new world go on from the version that served last, and have all versions in it."""
        latest = before[-1]
        world.begin(
            latest,
            self.fleet.watchers[latest.key],
            self.book,
        )
        for model in before:
            world.shared.copy_open(model.panes, model.spec)
        self.put(world)
        _logger.info("model %s/%s: versions share their features from here on", *world.owner)

    def put(self, world: World) -> None:
        """Have a world, and every version of its model in it."""
        self.found[world.owner] = world
        self._last = min(self._last, world.number)
        for model in self._versions(world.owner):
            self._join(world, model)

    def _join(
        self,
        world: World,
        model: WatchedModel,
    ) -> None:
        model.join(world.shared)
        watcher = self.fleet.watchers[model.key]
        watcher.leave_features()

    def _versions(self, owner: Owner) -> list[WatchedModel]:
        """The versions of a model, the newest last."""
        return [self.fleet.models[key] for key in self.fleet.registry.versions(owner)]

    def lead(self, owner: Owner) -> ModelKey | None:
        """The version under whose name the world speaks: the newest champion, else the newest that serves."""
        serving = [model for model in self._versions(owner) if model.serves and model.rows]
        # A canary has a part of the traffic: whoever reads the alarm looks for it at the version that has most.
        champions = [model for model in serving if model.role == semconv.ML_MODEL_ROLE_CHAMPION]
        newest = (champions or serving or self._versions(owner))[-1:]
        return newest[0].key if newest else None

    def seal(
        self,
        world: World,
        until_ns: int,
        silence_ns: int,
        note_recovered: Callable[[Slot, int], None],
    ) -> int:
        """Close windows of a world; how many of its parts failed."""
        after_ns = world.shared.sealed_ns
        lead = self.lead(world.owner)
        if lead is None or until_ns <= after_ns:
            return 0
        leading = self.fleet.models[lead]
        members = self._members(world)
        seal = Seal(leading, after_ns, until_ns, self.book, silence_ns, note_recovered)
        world.seal(seal, members)
        for model in filter(world.speaks_of, members):
            model.touch()
        self.mend(world)
        return world.failures.take_untold() + world.watcher.failures.take_untold()

    def _members(self, world: World) -> list[WatchedModel]:
        """The versions whose rows are counted in it."""
        return [model for model in self._versions(world.owner) if model.serves]

    def mend(self, world: World) -> None:
        """Make the list of alarms and a world's latches agree, and say what was mended."""
        lead = self.lead(world.owner)
        assert lead is not None, "a world without versions is gone"
        for said in mend_alarms(world.watcher, lead, self.book, world.shared.sealed_ns):
            _logger.warning("engine: the features of %s/%s: %s", *world.owner, said)

    def clear(self, alarm: Alarm) -> None:
        """End an alarm of a world."""
        world = self.of(alarm.model)
        if world is not None and alarm.shared:
            world.watcher.clear(alarm)
            self.mend(world)
            for model in self._versions(world.owner):
                model.touch()

    def rebase(
        self,
        world: World,
        founder: ModelKey,
        baseline: Baseline,
    ) -> None:
        """Begin a world anew on another baseline: evidence against the one before means nothing there.

        Its alarms stand as they did: a person ends them.
        """
        self.gone.append(world.number)
        fresh = World(
            self.next_number(),
            world.owner,
            world.config,
            founder,
            baseline,
            self.fleet.closed,
        )
        fresh.restart(world)
        self.put(fresh)

    def rebase_on(self, model: WatchedModel) -> list[Alarm]:
        """Compare with what a version is from here on: its features with its own baseline, errors and latency with what it shows now.

        Features stay as they are where its baseline is what they are compared with already, or is nobody's.

        Returns:
            The alarms that end: of what was compared with what was before.
        """
        ended = self._learn_service_anew(model)
        world = self.of(model.key)
        base = model.baseline
        if world is None or base is None or base.provisional:
            return ended
        if base.id == world.baseline.id:
            return ended
        ended += self.book.shared_of(world.owner)
        self.rebase(world, model.key, base)
        return ended

    def _learn_service_anew(self, model: WatchedModel) -> list[Alarm]:
        """Begin anew with a version's errors and latency; the alarms that were about them."""
        watcher = self.fleet.watchers[model.key]
        standing = self.book.own_of(model.key)
        latches = [watcher.latch_of(alarm) for alarm in standing]
        anew = watcher.learn_service_anew() if watcher.slots else []
        told = zip(standing, latches, strict=True)
        return [alarm for alarm, latch in told if any(latch is one for one in anew)]

    def forget_gone(self) -> None:
        """Note that the checkpoint has none of those that are gone."""
        self.gone.clear()

    def _lead_alarms(self, world: World) -> None:
        lead = self.lead(world.owner)
        for alarm in self.book.shared_of(world.owner):
            # Nothing of a version that is gone is exported: the alarm would stand and no series would show it.
            if lead is not None and alarm.model not in self.fleet.models:
                self.book.lead(alarm, lead)

    def tidy(self) -> None:
        """Let go of worlds of which no version is watched any more; alarms of the others are told of a version that is."""
        for world in self:
            self._lead_alarms(world)
        empty = [owner for owner in self.found if not self.fleet.registry.versions(owner)]
        for owner in empty:
            world = self.found.pop(owner)
            self.gone.append(world.number)


def _is_confirmed(model: WatchedModel) -> bool:
    return model.baseline is not None and not model.baseline.provisional
