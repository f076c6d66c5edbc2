"""The model versions that are watched: who comes in, with which settings and baseline, and who makes room."""

from __future__ import annotations

import logging
from collections.abc import Callable, Set

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import ModelKey
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.detectors.watcher import Watcher
from calidris.engine.model import WatchedModel
from calidris.engine.panes.panes import ClosedPanes, LiveOnly
from calidris.engine.registry import Roster

FindBaseline = Callable[[ModelKey, ModelConfig], tuple[Baseline | None, str]]
"""The baseline of a model version, and one sentence where it is not the one that was asked for."""

_LEARNED = (semconv.ML_MODEL_TASK_BINARY, semconv.ML_MODEL_TASK_MULTICLASS, semconv.ML_MODEL_TASK_REGRESSION)
_logger = logging.getLogger(__name__)


class Fleet:
    """Every watched model version, with its watcher.

    Attributes:
        models: what is remembered of each.
        watchers: its detectors.
        roster: who may come in.
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
        self.roster = Roster(config.limits, frozenset((m.tenant, m.name) for m in config.models))
        self.retired: dict[ModelKey, None] = {}
        self.closed = LiveOnly(closed, self.retired)

    def settings(self, key: ModelKey, task: str | None) -> ModelConfig:
        """A model's settings; the task of a model that nobody configured is the one that its first rows state."""
        config = self.config.model(key.name, key.tenant)
        configured = key[:2] in self.roster.configured
        return config if configured or task not in _LEARNED else config.model_copy(update={"task": task})

    def make_room(
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
            return None if other in alarmed() else sealed_ns - self.models[other].seen_ns

        return [self._retire(going) for going in self.roster.make_room(key, moment, silence)]

    def enter(self, key: ModelKey, task: str | None, sealed_ns: int) -> WatchedModel:
        """Begin to watch a version with its settings and its baseline."""
        config = self.settings(key, task)
        return self.watch(key, config, *self.find_baseline(key, config), sealed_ns)

    def watch(
        self, key: ModelKey, config: ModelConfig, baseline: Baseline | None, note: str, sealed_ns: int
    ) -> WatchedModel:
        """Begin to watch a version that there is room for; evidence on features carries over from the newest other one."""
        model = WatchedModel(key, config, self.config.limits, baseline, self.closed)
        model.baseline_note = note
        model.seen_ns = sealed_ns
        others = self.roster.versions(key[:2])
        self.models[key] = model
        self.watchers[key] = watcher = Watcher(config, baseline, key.version)
        if others:
            watcher.take_over(self.watchers[others[-1]])
        self.roster.add(key)
        return model

    def _retire(self, key: ModelKey) -> WatchedModel:
        model = self.models.pop(key)
        del self.watchers[key]
        self.roster.remove(key)
        self.retired[key] = None
        _logger.info("model %r: silent for long, forgotten for a new one's sake", str(key))
        return model
