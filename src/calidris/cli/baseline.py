"""``calidris baseline build`` and ``show``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from calidris import semconv
from calidris.baseline import Baseline, BaselineColumns, Wanted, read, write
from calidris.baseline.arriving import ANYTHING
from calidris.baseline.file_baselines import Built, Watch, build_from_file
from calidris.baseline.role_columns import DURATION_UNITS
from calidris.baseline.roles import Roles, TableColumns, assign_roles, refuse_dates
from calidris.baseline.row_files import RowReader
from calidris.baseline.row_times import Clock
from calidris.baseline.summary import doubts, summarise
from calidris.baseline.table_files import TableFile, Tell, open_table
from calidris.batch import ModelKey
from calidris.config import ModelConfig, load
from calidris.config.units import window_name
from calidris.detect.calendar import Calendar
from calidris.engine.detectors.left_out_days import replay_left_out_days
from calidris.engine.outcomes import Outcomes
from calidris.engine.standing.reasons import missing_spread, missing_weekdays
from calidris.engine.standing.replays import describe_replays
from calidris.errors import ConfigError
from calidris.instrument.privacy import Policy
from calidris.instrument.settings import SdkSettings
from calidris.metrics.input_faults import Fault, FaultCounts, find_faults
from calidris.state import Kind, Spec, class_codes
from calidris.state.coding.fields import SPECIALS
from calidris.state.coding.stated_types import StatedType

ENOUGH_ROWS = 2000

TOLD_EVERY_S = 10.0
"""Seconds between two lines about long work where nobody looks at a terminal."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Column names as the user gave them; None is not given, "" is none at all.

    Attributes:
        features: names, separated by commas.
        embeddings: names of vectors.
        time_unit: of times that are numbers.
        duration_unit: of durations.
        types: ``name=type``, beside those of the configuration.
    """

    time: str | None = None
    score: str | None = None
    label: str | None = None
    decision: str | None = None
    value: str | None = None
    features: str | None = None
    label_time: str | None = None
    duration: str | None = None
    error: str | None = None
    weight: str | None = None
    embeddings: tuple[str, ...] = ()
    time_unit: str | None = None
    duration_unit: str = "s"
    types: tuple[str, ...] = ()


OF_CLASSES = {"score": "score", "label": "label", "decision": "prediction"}
OF_REGRESSION = {"value": "value", "label": "label"}
"""Names of columns that are taken without being named, where there are such, by what the model predicts."""

PREDICTED = "prediction"
"""What the output of a regression is called too; as a class it would be one level a number."""


def build(config_path: Path, name: str, data: Path, output: Path, columns: Columns, out: Console) -> int:
    """Build a baseline file and say what it holds and what it lacks."""
    model = _find_model(config_path, name)
    outcomes, faults = Outcomes(), FaultCounts()

    def watch(rows: BaselineColumns, spec: Spec) -> None:
        _note(outcomes, rows, spec)
        faults.add(_find_faults(rows, model))

    with _showing(data, out) as tell:
        types = _types(columns, model)
        table = open_table(data, tell, types)
        roles = _assign(table, columns, model)
        built = _build(_reader(table, roles, columns, model, types), table, model, config_path, watch, tell)
        replays = replay_left_out_days(built.baseline, model, lambda what: tell(what, table.rows))
        built = replace(built, baseline=replace(built.baseline, left_out=replays))
        tell("writing", table.rows)
        write(built.baseline, output)
    _describe(built.baseline, out)
    _show_columns(built, roles, table, out)
    _show_replays(built.baseline, out)
    contradiction = outcomes.contradiction(built.baseline.spec, None)
    weekdays = missing_weekdays(built.baseline, Calendar(model.timezone))
    said = [*warnings(built.baseline, model.detect_windows_s), *doubts(built, roles, _policy()), *_of_schema(faults)]
    said += [weekdays] if weekdays else []
    for warning in said if contradiction is None else [*said, contradiction]:
        out.print(f"[yellow]warning:[/] {escape(warning)}")
    out.print(f"wrote {escape(str(output))}")
    return 0


def _find_faults(rows: BaselineColumns, model: ModelConfig) -> Iterator[Fault]:
    if model.stated_schema is not None:
        yield from find_faults(rows.batch, model.stated_schema, model.types)


def _of_schema(faults: FaultCounts) -> Iterator[str]:
    """What of the file the model's schema does not allow: such rows of live traffic raise an alarm at once."""
    for fault in faults:
        rows = "1 row" if fault.rows == 1 else f"{fault.rows:,} rows"
        yield (
            f"feature {fault.feature!r}: {fault.kind} in {rows}, against the model's `schema`: the first: "
            f"{fault.example}. A live row like it raises an alarm at once"
        )


def _note(outcomes: Outcomes, rows: BaselineColumns, spec: Spec) -> None:
    """Whether the file's labels can be what the settings say that they are."""
    outcomes.note_predictions(rows.batch)
    if rows.label is not None:
        named = rows.label.valid
        outcomes.note_labels(rows.label.take(named), class_codes(spec, rows.label)[named])


@contextmanager
def _showing(data: Path, out: Console) -> Iterator[Tell]:
    """Says what is being done and how far it is: on a terminal all the time, else a line now and then."""
    if not out.is_terminal:
        yield _lines(data)
        return
    shown = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*shown, console=out, transient=True) as bar:
        task = bar.add_task(f"reading {data}")
        yield lambda what, rows: bar.update(task, description=f"{what} {data}: {rows:,} rows")


def _lines(data: Path) -> Tell:
    told_s = time.monotonic()

    def tell(what: str, rows: int) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s >= TOLD_EVERY_S:
            told_s = now_s
            sys.stderr.write(f"calidris: {what} {data}: {rows:,} rows so far\n")

    return tell


def _show_columns(built: Built, roles: Roles, table: TableFile, out: Console) -> None:
    """What was taken of the file, column by column, and what was met in it."""
    made = built.baseline
    missing = f"missing of {made.rows:,}" if made.set_apart else "missing"
    shown = Table("column", "taken as", "type", "counted in", missing, box=None)
    for row in summarise(built, roles, table):
        shown.add_row(*map(escape, row))
    out.print(shown)
    for name, why in roles.left_out.items():
        out.print(escape(f"left out: column {name!r}: {why}"))
    for line in built.findings.lines():
        out.print(escape(line))
    for name in made.spec.corner_names:
        out.print(escape(f"corner in which losses are watched: {name}"))


def _show_replays(made: Baseline, out: Console) -> None:
    """How often the baseline's own days would have raised an alarm, had they not been in it."""
    columns = ("replayed", "windows", "days", "alarms", "a year", "at most (95 %)", "most evidence", "named")
    shown = Table(*columns, box=None)
    for one in made.left_out:
        cells = (one.kind, one.window, f"{one.days} of {one.of_days}", f"{one.alarms}", f"{one.per_year:.0f}")
        named = ", ".join(name for name, _ in one.features)
        shown.add_row(*map(escape, (*cells, f"{one.at_most_per_year:.0f}", f"{one.highest:.0%}", named)))
    if made.left_out:
        out.print(shown)
    for line in describe_replays(made.left_out):
        out.print(escape(f"replay of its own days: {line}"))


def _find_model(config_path: Path, name: str) -> ModelConfig:
    config = load(config_path)
    stated = next((m for m in config.models if m.series_name == name), None)
    if stated is None:
        known = ", ".join(m.series_name for m in config.models) or "none"
        raise ConfigError(f"{config_path}: there is no model {name!r}; its models are: {known}")
    return config.model(stated.name, stated.tenant)


def _assign(table: TableFile, columns: Columns, model: ModelConfig) -> Roles:
    named = {role: getattr(columns, role) for role in _one_column_roles()}
    usual = _usual_names(table, columns, model)
    optional = [role for role in usual if named[role] is None]
    found = {role: usual.get(role) if name is None else name or None for role, name in named.items()}
    listed = columns.features
    features = None if listed is None else tuple(part.strip() for part in listed.split(","))
    embeddings = tuple(dict.fromkeys((*model.embeddings, *columns.embeddings)))
    ignored = tuple(usual[role] for role in usual if named[role] == "")
    wanted = TableColumns(
        features=features, slices=model.cuts, embeddings=embeddings, ignored=ignored, policy=_policy(), **found
    )
    roles = assign_roles(table, wanted, optional)
    refuse_dates(table, roles.features)
    return roles


def _usual_names(table: TableFile, columns: Columns, model: ModelConfig) -> dict[str, str]:
    """Columns by the part that their name says, of parts that the model's task has."""
    if model.task != semconv.ML_MODEL_TASK_REGRESSION:
        return OF_CLASSES
    there = [name for name in (OF_REGRESSION["value"], PREDICTED) if name in table.schema.names]
    if len(there) > 1 and columns.value is None:
        raise ConfigError(
            f"{table.path}: columns {there[0]!r} and {there[1]!r} may each be what the model predicted: name it with --value"
        )
    return OF_REGRESSION | {"value": there[0]} if there else OF_REGRESSION


def _policy() -> Policy:
    """What the service's own variables say: hashed there, hashed here. Text that they do not list may be allowed in its code."""
    given = SdkSettings.from_env(os.environ)
    return given.policy.with_(ANYTHING)


def _types(columns: Columns, model: ModelConfig) -> dict[str, StatedType]:
    """Types by column: those of the settings, and those of the command, which win."""
    types = dict(model.types)
    for given in columns.types:
        name, _, kind = given.rpartition("=")
        known = [stated for stated in get_args(StatedType) if stated == kind]
        if not name or not known:
            raise ConfigError(
                f"--types {given}: write NAME=TYPE, where TYPE is one of {', '.join(get_args(StatedType))}"
            )
        types[name] = known[0]
    return types


def _one_column_roles() -> Iterator[str]:
    several = {"features", "slices", "embeddings", "ignored", "policy"}
    for column in fields(TableColumns):
        if column.name not in several:
            yield column.name


def _reader(
    table: TableFile, roles: Roles, columns: Columns, model: ModelConfig, types: Mapping[str, StatedType]
) -> RowReader:
    return RowReader(
        table.path,
        roles,
        ModelKey(model.tenant, model.name, "baseline"),
        Clock(time.time(), columns.time_unit),
        DURATION_UNITS[columns.duration_unit],
        model.task,
        types=types,
        policy=_policy(),
        missing=model.missing,
    )


def _build(reader: RowReader, table: TableFile, model: ModelConfig, file: Path, watch: Watch, tell: Tell) -> Built:
    wanted = Wanted(
        Spec(task=model.task, positive=model.positive_text, threshold=model.threshold),
        window_s=model.step_ns / 1e9,
        slices=model.cuts,
        bins=model.bins,
        intersections=model.intersections,
        corners=model.detect.corners,
        pairs=model.detect.pairs,
    )
    try:
        return build_from_file(table, reader, wanted, watch, tell)
    except ValueError as error:
        raise ConfigError(f"{file}: model {model.name!r}: {error}") from error


def warnings(made: Baseline, scored_s: Sequence[float]) -> list[str]:
    """What makes a baseline weaker than it could be; ``scored_s`` are the lengths of the windows that will be scored."""
    found = []
    if made.rows < ENOUGH_ROWS:
        found.append(
            f"{made.rows} rows are few: with fewer than {ENOUGH_ROWS} only large changes can be told from chance"
        )
    if not len(made.window_starts):
        found.append("no --time column: the spread of live windows has to be learned first, and no drift alarms before")
        scored_s = ()
    # Each length by itself: sixty windows of 5m are enough, and make five of 1h.
    for window_s in scored_s:
        if made.windows_of(window_s) is None:
            found.append(_lacking(made, window_s))
    if not made.labels.count:
        found.append("no score and label columns: calibration and performance have nothing to be compared with")
    elif not made.label_times:
        found.append(
            "no --label-time column: labels of any age cannot be compared with live ones of one age, so that performance and calibration "
            "learn live windows first and alarm on nothing before"
        )
    return found


def _lacking(made: Baseline, window_s: float) -> str:
    cause, _ = missing_spread(made, window_s)
    return f"{cause}: that will be learned from live windows, and no drift alarms on them before"


def show(path: Path, out: Console) -> int:
    """Print what a baseline file holds."""
    try:
        made = read(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    _describe(made, out)
    table = Table("field", "kind", "cells", "rows by cell", box=None)
    for i, f in enumerate(made.spec.fields):
        counts = made.counts.field(i).tolist()
        names = SPECIALS if f.kind is Kind.NUMERIC else ("missing", "other", "rare", "high")
        special = [f"{name} {n}" for name, n in zip(names, counts[f.ordered :]) if n]
        ordered = "" if f.kind is Kind.NUMERIC and f.ordered > 60 else " ".join(map(str, counts[: f.ordered]))
        table.add_row(escape(f.name), f.kind.value, str(f.ordered), escape("  ".join([ordered, *special])))
    out.print(table)
    return 0


def _describe(made: Baseline, out: Console) -> None:
    out.print(
        f"baseline [bold]{made.id}[/] of {escape(made.name)}: {made.given_rows} rows, {made.labels.count} labelled, "
        f"{len(made.window_starts)} windows of {window_name(made.window_s)}, {len(made.spec.fields)} fields"
    )
