"""What all versions of a model share, in the checkpoint: beside the models, under numbers below zero, which no model has.

``meta`` lists the worlds; their panes, detectors and baselines are where those of models are. A program of before them passes over
all of it: no other format is needed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

from calidris.baseline import Baseline
from calidris.batch import ModelKey
from calidris.engine.checkpoint.store import Store
from calidris.engine.core import Engine
from calidris.engine.detectors.slot import restore_slot, slot_bytes
from calidris.engine.detectors.watcher import Watcher, slot_name
from calidris.engine.panes.arrivals import Arrivals
from calidris.engine.panes.rollup import Marks
from calidris.engine.world.world import World
from calidris.errors import IncompatibleState

Json = dict[str, Any]
_logger = logging.getLogger(__name__)
_LIST = "worlds"
_CARRIED = "carried/"


def world_json(world: World) -> Json:
    """What is remembered of a world, but for its panes and detectors."""
    shared = world.shared
    return {
        "owner": list(world.owner),
        "founder": list(world.founder),
        "baseline": world.baseline.id,
        "began_ns": world.began_ns,
        "sealed_ns": shared.sealed_ns,
        "rows": shared.rows,
        "first_event_ns": shared.first_event_ns,
        "deleted_ns": shared.panes.marks.deleted_ns,
        **shared.arrivals.to_json(),
    }


def world_parts(worlds: Iterable[World]) -> Iterable[object]:
    """All that is remembered of worlds, for a digest; nothing where there are none."""
    for world in sorted(worlds, key=lambda one: one.owner):
        yield world_json(world)
        for pane_key, pane in world.shared.panes.every():
            yield [*pane_key]
            yield pane.counts.to_bytes()
        for _, watch in sorted(world.slots.items()):
            yield slot_bytes(watch)


def save_worlds(store: Store, engine: Engine) -> None:
    """Write all worlds but for their panes, inside the caller's transaction; what is gone is dropped."""
    worlds = engine.worlds
    for number in worlds.gone:
        store.drop_model(number)
    if worlds or store.get(_LIST) is not None:
        told = [world_json(world) | {"number": world.number} for world in worlds]
        store.put(_LIST, json.dumps(told).encode())
    for world in worlds:
        _save_blobs(store, world)


def _save_blobs(store: Store, world: World) -> None:
    """The baseline, once: its file may be gone by the next start, and what is learned against it must not be."""
    number = world.number
    if store.blob(number, "baseline") is None:
        raw = world.baseline.to_bytes()
        store.put_blob(
            number,
            "baseline",
            "",
            raw,
        )
    for slot, watch in world.slots.items():
        if watch.unsaved:
            name = slot_name(slot)
            store.put_blob(
                number,
                "watch",
                name,
                slot_bytes(watch),
            )


def mark_worlds_saved(engine: Engine, most_bytes: int) -> None:
    """Note that the transaction went well, and let go of panes that memory need not hold."""
    engine.worlds.forget_gone()
    for world in engine.worlds:
        world.shared.saved(most_bytes)
        for watch in world.slots.values():
            watch.unsaved = False


def save_carried(store: Store, watchers: Iterable[Watcher]) -> None:
    """Write the baselines that errors and latency of other versions are compared with, each once, inside the caller's transaction.

    The file of the version that one was built for may be gone by the next start. What nobody needs any more is dropped.
    """
    wanted = {}
    for watcher in watchers:
        base = watcher.carried
        if base is not None:
            wanted[base.id] = base
    found = store.db.execute(
        "SELECT key FROM meta WHERE key LIKE ?",
        (f"{_CARRIED}%",),
    )
    kept = {str(key).removeprefix(_CARRIED) for (key,) in found}
    for gone in kept - wanted.keys():
        store.drop(_CARRIED + gone)
    for new in wanted.keys() - kept:
        raw = wanted[new].to_bytes()
        store.put(_CARRIED + new, raw)


class CarriedBaselines:
    """Brings those baselines back, each once, however many versions go by it.

    Args:
        store: the checkpoint.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[str, Baseline] = {}

    def give(
        self,
        watcher: Watcher,
        number: str | None,
    ) -> None:
        """Let a version go by the baseline of this id again; nothing where it goes by its own."""
        if number is None:
            return
        base = self._read.get(number) or self._load(number)
        self._read[number] = base
        watcher.carry(base)

    def _load(self, number: str) -> Baseline:
        raw = self._store.get(_CARRIED + number)
        if raw is None:
            raise LookupError(f"the baseline {number}, which a version's errors are compared with, is missing")
        return Baseline.from_bytes(raw)


def restore_worlds(
    store: Store,
    engine: Engine,
    numbers: dict[ModelKey, int],
) -> None:
    """Bring the worlds back, after the models; a store of before them has none."""
    for told in json.loads(store.get(_LIST) or b"[]"):
        owner = tuple(told["owner"])
        if engine.fleet.registry.versions(owner):
            _restore(
                store,
                engine,
                told,
                numbers,
            )


def _restore(
    store: Store,
    engine: Engine,
    told: Json,
    numbers: dict[ModelKey, int],
) -> None:
    world = _world_of(
        store,
        engine,
        told,
    )
    numbers[world.key] = world.number
    _restore_totals(world, told)
    _restore_slots(store, world)
    world.shared.load()
    engine.worlds.put(world)
    _take_given(engine, world)
    current = engine.worlds.found[world.owner]
    engine.worlds.mend(current)


def _world_of(
    store: Store,
    engine: Engine,
    told: Json,
) -> World:
    """A world as it is before anything of it is brought back."""
    founder = ModelKey(*told["founder"])
    number = int(told["number"])
    kept = store.blob(number, "baseline")
    assert kept is not None, "it is written with the world"
    return World(
        number,
        founder[:2],
        engine.fleet.settings(founder, None),
        founder,
        Baseline.from_bytes(kept),
        engine.fleet.closed,
    )


def _take_given(engine: Engine, world: World) -> None:
    """Begin anew where somebody has built the baseline of the first version again."""
    given, note = engine.fleet.find_baseline(world.founder, world.config)
    # Another version's, where its own file is gone, is nobody's decision.
    if given is None or note or given.provisional:
        return
    if given.id != world.baseline.id:
        engine.worlds.rebase(
            world,
            world.founder,
            given,
        )


def _restore_totals(world: World, told: Json) -> None:
    world.began_ns = told["began_ns"]
    world.shared.restore(
        Arrivals.from_json(told),
        Marks(deleted_ns=told["deleted_ns"]),
        rows=told["rows"],
        sealed_ns=told["sealed_ns"],
        first_event_ns=told["first_event_ns"],
    )


def _restore_slots(store: Store, world: World) -> None:
    saved = store.blobs(world.number, "watch")
    for slot, watch in world.slots.items():
        name = slot_name(slot)
        try:
            if name in saved:
                restore_slot(watch, saved[name])
        except IncompatibleState as error:
            _logger.warning(
                "model %s/%s: the evidence of %s begins anew: %s",
                *world.owner,
                name,
                error,
            )
