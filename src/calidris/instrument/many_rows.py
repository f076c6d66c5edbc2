"""Many rows or labels of one call, copied and checked: what `api` and the library instrumentations have in common.

How much is read of what an application gives is bounded by its own number of rows, told by the first of its arguments that says
so; what can be read only once is read to one row beyond that.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

from opentelemetry.trace import get_current_span

from calidris import semconv
from calidris.instrument import ids
from calidris.instrument.foreign import (
    MAX_NESTS,
    MAX_ROWS,
    PLAIN,
    Refused,
    are_of,
    each,
    guarded,
    is_mapping,
    is_ndarray,
    is_sequence,
    is_stream,
    is_table,
    is_text,
    listed,
    name_of,
    offers,
    outcome_of,
    rows_in,
    single,
    usual_rows_in,
)
from calidris.instrument.rows.buffered_items import Block, Labels, Series
from calidris.instrument.rows.input_table import Table, TooLarge, column_of, table_of
from calidris.instrument.rows.one_row import MAX_WIDTH, default_names
from calidris.instrument.rows.packed_columns import MAX_BITS
from calidris.instrument.rows.score_names import classes_in
from calidris.instrument.rows.times import times_of
from calidris.instrument.rows.vectors import by_name, capture_many
from calidris.instrument.runtime import runtime

_PLACES: Final = tuple(map(str, range(MAX_WIDTH)))
"""What columns of scores are called that have no names."""

_MISSING: Final = frozenset({None, ""})
"""Ids that are none."""

_NUMBERS: Final = frozenset({float, int, bool})
_TEXT: Final = frozenset({str})

_UNREADABLE: Final = object()
"""Stands for a label that cannot be read: sent without it, nobody would ever learn that there was one."""

MAX_READ: Final = 1_000_000
"""Rows that are read of what does not say how many it has: some 100 MB and a second, then it is taken for endless."""


class Batch:
    """The arguments of one ``record_batch``, which the application may change or reuse right after."""

    __slots__ = ("X", "batch_id", "classes", "embeddings", "ids", "scores", "slices", "time_unit", "times", "values")

    def __init__(self, X: Any, scores: Any, ids: Any, classes: Any, values: Any, slices: Any) -> None:
        self.X = X
        self.scores = scores
        self.ids = ids
        self.classes = classes
        self.values = values
        self.slices = slices
        self.embeddings: dict[str, Any] = {}
        self.times: Any = None
        self.time_unit: str | None = None
        self.batch_id: Any = None

    def count_rows(self) -> int:
        """How many rows it has, by the first argument that says so; where none does, the first is read.

        Raises:
            Refused: no argument has rows, or they have no end.
        """
        rows = usual_rows_in(self.X)
        return self._ask_for_rows() if rows is None else rows

    @guarded
    def _ask_for_rows(self) -> int:
        given = (self.X, self.ids, self.classes, self.values, self.scores, *self.embeddings.values())
        is_given = False
        for one in given:
            if one is None:
                continue
            is_given = True
            rows = None if is_text(one) else rows_or_none(one)
            if rows is not None:
                return rows
        if not is_given:
            return 0
        for name in ("X", "ids", "classes", "values", "scores"):
            one = getattr(self, name)
            if one is not None and is_stream(type(one)):
                read = listed(one, MAX_READ, once=True)
                setattr(self, name, read)
                return len(read)
        raise Refused("malformed")

    def cut(self, rows: int) -> None:
        """Keep the first rows of every argument."""
        for name in ("X", "scores", "ids", "classes", "values", "slices", "times"):
            setattr(self, name, _first_rows(getattr(self, name), rows))
        self.embeddings = {name: _first_rows(vectors, rows) for name, vectors in self.embeddings.items()}


@guarded
def _first_rows(values: Any, rows: int) -> Any:
    """The first rows of an argument in any of its forms, without a copy where it can be."""
    kind = type(values)
    if values is None or is_text(values):
        return values
    if offers(kind, "iloc"):
        return values.iloc[:rows]
    if is_mapping(kind) and not offers(kind, "dtype") and not is_table(kind):
        return {name: _first_rows(column, rows) for name, column in values.items()}
    if is_stream(kind):
        return list(islice(values, rows))
    return values[:rows]


def rows_or_none(values: Any) -> int | None:
    """How many rows an input says that it has; None where it does not say, or raises."""
    try:
        return rows_in(values)
    except Refused:
        return None


def record_batch(series: Series, batch: Batch, embeddings: Any) -> None:
    """Record predictions already made; see ``Model.record_batch``."""
    begun_ns = time.time_ns()
    runtime.ensure()
    rows = 0
    try:
        rows = batch.count_rows()
        if embeddings is not None:
            batch.embeddings = by_name(embeddings)
            rows = rows or batch.count_rows()
        if rows > MAX_ROWS:
            raise Refused("malformed")
        if rows > 0:
            _record_what_fits(series, batch, begun_ns, rows)
    except Refused as refused:
        if refused.reason in ("time_without_unit", "time_without_zone", "time_unit_unknown"):
            runtime.note(refused.reason, series.name, rows)
        runtime.drop(series.name, "wrong_arguments" if refused.reason == "wrong_arguments" else "malformed", rows or 1)
    except BaseException:  # a time-out of the application, for one
        runtime.lose(series.name, rows or max(rows_or_none(one) or 1 for one in (batch.X, batch.scores, batch.ids)))
        raise


def _record_what_fits(series: Series, batch: Batch, begun_ns: int, rows: int) -> None:
    """Record a batch; of one that is larger than all that may wait, its first rows."""
    try:
        _record(series, batch, begun_ns, rows)
    except TooLarge as large:
        batch.cut(large.fit)
        _record(series, batch, begun_ns, large.fit)
        runtime.drop_rest(series.name, "queue_full", rows - large.fit)


def _record(series: Series, batch: Batch, begun_ns: int, rows: int) -> None:
    whole = None
    if runtime.on:
        # First: of what is too large nothing else has been read yet.
        if is_stream(type(batch.X)):
            batch.X = listed(batch.X, rows, once=True)
        whole = table_or_none(series, batch.X, rows=rows)
    names = None if batch.ids is None else _read_ids(batch.ids, rows, series)
    place = ids.place_of(get_current_span(), rows)
    ids.remember(names, place, rows)
    if not runtime.on:
        return
    block = Block(series, begun_ns, None, place, rows)
    block.times_ns = (
        None if batch.times is None else _read_times(batch.times, batch.time_unit, rows, begun_ns, series.name)
    )
    block.batch_id = _read_batch_id(batch.batch_id, rows, series)
    block.ids = names
    block.scores = score_columns(batch.scores, series, rows)
    block.classes = None if batch.classes is None else column_of(batch.classes, rows)
    block.values = None if batch.values is None else column_of(batch.values, rows)
    block.slices = slice_table(series, series.slices, batch.slices, whole, rows)
    block.features = chosen(series, whole)
    block.embeddings = capture_many(series.embeddings, batch.embeddings, rows, runtime.note)
    if not _is_even(block):
        raise Refused("malformed")
    runtime.append_many(block)


def _read_ids(given: Any, rows: int, series: Series) -> list[Any]:
    names, unreadable = ids.as_ids(given, rows)
    if len(names) != rows:
        raise Refused("malformed")
    if unreadable:
        runtime.note("id_unreadable", series.name, unreadable)
    return names


def _read_batch_id(given: Any, rows: int, series: Series) -> str | None:
    """The job of a call. Where it cannot be read its rows are sent all the same, as rows of none."""
    try:
        return ids.batch_id_of(given)
    except Refused:
        runtime.note("batch_id_unreadable", series.name, rows)
        return None


def _read_times(given: Any, unit: Any, rows: int, now_ns: int, model: str) -> list[int]:
    """A time for every row: now where its own is missing."""
    found, missing = times_of(given, unit, rows)
    if missing:
        runtime.note("time_missing", model, missing)
    return [now_ns if at is None else at for at in found]


def time_of(given: Any, unit: Any, model: str) -> int | None:
    """The one time of a call, None for now.

    Raises:
        Refused: it is no time: a date without a zone, or a number without a unit.
    """
    return None if given is None else _read_times([given], unit, 1, time.time_ns(), model)[0]


def record_labels(given: Any, labels: Any, model: Any, times: Any, unit: Any) -> None:
    """Record outcomes; see ``record_labels`` of the manual interface."""
    runtime.ensure()
    if not runtime.on:
        return
    name = ""
    try:
        name = (name_of(model) if model is not None else runtime.label_model()) or ""
        _record_labels(given, labels, name, times, unit)
    except Refused as refused:
        rows = rows_or_none(labels) or rows_or_none(given) or 1
        if refused.reason.startswith("time_"):
            runtime.note(refused.reason, name, rows)
        runtime.drop(name, "malformed", rows)
    except BaseException:
        runtime.lose(name, rows_or_none(labels) or rows_or_none(given) or 1)
        raise


def _record_labels(given: Any, labels: Any, model: str, times: Any, unit: Any) -> None:
    names = _read_label_ids(given, model)
    rows = len(names)
    if not model:
        runtime.drop("", "label_without_model", rows)
        return
    outcomes, usual = _read_outcomes(labels, rows)
    now_ns = time.time_ns()
    times_ns = [now_ns] * rows if times is None else _read_times(times, unit, rows, now_ns, model)
    kept = _sift(model, names, outcomes, usual)
    if len(kept) < rows:
        names = [names[at] for at in kept]
        outcomes = [outcomes[at] for at in kept]
        times_ns = [times_ns[at] for at in kept]
    if kept:
        runtime.append_many(Labels(model, names, outcomes, times_ns))


def _read_label_ids(given: Any, model: str) -> list[Any]:
    claimed = rows_or_none(given)
    if claimed is not None and claimed > MAX_ROWS:
        raise Refused("malformed")
    names, unreadable = ids.as_ids(given, MAX_READ if claimed is None else claimed)
    if unreadable and model:
        runtime.note("id_unreadable", model, unreadable)
    return names


def _read_outcomes(labels: Any, rows: int) -> tuple[list[Any], bool]:
    """Labels as plain values, None for one that is missing and `_UNREADABLE` for one that cannot be read.

    Also whether all are usual, so that none of them need be looked at again.

    Raises:
        Refused: they are not so many.
    """
    values = _read_column(labels, rows)
    if _are_usual(values):
        return values, True
    outcomes, _ = each(iter(values), outcome_of, _UNREADABLE)
    return outcomes, False


def _read_column(values: Any, rows: int) -> Any:
    """So many values as a list of our own."""
    kind = type(values)
    if kind is not list and kind is not tuple:
        column = column_of(values, rows)
        return column if type(column) is list else column.tolist()
    found = listed(values, rows)
    if len(found) != rows:
        raise Refused("malformed")
    return found


def _sift(model: str, names: list[Any], outcomes: list[Any], usual: bool) -> Sequence[int]:
    """Places of the labels that can be sent; the others are counted as dropped, by reason."""
    rows = len(names)
    if usual and not _are_missing(names):
        return range(rows)
    reasons = list(map(_why_not, names, outcomes))
    for reason, dropped in Counter(reasons).items():
        if reason is not None:
            runtime.drop(model, reason, dropped)
    return [at for at in range(rows) if reasons[at] is None]


def _are_missing(names: list[Any]) -> bool:
    """Whether an id is, in some calls into C. Zero is an id, and the only one that says no of itself."""
    return not all(names) and not _MISSING.isdisjoint(names)


def _are_usual(outcomes: list[Any]) -> bool:
    """True where all are texts, or all are numbers of a usual size and none is NaN: some calls into C."""
    if not are_of(_NUMBERS, outcomes):
        return are_of(_TEXT, outcomes)
    try:
        total = math.fsum(outcomes)
    except (OverflowError, ValueError):
        return False
    return not math.isnan(total)


def _why_not(name: Any, outcome: Any) -> str | None:
    """Why a label cannot be sent; None for one that can."""
    if name in _MISSING:
        return "missing_id"
    if outcome is _UNREADABLE or (type(outcome) is int and outcome.bit_length() > MAX_BITS):
        return "unreadable"
    if outcome is None or outcome != outcome:
        return "missing_label"
    return None


def table_or_none(series: Series, X: Any, names: Sequence[str] | None = None, rows: int | None = None) -> Table | None:
    """A copy of an input, or None, counted, where it is too large or of an unknown kind; ``rows`` as for `table_of`."""
    if X is None:
        return None
    try:
        table = table_of(X, series.features or names, series.wanted, rows)
    except Refused as refused:
        if rows is not None and (isinstance(refused, TooLarge) or refused.reason in ("malformed", "too_long")):
            raise
        runtime.note("no_row" if refused.reason == "no_row" else "features_not_copied", series.name)
        return None
    if table.refused:
        runtime.note("no_row", series.name, table.refused)
    for name in table.repeated:
        runtime.note("same_name", name, table.rows)
    return table


def chosen(series: Series, table: Table | None) -> Table | None:
    """The columns that the model declares, of those that there are."""
    try:
        return None if table is None else table.only(series.features)
    except Refused:
        runtime.note("features_not_copied", series.name)
        return None


def slice_table(
    series: Series, names: Sequence[str], given: Any, features: Table | None, rows: int | None = None
) -> Table | None:
    """Slices given with the call, else those columns of the features that are slices."""
    if given is not None:
        try:
            return table_of(given, rows=rows)
        except Refused as refused:
            if rows is not None and refused.reason in ("malformed", "too_long"):
                raise
            runtime.note("slices_not_copied", series.name, rows or 1)
            return None
    if features is None or not names:
        return None
    found = [name for name in names if name in features.names]
    return features.only(found) if found else None


def score_columns(scores: Any, series: Series, rows: int) -> Any:
    """One column of probabilities, or a mapping from class to column wherever classes have names.

    Of two columns without names the second is taken, the positive class, as scikit-learn orders them.

    Raises:
        Refused: they are not so many, or of too many classes.
    """
    if scores is None:
        return None
    if is_ndarray(type(scores)) and scores.ndim == 1:
        return column_of(scores, rows)
    return _read_scores(scores, series, rows)


@guarded
def _read_scores(scores: Any, series: Series, rows: int) -> Any:
    kind = type(scores)
    if is_mapping(kind) and not is_table(kind) and not offers(kind, "dtype"):
        return {name: column_of(scores[key], rows) for name, key in _named(series, scores)}
    if is_stream(kind):
        scores = listed(scores, rows, once=True)
    if not _is_two_d(scores):
        return column_of(scores, rows)
    table = table_of(scores)
    if table.refused:
        runtime.note("unsupported_type", "score", table.refused)
    width = len(table.names)
    if table.rows != rows:
        raise Refused("malformed")
    names = _class_names(series, table.names)
    if width == 1 or (names is None and _is_pair(series, width)):
        return table.column(width - 1)
    columns = map(table.column, range(width))
    return dict(zip(_told_names(series, names, width, rows), columns))


@guarded
def _read_names(scores: Any) -> list[Any]:
    names = list(islice(scores, MAX_WIDTH + 1))
    if len(names) > MAX_WIDTH:
        raise Refused("malformed")
    return names


def _named(series: Series, scores: Any) -> Iterable[tuple[str, Any]]:
    """The class of each key of a mapping, and the key."""
    keys = _read_names(scores)
    own = list(map(name_of, keys))
    return zip(classes_in(own, series.classes) or own, keys)


@guarded
def _is_two_d(scores: Any) -> bool:
    if offers(type(scores), "ndim"):
        return bool(scores.ndim == 2)
    # Two of them, because one may be a stray.
    first = islice(scores, 2) if type(scores) in (list, tuple) else ()
    return any(is_sequence(one) and len(one) > 1 for one in first)


@guarded
def frozen_score(score: Any, series: Series) -> Any:
    """One row's score as a number, or a mapping from class to number, owned by us.

    Raises:
        Refused: it is neither.
    """
    kind = type(score)
    if kind in PLAIN:
        return score
    if is_mapping(kind) and not is_table(kind) and not offers(kind, "dtype"):
        return {name: outcome_of(score[key]) for name, key in _named(series, score)}
    values = single(score)
    if not is_sequence(values):
        return outcome_of(values)
    own = _index_of(values) if offers(kind, "index", "dtype") else ()
    values = listed(values, MAX_WIDTH)
    for _ in range(MAX_NESTS):
        if len(values) == 1 and is_sequence(values[0]):
            values = listed(values[0], MAX_WIDTH)
    width = len(values)
    if width == 1:
        return outcome_of(values[0])
    names = _class_names(series, own if len(own) == width else _PLACES[:width])
    if names is None and _is_pair(series, width):
        return outcome_of(values[1])
    return dict(zip(_told_names(series, names, width, 1), map(outcome_of, values)))


def _index_of(values: Any) -> Sequence[str]:
    """What a Series of pandas calls its values; a number is their place, and no name."""
    labels = listed(values.index, MAX_WIDTH)
    return labels if are_of(_TEXT, labels) else ()


def _class_names(series: Series, own: Sequence[str]) -> Sequence[str] | None:
    """Names of score columns: the model's classes where they say which is which, else those that came; None where nobody says.

    Args:
        series: the model.
        own: what the columns are called, which is their places where they have no names.
    """
    classes = series.classes
    are_places = tuple(own) in (_PLACES[: len(own)], default_names(len(own), None))
    if classes is None or len(classes) != len(own):
        return None if are_places else own
    # Places stand in the order of the classes, also where classes are numbers, and so do names that say nothing of them.
    known = None if are_places else classes_in(own, classes)
    return classes if known is None else known


def _told_names(series: Series, names: Sequence[str] | None, width: int, rows: int) -> Sequence[str]:
    """Names of score columns; where nobody says what they are, that is told, and they are called after their places."""
    if names is not None:
        return names
    runtime.note("score_classes_unnamed", series.name, rows)
    return _PLACES[:width]


def _is_pair(series: Series, width: int) -> bool:
    """Whether columns are the two of a binary model."""
    return width == 2 and series.task in (None, semconv.ML_MODEL_TASK_BINARY)


def _is_even(block: Block) -> bool:
    """Whether all that came as a table has as many rows as the call; `column_of` sees to single columns."""
    rows = block.rows
    if block.features is not None and block.features.rows != rows:
        return False
    if block.slices is not None and block.slices.rows != rows:
        return False
    return {rows}.issuperset(map(len, block.embeddings.values()))
