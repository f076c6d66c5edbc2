"""The live terminal view: a function from what is known to what is shown."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from calidris.cli.common import shown
from examples.demo.traffic import Traffic
from examples.demo.watch import Json, Told

_BAR = 20
_FEATURES_SHOWN = 6
_LIVE_WINDOW = "10s"


def view(told: Told, traffic: Traffic | None, progress: Progress) -> RenderableType:
    """Everything, as one column."""
    parts: list[RenderableType] = [progress, _models(told, traffic)]
    if told.model is not None:
        parts += [_features(told), _figures(told)]
    parts.append(_alarms(told.alarms))
    return Group(*parts)


def _models(told: Told, traffic: Traffic | None) -> RenderableType:
    table = Table(box=None, expand=True, header_style="dim")
    for name in ("model", "version", "status", "requests", "rows", "labels", "baseline"):
        table.add_column(name, justify="right" if name in ("requests", "rows", "labels") else "left")
    sent = f"{traffic.sent:,}" if traffic else "–"
    if told.model is None:
        table.add_row("[dim]waiting for the first prediction[/]", "", "", sent, "", "", "")
    else:
        m = told.model
        colour = "green" if m["status"] == "ok" else "yellow"
        state = f"[{colour}]{m['status']}[/]"
        table.add_row(
            shown(m["name"]),
            shown(m["version"]),
            state,
            sent,
            f"{m['rows']:,}",
            f"{m['labels']:,}",
            shown(m["baseline"] or "none"),
        )
    return Panel(table, title="models", title_align="left", border_style="blue")


def _features(told: Told) -> RenderableType:
    table = Table(box=None, expand=True, header_style="dim")
    table.add_column("feature", no_wrap=True)
    table.add_column("PSI de-biased", justify="right", no_wrap=True)
    table.add_column("n", justify="right")
    table.add_column("evidence of a change", no_wrap=True)
    for e in told.evidence()[:_FEATURES_SHOWN]:
        psi = told.reading("ml.drift.score", e["window"], ml_feature_name=e["feature"], ml_drift_measure="psi_debiased")
        table.add_row(
            shown(e["feature"]), f"{psi['value']:+.3f}" if psi else "–", f"{e['n']:,}", _bar(float(e["value"]))
        )
    return Panel(
        table,
        title="drift: newest 2 s window against the baseline",
        title_align="left",
        border_style="blue",
    )


def _bar(share: float) -> Text:
    full = round(min(share, 1.0) * _BAR)
    colour = "red" if share >= 1 else "yellow" if share >= 0.5 else "green"
    return Text("█" * full, style=colour) + Text("░" * (_BAR - full), style="dim") + Text(f" {_share(share)}")


def _share(share: float) -> str:
    """Evidence as a share of what the false-alarm budget asks for; 1 is an alarm."""
    return "alarm" if share >= 1 else f"{share:.0%}"


def _figures(told: Told) -> RenderableType:
    table = Table(box=None, expand=True, header_style="dim")
    for name in ("", f"last {_LIVE_WINDOW} (95 % interval)", "n", "baseline (95 % interval)"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for label, metric, attributes in (
        ("Brier", "ml.calibration.score", {"ml_calibration_measure": "brier"}),
        ("ECE", "ml.calibration.score", {"ml_calibration_measure": "ece"}),
        ("accuracy", "ml.performance.score", {"ml_performance_measure": "accuracy"}),
        ("label coverage", "ml.label.coverage", {}),
        ("latency p95 (s)", "ml.latency.duration", {"ml_latency_quantile": "0.95"}),
    ):
        now = told.reading(metric, _LIVE_WINDOW, **attributes)
        then = told.reading(metric, "baseline", **attributes)
        table.add_row(label, _value(now, "too few yet"), f"{now['n']:,}" if now else "–", _value(then, "–"))
    return Panel(table, title="calibration and service", title_align="left", border_style="blue")


def _value(reading: Json | None, absent: str) -> str:
    if reading is None:
        return absent
    low, high = reading["lower"], reading["upper"]
    bounds = "" if low is None or high is None else f" ({low:.3f}–{high:.3f})"
    return f"{reading['value']:.3f}{bounds}"


def _alarms(alarms: list[Json]) -> RenderableType:
    if not alarms:
        return Panel("[green]none[/]", title="alarms", title_align="left", border_style="green")
    return Panel(Group(*(alarm_text(a) for a in alarms)), title="alarms", title_align="left", border_style="red")


def alarm_text(alarm: Json) -> Text:
    """One alarm in two lines: what, since when, how sure, where to look."""
    since = datetime.fromtimestamp(alarm["since_ns"] / 1e9, tz=UTC)
    names = ", ".join(f"{f['name']} ({f['direction']})" for f in alarm["features"])
    who = shown(f"{alarm['name']}:{alarm['version']}: {names}", 300)
    text = Text.assemble(f"#{alarm['id']} {alarm['kind']} of ", who, style="bold red")
    text.append(
        f"\n   since {since:%H:%M:%S} UTC: {alarm['windows']} window{'s' * (alarm['windows'] != 1)} of {alarm['window']}, "
        f"n = {alarm['n']:,}; false-alarm budget {alarm['budget']}",
        style="default",
    )
    if alarm["trace_ids"]:
        text.append(f"\n   example trace {alarm['trace_ids'][0]}", style="dim")
    return text


def one_line(told: Told, phase: str, traffic: Traffic | None) -> str:
    """The same for a log: one line."""
    m = told.model or {"rows": 0, "labels": 0, "status": "waiting"}
    top = next(iter(told.evidence()), None)
    most = f"most evidence: {top['feature']} {_share(float(top['value']))}" if top else "no window scored yet"
    brier = told.reading("ml.calibration.score", _LIVE_WINDOW, ml_calibration_measure="brier")
    figure = f"Brier {brier['value']:.4f} (n = {brier['n']})" if brier else "Brier: too few labels yet"
    sent = traffic.sent if traffic else 0
    return f"{phase:<38} sent {sent:>6,}  rows {m['rows']:>6,}  labels {m['labels']:>6,}  {m['status']:<8} {most}; {figure}; alarms {len(told.alarms)}"
