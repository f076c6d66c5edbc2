"""Save the engine in one transaction, and bring it back: only what changed since the last checkpoint is written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter, deque
from typing import Any

import numpy as np

from calidris.baseline import Baseline
from calidris.batch import ModelKey
from calidris.engine.core import Engine, FindBaseline
from calidris.engine.model import WatchedModel
from calidris.engine.pane import Pane, PaneKey
from calidris.engine.snapshot import Alarm, NamedFeature, WindowPoint
from calidris.engine.store import Store
from calidris.engine.watch import Watcher
from calidris.labels import Chunk, EarlyLabels
from calidris.state import CountsState, ScoresState, Spec

_KEPT_PANES_NS = 3_600_000_000_000
"""Panes stay in memory this long beyond the longest window, for labels and late rows."""


class Checkpoint:
    """Couples an engine to a store.

    Args:
        store: where the state is kept.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.numbers: dict[ModelKey, int] = {}
        self._saved_rows: dict[ModelKey, set[int]] = {}

    def load_pane(self, key: ModelKey, pane: PaneKey, spec: Spec) -> Pane | None:
        """A closed pane, or None where there is none; handed to the engine."""
        number = self.numbers.get(key)
        row = self.store.db.execute(
            "SELECT counts, scores, late, traces FROM panes WHERE model=? AND start_ns=? AND spec=?",
            (number, pane.start_ns, pane.spec),
        ).fetchone()
        return None if row is None else _pane(spec, row)

    def save(self, engine: Engine) -> None:
        """Write what changed, with the sequence number, in one transaction; then forget panes that memory need not hold."""
        with self.store.transaction():
            put = self.store.put
            put("sequence", str(engine.sequence).encode())
            put("sealed_ns", str(engine.sealed_ns).encode())
            put("requests", engine.requests.to_bytes())
            put("alarms", json.dumps([_alarm_json(a) for a in engine.alarms]).encode())
            put("latched", json.dumps(sorted(engine.latched)).encode())
            put("counters", json.dumps(engine.counters, sort_keys=True).encode())
            put("early", json.dumps([[*k, e.to_json()] for k, e in engine.early.items()]).encode())
            for key, model in engine.models.items():
                self._save_model(key, model, engine.watchers[key])
        for model in engine.models.values():
            longest = round(max(model.config.all_windows_s) * 1e9)
            model.forget_before(engine.sealed_ns - longest - _KEPT_PANES_NS)

    def _save_model(self, key: ModelKey, model: WatchedModel, watcher: Watcher) -> None:
        self.store.db.execute(
            "INSERT INTO models (tenant, name, version, state) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (tenant, name, version) DO UPDATE SET state = excluded.state",
            (*key, json.dumps(_model_json(model, watcher)).encode()),
        )
        query = "SELECT id FROM models WHERE tenant=? AND name=? AND version=?"
        number = self.numbers.setdefault(key, self.store.db.execute(query, key).fetchone()[0])
        for pane_key, pane in model.panes.items():
            if pane.dirty:
                values = (pane.counts.to_bytes(), pane.scores.to_bytes(), pane.late, json.dumps(pane.trace_ids))
                self.store.db.execute(
                    "INSERT OR REPLACE INTO panes VALUES (?,?,?,?,?,?,?)", (number, *pane_key, *values)
                )
                pane.dirty = False
        for window_s, watch in watcher.windows.items():
            self.store.put_blob(number, "watch", f"{window_s:.17g}", watch.to_bytes())
        self._save_learning(number, model)
        self._save_pending(number, key, model)

    def _save_learning(self, number: int, model: WatchedModel) -> None:
        if model.baseline is not None and model.baseline.provisional:
            if self.store.blob(number, "provisional") is None:
                self.store.put_blob(number, "provisional", "", model.baseline.to_bytes())
                self.store.drop_blobs(number, "reservoir")
        elif model.reservoir is not None:
            kept = len(self.store.blobs(number, "reservoir"))
            for i, raw in enumerate(model.reservoir.to_bytes()[kept:], start=kept):
                self.store.put_blob(number, "reservoir", f"{i:08d}", raw)

    def _save_pending(self, number: int, key: ModelKey, model: WatchedModel) -> None:
        model.pending.settle()
        saved = self._saved_rows.setdefault(key, set())
        present = {chunk.number for chunk in model.pending.chunks}
        for gone in saved - present:
            self.store.db.execute("DELETE FROM pending WHERE model=? AND chunk=?", (number, gone))
        for chunk in model.pending.chunks:
            marks = np.packbits(chunk.used).tobytes()
            if chunk.unsaved_rows:
                values = (number, chunk.number, chunk.rows.tobytes(), marks)
                self.store.db.execute("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?)", values)
            elif chunk.unsaved_marks:
                self.store.db.execute(
                    "UPDATE pending SET marks=? WHERE model=? AND chunk=?", (marks, number, chunk.number)
                )
            chunk.unsaved_rows = chunk.unsaved_marks = False
        self._saved_rows[key] = present

    def restore(self, engine: Engine) -> None:
        """Bring the engine to the last checkpoint; an empty store leaves it empty."""
        get = self.store.get
        sequence = get("sequence")
        if sequence is None:
            return
        engine.sequence = int(sequence)
        engine.sealed_ns = int(get("sealed_ns") or 0)
        engine.requests.restore(get("requests") or bytes(16))
        engine.alarms = [_alarm(data) for data in json.loads(get("alarms") or b"[]")]
        engine.latched = set(json.loads(get("latched") or b"[]"))
        for name, reasons in json.loads(get("counters") or b"{}").items():
            engine.counters[name] = Counter(reasons)
        for tenant, name, text in json.loads(get("early") or b"[]"):
            engine.early[tenant, name] = EarlyLabels()
            engine.early[tenant, name].restore(text)
        rows = self.store.db.execute("SELECT id, tenant, name, version, state FROM models ORDER BY id").fetchall()
        for number, tenant, name, version, state in rows:
            self._restore_model(engine, int(number), ModelKey(tenant, name, version), json.loads(state))

    def _restore_model(self, engine: Engine, number: int, key: ModelKey, state: dict[str, Any]) -> None:
        self.numbers[key] = number
        provisional = self.store.blob(number, "provisional")
        usual = engine.find_baseline
        engine.find_baseline = _with_provisional(usual, provisional)
        try:
            model = engine.watch(key)
        finally:
            engine.find_baseline = usual
        watcher = engine.watchers[key]
        specs = [Spec.from_json(s) for s in state["specs"]]
        if model.specs and specs and model.specs[-1].hash == specs[-1].hash:
            model.specs = specs
        else:  # another baseline was configured since: rows are counted under its spec from here on
            model.specs = specs + model.specs
        same = model.baseline is not None and model.baseline.id == state["baseline"]
        _restore_totals(model, state)
        if same or model.baseline is None:
            watcher.history = deque((WindowPoint(*point) for point in state["history"]), maxlen=watcher.history.maxlen)
        if same:
            for window_s, data in self.store.blobs(number, "watch").items():
                if float(window_s) in watcher.windows:
                    watcher.windows[float(window_s)].restore(data)
        if model.reservoir is not None:
            model.reservoir.restore([*self.store.blobs(number, "reservoir").values()], key.tenant, model.last_event_ns)
        self._restore_panes(engine, number, model)
        self._restore_pending(number, key, model)

    def _restore_panes(self, engine: Engine, number: int, model: WatchedModel) -> None:
        oldest = engine.sealed_ns - round(max(model.config.all_windows_s) * 1e9) - _KEPT_PANES_NS
        query = "SELECT start_ns, spec, counts, scores, late, traces FROM panes WHERE model=? AND start_ns>=?"
        for start_ns, spec, *row in self.store.db.execute(query, (number, oldest)).fetchall():
            model.panes[PaneKey(start_ns, spec)] = _pane(model.specs[spec], tuple(row))

    def _restore_pending(self, number: int, key: ModelKey, model: WatchedModel) -> None:
        query = "SELECT chunk, rows, marks FROM pending WHERE model=? ORDER BY chunk"
        chunks = []
        for chunk, rows, marks in self.store.db.execute(query, (number,)).fetchall():
            array = np.frombuffer(rows, dtype=model.pending.dtype).copy()
            used = np.unpackbits(np.frombuffer(marks, dtype=np.uint8), count=len(array)).astype(bool)
            chunks.append(Chunk(int(chunk), array, used, unsaved_rows=False, unsaved_marks=False))
        model.pending.restore(chunks)
        self._saved_rows[key] = {chunk.number for chunk in chunks}


def _with_provisional(find: FindBaseline, provisional: bytes | None) -> FindBaseline:
    """The user's baseline where there is one by now, else the one that was learned before."""

    def found(key: ModelKey, config: Any) -> tuple[Baseline | None, str]:
        baseline, note = find(key, config)
        if baseline is None and provisional is not None:
            learned = Baseline.from_bytes(provisional)
            return learned, f"learned from the first {learned.rows} rows, confirmed by nobody"
        return baseline, note

    return found


def _pane(spec: Spec, row: tuple[bytes, bytes, int, str]) -> Pane:
    counts, scores, late, traces = row
    states = CountsState.from_bytes(spec, counts), ScoresState.from_bytes(spec, scores)
    return Pane(*states, late=late, trace_ids=json.loads(traces), dirty=False)


_TOTALS = ("rows", "labels", "first_event_ns", "last_event_ns", "newest_sealed_ns")


def _model_json(model: WatchedModel, watcher: Watcher) -> dict[str, Any]:
    return {
        "specs": [spec.to_json() for spec in model.specs],
        "baseline": model.baseline.id if model.baseline else None,
        "slo": [[*name, n] for name, n in sorted(model.slo_events.items())],
        "waiting": [model.pending.evicted, model.pending.expired],
        "history": [dataclasses.astuple(point) for point in watcher.history],
        **{name: getattr(model, name) for name in _TOTALS},
    }


def _restore_totals(model: WatchedModel, state: dict[str, Any]) -> None:
    for name in _TOTALS:
        setattr(model, name, state[name])
    model.slo_events = Counter({(slo, outcome): n for slo, outcome, n in state["slo"]})
    model.pending.evicted, model.pending.expired = state["waiting"]


def _alarm_json(alarm: Alarm) -> dict[str, Any]:
    return dataclasses.asdict(alarm) | {"model": list(alarm.model)}


def _alarm(data: dict[str, Any]) -> Alarm:
    features = tuple(NamedFeature(**f) for f in data["features"])
    changes = {"model": ModelKey(*data["model"]), "features": features, "trace_ids": tuple(data["trace_ids"])}
    return Alarm(**(data | changes))


def digest(engine: Engine) -> str:
    """A hash of everything that the engine remembers: equal for equal histories, whatever was replayed or restored."""
    out = hashlib.blake2b(digest_size=16)

    def add(*parts: object) -> None:
        for part in parts:
            out.update(part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode())

    add(engine.sequence, engine.sealed_ns, engine.requests.to_bytes(), [_alarm_json(a) for a in engine.alarms])
    add(sorted(engine.latched), engine.counters, [[*k, e.to_json()] for k, e in sorted(engine.early.items())])
    for key in sorted(engine.models):
        model, watcher = engine.models[key], engine.watchers[key]
        add(list(key), _model_json(model, watcher))
        for pane_key in sorted(model.panes):
            pane = model.panes[pane_key]
            add(list(pane_key), pane.counts.to_bytes(), pane.scores.to_bytes(), pane.late, pane.trace_ids)
        add(*(watch.to_bytes() for _, watch in sorted(watcher.windows.items())))
        model.pending.settle()
        waiting = [c.rows[~c.used] for c in model.pending.chunks]
        add(np.sort(np.concatenate([np.empty(0, model.pending.dtype), *waiting]), order=["id", "time_ns"]).tobytes())
    return out.hexdigest()
