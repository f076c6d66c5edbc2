"""Save the engine in one transaction, and bring it back: only what changed since the last checkpoint is written."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import Any

from calidris.baseline import Baseline
from calidris.batch import ModelKey
from calidris.engine.checkpoint.pending_rows import Written, restore_pending, save_pending
from calidris.engine.checkpoint.plain_json import alarm_from, alarm_json, model_json, restore_totals
from calidris.engine.checkpoint.saved_specs import load_specs, save_specs
from calidris.engine.checkpoint.shared_worlds import (
    CarriedBaselines,
    mark_worlds_saved,
    restore_worlds,
    save_carried,
    save_worlds,
)
from calidris.engine.checkpoint.store import Store, mark_saved, restore_dedup, restore_dedup_digests, save_dedup
from calidris.engine.commands import Command
from calidris.engine.conservation import balance
from calidris.engine.core import Engine
from calidris.engine.detectors.slot import restore_slot, slot_bytes
from calidris.engine.detectors.watcher import Watcher, slot_name
from calidris.engine.model import WatchedModel
from calidris.engine.panes.pane import COLUMNS, Pane, PaneKey, pane_from, pane_row
from calidris.engine.panes.panes import Panes
from calidris.engine.snapshot import WindowPoint
from calidris.errors import IncompatibleState
from calidris.labels import EarlyLabels, held_dtype, pending_dtype
from calidris.state import Spec

_logger = logging.getLogger(__name__)
_KEY = "model=? AND start_ns=? AND spec=? AND level=?"
_PANE = f"SELECT {COLUMNS} FROM panes WHERE {_KEY}"
_LABELS = f"SELECT labels FROM labels WHERE {_KEY}"
_KEYS = "SELECT start_ns, spec, level FROM panes WHERE model=? AND start_ns>=? AND start_ns<?"
_PUT_PANE = "INSERT OR REPLACE INTO panes VALUES (?,?,?,?,?,?,?,?,?,?)"
_PUT_LABELS = "INSERT OR REPLACE INTO labels VALUES (?,?,?,?,?)"
_PUT_MODEL = (
    "INSERT INTO models (tenant, name, version, state) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (tenant, name, version) DO UPDATE SET state = excluded.state"
)


class Checkpoint:
    """Couples an engine to a store.

    Args:
        store: where the state is kept.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.numbers: dict[ModelKey, int] = {}

    def load_pane(self, key: ModelKey, pane: PaneKey, spec: Spec) -> Pane | None:
        """A closed pane, or None where there is none; handed to the engine."""
        at = (self.numbers.get(key), *pane)
        row = self.store.db.execute(_PANE, at).fetchone()
        if row is None:
            return None
        labels = self.store.db.execute(_LABELS, at).fetchone()
        return pane_from(spec, row, None if labels is None else labels[0])

    def pane_keys(self, key: ModelKey, start_ns: int, end_ns: int) -> list[PaneKey]:
        """Keys of the closed panes that begin in ``[start_ns, end_ns)``; handed to the engine."""
        found = self.store.db.execute(_KEYS, (self.numbers.get(key), start_ns, end_ns))
        return [PaneKey(*row) for row in found]

    def save(self, engine: Engine) -> None:
        """Write what changed, with the sequence number, in one transaction; then forget panes that memory need not hold.

        Raises:
            sqlite3.Error: nothing was written, and all of it still counts as unsaved.
        """
        self._serve(engine)
        with self.store.transaction():
            self._forget(engine)
            self._save_engine(engine)
            numbers = {key: self._save_model(key, model, engine.watchers[key]) for key, model in engine.models.items()}
            save_carried(self.store, engine.watchers.values())
            save_worlds(self.store, engine)
            for world in engine.worlds:
                numbers[world.key] = world.number
                self._save_panes(world.number, world.shared.panes)
        self.numbers = numbers
        engine.fleet.retired.clear()
        # Only now: a transaction that failed has written none of it.
        mark_saved(engine.repeats)
        shares = max(len(engine.models) + len(engine.worlds), 1)
        for key, model in engine.models.items():
            _mark_saved(model, engine.watchers[key])
            model.forget(engine.config.limits.pane_bytes // shares)
        mark_worlds_saved(engine, engine.config.limits.pane_bytes // shares)
        self.store.give_back()

    def _serve(self, engine: Engine) -> None:
        """Be where the engine's closed panes are, if nobody is: what is forgotten after a save must be found again."""
        engine.fleet.closed.source = engine.fleet.closed.source or self

    def _forget(self, engine: Engine) -> None:
        """Drop what the store has of retired versions, which may be watched anew by now."""
        for number in (self.numbers[key] for key in engine.fleet.retired if key in self.numbers):
            self.store.drop_model(number)

    def _save_engine(self, engine: Engine) -> None:
        put = self.store.put
        put("sequence", str(engine.sequence).encode())
        put("sealed_ns", str(engine.sealed_ns).encode())
        put("began_ns", str(engine.began_ns).encode())
        put("alarms", json.dumps([alarm_json(a) for a in engine.alarms]).encode())
        put("latched", json.dumps(sorted(engine.latched)).encode())
        put("orders", json.dumps([command.plain() for command in engine.commands]).encode())
        if engine.configured:
            put("configured", json.dumps([command.plain() for command in engine.configured]).encode())
        put("counters", json.dumps(engine.counters, sort_keys=True).encode())
        put("early", json.dumps([[*k, e.to_json()] for k, e in engine.early.items()]).encode())
        put("senders", engine.senders.to_json().encode())
        save_dedup(self.store, engine.repeats)

    def _save_model(self, key: ModelKey, model: WatchedModel, watcher: Watcher) -> int:
        if model.unsaved:
            self.store.db.execute(_PUT_MODEL, (*key, json.dumps(model_json(model, watcher)).encode()))
        query = "SELECT id FROM models WHERE tenant=? AND name=? AND version=?"
        number = int(self.store.db.execute(query, key).fetchone()[0])
        save_specs(self.store, number, model.specs)
        self._save_panes(number, model.panes)
        for slot, watch in watcher.slots.items():
            if watch.unsaved:
                self.store.put_blob(number, "watch", slot_name(slot), slot_bytes(watch))
        self._save_learning(number, model)
        save_pending(self.store, number, model.pending)
        return number

    def _save_panes(self, number: int, panes: Panes) -> None:
        for table in ("panes", "labels"):
            gone = [(number, *key) for key in panes.gone]
            self.store.db.executemany(f"DELETE FROM {table} WHERE {_KEY}", gone)
        for key, pane in panes.memory.items():
            if pane.dirty:
                self.store.db.execute(_PUT_PANE, (number, *key, *pane_row(pane)))
            if pane.relabelled and pane.labels.count:
                self.store.db.execute(_PUT_LABELS, (number, *key, pane.labels.to_bytes()))

    def _save_learning(self, number: int, model: WatchedModel) -> None:
        if model.baseline is not None and model.baseline.provisional:
            if self.store.blob(number, "provisional") is None:
                self.store.put_blob(number, "provisional", "", model.baseline.to_bytes())
                self.store.drop_blobs(number, "reservoir")
        elif model.reservoir is not None:
            kept = self.store.count_blobs(number, "reservoir")
            for i, raw in enumerate(model.reservoir.to_bytes(kept), start=kept):
                self.store.put_blob(number, "reservoir", f"{i:08d}", raw)

    def restore(self, engine: Engine) -> None:
        """Bring the engine to the last checkpoint; an empty store leaves it empty.

        Raises:
            CorruptState: the file is damaged; the message names it.
        """
        self._serve(engine)
        with self.store.readable():
            if self.store.get("sequence") is not None:
                self._restore_engine(engine)
                carried = CarriedBaselines(self.store)
                rows = self.store.db.execute("SELECT id, tenant, name, version, state FROM models ORDER BY id")
                for number, tenant, name, version, state in rows.fetchall():
                    key = ModelKey(tenant, name, version)
                    self._restore_model(engine, int(number), key, json.loads(state), carried)
                    engine.mend_alarms(engine.models[key])
                restore_worlds(self.store, engine, self.numbers)
                balance(engine)

    def _restore_engine(self, engine: Engine) -> None:
        def plain(key: str) -> Any:
            return json.loads(self.store.get(key) or b"null")

        engine.sequence, engine.sealed_ns, engine.began_ns = plain("sequence"), plain("sealed_ns"), plain("began_ns")
        unknown = engine.book.restore(map(alarm_from, plain("alarms")), plain("latched"))
        for number in unknown:
            _logger.warning(
                "engine: alarm %d is latched in the checkpoint and not in its list of alarms: left out", number
            )
        engine.commands = [Command.of(values) for values in plain("orders")]
        # Checkpoints of versions before it have none.
        engine.configured = [Command.of(values) for values in plain("configured") or ()]
        engine.counters.update({name: Counter(reasons) for name, reasons in plain("counters").items()})
        for tenant, name, text in plain("early"):
            engine.early[tenant, name] = EarlyLabels()
            engine.early[tenant, name].restore(text)
        engine.senders.restore(plain("senders") or ())  # older checkpoints have none
        restore_dedup_digests(self.store, engine.requests)
        restore_dedup(self.store, engine.repeats)

    def _restore_model(
        self, engine: Engine, number: int, key: ModelKey, state: dict[str, Any], carried: CarriedBaselines
    ) -> None:
        self.numbers[key] = number
        config = engine.fleet.settings(key, state["task"])
        baseline, note = engine.fleet.find_baseline(key, config)
        provisional = self.store.blob(number, "provisional")
        if baseline is None and provisional is not None:
            baseline = Baseline.from_bytes(provisional)
        specs = load_specs(self.store, number, state["specs"], baseline.spec if baseline else None)
        model = engine.fleet.watch(key, config, baseline, note, engine.sealed_ns)
        watcher = engine.watchers[key]
        # Where another baseline was given since, rows are counted under its spec from here on.
        model.specs[:] = specs if not model.specs or model.specs[-1:] == specs[-1:] else specs + model.specs
        model.restored_baseline = state["baseline"]
        restore_totals(model, state, engine.sealed_ns)
        watcher.history.extend(WindowPoint(*point) for point in state["history"])
        for limit in watcher.limits:
            limit.restore(state["limits"])
        if baseline is not None and baseline.id == state["baseline"]:
            carried.give(watcher, state.get("carried"))
            if state.get("relabelled"):
                watcher.learn_labels_anew()
            self._restore_watches(number, key, watcher)
        if model.reservoir is not None:
            model.reservoir.restore(self.store.blobs(number, "reservoir").values(), key.tenant)
        model.load()
        rows = pending_dtype(state["slices"], model.weighted)
        written = Written(rows, held_dtype(state["task"]))
        restore_pending(self.store, number, model.pending, written, state.get("waiting_blocks"))

    def _restore_watches(self, number: int, key: ModelKey, watcher: Watcher) -> None:
        saved = self.store.blobs(number, "watch")
        for slot, watch in watcher.slots.items():
            name = slot_name(slot)
            try:
                if name in saved:
                    restore_slot(watch, saved[name])
            except IncompatibleState as error:
                _logger.warning("model %s: the evidence of %s begins anew: %s", key, name, error)


def _mark_saved(model: WatchedModel, watcher: Watcher) -> None:
    model.unsaved = False
    model.panes.saved()
    for watch in watcher.slots.values():
        watch.unsaved = False
    for chunk in model.pending.chunks:
        chunk.mark_saved()
