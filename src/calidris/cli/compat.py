"""``calidris compat``: what another tool would say of two tables, and what Calidris says of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calidris.baseline.roles import TableColumns, holds_bytes
from calidris.baseline.row_files import read_rows
from calidris.baseline.table_files import open_table
from calidris.batch import DEFAULT_TENANT, Column, ModelKey
from calidris.compat import Beside, ColumnVerdict, Finding, TableVerdict, beside, kind_of, verdicts
from calidris.compat.evidently import DRIFTED_SHARE, VERSION
from calidris.errors import ConfigError

_KEY = ModelKey(DEFAULT_TENANT, "compat", "1")
_SAID = {True: "drift", False: "no drift", None: "no verdict"}


def compare(baseline: Path, window: Path, as_json: bool) -> int:
    """Read both files, judge, and print.

    Raises:
        ConfigError: a file cannot be read or has no rows, or the two share no column.
    """
    before, _ = columns_of(baseline)
    now, stored = columns_of(window)
    if not set(before) & set(now):
        names = ", ".join(before)
        raise ConfigError(f"{window}: has no column of {baseline}, whose columns are {names}: pass tables of one model")
    theirs = verdicts(before, now, {name: kind_of(stored[name], column) for name, column in now.items()})
    ours = beside(before, now)
    rows = len(next(iter(before.values()))), len(next(iter(now.values())))
    if as_json:
        typer.echo(json.dumps(as_object(theirs, ours, rows), indent=1))
    else:
        _print(theirs, ours, rows)
    return 0


def columns_of(path: Path) -> tuple[Mapping[str, Column], Mapping[str, pa.DataType]]:
    """All columns of a file but those of lists, structs and bytes, and the types that they are stored in."""
    file = open_table(path)
    names = tuple(f.name for f in file.schema if not (pa.types.is_nested(f.type) or holds_bytes(f.type)))
    if not names:
        raise ConfigError(f"{path}: has no column to compare: a table has one column a feature")
    every = TableColumns(names, score=None, decision=None, value=None, label=None)
    features = read_rows(file, every, _KEY).batch.features
    if not len(next(iter(features.values()))):
        raise ConfigError(f"{path}: has no rows: there is nothing to compare")
    return features, {name: file.schema.field(name).type for name in names}


def as_object(theirs: TableVerdict, ours: Mapping[str, Beside], rows: tuple[int, int]) -> dict[str, Any]:
    """What ``--json`` prints; a figure that there is not is null, and a status or a reason says why."""
    return {
        "profile": "evidently",
        "version": VERSION,
        "baseline_rows": rows[0],
        "window_rows": rows[1],
        "share_of_drifted_columns": theirs.share,
        "drifted": theirs.drifted,
        "columns": [_object(column, ours.get(column.column)) for column in theirs.columns],
    }


def _object(theirs: ColumnVerdict, ours: Beside | None) -> dict[str, Any]:
    return {
        "column": theirs.column,
        "type": theirs.kind,
        "test": theirs.rule and theirs.rule.name,
        "score": theirs.score,
        "threshold": theirs.rule and theirs.rule.threshold,
        "drifted": theirs.drifted,
        "why_no_verdict": theirs.left,
        "calidris": ours
        and {
            "psi_debiased": ours.reading.value,
            "lower": ours.reading.lower,
            "upper": ours.reading.upper,
            "n": ours.reading.n,
            "status": ours.reading.status,
            "p_value": ours.p,
            "finding": ours.finding,
        },
    }


def _print(theirs: TableVerdict, ours: Mapping[str, Beside], rows: tuple[int, int]) -> None:
    out = Console() if sys.stdout.isatty() else Console(width=200)
    out.print(f"baseline {rows[0]} rows, window {rows[1]} rows")
    head = ("column", "type", "test", "score", "threshold", "Evidently 0.7", "PSI, de-biased", "n", "p", "Calidris")
    table = Table(*head, box=None)
    for column in theirs.columns:
        table.add_row(*map(escape, (*_theirs(column), *_ours(ours.get(column.column)))))
    out.print(table)
    for line in summary(theirs, ours):
        out.print(escape(line))


def _theirs(column: ColumnVerdict) -> tuple[str, ...]:
    kind = column.kind or "–"
    if column.rule is None or column.score is None:
        return column.column, kind, column.left or "", "", "", _SAID[None]
    score = f"{column.score:.4g}"
    return column.column, kind, column.rule.name, score, f"{column.rule.threshold:g}", _SAID[column.drifted]


def _ours(found: Beside | None) -> tuple[str, ...]:
    if found is None:
        return ("", "", "", "not in both tables")
    reading = found.reading
    if reading.value is None or reading.lower is None or reading.upper is None or found.p is None:
        return (str(reading.status), str(reading.n), "", found.finding)
    figure = f"{reading.value:.4f} [{reading.lower:.4f}, {reading.upper:.4f}]"
    return figure, str(reading.n), f"{found.p:.4f}", found.finding


def summary(theirs: TableVerdict, ours: Mapping[str, Beside]) -> list[str]:
    """Both verdicts on the table, and where they part, a line each."""
    known = [c for c in theirs.columns if c.drifted is not None]
    changed = {name for name, found in ours.items() if found.finding is Finding.CHANGED}
    said = {c.column for c in known if c.drifted}
    lines = [
        f"Evidently: {_SAID[theirs.drifted]} of the table: {len(said)} of {len(known)} columns drifted, "
        f"drift from {DRIFTED_SHARE:.0%} on",
        f"Calidris: {len(changed)} of {len(ours)} columns differ by more than chance",
    ]
    told = {c.column for c in known if c.column in ours and ours[c.column].finding is not Finding.UNKNOWN}
    for what, names in (
        ("called drift there, no more than chance here", said - changed),
        ("more than chance here, not called drift there", changed - said),
    ):
        if names & told:
            lines.append(f"{what}: {', '.join(sorted(names & told))}")
    return lines
