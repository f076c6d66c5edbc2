"""The JSON of which models there are: watched, configured, forgotten. ``json_shapes`` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calidris.batch import ModelKey
from calidris.engine.commands import FORGET, NO_ALARM, Command
from calidris.engine.snapshot import ModelSnapshot, Snapshot
from calidris.engine.standing import Absent, Expected, find_absent, find_unconfigured

Json = dict[str, Any]


def expected_json(snapshot: Snapshot, expected: Sequence[Expected]) -> Json:
    """What of the configured models never came, and what came unconfigured; nothing where all is as configured."""
    if not expected:
        return {}
    came = _came(snapshot)
    told: Json = {}
    absent = _find_absent(snapshot, expected)
    if absent:
        told["absent"] = absent
    others = find_unconfigured(expected, came)
    if others:
        told["unconfigured"] = [key._asdict() for key in others]
    return told


def _came(snapshot: Snapshot) -> list[ModelKey]:
    return [model.key for model in snapshot.models]


def _find_absent(snapshot: Snapshot, expected: Sequence[Expected]) -> list[Json]:
    came = _came(snapshot)
    # What fell silent long ago is not what a model sends under today.
    live = [key for key in came if key not in snapshot.silent]
    return [_absent(one) for one in find_absent(expected, came, live)]


def _absent(one: Absent) -> Json:
    meant = None
    if one.meant is not None:
        meant = one.meant._asdict()
    return {
        "tenant": one.tenant,
        "name": one.name,
        "version": one.version or None,
        "did_you_mean": meant,
        "cure": one.cure,
    }


def models_json(snapshot: Snapshot, expected: Sequence[Expected]) -> Json:
    """Every model version that is remembered: what ``/v1/models`` answers."""
    configured = {(model.tenant, model.name) for model in expected}
    models = []
    for model in snapshot.models:
        listed = _listed(model, snapshot)
        listed["configured"] = model.key[:2] in configured
        models.append(listed)
    return {
        "models": models,
        "absent": _find_absent(snapshot, expected),
        "forgotten": _forgotten(snapshot),
        "orders": _orders(snapshot),
    }


def _forgotten(snapshot: Snapshot) -> list[Json]:
    """Each decision once: the trail has one more line for each alarm that ended with the model."""
    orders = [command for command in snapshot.commands if command.action == FORGET]
    return [order.plain() for order in orders if order.alarm == NO_ALARM]


def _orders(snapshot: Snapshot) -> list[Json]:
    """What was decided about models, and by which settings they were watched since when; oldest first."""
    orders = list(snapshot.configured)
    for command in snapshot.commands:
        if command.model is not None and command.alarm == NO_ALARM:
            orders.append(command)
    orders.sort(key=_moment)
    return [order.plain() for order in orders]


def _moment(order: Command) -> int:
    return order.at_ns


def _listed(model: ModelSnapshot, snapshot: Snapshot) -> Json:
    key = model.key
    alarms = [alarm for alarm in snapshot.alarms if alarm.model == key]
    return {
        "tenant": key.tenant,
        "name": key.name,
        "version": key.version,
        "live": key not in snapshot.silent,
        "role": model.role,
        "status": model.status.value,
        "rows": model.rows,
        "labels": model.labels,
        "last_event_ns": model.last_event_ns,
        "baseline": model.baseline,
        "latched": [alarm.id for alarm in alarms if alarm.id in snapshot.latched],
    }


def unknown_json(snapshot: Snapshot, name: str, version: str) -> Json:
    """The error where nobody has seen a model; an empty version is any."""
    known = [key._asdict() for key in _came(snapshot)]
    which = f" of version {version!r}" if version else ""
    return {
        "error": f"no model {name!r}{which} has been seen",
        "known": known,
    }
