"""From the read API's status to what a terminal shows: a function of one answer and the one before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from calidris import semconv
from calidris.batch import DEFAULT_TENANT
from calidris.cli.alarms import severity
from calidris.cli.caps import left_out
from calidris.cli.common import LONGEST, shown
from calidris.cli.watched_models import describe_absent
from calidris.errors import printable
from calidris.semconv import Metric

Json = dict[str, Any]
_COLOURS = {"ready": "green", "starting": "yellow", "draining": "yellow", "ok": "green", "partial": "yellow"}
_SET_ASIDE = (
    (semconv.METRIC_CALIDRIS_RECEIVER_SPANS_REJECTED, "spans rejected"),
    (semconv.METRIC_CALIDRIS_RECEIVER_ROWS_LATE, "rows late"),
    (semconv.METRIC_CALIDRIS_RECEIVER_TIMES_CLAMPED, "times moved"),
    (semconv.METRIC_CALIDRIS_RECEIVER_ROWS_DUPLICATE, "rows repeated"),
    (semconv.METRIC_CALIDRIS_ENGINE_ROWS_FAILED, "rows failed"),
    (semconv.METRIC_CALIDRIS_LABELS_UNMATCHED, "labels unmatched"),
    (semconv.METRIC_CALIDRIS_ENGINE_FAILURES, "failures"),
    (semconv.METRIC_CALIDRIS_JOURNAL_LOST, "records lost"),
    (semconv.METRIC_CALIDRIS_ACCESS_REFUSED, "without access"),
)
_ANSWERED = ("ok", "partial", "no_model", "metrics", "logs")
_SHOWN_ALARMS = _SHOWN_DETAILS = 8
_SHOWN_FAULTS = 3
_PLAIN = ("compared with its baseline", "no baseline;", "provisional baseline")
"""How sentences begin that say no more than the status: most models that nobody configured have one of them."""


class Look:
    """One answer and when it came; ``before`` is the one that rates are taken from."""

    def __init__(self, told: Json, at_s: float, before: Look | None = None) -> None:
        self.told = told
        self.at_s = at_s
        same = before is not None and before.told["receiver"].get("started_ns") == told["receiver"].get("started_ns")
        self._before = before if same else None  # counters of a process begin anew

    def by_reason(self, metric: Metric) -> dict[str, float]:
        """A figure of the receiver's own, by reason; of the engine and of the process together."""
        out: dict[str, float] = {}
        for table in (self.told["counters"], self.told["health"]):
            found = table.get(metric.name, {})
            for reason, count in found.items() if isinstance(found, Mapping) else (("", found),):
                out[reason] = out.get(reason, 0.0) + count
        return out

    def value(self, metric: Metric) -> float:
        """A figure of the receiver's own; 0 where it is not told."""
        return sum(self.by_reason(metric).values())

    def rate(self, metric: Metric, *reasons: str) -> float | None:
        """Increase a second of a counter since the answer before, of all reasons or of some; None without one."""
        if self._before is None or self.at_s <= self._before.at_s:
            return None
        now, then = (
            sum(n for reason, n in look.by_reason(metric).items() if not reasons or reason in reasons)
            for look in (self, self._before)
        )
        return max(now - then, 0.0) / (self.at_s - self._before.at_s)

    def model_rate(self, model: Json) -> float | None:
        """Rows a second of a model version since the answer before."""
        if self._before is None or self.at_s <= self._before.at_s:
            return None
        key = _key(model)
        then = next((m["rows"] for m in self._before.told["models"] if _key(m) == key), model["rows"])
        return float(max(model["rows"] - then, 0)) / (self.at_s - self._before.at_s)


def view(look: Look, problem: Text | None = None) -> RenderableType:
    """Everything, as one column: the receiver, its models, its alarms."""
    parts: list[RenderableType] = [_head(look)]
    if problem is not None:
        parts.append(problem)
    if look.told["health"]:  # a tenant sees its own models only
        parts += [Text(), _receiver(look)]
    parts += [Text(), _models(look)]
    details = [*describe_absent(list(look.told.get("absent", ()))), *_details(look.told), *_notes(look.told)]
    alarms = list(_alarms(look.told))
    senders = [
        *_waiting(look.told),
        *_faults(look.told),
        *_unscored(look.told),
        *_early_labels(look.told),
        *_senders(look.told),
    ]
    caps = [Text(line, style="yellow") for line in left_out(look.told["counters"])]
    return Group(*parts, *(part for block in (details, alarms, senders, caps) if block for part in (Text(), *block)))


def _head(look: Look) -> Text:
    about = look.told["receiver"]
    state = about.get("state", "ready" if look.told["ready"] else "starting")
    up = look.value(semconv.METRIC_CALIDRIS_PROCESS_UPTIME)  # a tenant is not told
    head = Text.assemble(("calidris ", "bold"), about.get("version", ""), "  ", (state, _COLOURS.get(state, "red")))
    head.append(f"  {printable(about.get('why', ''))}")
    return head.append(f"  up {duration(up)}", "dim") if up > 0 else head


def _receiver(look: Look) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _lines(look):
        table.add_row(name, text)
    return table


def _lines(look: Look) -> Iterator[tuple[str, Text | str]]:
    value, own = look.value, semconv
    requests = own.METRIC_CALIDRIS_RECEIVER_REQUESTS
    yield "arrives", _arrives(look)
    queue, limit = value(own.METRIC_CALIDRIS_QUEUE_SIZE), value(own.METRIC_CALIDRIS_QUEUE_LIMIT)
    lag = f"lag {duration(value(own.METRIC_CALIDRIS_LAG_TIME))}, {value(own.METRIC_CALIDRIS_LAG_RECORDS):,.0f} records"
    yield "queue", _filled(queue, limit).append(f"; {lag}")
    live, cap = value(own.METRIC_CALIDRIS_JOURNAL_LIVE), value(own.METRIC_CALIDRIS_JOURNAL_LIMIT)
    yield (
        "journal",
        _filled(live, cap).append(
            f"; {rate(look.rate(own.METRIC_CALIDRIS_JOURNAL_SYNCS))} syncs, "
            f"longest {duration(value(own.METRIC_CALIDRIS_JOURNAL_SYNC_MAX))} in the last minute"
        ),
    )
    yield (
        "checkpoint",
        (
            f"{duration(value(own.METRIC_CALIDRIS_CHECKPOINT_AGE))} old, {size(value(own.METRIC_CALIDRIS_CHECKPOINT_SIZE))}, "
            f"took {duration(value(own.METRIC_CALIDRIS_CHECKPOINT_DURATION))}"
        ),
    )
    cpu = look.rate(own.METRIC_CALIDRIS_PROCESS_CPU_TIME)
    yield (
        "process",
        (
            f"{size(value(own.METRIC_CALIDRIS_PROCESS_MEMORY))} memory, {'–' if cpu is None else f'{cpu:.0%}'} of a core, "
            f"{value(own.METRIC_CALIDRIS_PROCESS_DESCRIPTORS):,.0f} descriptors"
        ),
    )
    refused = {reason: n for reason, n in look.by_reason(requests).items() if reason not in _ANSWERED and n}
    yield "refused", _reasons("requests", refused, look.rate(requests, *refused) if refused else 0.0)
    yield "set aside", _set_aside(look)


def _arrives(look: Look) -> str:
    """Rates between two answers; totals where there is only one."""
    requests, received = semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS, semconv.METRIC_CALIDRIS_RECEIVER_RECEIVED
    rows, labels = semconv.METRIC_CALIDRIS_ENGINE_ROWS, semconv.METRIC_CALIDRIS_ENGINE_LABELS
    per_s = look.rate(received)
    if per_s is None:
        taken = sum(n for reason, n in look.by_reason(requests).items() if reason in _ANSWERED)
        now = f"{taken:,.0f} requests and {size(look.value(received))} since the start"
        return f"{now}; {look.value(rows):,.0f} rows and {look.value(labels):,.0f} labels in all"
    answered = rate(look.rate(requests, *_ANSWERED))
    return f"requests {answered}, rows {rate(look.rate(rows))}, labels {rate(look.rate(labels))}, {size(per_s)}/s"


def _filled(used: float, limit: float) -> Text:
    share = used / limit if limit else 0.0
    return Text.assemble((f"{share:.0%}", "red" if share > 0.8 else ""), f" of {size(limit)}")


def _reasons(what: str, counts: Mapping[str, float], per_s: float | None = None) -> Text:
    if not counts:
        return Text("none")
    shown = ", ".join(
        f"{printable(reason)} {n:,.0f}" for reason, n in sorted(counts.items(), key=lambda pair: -pair[1])
    )
    now = "" if not per_s else f"; {rate(per_s)} now"
    return Text(f"{sum(counts.values()):,.0f} {what} ({shown}){now}", style="yellow")


def _set_aside(look: Look) -> Text:
    found = []
    for metric, what in _SET_ASIDE:
        counts = {reason: n for reason, n in look.by_reason(metric).items() if n}
        if counts:
            named = {reason: n for reason, n in counts.items() if reason}
            found.append(str(_reasons(what, named)) if named else f"{sum(counts.values()):,.0f} {what}")
    return Text("; ".join(found), style="yellow") if found else Text("nothing")


def _models(look: Look) -> RenderableType:
    absent = look.told.get("absent", ())  # only where there are some
    if not look.told["models"] and not absent:
        return Text("no model has been seen yet", style="dim")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("model", "version", "status", "rows", "now", "window", "worst", "labels", "baseline", "alarms"):
        table.add_column(name, justify="right" if name in ("rows", "now", "labels", "alarms") else "left")
    waiting = list(absent)
    for model in look.told["models"]:
        # Beside what may have come in its place.
        for one in [one for one in waiting if one["did_you_mean"] == _identity(model)]:
            waiting.remove(one)
            _add_absent(table, one)
        status, latched = model["status"], len(model["latched"])
        table.add_row(
            shown(_name(model)),
            shown(model["version"]),
            Text(status, style=_COLOURS.get(status, "")),
            f"{model['rows']:,}",
            rate(look.model_rate(model)),
            _window(model),
            _worst(model),
            f"{model['labels']:,}",
            shown(model["baseline"] or "–"),
            Text(str(latched) if latched else "–", style="red" if latched else ""),
        )
    for one in waiting:
        _add_absent(table, one)
    return table


def _add_absent(table: Table, one: Json) -> None:
    blank = [Text("–", style="dim")] * 4
    name, version = shown(_name(one)), shown(one["version"] or "–")
    table.add_row(name, version, Text("never came", style="red"), "0", *blank[:3], "0", *blank[:2])


def _identity(model: Json) -> Json:
    return {key: model[key] for key in ("tenant", "name", "version")}


def _window(model: Json) -> str:
    """The longest window that has rows, and what is to be known of its figures; an older receiver does not say."""
    found = [window for window in model["windows"] if window["rows"]]
    if not found:
        return "–"
    window = found[-1]
    status = window.get("status", "ok")
    doubt = "" if status == "ok" else f", {status}"
    return f"{window['window']}: {window['rows']:,}{doubt}"


def _worst(model: Json) -> Text:
    """Most evidence of a change, as a share of what the budget asks for before it speaks, and the column that has most of it."""
    known = [e for e in model["evidence"] if e["value"] is not None]
    if not known:
        return Text("–")
    most = max(known, key=_value)
    column = _strongest_column(known, most)
    of = f" {column}" if column else ""
    share = most["value"]
    told = f"{share:.0%} {most['kind']}{of}, {most['window']}"
    return Text(
        printable(told),
        style=_style_of(share),
    )


def _value(evidence: Json) -> float:
    value: float = evidence["value"]
    return value


def _style_of(share: float) -> str:
    if share >= 1:
        return "red"
    return "yellow" if share >= 0.5 else ""


def _strongest_column(
    known: list[Json],
    most: Json,
) -> str | None:
    """Which column has most of a detector's evidence, whose sum is never below that of one of them; None where none is told."""
    same = [
        evidence
        for evidence in known
        if evidence["feature"]
        and evidence["kind"] == most["kind"]
        and evidence["window"] == most["window"]
    ]  # fmt: skip
    column: str | None = max(same, key=_value, default=most)["feature"]
    return column


def _alarms(told: Json) -> Iterator[Text]:
    for alarm in told["alarms"][-_SHOWN_ALARMS:]:
        names = ", ".join(f"{f['name']} ({f['direction']})" for f in alarm["features"])
        who = f" {_name(alarm)}:{alarm['version']} {alarm['kind']}: {names}"
        whom = severity(alarm)
        number = f"alarm {alarm['id']} ({whom})" if whom else f"alarm {alarm['id']}"
        yield Text.assemble((number, "red"), printable(who))
    more = len(told["alarms"]) - _SHOWN_ALARMS
    if more > 0:
        yield Text(f"and {more} older ones: `calidris alarms list`", style="red")


def _details(told: Json) -> Iterator[Text]:
    """Why each model stands where it does, unless all is well or its status is the whole of it."""
    unwell = [model for model in told["models"] if not _is_said(model)]
    for model in unwell[:_SHOWN_DETAILS]:
        who = _who(model)
        colour = _COLOURS.get(model["status"], "yellow")
        yield Text.assemble((model["status"], colour), " ", printable(f"{who}: {model['status_detail']}"))
    more = len(unwell) - _SHOWN_DETAILS
    if more > 0:
        yield Text(f"and {more} more that are not ok: `calidris status --json` says why", style="dim")


def _is_said(model: Json) -> bool:
    """Whether a sentence says no more than the status, or than a note that has the cure too."""
    detail = model["status_detail"]
    return detail.startswith(_PLAIN) or any(note.startswith(detail) for note in model.get("notes", ()))


def _notes(told: Json) -> Iterator[Text]:
    """What else there is to know of each model, whatever its status is; an older receiver has no notes."""
    noted = [model for model in told["models"] if model.get("notes")]
    for model in noted[:_SHOWN_DETAILS]:
        who = _who(model)
        for note in model["notes"]:
            yield Text(printable(f"{who}: {note}"), style="yellow")
    more = len(noted) - _SHOWN_DETAILS
    if more > 0:
        yield Text(f"and notes on {more} more: `calidris status --json` has them", style="dim")


def _early_labels(told: Json) -> Iterator[Text]:
    """One line for each model of which labels wait for a prediction; an older receiver tells of none."""
    for one in told.get("early_labels", ()):
        who = _name(one)[:LONGEST]
        cure = "both need the same id" if one["watched"] else "no row of this model has come: see its name"
        said = f"{who}: {one['labels']:,} labels wait for predictions with their ids, an hour at most: {cure}"
        yield Text(printable(said), style="yellow")


def _waiting(told: Json) -> Iterator[Text]:
    """One line for each model of which detectors have not scored a window yet, or hold; an older receiver tells of none."""
    waiting = [model for model in told["models"] if model.get("waiting")]
    for model in waiting[:_SHOWN_DETAILS]:
        said = f"{_who(model)}: detectors wait: {_waits(model['waiting'])}"
        yield Text(printable(said), style="dim")


def _who(model: Json) -> str:
    return f"{_name(model)}:{model['version']}"[:LONGEST]


_SAID = {"labels_moved": "labels to come as they did (on hold)"}
"""Reasons that are no plain words."""


def _waits(waiting: Iterable[Json]) -> str:
    """What waits for what.

    >>> _waits([{"for": "labels", "kind": kind, "window": "1h"} for kind in ("performance", "calibration")])
    'performance 1h, calibration 1h for labels'
    >>> _waits([{"for": "labels_moved", "kind": "performance", "window": "1h"}])
    'performance 1h for labels to come as they did (on hold)'
    """
    kinds: dict[str, list[str]] = {}
    for one in waiting:
        reason = str(one["for"])
        said = _SAID.get(reason, reason)
        kinds.setdefault(said, []).append(f"{one['kind']} {one['window']}")
    return "; ".join(f"{', '.join(names)} for {reason}" for reason, names in kinds.items())


def _unscored(told: Json) -> Iterator[Text]:
    """One line for each model of which rows came late, or with a time that was moved; an older receiver tells of none."""
    for model in told["models"]:
        rows, late, moved = model["rows"], model.get("late", 0), model.get("moved", 0)
        who = _who(model)
        if late:
            said = f"{who}: {_part(late, rows)} rows came after their window was closed: shown, never scored"
            yield Text(printable(said), style="yellow")
        if moved:
            said = f"{who}: {_part(moved, rows)} rows had a time beyond `receiver.max_age`, or ahead, that was moved"
            yield Text(printable(said), style="yellow")


def _faults(told: Json) -> Iterator[Text]:
    """One line for each model of which rows were not what its `schema` states; an older receiver tells of none."""
    for model in told["models"]:
        faults = sorted(model.get("faults", ()), key=lambda fault: -fault["rows"])
        said = [f"{fault['feature']} {fault['kind']} in {fault['rows']:,} ({fault['example']})" for fault in faults]
        if said:
            who = f"{_name(model)}:{model['version']}"[:LONGEST]
            more = f" and {len(said) - _SHOWN_FAULTS} more" if len(said) > _SHOWN_FAULTS else ""
            shown = "; ".join(said[:_SHOWN_FAULTS])
            text = f"{who}: of {model['rows']:,} rows, against its `schema`: {shown}{more}"
            yield Text(printable(text), style="yellow")


def _part(some: int, rows: int) -> str:
    """How many of how many.

    >>> _part(5983, 6000), _part(17, 60_000)
    ('5,983 of 6,000 (99.7%)', '17 of 60,000 (0.0%)')
    """
    return f"{some:,} of {rows:,} ({some / max(rows, 1):.1%})"


def _senders(told: Json) -> Iterator[Text]:
    """One line for each model whose senders left something out."""
    for sums in told.get("senders", ()):  # an older receiver tells of none
        what = [
            _counted("dropped", "rows and labels", sums["dropped"]),
            _counted("withheld", "values", sums["withheld"]),
        ]
        who = _name(sums)[:LONGEST] if sums["name"] else "of no model"
        said = ", and ".join(text for text in what if text)
        if said:
            yield Text(printable(f"{who}: sender {said}"), style="yellow")


def _counted(verb: str, what: str, counts: Mapping[str, int]) -> str:
    """How many, and why, most first.

    >>> _counted("withheld", "values", {"string_feature": 1200, "no_row": 34})
    'withheld 1,234 values: string_feature 1,200, no_row 34'
    >>> _counted("dropped", "rows and labels", {"queue_full": 1234})
    'dropped 1,234 rows and labels: queue_full'
    """
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    named = [reason if len(ranked) == 1 else f"{reason} {n:,}" for reason, n in ranked]
    return f"{verb} {sum(counts.values()):,} {what}: {', '.join(named)}" if ranked else ""


def _key(model: Json) -> tuple[str, str, str]:
    return model["tenant"], model["name"], model["version"]


def _name(told: Json) -> str:
    """A model's name, with the tenant in front unless it is the default one."""
    return str(told["name"]) if told["tenant"] == DEFAULT_TENANT else f"{told['tenant']}/{told['name']}"


def size(count: float) -> str:
    """Bytes.

    >>> size(0), size(1536), size(45 * 2**20), size(4 * 2**30)
    ('0 B', '1.5 KiB', '45 MiB', '4 GiB')
    """
    unit = "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024 or unit == "GiB":
            break
        count /= 1024
    shown = f"{count:.0f}" if count >= 10 or count == round(count) else f"{count:.1f}"
    return f"{shown} {unit}"


def duration(seconds: float) -> str:
    """A time span, in two units at most.

    >>> duration(0.0012), duration(8.4), duration(130), duration(7400), duration(200000)
    ('1.2 ms', '8.4 s', '2 m 10 s', '2 h 3 m', '2 d 7 h')
    """
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms" if seconds else "0 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if hours == 0:
        return f"{minutes} m {int(seconds % 60)} s"
    return f"{hours} h {minutes % 60} m" if days == 0 else f"{days} d {hours % 24} h"


def rate(per_second: float | None) -> str:
    """How many a second; a dash where nobody knows yet.

    >>> rate(None), rate(0.0), rate(0.25), rate(12345.6)
    ('–', '0/s', '0.2/s', '12,346/s')
    """
    if per_second is None:
        return "–"
    return f"{per_second:,.0f}/s" if per_second >= 10 or per_second == 0 else f"{per_second:.1f}/s"
