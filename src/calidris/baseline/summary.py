"""What a baseline took of its file, column by column, and what makes one doubt it."""

from __future__ import annotations

from collections.abc import Iterator

from calidris.baseline.bundle import Baseline
from calidris.baseline.file_baselines import Built
from calidris.baseline.role_columns import LONG, LONG_S
from calidris.baseline.roles import Roles
from calidris.baseline.table_files import TableFile
from calidris.state import Kind
from calidris.state.coding.fields import MISSING, OTHER, Role
from calidris.state.coding.fields import Field as CountedField

_ROLE = {
    "score": Role.SCORE,
    "decision": Role.DECISION,
    "value": Role.VALUE,
    "duration": Role.DURATION,
}

_MOSTLY = 0.5
"""A share of rows beyond which a column is rather another one than it is said to be."""

Line = tuple[str, str, str, str, str]


def summarise(built: Built, roles: Roles, table: TableFile) -> Iterator[Line]:
    """A line for each column that was read: its name, what it was taken as, its type, how it is counted, rows without a value."""
    for role, name in roles.by_role.items():
        kind = str(table.schema.field(name).type)
        counted, missing = _counted(built.baseline, _ROLE.get(role), None)
        yield name, role.replace("_", " "), kind, counted, missing
    for name in roles.features:
        kind = str(table.schema.field(name).type)
        counted, missing = _counted(built.baseline, Role.FEATURE, name)
        part = "feature, slice" if name in roles.slices else "feature"
        yield name, part, kind, counted, missing
    for name in roles.slices:
        if name not in roles.features:
            yield name, "slice", str(table.schema.field(name).type), _levels_of_slice(built.baseline, name), ""
    for name in roles.embeddings:
        counted, missing = _counted(built.baseline, Role.FEATURE, f"{name}.nearest")
        yield name, "embedding", str(table.schema.field(name).type), counted, missing


def _counted(made: Baseline, role: Role | None, name: str | None) -> tuple[str, str]:
    """How a field is counted, and its rows without a value."""
    at = None if role is None else made.spec.index(role, name)
    if at is None:
        return "", ""
    field = made.spec.fields[at]
    counts = made.counts.field(at)
    missing = int(counts[field.ordered + MISSING])
    return _cells(field, int(counts[field.ordered + OTHER])), f"{missing:,}"


def _cells(field: CountedField, others: int) -> str:
    if field.kind is Kind.PRESENCE:
        return "no more than whether it is there"
    unit = "bins" if field.kind is Kind.NUMERIC else "levels"
    cut = f", {others:,} rows of others" if others else ""
    return f"{field.ordered} {unit}{cut}"


def _levels_of_slice(made: Baseline, name: str) -> str:
    for one in made.spec.slices:
        if one.name == name:
            return f"{len(one.levels)} levels"
    return ""


def doubts(built: Built, roles: Roles) -> Iterator[str]:
    """What was taken and may not be what somebody meant."""
    if built.learned_rows < built.baseline.rows:
        yield (
            f"bins and levels were learned from {built.learned_rows:,} rows, evenly spread; all rows were counted under them"
        )
    duration = roles.by_role.get("duration")
    if duration is not None and built.findings.rows(duration, LONG) > _MOSTLY * built.baseline.rows:
        yield f"column {duration!r}: most durations are longer than {LONG_S:g} s; if they are no seconds, say --duration-unit"
    yield from _may_stay_away(built, roles)
    weight = roles.by_role.get("weight")
    if weight is not None:
        yield (
            f"column {weight!r}: weights were checked and are not used yet: every row counts once, here as in live traffic, so "
            "draw both in the same way"
        )


def _may_stay_away(built: Built, roles: Roles) -> Iterator[str]:
    """Text leaves a service only where it is allowed, and which service that will be nobody knows here."""
    texts = []
    for name in roles.features:
        at = built.baseline.spec.index(Role.FEATURE, name)
        if at is not None and built.baseline.spec.fields[at].kind is Kind.CATEGORICAL:
            texts.append(repr(name))
    if texts:
        listed = ", ".join(texts)
        yield f"text leaves the service only where it is allowed: allow=[{listed}]; what never comes is absent, and not watched"
