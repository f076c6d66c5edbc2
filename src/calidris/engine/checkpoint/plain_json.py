"""The engine's small parts as JSON, and back."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from calidris import semconv
from calidris.batch import ModelKey
from calidris.config.detection import PAGES
from calidris.detect import Onset
from calidris.engine.arrival import Jobs, SentSlices, StatedInputs
from calidris.engine.detectors.watcher import Watcher
from calidris.engine.model import WatchedModel
from calidris.engine.outcomes import Outcomes
from calidris.engine.panes.arrivals import Arrivals
from calidris.engine.panes.days import Days
from calidris.engine.panes.rollup import Marks
from calidris.engine.panes.traffic_day import TrafficDay
from calidris.engine.snapshot import Alarm, Moved, NamedFeature

_TOTALS = ("rows", "labels", "first_event_ns", "last_event_ns", "newest_sealed_ns")


_SET_ASIDE = ("late", "moved")


def model_json(model: WatchedModel, watcher: Watcher) -> dict[str, Any]:
    """What is remembered of a model version, but for its panes, detectors and waiting predictions."""
    return {
        "task": model.config.task,
        "slices": model.pending.dtype["slices"].shape[0],
        "specs": [spec.hash for spec in model.specs],
        "baseline": model.baseline.id if model.baseline else None,
        "slo": [[*name, n] for name, n in sorted(model.slo_events.items())],
        "waiting": [model.pending.evicted, model.pending.expired],
        "waiting_blocks": len(model.pending.full),
        "limits": [limit.to_json() for limit in watcher.limits],
        "history": [dataclasses.astuple(point) for point in watcher.history],
        "days": model.days.to_json(),
        "seen_ns": model.seen_ns,
        "marks": list(model.panes.marks),
        **{name: getattr(model, name) for name in _TOTALS},
        # Left out where there is nothing to tell, as in checkpoints of versions that did not note them.
        **model.arrivals.to_json(),
        **model.traffic_day.to_json(),
        **model.sent_slices.to_json(),
        **model.inputs.to_json(),
        **({"weighted": True} if model.weighted else {}),
        **({"role": model.role} if model.role != semconv.ML_MODEL_ROLE_CHAMPION else {}),
        **({"relabelled": True} if watcher.relabelled else {}),
        **({"carried": watcher.carried.id} if watcher.carried else {}),
        **({"outcomes": model.outcomes.to_json()} if model.outcomes else {}),
        **({"jobs": model.jobs.to_json() | {"sealed_ns": model.sealed_ns}} if model.is_batch else {}),
        **{name: getattr(model, name) for name in _SET_ASIDE if getattr(model, name)},
    }


def restore_totals(model: WatchedModel, state: dict[str, Any], sealed_ns: int) -> None:
    """Take over the totals of ``model_json``; ``sealed_ns`` is until when the clock had closed windows."""
    for name in _TOTALS:
        setattr(model, name, state[name])
    model.seen_ns = state.get("seen_ns", model.newest_sealed_ns)  # older checkpoints do not tell
    for name in _SET_ASIDE:
        setattr(model, name, state.get(name, 0))
    _restore_jobs(model, state, sealed_ns)
    if state.get("weighted", False):
        model.begin_weighing()
    model.role = state.get("role", semconv.ML_MODEL_ROLE_CHAMPION)
    model.days = Days.from_json(state["days"])
    model.traffic_day = TrafficDay.from_json(state, model.specs)
    model.arrivals = Arrivals.from_json(state)
    model.sent_slices = SentSlices.from_json(state)
    model.inputs = StatedInputs.from_json(model.config, state)
    model.outcomes = Outcomes.from_json(state.get("outcomes", {}))
    model.panes.marks = Marks(*state.get("marks", ()))  # format 4 had none
    model.slo_events = Counter({(slo, outcome): n for slo, outcome, n in state["slo"]})
    model.pending.evicted, model.pending.expired = state["waiting"]


def _restore_jobs(model: WatchedModel, state: dict[str, Any], sealed_ns: int) -> None:
    """Take over how its rows come. What the clock closed, before the settings said that they come in jobs, stays closed."""
    told = state.get("jobs", {})
    model.jobs = Jobs.from_json(told)
    if told or model.is_batch:
        model.sealed_ns = told.get("sealed_ns", sealed_ns if model.newest_sealed_ns else 0)


def alarm_json(alarm: Alarm) -> dict[str, Any]:
    """Plain values of an alarm."""
    values = dataclasses.asdict(alarm) | {"model": list(alarm.model)}
    # Nothing that a checkpoint of a version before it would not hold.
    for name in ("silent", "onset", "renews", "settings", "program", "shared", "moved"):
        if not values[name]:
            del values[name]
    before = _told_before(alarm.kind, alarm.budgeted)
    return {name: value for name, value in values.items() if name not in before or value != before[name]}


def _told_before(kind: str, budgeted: bool) -> dict[str, Any]:
    """What alarms meant before they said so: evidence at one level, and by their kind alone whom they are for."""
    severity = semconv.ML_DETECTION_SEVERITY_PAGE if kind == PAGES else semconv.ML_DETECTION_SEVERITY_TICKET
    return {"level": semconv.ML_DETECTION_LEVEL_STRONG if budgeted else "", "severity": severity, "strong_ns": 0}


def alarm_from(data: dict[str, Any]) -> Alarm:
    """The alarm that ``alarm_json`` described."""
    features = tuple(NamedFeature(**f) for f in data["features"])
    changes: dict[str, Any] = {
        "model": ModelKey(*data["model"]),
        "features": features,
        "trace_ids": tuple(data["trace_ids"]),
    }
    changes["onset"] = Onset(*data["onset"]) if "onset" in data else None
    changes["moved"] = tuple(Moved(**one) for one in data.get("moved", ()))
    return Alarm(**(_told_before(data["kind"], data["budgeted"]) | data | changes))
