"""The JSON of the read API: stable shapes that ``calidris status``, terminals and scripts read.

Keys are only ever added. Times are integer nanoseconds since the epoch, shares and evidence are plain numbers, and what is
not known is ``null`` with a status or sentence beside it. ``GET /v1/status``::

    {"taken_ns": 1795266000000000000,        when the snapshot was taken
     "sequence": 90211,                      last journal record that is in it
     "ready": true,
     "models": [{
        "tenant": "default", "name": "credit", "version": "7", "task": "binary",
        "status": "ok", "status_detail": "one sentence for people",
        "notes": [],                         sentences for people whatever the status is: a borrowed baseline, a slice that never came
        "baseline": "credit-7@2026-10",      or null
        "rows": 1284332, "labels": 771204, "last_event_ns": 1795265998000000000,
        "late": 17, "moved": 0,              of the rows: came after their window was closed; had an impossible time
        "arrival": "live",                   or "batch": its rows come in jobs
        "role": "champion",                  what it does beside other versions, by its newest rows; or "canary", "shadow"
        "weighted": false,                   true: rows have weights; figures are by weight, their n is Kish's number of rows
        "faults": [{"feature": "age", "kind": "out_of_range", "rows": 3, "example": "130, above 120"}],     against its `schema`
        "owner": "risk-ml", "tier": "high",  or null
        "latched": [2],                      ids of its alarms that are latched
        "windows": [{"window": "1h", "start_ns": 0, "end_ns": 0, "rows": 5800, "labels": 1276,     newest of each length
                     "effective_rows": 5800,         what the rows are worth: Kish's number where they have weights
                     "status": "ok", "late": 0,                 of its figures; rows that came after their step was closed
                     "unseen": {"country": [{"name": "PL", "at_least": 210, "at_most": 210}]},     levels new to the baseline
                     "other": {}}],                             likewise rare or new, where an older baseline cannot tell
        "evidence": [{"window": "1h", "kind": "drift", "feature": null, "value": 1.21, "n": 23310, "status": "ok"}],
        "waiting": [{"window": "1h", "kind": "performance", "for": "labels", "detectors": 1}],   have no evidence yet, or are on hold
        "history": [{"window": "1h", "end_ns": 0, "rows": 5800, "evidence": 0.1, "top": "age", "alarm": false}],
        "seasons": [{"reference": "hour_of_week", "window": "1h", "state": "ready", "ready": 168, "hours": 168,      only where the settings
                     "replaces": false, "lacks": "",             have such references; state: sleeping, learning or ready
                     "measured": {"alarms": 0, "days": 14, "windows": 336, "highest": 0.2, ...}}],   of the baseline's days; or null
        "days": [{"time_s": 1795219200.0, "measure": "accuracy", "value": 0.91, "error": 0.004}],    headline figures of past days
        "slo_events": [{"name": "latency", "outcome": "good", "count": 1280000}]}],
     "alarms": [an alarm as in /v1/alarms, latched ones only],
     "counters": {"calidris.receiver.rows.late": {"": 17}},      the engine's own
     "health": {"calidris.queue.size": 0},                       the program's own
     "receiver": {"state": "ready", "why": "telemetry is taken", "version": "0.1.0", "started_ns": 0,
                  "replay": {"records": 0, "done": 0, "bytes": 0, "left_s": null}},
     "senders": [{"tenant": "default", "name": "credit",         null: of no model. Only where senders say they left something out
        "dropped": {"queue_full": 1234}, "withheld": {}}],       reason to rows and labels, and to values
     "early_labels": [{"tenant": "default", "name": "credit",    labels that wait for a prediction, only where some do;
        "labels": 1200, "watched": true}],                       watched: rows of the model have come
     "absent": [{"tenant": "default", "name": "credit",          configured models that never came, only where there are some
        "version": null,                                         or the version that never came of a model that did
        "did_you_mean": {"tenant": "default", "name": "svc-logisticregression", "version": "unknown"},      or null
        "cure": "Set OTEL_CALIDRIS_MODEL_NAME=credit in its service"}],
     "unconfigured": [{"tenant": "default", "name": "svc-logisticregression", "version": "unknown"}]}      where others are

``GET /readyz`` is ``{"status": "starting", ...}`` with what ``receiver`` has above; 200 where it is ready, else 503.

``GET /v1/models/{name}/{version}/readings`` is a list of every figure, those without a value too::

    [{"metric": "ml.drift.score", "attributes": {"ml.feature.name": "income", "ml.drift.measure": "psi"},
      "value": 0.12, "n": 5800, "lower": 0.1, "upper": 0.14, "window": "1h", "baseline": "credit-7@2026-10", "status": "ok"}]

``GET /v1/models`` lists what is watched, silent versions too, what never came (as ``absent`` above), and what was forgotten::

    {"models": [{"tenant": "default", "name": "credit", "version": "7", "role": "champion", "live": true, "configured": true,
                 "status": "ok", "rows": 1284332, "labels": 771204, "last_event_ns": 1795265998000000000,
                 "baseline": "credit-7@2026-10", "latched": [2]}],
     "absent": [],
     "forgotten": [{"alarm": 0, "action": "forget", "by": "ada", "reason": "retired", "at_ns": 0, "token": "oncall",
                    "model": ["default", "credit", "6"]}]}       an empty version: all of them

``POST /v1/models/{name}/{version}/forget``, or ``/v1/models/{name}/forget`` for all versions, with ``{"by": "ada", "reason": "…"}``
answers 202 with the ``models`` and ``alarms`` that end, once that is durable. It needs a reason where an alarm stands.
``POST /v1/models/{name}/{version}/rebase`` with a reason answers 202 with the ``model``: what this version is now is ordinary from
here on. Alarms against what was before end a moment later; the trail tells of each.

``GET /v1/alarms`` is a list, newest last, of latched and cleared ones::

    [{"id": 2, "tenant": "default", "name": "credit", "version": "7", "kind": "drift", "window": "1h", "latched": true,
      "raised_ns": 0, "since_ns": 0, "windows": 4, "n": 23310, "evidence": 1.21,
      "features": [{"name": "income", "direction": "mean down", "evidence": 1.18}],
      "baseline": "credit-7@2026-10", "budget": "1 per year", "trace_ids": ["4bf92f3577b34da6a3ce929d0e0e4736"],
      "level": "strong",                      or "early"; null where a fixed rule raised it
      "severity": "ticket",                   or "page"
      "strong_ns": 0,                         when an early alarm rose to a strong one; 0 where it has not
      "silent": false,                        true: raised after the rows of its model had stopped
      "shared": false,                        true: about features, which all versions that serve share; this one led
      "onset": {"status": "ok", "at_ns": 0, "earliest_ns": 0, "latest_ns": 0},     when the change began, and the interval that
                                              the strongest bets give; "undefined" and null where it is not known
      "renews": null,                         id of the standing alarm beside which this is new
      "settings": "91c0ffee2a41", "program": "0.1.0",     id of the model's settings, and which version of the program
      "orders": [{"alarm": 2, "action": "ack", "by": "ada", "reason": "", "at_ns": 0, "token": "oncall"}]}]

``POST /v1/alarms/{id}/ack`` and ``POST /v1/alarms/{id}/clear`` with ``{"by": "ada", "reason": "sensor replaced"}``
(``Content-Type: application/json``) answer 202 once the decision is durable; it shows in ``orders`` a moment later.

Where the receiver has tokens, each question needs ``Authorization: Bearer`` (401 without, 403 where the token may not), and
the answer holds the token's own tenant only: what belongs to another one does not exist (404). ``counters`` and ``health``
are of all tenants together: they are empty for a token of one of several. A token of all tenants names another one than
``default`` by ``?tenant=``. Decisions keep the token's name beside ``by``, which is only claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from calidris import semconv
from calidris.engine.readings.detail import detailed_readings
from calidris.engine.senders import LeftOut
from calidris.engine.snapshot import Alarm, ModelSnapshot, Moved, Snapshot, WindowState
from calidris.metrics import Reading, Status

Json = dict[str, Any]
UNSEEN = 10
"""Unseen levels that are named for each feature."""


def status_json(
    snapshot: Snapshot, *, ready: bool, health: Mapping[str, Any], receiver: Mapping[str, Any] | None = None
) -> Json:
    """The whole receiver: what ``/v1/status`` answers."""
    return {
        "taken_ns": snapshot.taken_ns,
        "sequence": snapshot.sequence,
        "ready": ready,
        "models": [_model(model, snapshot) for model in snapshot.models],
        "alarms": [_alarm(a, snapshot) for a in snapshot.alarms if a.id in snapshot.latched],
        "counters": {name: dict(reasons) for name, reasons in snapshot.counters.items()},
        "health": dict(health),
        "receiver": dict(receiver or {}),
        # Only where there is something to tell: most receivers have no such senders.
        **({"senders": [_left_out(sums) for sums in snapshot.senders]} if snapshot.senders else {}),
        **({"early_labels": _early_labels(snapshot)} if any(snapshot.early.values()) else {}),
    }


def alarms_json(snapshot: Snapshot) -> list[Json]:
    """Every alarm: what ``/v1/alarms`` answers."""
    return [_alarm(alarm, snapshot) for alarm in snapshot.alarms]


def readings_json(model: ModelSnapshot) -> list[Json]:
    """Every figure of a model version: what ``/v1/models/{name}/{version}/readings`` answers."""
    return [_reading(reading) for reading in (*model.readings, *detailed_readings(model))]


def _model(model: ModelSnapshot, snapshot: Snapshot) -> Json:
    return {
        **model.key._asdict(),
        "task": model.task,
        "status": model.status.value,
        "status_detail": model.status_detail,
        "notes": list(model.notes),
        "baseline": model.baseline,
        "rows": model.rows,
        "labels": model.labels,
        "last_event_ns": model.last_event_ns,
        "late": model.late,
        "moved": model.moved,
        "arrival": "batch" if model.batch else "live",
        "role": model.role,
        "weighted": model.weighted,
        "faults": [fault._asdict() for fault in model.faults],
        "owner": model.owner,
        "tier": model.tier,
        "latched": [a.id for a in snapshot.alarms if a.model == model.key and a.id in snapshot.latched],
        "windows": [_window(model, window) for window in model.windows],
        "evidence": [_evidence(r) for r in model.readings if r.metric is semconv.METRIC_ML_DETECTION_EVIDENCE],
        "waiting": [_waiting(r) for r in model.readings if r.metric is semconv.METRIC_ML_DETECTION_WAITING],
        "history": [
            {
                "window": point.window,
                "end_ns": point.end_ns,
                "rows": point.rows,
                "evidence": point.evidence,
                "top": point.top,
                "alarm": point.alarm,
            }
            for point in model.history
        ],
        **({"seasons": [asdict(season) for season in model.seasons]} if model.seasons else {}),
        "days": [day._asdict() for day in model.days],
        "slo_events": [
            {"name": name, "outcome": outcome, "count": count}
            for (name, outcome), count in sorted(model.slo_events.items())
        ],
    }


def _early_labels(snapshot: Snapshot) -> list[Json]:
    watched = {model.key[:2] for model in snapshot.models}
    return [
        {"tenant": tenant, "name": name, "labels": labels, "watched": (tenant, name) in watched}
        for (tenant, name), labels in snapshot.early.items()
        if labels
    ]


def _left_out(sums: LeftOut) -> Json:
    tenant, name = sums.owner
    return {"tenant": tenant, "name": name or None, "dropped": dict(sums.dropped), "withheld": dict(sums.withheld)}


def _window(model: ModelSnapshot, window: WindowState) -> Json:
    return {
        "window": window.window,
        "start_ns": window.start_ns,
        "end_ns": window.end_ns,
        "rows": window.counts.count,
        "effective_rows": window.counts.count if window.merged is None else window.merged.figures.counts.count,
        "labels": window.scores.count if window.merged is None else window.merged.labels.count,
        "status": window.status.value,
        "late": 0 if window.merged is None else window.merged.late,
        "unseen": _levels(model, window, new=True),
        "other": _levels(model, window, new=False),
    }


def _levels(model: ModelSnapshot, window: WindowState, *, new: bool) -> Json:
    """Levels by feature, commonest first: those that no row of the baseline had, or those of which nobody knows whether one had."""
    if window.merged is None:
        return {}
    levels = window.merged.levels
    spec = levels.spec
    asked = ((f.name, levels.top(i, UNSEEN)) for i, f in enumerate(spec.fields) if model.names_new(spec, i) is new)
    return {name: [level._asdict() for level in found] for name, found in asked if found}


def _evidence(reading: Reading) -> Json:
    attributes = dict(reading.attributes)
    return {
        "window": reading.window,
        "kind": attributes.get(semconv.ML_DETECTION_KIND, ""),
        "feature": attributes.get(semconv.ML_FEATURE_NAME),
        "value": reading.value,
        "n": reading.n,
        "status": reading.status.value,
    }


def _waiting(reading: Reading) -> Json:
    """Detectors of one kind that have not scored a window yet."""
    attributes = dict(reading.attributes)
    return {
        "window": reading.window,
        "kind": attributes[semconv.ML_DETECTION_KIND],
        "for": attributes[semconv.ML_DETECTION_WAITS_FOR],
        "detectors": reading.value,
    }


def _reading(reading: Reading) -> Json:
    return {
        "metric": reading.metric.name,
        "attributes": dict(reading.attributes),
        "value": reading.value,
        "n": reading.n,
        "lower": reading.lower,
        "upper": reading.upper,
        "window": reading.window,
        "baseline": reading.baseline,
        "status": reading.status.value,
    }


def _onset(alarm: Alarm) -> Json:
    """Its status says whether the times are known; the interval is where the strongest bets put it."""
    if alarm.onset is None:
        return {"status": Status.UNDEFINED.value, "at_ns": None, "earliest_ns": None, "latest_ns": None}
    return {
        "status": Status.OK.value,
        "at_ns": alarm.onset.at_ns,
        "earliest_ns": alarm.onset.earliest_ns,
        "latest_ns": alarm.onset.latest_ns,
    }


def _moved(moved: Moved) -> Json:
    """Both sides with their rows; no value where none of them defines it."""
    told = {"figure": moved.figure, "unit": moved.unit, "version": moved.version, "against": moved.against}
    return told | {"from": _side(moved.before, moved.before_n), "to": _side(moved.after, moved.after_n)}


def _side(value: float | None, n: int) -> Json:
    status = Status.TOO_FEW if value is None else Status.OK
    return {"value": value, "n": n, "status": status.value}


def _alarm(alarm: Alarm, snapshot: Snapshot) -> Json:
    return {
        "id": alarm.id,
        **alarm.model._asdict(),
        "kind": alarm.kind,
        "window": alarm.window,
        "latched": alarm.id in snapshot.latched,
        "raised_ns": alarm.raised_ns,
        "since_ns": alarm.since_ns,
        "windows": alarm.windows,
        "n": alarm.n,
        "evidence": alarm.evidence,
        "features": [{"name": f.name, "direction": f.direction, "evidence": f.evidence} for f in alarm.features],
        "baseline": alarm.baseline,
        "budget": alarm.budget,
        "budgeted": alarm.budgeted,
        "reference": alarm.reference,
        "recovered_ns": alarm.recovered_ns,
        "silent": alarm.silent,
        "level": alarm.level or None,
        "severity": alarm.severity,
        "strong_ns": alarm.strong_ns,
        "shared": alarm.shared,
        "onset": _onset(alarm),
        "renews": alarm.renews or None,
        "moved": [_moved(one) for one in alarm.moved],
        "settings": alarm.settings or None,
        "program": alarm.program or None,
        "trace_ids": list(alarm.trace_ids),
        "orders": [command.plain() for command in snapshot.commands if command.alarm == alarm.id],
    }
