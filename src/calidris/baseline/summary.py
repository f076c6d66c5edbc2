"""What a baseline took of its file, column by column, and what makes one doubt it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from calidris.baseline.bundle import Baseline
from calidris.baseline.file_baselines import Built
from calidris.baseline.learn import DISCRETE_LEVELS
from calidris.baseline.role_columns import ERRORS, LONG, LONG_S
from calidris.baseline.roles import Roles
from calidris.baseline.table_files import TableFile
from calidris.instrument.privacy import Action, Policy
from calidris.state import Kind
from calidris.state.coding.centroids import FIT_SHARE
from calidris.state.coding.fields import MISSING, OTHER, RARE, Role
from calidris.state.coding.fields import Field as CountedField

_COUNTED = {
    "score": Role.SCORE,
    "decision": Role.DECISION,
    "value": Role.VALUE,
    "duration": Role.DURATION,
}

_UNITS = {
    Kind.NUMERIC: "bins",
    Kind.CATEGORICAL: "levels",
    Kind.PAIR: "cells",
}
_MOSTLY = 0.5
"""A share of rows beyond which a column is rather another one than it is said to be."""


class TakenColumn(NamedTuple):
    """One column as it was taken, in words.

    Attributes:
        name: of the column.
        part: what it was taken as.
        kind: its type in the file.
        counted: in what, and how many rows lie beyond the levels that were kept.
        missing: rows without a value.
    """

    name: str
    part: str
    kind: str
    counted: str = ""
    missing: str = ""


def summarise(built: Built, roles: Roles, table: TableFile) -> Iterator[TakenColumn]:
    """Each column that was read: outputs first, then features, slices and embeddings; last the relations that are watched."""
    made = built.baseline
    kinds = {column.name: str(column.type) for column in table.schema}
    for role, name in roles.by_role.items():
        counted = _describe(made, _COUNTED.get(role), None)
        part = role.replace("_", " ")
        yield TakenColumn(name, part, kinds[name], *counted)
    yield from _summarise_features(made, roles, kinds)
    yield from _summarise_slices(made, roles, kinds)
    yield from _summarise_embeddings(made, roles, kinds)
    yield from _summarise_pairs(made)


def _summarise_features(
    made: Baseline,
    roles: Roles,
    kinds: dict[str, str],
) -> Iterator[TakenColumn]:
    for name in roles.features:
        part = "feature, slice" if name in roles.slices else "feature"
        counted = _describe(made, Role.FEATURE, name)
        yield TakenColumn(name, part, kinds[name], *counted)


def _summarise_slices(
    made: Baseline,
    roles: Roles,
    kinds: dict[str, str],
) -> Iterator[TakenColumn]:
    for one in made.spec.slices:
        if one.name in roles.features:
            continue
        levels = f"{len(one.levels)} levels"
        yield TakenColumn(one.name, "slice", kinds[one.name], levels)


def _summarise_embeddings(
    made: Baseline,
    roles: Roles,
    kinds: dict[str, str],
) -> Iterator[TakenColumn]:
    for name in roles.embeddings:
        # Each row has one nearest centroid, and each centroid is a level.
        counted = _describe(made, Role.FEATURE, f"{name}.nearest")
        yield TakenColumn(name, "embedding", kinds[name], *counted)


def _summarise_pairs(made: Baseline) -> Iterator[TakenColumn]:
    for pair in made.spec.pairs:
        counted, missing = _describe(made, Role.PAIR, pair.name)
        yield TakenColumn(
            pair.name,
            "relation",
            "",
            counted,
            missing,
        )


def _describe(made: Baseline, role: Role | None, name: str | None) -> tuple[str, str]:
    """How a field is counted, and its rows without a value."""
    if role is None:
        return "", ""
    at = made.spec.index(role, name)
    if at is None:
        return "", ""
    field = made.spec.fields[at]
    special = made.counts.field(at)[field.ordered :]
    missing = int(special[MISSING])
    others = int(special[OTHER])
    if field.kind is Kind.CATEGORICAL:
        others += int(special[RARE])
    return _describe_cells(field, others), f"{missing:,}"


def _describe_cells(field: CountedField, others: int) -> str:
    if field.kind is Kind.PRESENCE:
        return "no more than whether it is there"
    unit = _UNITS[field.kind]
    counted = f"{field.ordered} {unit}"
    if not others:
        return counted
    return f"{counted}, {others:,} rows of others"


def doubts(built: Built, roles: Roles, policy: Policy) -> Iterator[str]:
    """What was taken and may not be what somebody meant."""
    rows = built.baseline.rows
    if built.learned_rows < rows:
        learned = f"{built.learned_rows:,}"
        yield f"bins and levels were learned from {learned} rows, evenly spread; all rows were counted under them"
    yield from _picked(built)
    yield from _like_ids(built, roles)
    yield from _like_gaps(built)
    yield from _mostly_wrong(built, roles)
    yield from _may_stay_away(built, roles, policy)
    weight = roles.by_role.get("weight")
    if weight is not None:
        yield (
            f"column {weight!r}: {built.baseline.given_rows:,} rows are worth {rows:,} of equal weight (Kish's number), and count as many; live "
            "rows need their weights too (`ml.prediction.weight`), where they were sampled"
        )


def _mostly_wrong(built: Built, roles: Roles) -> Iterator[str]:
    """Columns that are rather something else than they are said to be."""
    most = _MOSTLY * built.baseline.rows
    duration = roles.by_role.get("duration")
    if duration is not None and built.findings.rows(duration, LONG) > most:
        yield f"column {duration!r}: most durations are longer than {LONG_S:g} s; if they are no seconds, say --duration-unit"
    error = roles.by_role.get("error")
    if error is not None and built.findings.rows(error, ERRORS) > most:
        yield f"column {error!r}: most rows have an error; leave the cell empty where there was none"


def _picked(built: Built) -> Iterator[str]:
    """Rows that chose the levels of columns, and are counted under none."""
    if not built.wide:
        return
    listed = ", ".join(map(repr, built.wide))
    apart = f"{built.baseline.set_apart:,}"
    yield (
        f"more than {DISCRETE_LEVELS} levels in {listed}: {apart} rows, one in {FIT_SHARE} or fewer, picked those that are kept and are "
        "in no histogram; labels of all rows are counted"
    )


def _like_gaps(built: Built) -> Iterator[str]:
    """Values that look as if they stood for a gap: as numbers they are in every sum, and in bins of their own."""
    for gap in built.likely_gaps:
        setting = f"missing: {{{gap.feature}: [{gap.written}]}}"
        yield (
            f"feature {gap.feature!r}: {gap.written} in {gap.rows:,} of {gap.of:,} rows lies at the end of its values; if it stands "
            f"for a gap, say `{setting}` in the model's settings and build again: it is missing then, here and live"
        )


def _like_ids(built: Built, roles: Roles) -> Iterator[str]:
    """Columns of text of which hardly a value comes twice: ids, most of them, and no inputs of a model."""
    found = []
    for name in roles.features:
        at = built.baseline.spec.index(Role.FEATURE, name)
        field = None if at is None else built.baseline.spec.fields[at]
        if field is not None and field.kind is Kind.PRESENCE:
            found.append(repr(name))
    if found:
        listed = ", ".join(found)
        yield f"hardly a value of {listed} comes twice, so it is only counted whether there is one; if that is an id, list the others with --features"


def _may_stay_away(built: Built, roles: Roles, policy: Policy) -> Iterator[str]:
    """Text leaves a service only where it is allowed, and which service that will be nobody knows here."""
    texts = []
    for name in roles.features:
        if policy.action(name) is not Action.ALLOW:
            continue
        at = built.baseline.spec.index(Role.FEATURE, name)
        if at is not None and built.baseline.spec.fields[at].kind is Kind.CATEGORICAL:
            texts.append(repr(name))
    if texts:
        listed = ", ".join(texts)
        yield f"text leaves the service only where it is allowed: allow=[{listed}]; what never comes is absent, and not watched"
