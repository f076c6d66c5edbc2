"""A hash of everything that the engine remembers: equal for equal histories, whatever was saved, replayed or restored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from calidris.batch import ModelKey
from calidris.engine.checkpoint.plain_json import alarm_json, model_json
from calidris.engine.checkpoint.shared_worlds import world_parts
from calidris.engine.core import Engine
from calidris.engine.detectors.slot import slot_bytes
from calidris.engine.detectors.watcher import Watcher
from calidris.engine.model import WatchedModel


def digest(engine: Engine) -> str:
    """Sixteen bytes of BLAKE2b, hexadecimal. Panes that memory does not hold are read one by one from where they are."""
    out = hashlib.blake2b(digest_size=16)
    for part in _parts(engine):
        out.update(part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode())
    return out.hexdigest()


def _parts(engine: Engine) -> Iterable[object]:
    yield (
        engine.sequence,
        engine.began_ns,
        engine.sealed_ns,
        [alarm_json(a) for a in engine.alarms],
        sorted(engine.latched),
    )
    yield [command.plain() for command in engine.commands]
    if engine.configured:
        yield [command.plain() for command in engine.configured]
    yield engine.counters
    if engine.senders.taken():
        yield engine.senders.to_json()
    for memory in engine.repeats.values():
        for generation in memory.generations:
            yield generation.number, generation.began_ns
            yield generation.hashes().tobytes()
    yield [[*key, early.to_json()] for key, early in sorted(engine.early.items(), key=lambda pair: pair[0])]
    yield from world_parts(engine.worlds)
    for key in sorted(engine.models):
        yield from _model_parts(key, engine.models[key], engine.watchers[key])


def _model_parts(key: ModelKey, model: WatchedModel, watcher: Watcher) -> Iterable[object]:
    told = model_json(model, watcher) | {"specs": [spec.to_json() for spec in model.specs]}
    told.pop("late", None)  # the panes tell, each its own
    yield [*key], told
    for pane_key, pane in model.panes.every():
        yield [*pane_key], pane.late, pane.trace_ids, pane.features
        for state in (pane.counts, pane.moments, pane.levels, pane.labels, pane.display):
            yield state.to_bytes() if state is not None else b""
        if pane.weighted is not None:
            yield pane.weighted.to_bytes()
    for _, watch in sorted(watcher.slots.items()):
        yield slot_bytes(watch)
    for rows, used, held in model.pending.blocks():
        yield rows.tobytes()
        yield used.tobytes()
        if held["marks"].any():  # earlier versions kept none
            yield held.tobytes()
    if model.reservoir is not None:
        yield from model.reservoir.to_bytes()
    if model.baseline is not None:
        yield model.baseline.id
