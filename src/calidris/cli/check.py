"""``calidris check`` and ``render``: what a configuration means, without starting anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calidris.app.baselines import check_baselines, versions
from calidris.app.dry_run import count_series, memory, stranger_memory
from calidris.app.listeners import check_exposure
from calidris.app.thresholds import check_thresholds
from calidris.baseline import Baseline, read
from calidris.cli.caps import caps, mebibytes
from calidris.cli.common import placed
from calidris.config import CalidrisConfig, ModelConfig, load
from calidris.config.input_schema import FeatureSchema, InputSchema
from calidris.config.mlflow_signature import read_signature
from calidris.config.units import window_name
from calidris.detect import Alert, Budget
from calidris.detect.calendar import Calendar
from calidris.engine.detectors.budgets import budget_of
from calidris.engine.outcomes import FEWEST, never_positive
from calidris.engine.standing.notes import how_to_send, uncut
from calidris.engine.standing.reasons import explain_no_label_times, few_days, missing_weekdays, rebuild
from calidris.engine.standing.replays import describe_replays
from calidris.engine.standing.seasons import describe, seasons_of
from calidris.errors import ConfigError
from calidris.labels import row_bytes
from calidris.state import Role

_WITHOUT_BASELINE = frozenset({Alert.FAIRNESS, Alert.VERSIONS})
"""Two sides that are there together are compared: no baseline can mislead."""


def check(path: Path, out: Console) -> int:
    """Validate and explain a configuration."""
    config = load(path)
    with placed(path):
        check_exposure(config)
    check_baselines(config, path)
    check_thresholds(config, path)
    out.print(f"{escape(str(path))}: the configuration can be used")
    out.print(escape(_receives(config)))
    if config.models:
        out.print(_models(config))
        for model in config.models:
            _print_schema(model, out)
        for line in _details(config):
            out.print(escape(line))
    out.print("models that are not listed are watched too, with a provisional baseline that never alarms")
    for line in caps(config, stranger_memory(config)):
        out.print(escape(line))
    return 0


def _receives(config: CalidrisConfig) -> str:
    servers = {"gRPC": config.receiver.grpc, "HTTP": config.receiver.http}
    told = [
        f"OTLP/{name} on {of.endpoint}, up to {mebibytes(of.max_message_bytes)}" for name, of in servers.items() if of
    ]
    age = window_name(config.receiver.max_age)
    return f"receives {'; '.join(told)}; times of rows older than {age} are moved to that bound (`receiver.max_age`)"


def _models(config: CalidrisConfig) -> Table:
    columns = ("model", "baseline", "features", "rows", "windows", "series", "memory", "budget")
    table = Table(*columns, box=None)
    for model in (config.model(m.name, m.tenant) for m in config.models):
        table.add_row(*(escape(text) for text in _row(config, model)))
    return table


def _row(config: CalidrisConfig, model: ModelConfig) -> tuple[str, ...]:
    budget = model.detect.budget
    if model.baseline is None:
        return (model.name, "none: learned from traffic", "", "", "", "", budget)
    newest = versions(model.baseline)[-1]
    made = read(newest)
    features = sum(f.role is Role.FEATURE for f in made.spec.fields)
    numbers = (features, made.given_rows, len(made.window_starts), count_series(config, model, made))
    return (
        model.name,
        newest.name,
        *(f"{n:,}" for n in numbers),
        mebibytes(sum(_memory(config, model, made).values())),
        budget,
    )


def _memory(config: CalidrisConfig, model: ModelConfig, made: Baseline) -> dict[str, int]:
    slices = max(len(model.cuts), len(made.spec.slices))
    return memory(model, made, config.limits.pending_labels, row_bytes(slices, model.task))


def _details(config: CalidrisConfig) -> Iterator[str]:
    """How each model's false-alarm budget is shared, and what takes the memory of a version that has a baseline, in words."""
    for model in (config.model(m.name, m.tenant) for m in config.models):
        yield f"{model.name}: {_shared(budget_of(model))}"
        yield f"{model.name}: {_proven(model)}"
        if model.arrival == "batch":  # nothing else shows it: figures look alike however rows came
            yield (
                f"{model.name}: its rows come in jobs (`arrival: batch`): windows close by the rows' own times, once none has "
                f"come for {window_name(model.batch_idle)} (`batch_idle`)"
            )
        if model.cuts:
            yield f"{model.name}: figures by {', '.join(model.cuts)} are of the rows that bring a value. {how_to_send(model.cuts)}"
        if model.baseline is not None:
            made, calendar = read(versions(model.baseline)[-1]), Calendar(model.timezone)
            if made.positive_share == 0.0 and made.labels.count >= FEWEST:
                yield f"{model.name}: {never_positive(made.spec.positive, made.labels.count)}, and build the baseline again"
            yield from (f"{model.name}: {said}" for said in uncut(made, model.cuts))
            said_of_it = (
                rebuild(made, model.detect.pairs),
                explain_no_label_times(made),
                *(few_days(made, window_s, calendar) for window_s in model.detect_windows_s),
                missing_weekdays(made, calendar),
            )
            yield from (f"{model.name}: {said}" for said in said_of_it if said)
            yield from (f"{model.name}: replay of its own days: {said}" for said in describe_replays(made.left_out))
            yield from (f"{model.name}: {describe(season)}" for season in seasons_of(model, made))
            parts = _memory(config, model, made)
            said = ", ".join(f"{name} {mebibytes(size)}" for name, size in parts.items())
            yield f"{model.name}: each version takes at most {mebibytes(sum(parts.values()))} of memory: {said}"


def _print_schema(model: ModelConfig, out: Console) -> None:
    """What was stated of a model's inputs, and what the signature says that cannot be checked."""
    stated = model.stated_schema
    if stated is None:
        return
    who = model.series_name
    out.print(escape(f"{who}: each row is checked against its `schema`; the first fault raises an alarm"))
    out.print(_schema_table(stated))
    unchecked = _unchecked(stated)
    if unchecked:
        out.print(escape(f"{who}: in the signature and not checked, because it never arrives: {unchecked}"))


def _unchecked(stated: InputSchema) -> str:
    """Inputs of a signature that the SDK does not send, with their types."""
    if stated.mlflow is None:
        return ""
    signature = read_signature(Path(stated.mlflow))
    return ", ".join(f"{name} ({kind})" for name, kind in signature.unchecked.items())


def _schema_table(stated: InputSchema) -> Table:
    table = Table("feature", "type", "range", "levels", "must have a value", box=None)
    for name, feature in stated.features.items():
        cells = name, *_describe(feature)
        table.add_row(*map(escape, cells))
    return table


def _describe(feature: FeatureSchema) -> tuple[str, str, str, str]:
    """Type, range, levels, and whether there must be a value."""
    low = "" if feature.min is None else f"from {feature.min:g} "
    high = "" if feature.max is None else f"to {feature.max:g}"
    levels = ", ".join(map(str, feature.levels or ()))
    return feature.type or "any", low + high, levels, "no" if feature.nulls else "yes"


def _shared(budget: Budget) -> str:
    """The detectors of each kind: their part of the budget, and the evidence at which each raises an alarm."""
    kinds: dict[Alert, list[str]] = {}
    for slot in budget.slots:
        name = window_name(slot.window_s) + ("" if slot.reference == "frozen" else f" {slot.reference}")
        kinds.setdefault(slot.kind, []).append(f"{name} at {budget.threshold(slot):,.0f}")
    parts = [f"{kind.value} {budget.shares[kind]:.0%} ({', '.join(names)})" for kind, names in kinds.items()]
    return f"parts of the budget, and the evidence that raises an alarm: {'; '.join(parts)}"


def _proven(model: ModelConfig) -> str:
    """How surely the budget holds: of each kind, and of all kinds together."""
    delta = model.detect.delta
    kinds = list(dict.fromkeys(slot.kind for slot in budget_of(model).slots if slot.kind not in _WITHOUT_BASELINE))
    if model.detect.replaced:
        kinds.remove(Alert.DRIFT)
    together = max(1.0 - delta * len(kinds), 0.0)
    names = ", ".join(kind.value for kind in kinds)
    said = (
        f"each kind keeps its part with a probability of at least {1.0 - delta:.0%} over the draw of its baseline (`delta`); all of "
        f"{names} together with at least {together:.0%}"
    )
    return f"{said}; drift has no proven bound, as nothing is frozen" if model.detect.replaced else said


def render(path: Path, output: Path, out: Console) -> int:
    """Write dashboards, provisioning and rules."""
    try:
        from calidris.grafana import render as render_files
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error}. Dashboards need more: pip install 'calidris[render]'") from None
    for written in render_files(load(path), output):
        out.print(f"wrote {escape(str(written))}")
    return 0
