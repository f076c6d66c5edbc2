"""Which column of a file is what: each has one part, is there once, and is of a type that the part can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from calidris.baseline.arriving import AN_INDEX, ANYTHING, RULED_OUT, is_date, why_withheld, withholds
from calidris.baseline.table_files import TableFile
from calidris.errors import ConfigError
from calidris.instrument.privacy import Policy

ROLES = (
    "score",
    "decision",
    "value",
    "label",
    "time",
    "label_time",
    "duration",
    "error",
    "weight",
)
"""Parts that one column can have; each is an attribute of `TableColumns`."""


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Which column of a table is what.

    Attributes:
        features: names of the features; None is every column that is nothing else.
        score: probability of the positive class.
        decision: predicted class.
        value: regression output.
        label: true outcome.
        time: when the prediction was made: a timestamp, a date, ISO 8601 text, or a number since 1970.
        slices: what to cut by; they are features too where they are listed there.
        label_time: when the outcome became known, as ``time``.
        embeddings: vectors; they are no features.
        duration: how long each call took.
        error: type of each call's error; empty where there was none.
        weight: how many rows of traffic each row stands for.
        ignored: columns that are left out by wish; they are no features either.
        policy: what a rule of it withholds is no feature.
    """

    features: tuple[str, ...] | None = None
    score: str | None = "score"
    decision: str | None = "prediction"
    value: str | None = None
    label: str | None = "label"
    time: str | None = None
    slices: tuple[str, ...] = ()
    label_time: str | None = None
    embeddings: tuple[str, ...] = ()
    duration: str | None = None
    error: str | None = None
    weight: str | None = None
    ignored: tuple[str, ...] = ()
    policy: Policy = ANYTHING


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns of one file by their parts.

    Attributes:
        by_role: column of each of ``ROLES`` that there is.
        features: names of features.
        slices: names of slices.
        embeddings: names of vectors.
        left_out: columns that have no part, and why.
    """

    by_role: Mapping[str, str]
    features: tuple[str, ...]
    slices: tuple[str, ...]
    embeddings: tuple[str, ...]
    left_out: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, once."""
        every = (
            *self.features,
            *self.slices,
            *self.embeddings,
            *self.by_role.values(),
        )
        return tuple(dict.fromkeys(every))


def assign_roles(table: TableFile, names: TableColumns, optional: Sequence[str] = ()) -> Roles:
    """Find each named column in a file.

    Args:
        table: the file.
        names: which column is what.
        optional: of ``ROLES``, those that may be absent because the user did not name them.

    Raises:
        ConfigError: a named column is not there, has two parts, is listed twice, or is of a type that no part takes.
    """
    by_role = _find_roles(table, names, optional)
    for name in names.slices:
        _require(table, name, "slice")
        _refuse_nested(table, name)
    taken = {column: role for role, column in by_role.items()}
    for name in names.embeddings:
        _require(table, name, "embedding")
        taken[name] = "embedding"
    features, left_out = _find_features(table, names, taken)
    return Roles(
        by_role,
        features,
        names.slices,
        names.embeddings,
        left_out,
    )


def _find_features(
    table: TableFile,
    names: TableColumns,
    taken: Mapping[str, str],
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Names of features, and columns that are none, and why."""
    features = names.features
    left_out: dict[str, str] = {}
    if features is None:
        named = {*taken, *names.slices}
        left_out = _leave_out(table, named, names)
        features = _others(table, named | {*left_out})
    _check_features(table, features, taken)
    return features, left_out


def _others(table: TableFile, taken: set[str]) -> tuple[str, ...]:
    names = table.schema.names
    return tuple(name for name in names if name not in taken)


def refuse_dates(table: TableFile, features: Sequence[str]) -> None:
    """Refuse features that somebody listed and that no service could send.

    Raises:
        ConfigError: one of them is a date or a time of day.
    """
    for name in features:
        kind = table.schema.field(name).type
        if is_date(kind):
            raise ConfigError(
                f"{table.path}: feature {name!r} is {kind}, which the SDK does not send: give the model numbers made of it, "
                "or leave it out of --features"
            )


def _find_roles(table: TableFile, names: TableColumns, optional: Sequence[str]) -> dict[str, str]:
    """Column of each part that one column can have."""
    found: dict[str, str] = {}
    for role in ROLES:
        name = getattr(names, role)
        if name is None:
            continue
        if role in optional and name not in table.schema.names:
            continue
        _require(table, name, "column")
        _refuse_nested(table, name)
        _refuse_two_roles(table, name, role, found)
        if name in names.embeddings:
            raise _two_parts(table, name, "embedding", role)
        found[role] = name
    return found


def _refuse_two_roles(
    table: TableFile,
    name: str,
    role: str,
    found: Mapping[str, str],
) -> None:
    for other, column in found.items():
        # An outcome may be known in the moment of its prediction.
        if column == name and (other, role) != ("time", "label_time"):
            raise _two_parts(table, name, other, role)


def _check_features(
    table: TableFile,
    features: Sequence[str],
    taken: Mapping[str, str],
) -> None:
    seen: set[str] = set()
    for name in features:
        _require(table, name, "feature")
        if name in seen:
            raise ConfigError(f"{table.path}: feature {name!r} is listed twice: list it once in --features")
        if name in taken:
            raise _two_parts(table, name, "feature", taken[name])
        _refuse_nested(table, name)
        seen.add(name)


def _leave_out(table: TableFile, taken: set[str], names: TableColumns) -> dict[str, str]:
    """Columns that nobody named and that are no features either, and why."""
    found = {}
    index = index_of(table.schema)
    for column in table.schema:
        name = column.name
        if name in taken:
            continue
        reason = "by wish" if name in names.ignored else why_no_feature(column)
        if withholds(names.policy, name):
            reason = RULED_OUT
        if name in index:
            reason = AN_INDEX
        if reason is not None:
            found[name] = reason
    return found


def index_of(schema: pa.Schema) -> frozenset[str]:
    """Columns that were the index of a table when pandas wrote it, whatever they are called: the SDK does not send an index."""
    written = schema.pandas_metadata or {}
    # An index that only numbers the rows is described there, and is no column.
    columns = written.get("index_columns", ())
    return frozenset(name for name in columns if isinstance(name, str))


def why_no_feature(column: pa.Field) -> str | None:
    """Why a column that nobody named is no feature: the SDK would never send it. None where it is one."""
    kind = column.type
    withheld = why_withheld(column)
    if withheld is not None:
        return withheld
    if _is_nested(kind):
        return f"{kind}, which no feature can be"
    return None


def _require(table: TableFile, name: str, what: str) -> None:
    names = table.schema.names
    if name in names:
        return
    listed = ", ".join(names)
    raise ConfigError(f"{table.path}: there is no {what} {name!r}; its columns are {listed}")


def _two_parts(
    table: TableFile,
    name: str,
    one: str,
    other: str,
) -> ConfigError:
    first = one.replace("_", " ")
    second = other.replace("_", " ")
    return ConfigError(f"{table.path}: column {name!r} is named as {first} and as {second}: it can be one of them")


def _refuse_nested(table: TableFile, name: str) -> None:
    kind = table.schema.field(name).type
    if holds_lists(kind):
        raise ConfigError(
            f"{table.path}: column {name!r} holds lists: add --embedding {name}, or leave it out of --features"
        )
    if _is_nested(kind):
        raise ConfigError(
            f"{table.path}: column {name!r} is {kind}, which cannot be counted: name another one, or leave it out"
        )


def _is_nested(kind: pa.DataType) -> bool:
    """Whether a column has no numbers and no texts, nor lists that may be vectors."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if holds_lists(kind):
        return False
    # Periods, intervals, ids: objects to Python, of which the SDK sends nothing.
    if isinstance(kind, pa.BaseExtensionType):
        return True
    return holds_bytes(kind) or bool(pa.types.is_nested(kind))


_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
)
_BYTES = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
)


def holds_lists(kind: pa.DataType) -> bool:
    """Whether a column of this type holds one list a row."""
    return any(is_such(kind) for is_such in _LISTS)


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column of this type holds bytes that are no text."""
    return any(is_such(kind) for is_such in _BYTES)
