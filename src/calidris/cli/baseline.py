"""``calidris baseline build`` and ``show``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from calidris.baseline import Baseline, BaselineColumns, read, write
from calidris.baseline import build as build_baseline
from calidris.baseline.row_files import TableColumns, read_rows
from calidris.batch import ModelKey
from calidris.config import ModelConfig, load
from calidris.config.units import window_name
from calidris.engine.outcomes import Outcomes
from calidris.engine.standing.reasons import missing_spread
from calidris.errors import ConfigError
from calidris.state import Kind, Spec, class_codes
from calidris.state.coding.fields import SPECIALS

ENOUGH_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Columns:
    """Column names as the user gave them."""

    time: str | None
    score: str
    label: str
    decision: str
    features: str | None
    value: str = "value"
    label_time: str | None = None
    embeddings: tuple[str, ...] = ()


def build(config_path: Path, name: str, data: Path, output: Path, columns: Columns, out: Console) -> int:
    """Build a baseline file and say what it holds and what it lacks."""
    config = load(config_path)
    stated = next((m for m in config.models if m.series_name == name), None)
    if stated is None:
        known = ", ".join(m.series_name for m in config.models) or "none"
        raise ConfigError(f"{config_path}: there is no model {name!r}; its models are: {known}")
    model = config.model(stated.name, stated.tenant)
    features = tuple(f.strip() for f in columns.features.split(",")) if columns.features else None
    table = TableColumns(
        features,
        columns.score,
        columns.decision,
        columns.value,
        columns.label,
        columns.time,
        model.cuts,
        columns.label_time,
        tuple(dict.fromkeys((*model.embeddings, *columns.embeddings))),
    )
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=out, transient=True
    ) as bar:
        task = bar.add_task(f"reading {data}")
        rows = read_rows(
            data,
            table,
            ModelKey(model.tenant, model.name, "baseline"),
            optional=("score", "label", "decision", "value"),
        )
        bar.update(task, description="counting")
        template = Spec(task=model.task, positive=model.positive_text, threshold=model.threshold)
        made = _built(rows, template, model, config_path)
        write(made, output)
    _describe(made, out)
    for warning in [*warnings(made, model.detect_windows_s), *_contradictions(rows, made)]:
        out.print(f"[yellow]warning:[/] {escape(warning)}")
    out.print(f"wrote {escape(str(output))}")
    return 0


def _built(rows: BaselineColumns, template: Spec, model: ModelConfig, file: Path) -> Baseline:
    try:
        return build_baseline(
            rows,
            template,
            window_s=model.step_ns / 1e9,
            slices=model.cuts,
            bins=model.bins,
            intersections=model.intersections,
        )
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
    return found


def _contradictions(rows: BaselineColumns, made: Baseline) -> list[str]:
    """Whether the file's labels can be what the settings say that they are."""
    found = Outcomes()
    found.note_predictions(rows.batch)
    if rows.label is not None:
        named = rows.label.valid
        found.note_labels(rows.label.take(named), class_codes(made.spec, rows.label)[named])
    said = found.contradiction(made.spec, None)
    return [] if said is None else [said]


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
        special = [f"{name} {n}" for name, n in zip(SPECIALS, counts[f.ordered :]) if n]
        ordered = "" if f.kind is Kind.NUMERIC and f.ordered > 60 else " ".join(map(str, counts[: f.ordered]))
        table.add_row(escape(f.name), f.kind.value, str(f.ordered), escape("  ".join([ordered, *special])))
    out.print(table)
    return 0


def _describe(made: Baseline, out: Console) -> None:
    out.print(
        f"baseline [bold]{made.id}[/] of {escape(made.name)}: {made.rows} rows, {made.labels.count} labelled, "
        f"{len(made.window_starts)} windows of {window_name(made.window_s)}, {len(made.spec.fields)} fields"
    )
