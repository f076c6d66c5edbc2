"""Points: one pure function from a snapshot to the flat list of metric points that every exporter sends.

A figure that is not known gives no point: never NaN, never a 0 that means "no data". That it is absent can be seen in
``ml.monitoring.status`` and ``ml.window.rows``.

The program's own health is among them: what the engine keeps across restarts, and what this process counts. A counter of the
engine (``Snapshot.counters``) comes back from the checkpoint and goes on: it counts since the state began. A counter of the
process (``Health``) begins at 0 with each start. Both only ever rise between two starts, which is what ``rate()`` asks for. While
the journal is read back the engine's counters are behind what was told before the end of the last process, so nothing of them
is told then: a gap costs ``rate()`` nothing, a step back would count everything again.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from calidris import semconv
from calidris.batch import DEFAULT_TENANT, ModelKey
from calidris.config import ExportConfig
from calidris.engine.senders import LeftOut
from calidris.engine.snapshot import Alarm, ModelSnapshot, Snapshot
from calidris.export.series import LAST_RANK, Rank, list_latched, ranked
from calidris.metrics import Reading
from calidris.semconv import Metric

Health: TypeAlias = Mapping[str, "float | Mapping[str, float]"]
"""Own health: metric name to its value, or to (reason or "") to value."""

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in semconv.METRICS}
_COUNTERS = sorted(m.name for m in semconv.METRICS if m.name.startswith("calidris.") and m.instrument == "counter")
_DROPPED = semconv.METRIC_CALIDRIS_EXPORT_SERIES_DROPPED.name
_ATTRIBUTES = {
    semconv.METRIC_CALIDRIS_RECEIVER_STATE.name: semconv.CALIDRIS_STATE,
    semconv.METRIC_CALIDRIS_BUILD_INFO.name: semconv.CALIDRIS_VERSION,
}
"""What tells the series of a metric apart, where it is not a reason."""


class OwnSeries(NamedTuple):
    """One value; ``kept`` where it goes on across restarts."""

    metric: Metric
    attributes: tuple[tuple[str, str], ...]
    value: float
    kept: bool


def own_series(counters: Health, health: Health, dropped: int, *, counted: bool) -> Iterator[OwnSeries]:
    """Every figure of the program's own.

    Args:
        counters: the engine's.
        health: the process's; counters of both are added up. A name that the convention does not have is left out and counted.
        dropped: series that were left out so far.
        counted: false while the engine reads the journal back. Else a counter that nobody has told of stands at 0, so that
            its first event is an increase.
    """
    found: dict[tuple[str, str], float] = {}
    kept = {(name, reason) for name, reason, _ in _told(counters)}
    for name, reason, value in (*_told(counters if counted else {}), *_told(health)):
        if name not in BY_NAME:
            dropped += 1
        elif math.isfinite(value):
            before = found.get((name, reason), 0.0) if BY_NAME[name].instrument == "counter" else 0.0
            found[name, reason] = before + value
    found[_DROPPED, ""] = found.get((_DROPPED, ""), 0.0) + dropped
    if counted:
        known = {name for name, _ in found}
        found |= {(name, ""): 0.0 for name in _COUNTERS if name not in known}
    for (name, reason), value in found.items():
        pairs = ((_ATTRIBUTES.get(name, semconv.CALIDRIS_REASON), reason),) if reason else ()
        yield OwnSeries(BY_NAME[name], pairs, value, kept=(name, reason) in kept or name not in health)


def _told(figures: Health) -> Iterator[tuple[str, str, float]]:
    for name, value in figures.items():
        for reason, count in value.items() if isinstance(value, Mapping) else (("", value),):
            yield name, reason, float(count)


_BOUNDS = {
    m: (BY_NAME[f"{m.name}.lower"], BY_NAME[f"{m.name}.upper"]) for m in semconv.METRICS if f"{m.name}.lower" in BY_NAME
}


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one series.

    Attributes:
        metric: which metric of the convention.
        attributes: what tells the series of a metric apart.
        value: finite.
        time_ns: when the value was so.
        start_ns: since when a counter counts; 0 where nobody knows.
    """

    metric: Metric
    attributes: Mapping[str, str]
    value: float
    time_ns: int
    start_ns: int = 0


Points: TypeAlias = tuple[Point, ...]


class _Series(NamedTuple):
    """A point before it is decided whether it leaves."""

    rank: Rank
    metric: Metric
    attributes: tuple[tuple[str, str], ...]
    value: float
    kept: bool = True


def points(
    snapshot: Snapshot, config: ExportConfig, health: Health | None = None, *, start_ns: int = 0, counted: bool = True
) -> tuple[Point, ...]:
    """Every point of a snapshot, no two of one name and attributes.

    Args:
        snapshot: the newest one.
        config: level of detail and cap on the series of a model; what the cap leaves out is counted.
        health: the program's own figures beside ``snapshot.counters``; counters of both are added up. A name that the
            convention does not have is left out and counted like a series beyond the cap.
        start_ns: since when this process counts; the engine goes on across restarts, since ``snapshot.began_ns``.
        counted: false while the engine reads its journal back: then its figures are behind what was told before, and only
            the program's own are there.
    """
    series, dropped = _within_caps(snapshot, config) if counted else ([], 0)
    series.extend(
        _Series(
            Rank.ALWAYS, own.metric, tuple((key, _clean(text)) for key, text in own.attributes), own.value, own.kept
        )
        for own in own_series(snapshot.counters, health or {}, dropped, counted=counted)
    )
    if counted:
        series.append(
            _Series(Rank.ALWAYS, semconv.METRIC_CALIDRIS_LABELS_EARLY, (), float(sum(snapshot.early.values())))
        )
        for what, horizon_s in snapshot.dedup_horizon_s.items():
            pairs = ((semconv.CALIDRIS_REASON, what),)
            series.append(_Series(Rank.ALWAYS, semconv.METRIC_CALIDRIS_DEDUP_HORIZON, pairs, horizon_s))
    since = {True: snapshot.began_ns or start_ns, False: start_ns}
    return tuple(
        Point(
            s.metric,
            dict(s.attributes),
            s.value,
            snapshot.taken_ns,
            since[s.kept] if is_counter(s.metric) else 0,
        )
        for s in _unique(series)
    )


def _within_caps(snapshot: Snapshot, config: ExportConfig) -> tuple[list[_Series], int]:
    """The series of all models that may leave, and how many may not; each cap fills up rank by rank, so that no model goes dark."""
    tenants: dict[str, list[_Series]] = {}
    others = {model.key.tenant for model in snapshot.models} - {DEFAULT_TENANT}
    found = 0
    succeeded = snapshot.succeeded
    for model in snapshot.models:
        who = _identity(model.key, others)
        last = LAST_RANK[config.series]
        all_of_it = _model(
            model,
            snapshot,
            who,
            model.key in succeeded,
            last,
        )
        mine = [s for s in all_of_it if s.rank <= last]
        kept = _unique(sorted(mine, key=lambda s: s.rank))[: config.max_series_per_model]
        found += len(mine)
        tenants.setdefault(model.key.tenant, []).extend(kept)
    for left_out in snapshot.senders:
        told = list(_left_out(left_out, others))
        found += len(told)
        tenants.setdefault(left_out.owner[0], []).extend(told)
    series = [s for mine in tenants.values() for s in _most_important(mine, config.max_series_per_tenant)]
    series = _most_important(series, config.max_series)
    return series, found - len(series)


def _most_important(series: list[_Series], most: int) -> list[_Series]:
    return series if len(series) <= most else sorted(series, key=lambda s: s.rank)[:most]


def is_counter(metric: Metric) -> bool:
    """True for a cumulative, monotonic sum; false for a gauge."""
    return metric.instrument == "counter"


def _model(
    model: ModelSnapshot,
    snapshot: Snapshot,
    who: tuple[tuple[str, str], ...],
    succeeded: bool,
    last: Rank,
) -> Iterator[_Series]:
    """All series of one model version, clean of bytes that no encoder takes.

    Of one that a live version succeeded only counters, status and latched alarms are left: its figures stand still for ever.
    """
    told = () if succeeded else _without_alarms(model, last)
    figures = itertools.chain.from_iterable(_series_of(rank, reading) for rank, reading in told)
    for series in itertools.chain(_totals(model), _alarms(model, snapshot, succeeded), figures):
        pairs = tuple((name, _clean(text)) for name, text in series.attributes)
        yield series._replace(attributes=who + pairs)


def _without_alarms(model: ModelSnapshot, last: Rank) -> Iterator[tuple[Rank, Reading]]:
    """Ranked readings but for those that the list of alarms tells."""
    for rank, reading in ranked(model, last):
        if reading.metric is not semconv.METRIC_ML_DETECTION_ALARM:
            yield rank, reading


def _left_out(sums: LeftOut, others: Set[str]) -> Iterator[_Series]:
    """What senders of a model say that they left out; without a name where it belongs to none."""
    tenant, name = sums.owner
    pairs = _identity(ModelKey(tenant, name, ""), others)
    who = tuple(
        pair for pair in pairs if pair[0] != semconv.ML_MODEL_VERSION and (name or pair[0] != semconv.ML_MODEL_NAME)
    )
    dropped, withheld = semconv.METRIC_ML_INFERENCE_DROPPED, semconv.METRIC_ML_INFERENCE_WITHHELD
    for metric, counts in ((dropped, sums.dropped), (withheld, sums.withheld)):
        for reason, count in sorted(counts.items()):
            yield _Series(Rank.ALWAYS, metric, (*who, (semconv.CALIDRIS_REASON, reason)), float(count))


def _identity(key: ModelKey, others: Set[str]) -> tuple[tuple[str, str], ...]:
    """Name and version, and the tenant unless it is the default one.

    Another tenant's name has the tenant in front, so that boards and rules, which go by name, do not mix what tenants call
    alike. A name of the default tenant that looks like that says whose it is: nobody can put rows onto a neighbour's board.
    """
    version = (semconv.ML_MODEL_VERSION, _clean(key.version))
    if key.tenant != DEFAULT_TENANT:
        tenant = (semconv.CALIDRIS_TENANT, key.tenant)
        return (semconv.ML_MODEL_NAME, _clean(f"{key.tenant}/{key.name}")), version, tenant
    ambiguous = bool(others) and key.name.partition("/")[0] in {*others, DEFAULT_TENANT}
    return (semconv.ML_MODEL_NAME, _clean(f"{DEFAULT_TENANT}/{key.name}" if ambiguous else key.name)), version


def _clean(text: str) -> str:
    """Lone surrogates as "?": one of them would make a whole scrape or push fail."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _totals(model: ModelSnapshot) -> Iterator[_Series]:
    state = (semconv.ML_MONITORING_STATE, model.status.value)
    yield _Series(Rank.ALWAYS, semconv.METRIC_ML_MONITORING_STATUS, (state,), 1.0)
    yield _Series(Rank.ALWAYS, semconv.METRIC_ML_RECEIVED_ROWS, (), float(model.rows))
    yield _Series(Rank.ALWAYS, semconv.METRIC_ML_RECEIVED_LATE, (), float(model.late))
    yield _Series(Rank.ALWAYS, semconv.METRIC_ML_RECEIVED_LABELS, (), float(model.labels))
    yield from _violations(model)
    if model.batch:
        yield _Series(Rank.ALWAYS, semconv.METRIC_ML_MONITORING_BATCH, (), 1.0)
    for (objective, outcome), count in sorted(model.slo_events.items()):
        pairs = ((semconv.ML_SLO_NAME, objective), (semconv.ML_SLO_OUTCOME, outcome))
        yield _Series(Rank.ALWAYS, semconv.METRIC_ML_SLO_EVENTS, pairs, float(count))


def _violations(model: ModelSnapshot) -> Iterator[_Series]:
    """Rows against the stated schema, from 0 on so that the first one is an increase."""
    counts = dict.fromkeys(model.checks, 0)
    counts |= {(fault.feature, fault.kind): fault.rows for fault in model.faults}
    for (feature, kind), rows in counts.items():
        pairs = ((semconv.ML_FEATURE_NAME, feature), (semconv.ML_DATA_QUALITY_KIND, kind))
        rank = Rank.ALWAYS if rows else Rank.QUALITY  # a schema of thousands of features displaces nothing
        yield _Series(rank, semconv.METRIC_ML_DATA_QUALITY_VIOLATIONS, pairs, float(rows))


def _alarms(model: ModelSnapshot, snapshot: Snapshot, succeeded: bool) -> Iterator[_Series]:
    """Alarms so far, from 0 on so that the first one is an increase; and whether one is latched, by the list of alarms.

    An alert must not resolve because what it watches is gone, so latched ones are told of a succeeded version too.
    """
    told = {_levelled(r) for r in model.readings if r.metric is semconv.METRIC_ML_DETECTION_ALARM}
    evidence = {_watched(r) for r in model.readings if r.metric is semconv.METRIC_ML_DETECTION_EVIDENCE}
    mine = [alarm for alarm in snapshot.alarms if alarm.model == model.key]
    raised = Counter((alarm.window, alarm.kind) for alarm in mine)
    latched = {_levelled_alarm(alarm) for alarm in mine if alarm.id in snapshot.latched}
    for said in list_latched(alarm for alarm in mine if alarm.id in snapshot.latched):
        yield _Series(Rank.ALWAYS, *said)
    watches = {one.watched for one in told}
    for watched in sorted(watches | evidence | raised.keys()):
        pairs = _watched_pairs(*watched)
        yield _Series(Rank.ALWAYS, semconv.METRIC_ML_DETECTION_ALARMS, pairs, float(raised[watched]))
    # What was of another level before stands at 0 from then on: a series that is gone would resolve nothing.
    before = {_levelled_alarm(alarm) for alarm in mine}
    for one in sorted(told | before):
        stands = one in latched
        if stands or not succeeded:
            yield _Series(
                Rank.ALWAYS,
                semconv.METRIC_ML_DETECTION_ALARM,
                one.pairs,
                float(stands),
            )


class _Levelled(NamedTuple):
    """A kind of alarms of one window length, at one level; fixed rules have none."""

    watched: tuple[str, str]
    level: str
    severity: str

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Its attributes."""
        watched = _watched_pairs(*self.watched)
        severity = (semconv.ML_DETECTION_SEVERITY, self.severity)
        if not self.level:
            return (*watched, severity)
        level = (semconv.ML_DETECTION_LEVEL, self.level)
        return (*watched, level, severity)


def _levelled(reading: Reading) -> _Levelled:
    about = dict(reading.attributes)
    level = about.get(semconv.ML_DETECTION_LEVEL, "")
    severity = about.get(
        semconv.ML_DETECTION_SEVERITY,
        semconv.ML_DETECTION_SEVERITY_TICKET,
    )
    watched = _watched(reading)
    return _Levelled(watched, level, severity)


def _levelled_alarm(alarm: Alarm) -> _Levelled:
    watched = (alarm.window, alarm.kind)
    return _Levelled(
        watched,
        alarm.level,
        alarm.severity,
    )


def _watched(reading: Reading) -> tuple[str, str]:
    return reading.window, dict(reading.attributes).get(semconv.ML_DETECTION_KIND, "")


def _watched_pairs(window: str, kind: str) -> tuple[tuple[str, str], ...]:
    return (semconv.ML_WINDOW, window), (semconv.ML_DETECTION_KIND, kind)


def _series_of(rank: Rank, reading: Reading) -> Iterator[_Series]:
    """A reading and its bounds; bounds of anything but a headline figure are details."""
    pairs = ((semconv.ML_WINDOW, reading.window), *reading.attributes)
    if reading.value is not None:
        yield _Series(rank, reading.metric, pairs, reading.value)
    bounds = zip(_BOUNDS.get(reading.metric, ()), (reading.lower, reading.upper), strict=False)
    for metric, bound in bounds:
        if bound is not None:
            yield _Series(Rank.BOUNDS if rank <= Rank.MODEL else Rank.DETAIL, metric, pairs, bound)


def _unique(series: Iterable[_Series]) -> list[_Series]:
    """The first of each name and attributes; a target would refuse or mix up the others."""
    seen: dict[tuple[str, frozenset[tuple[str, str]]], _Series] = {}
    for s in series:
        seen.setdefault((s.metric.name, frozenset(s.attributes)), s)
    return list(seen.values())
