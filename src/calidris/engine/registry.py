"""Which model versions are watched: who comes in, with which settings and baseline, and who makes room: the caps of ``limits`` on names.

::

    versions    of one model         full: its version that was silent longest makes room, if for silent_after
    models      of one tenant,       full: the model that was silent longest makes room, with all its versions
                nobody's configured
    watched     versions in all      full: the version that was silent longest makes room, if its model has others or
                                     nobody configured it

Nobody makes room while an alarm of it is latched. Where nobody can, the new version's rows are counted under the cap's name and
left out. A configured model always has room for its first version, so a flood of names costs it nothing. Silence is measured in
sealed time, which the journal holds, so a replay decides alike; between two seals, an answer of "no" is remembered, so that
a flood costs one look-up a batch.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import ModelKey
from calidris.config import CalidrisConfig, LimitsConfig, ModelConfig
from calidris.engine.detectors.watcher import Watcher
from calidris.engine.model import WatchedModel
from calidris.engine.panes.panes import ClosedPanes, LiveOnly

Owner = tuple[str, str]
"""Tenant and name of a model."""

VERSIONS, MODELS, WATCHED = "versions", "models", "watched"
"""The caps, as overflow is counted by."""


class NoCapacity(Exception):
    """A version cannot be watched; ``cap`` is the one in its way."""

    def __init__(self, cap: str) -> None:
        super().__init__(cap)
        self.cap = cap


class Registry:
    """The watched versions of each model, in the order in which they came, and how many there may be.

    Args:
        limits: the caps.
        configured: tenant and name of the models that have settings of their own.
    """

    def __init__(self, limits: LimitsConfig, configured: frozenset[Owner]) -> None:
        self.limits = limits
        self.configured = configured
        self._versions: dict[Owner, list[ModelKey]] = {}
        self._strangers: Counter[str] = Counter()  # models nobody configured, by tenant
        self._count = 0
        self._full: dict[tuple[str, ...], object] = {}  # cap and whose, to the moment at which nobody could make room

    def __len__(self) -> int:
        return self._count

    def versions(self, owner: Owner) -> Sequence[ModelKey]:
        """Watched versions of a model, the newest last; O(1)."""
        return self._versions.get(owner, ())

    def add(self, key: ModelKey) -> None:
        """Watch a version, whatever the caps say."""
        owner = key[:2]
        if owner not in self._versions:
            self._versions[owner] = []
            self._strangers[key.tenant] += owner not in self.configured
        self._versions[owner].append(key)
        self._count += 1

    def remove(self, key: ModelKey) -> None:
        """Watch a version no longer."""
        owner = key[:2]
        self._versions[owner].remove(key)
        self._count -= 1
        if not self._versions[owner]:
            del self._versions[owner]
            self._strangers[key.tenant] -= owner not in self.configured

    def evict(self, key: ModelKey, moment: object, silence: Callable[[ModelKey], int | None]) -> list[ModelKey]:
        """Versions that must go before this new one is watched; mostly none.

        Args:
            key: the new version.
            moment: changes whenever ``silence`` may tell of somebody new.
            silence: how long a version has been silent; None where it is not, or cannot make room.

        Raises:
            NoRoom: none can go.
        """
        siblings, stranger = self.versions(key[:2]), key[:2] not in self.configured
        if len(siblings) >= self.limits.versions:
            return self._longest_silent((VERSIONS, *key[:2]), moment, silence, ([k] for k in siblings))
        if not siblings and stranger and self._strangers[key.tenant] >= self.limits.models:
            return self._longest_silent((MODELS, key.tenant), moment, silence, self._models_of(key.tenant))
        if self._count >= self.limits.watched and (siblings or stranger):
            return self._longest_silent((WATCHED,), moment, silence, self._spare())
        return []

    def _models_of(self, tenant: str) -> Iterable[list[ModelKey]]:
        return (keys for owner, keys in self._versions.items() if owner[0] == tenant and owner not in self.configured)

    def _spare(self) -> Iterable[list[ModelKey]]:
        return ([k] for ks in self._versions.values() for k in ks if len(ks) > 1 or k[:2] not in self.configured)

    def _longest_silent(
        self,
        cap: tuple[str, ...],
        moment: object,
        silence: Callable[[ModelKey], int | None],
        groups: Iterable[list[ModelKey]],
    ) -> list[ModelKey]:
        if self._full.get(cap) == moment:
            raise NoCapacity(cap[0])
        best: tuple[int, list[ModelKey]] = (-1, [])
        for keys in groups:
            found = [silence(key) for key in keys]
            if None not in found:
                shortest = min(n for n in found if n is not None)
                best = max(best, (shortest, list(keys)), key=lambda pair: pair[0])  # of equals, who came first
        if not best[1]:
            self._full[cap] = moment
            raise NoCapacity(cap[0])
        return best[1]


FindBaseline = Callable[[ModelKey, ModelConfig], tuple[Baseline | None, str]]
"""The baseline of a model version, and one sentence where it is not the one that was asked for."""

_LEARNED = (semconv.ML_MODEL_TASK_BINARY, semconv.ML_MODEL_TASK_MULTICLASS, semconv.ML_MODEL_TASK_REGRESSION)
_logger = logging.getLogger(__name__)


class Fleet:
    """Every watched model version, with its watcher.

    Attributes:
        models: what is remembered of each.
        watchers: its detectors.
        registry: who may come in.
        retired: versions that the store still has and the engine no longer.
        closed: the panes that were put away.

    Args:
        config: the user's settings.
        find_baseline: looks a baseline up when a model version is seen for the first time.
        closed: where panes are that memory does not hold.
    """

    def __init__(self, config: CalidrisConfig, find_baseline: FindBaseline, closed: ClosedPanes | None) -> None:
        self.config = config
        self.find_baseline = find_baseline
        self.models: dict[ModelKey, WatchedModel] = {}
        self.watchers: dict[ModelKey, Watcher] = {}
        self.registry = Registry(config.limits, frozenset((m.tenant, m.name) for m in config.models))
        self.retired: dict[ModelKey, None] = {}
        self.closed = LiveOnly(closed, self.retired)

    def settings(self, key: ModelKey, task: str | None) -> ModelConfig:
        """A model's settings; the task of a model that nobody configured is the one that its first rows state."""
        config = self.config.model(key.name, key.tenant)
        configured = key[:2] in self.registry.configured
        return config if configured or task not in _LEARNED else config.model_copy(update={"task": task})

    def silence_ns(self, model: WatchedModel, sealed_ns: int) -> int | None:
        """How long a version has been silent in sealed time; None while that is not long enough to count."""
        most_ns = model.silence_ns or round(self.config.limits.silent_after * 1e9)
        silence_ns = sealed_ns - model.seen_ns
        return silence_ns if silence_ns >= most_ns else None

    def evict(
        self, key: ModelKey, sealed_ns: int, moment: object, alarmed: Callable[[], Set[ModelKey]]
    ) -> list[WatchedModel]:
        """Forget versions until there is room for a new one; those that went, mostly none.

        Args:
            key: the new one.
            sealed_ns: silence is measured in sealed time.
            moment: as long as it is the same, nobody else can make room.
            alarmed: versions with a latched alarm, which make no room; asked only where somebody has to.

        Raises:
            NoRoom: nobody can make room.
        """

        def silence(other: ModelKey) -> int | None:
            return None if other in alarmed() else self.silence_ns(self.models[other], sealed_ns)

        gone = self.registry.evict(key, moment, silence)
        for going in gone:
            _logger.info("model %r: silent for long, forgotten for a new one's sake", str(going))
        return [self.forget(going) for going in gone]

    def enter(self, key: ModelKey, task: str | None, sealed_ns: int) -> WatchedModel:
        """Begin to watch a version with its settings and its baseline; what is known of the version before is not lost."""
        config = self.settings(key, task)
        model = self.watch(key, config, *self.find_baseline(key, config), sealed_ns)
        self._succeed(model)
        return model

    def watch(
        self, key: ModelKey, config: ModelConfig, baseline: Baseline | None, note: str, sealed_ns: int
    ) -> WatchedModel:
        """Begin to watch a version that there is room for, from nothing."""
        model = WatchedModel(key, config, self.config.limits, baseline, self.closed)
        model.baseline_note = note
        model.seen_ns = sealed_ns
        model.sealed_ns = 0 if model.is_batch else sealed_ns
        self.models[key] = model
        self.watchers[key] = Watcher(config, baseline, key.version)
        self.registry.add(key)
        return model

    def _succeed(self, model: WatchedModel) -> None:
        """Go on from the version before: the newest other one that serves, else the newest other one."""
        others = [self.models[key] for key in self.registry.versions(model.key[:2]) if key != model.key]
        serving = [other for other in others if other.serves]
        # What a shadow learned is of answers that nobody used, on whatever machine had room.
        for before in (serving or others)[-1:]:
            self.watchers[model.key].take_over(self.watchers[before.key])
            model.arrivals.take_over(before.arrivals)

    def forget(self, key: ModelKey) -> WatchedModel:
        """Watch a version no longer; what it was. If it comes again, it comes as a new one."""
        model = self.models.pop(key)
        del self.watchers[key]
        self.registry.remove(key)
        self.retired[key] = None
        return model
