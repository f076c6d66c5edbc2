"""Which span is what: predictions or labels, of which model, how many rows, in which table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from calidris import semconv
from calidris.batch import UNKNOWN_VERSION, CodedColumn
from calidris.wire.columns.one_row_spans import RowSorter, parse_maps
from calidris.wire.columns.reports import Report, is_report, read_report
from calidris.wire.columns.span_tables import Identity, Table, wide_table
from calidris.wire.limits import WireLimits
from calidris.wire.otlp.blocks import Block, Cells, opened
from calidris.wire.otlp.gate import MAP_PREFIXES
from calidris.wire.otlp.spans import Spans
from calidris.wire.rejections import (
    BAD_COUNT,
    BAD_ROLE,
    LABEL_WITH_PREDICTION,
    MISSING_ID,
    MISSING_LABEL,
    MISSING_MODEL_NAME,
    TOO_LONG,
    TOO_MANY_MODELS,
    TOO_MANY_ROWS,
    TOO_MANY_TABLES,
    WRONG_TYPE,
    Ledger,
    Rejected,
    shown,
)

_TASKS: Final = frozenset(
    {
        semconv.ML_MODEL_TASK_BINARY,
        semconv.ML_MODEL_TASK_MULTICLASS,
        semconv.ML_MODEL_TASK_REGRESSION,
        semconv.ML_MODEL_TASK_RANKING,
        semconv.ML_MODEL_TASK_GENERATION,
    }
)
_ROLES: Final = frozenset({semconv.ML_MODEL_ROLE_CHAMPION, semconv.ML_MODEL_ROLE_CANARY, semconv.ML_MODEL_ROLE_SHADOW})
_IDENTITY: Final = (
    semconv.ML_MODEL_NAME,
    semconv.ML_MODEL_VERSION,
    semconv.ML_MODEL_TASK,
    semconv.ML_PREDICTION_BATCH_ID,
    semconv.ML_MODEL_ROLE,
)
_OUTPUTS: Final = frozenset(
    {
        semconv.ML_FEATURES,
        semconv.ML_PREDICTION_SCORE,
        semconv.ML_PREDICTION_CLASS,
        semconv.ML_PREDICTION_VALUE,
    }
)


class Sorted(NamedTuple):
    """The spans of a request by what they are; ``marks`` only mark a trace."""

    tables: list[Table]
    reports: list[Report]
    marks: int


def sort_spans(spans: Spans, limits: WireLimits, ledger: Ledger) -> Sorted:
    """Sort the spans of a request; refused ones go to the ledger."""
    sorter = _Sorter(spans, limits, ledger)
    alone = dict(enumerate(spans.attributes))
    for block in spans.blocks:
        if not sorter.sort_block(block):
            alone.update(zip(block.spans, opened(block.columns)))
    for span, attributes in alone.items():
        if attributes is None:  # in a block
            continue
        try:
            sorter.sort(span, attributes)
        except Rejected as fault:
            ledger.add(spans.positions[span], spans.names[span], fault)
    return Sorted(sorter.finish(), sorter.reports, sorter.marks)


class _Sorter:
    """Sorts the spans of one request."""

    def __init__(self, spans: Spans, limits: WireLimits, ledger: Ledger) -> None:
        self.marks = 0
        self.reports: list[Report] = []
        self._spans = spans
        self._limits = limits
        self._ledger = ledger
        self._identities: dict[tuple[Any, ...], Identity] = {}
        self._models: set[Identity] = set()
        self._wide: list[Table] = []
        self._narrow: list[tuple[Identity, int, dict[str, Any]]] = []
        self._rows = RowSorter(limits)

    def sort(self, span: int, attributes: dict[str, Any]) -> None:
        """Sort one span in.

        Raises:
            Rejected: it cannot be used.
        """
        if is_report(attributes):
            self.reports.append(read_report(span, attributes, self._spans.models[span], self._limits))
            return
        rows = attributes.pop(semconv.ML_PREDICTION_COUNT, 1)
        if type(rows) is not int or rows < 0:
            raise Rejected(BAD_COUNT, f"{shown(rows)} rows", semconv.ML_PREDICTION_COUNT)
        if rows == 1:
            self._narrow.append((self._identify(span, attributes), span, attributes))
        elif rows == 0:
            self.marks += 1
        elif rows > self._limits.max_rows:
            raise Rejected(TOO_MANY_ROWS, f"{rows} rows, at most {self._limits.max_rows}")
        elif len(self._wide) >= self._limits.max_tables:
            raise Rejected(TOO_MANY_TABLES, f"more than {self._limits.max_tables} spans of several rows")
        else:
            self._wide.append(wide_table(self._identify(span, attributes), span, rows, attributes, self._limits))

    def sort_block(self, block: Block) -> bool:
        """Sort spans in that are alike; False, and nothing done, where they have to be looked at one by one."""
        columns, spans = dict(block.columns), block.spans
        if is_report(columns):
            return False
        if not _only(columns.pop(semconv.ML_PREDICTION_COUNT, None), int, 1):
            return False
        if semconv.ML_LABEL not in columns and any(
            name.startswith("feedback ") for name in {self._spans.names[span] for span in spans}
        ):
            return False
        stated = {key: column[0] for key, column in columns.items() if isinstance(column, list)}
        if not all(_only(columns.pop(key, None), str, stated.get(key)) for key in _IDENTITY):
            return False
        try:
            identity = self._identify(spans[0], {**dict.fromkeys(columns), **stated})
            return self._rows.add_block(identity, spans, columns)
        except Rejected:
            return False

    def finish(self) -> list[Table]:
        """The tables, once every span was sorted."""
        rows = self._rows
        faults = parse_maps([attributes for _, _, attributes in self._narrow])
        for place, (identity, span, attributes) in enumerate(self._narrow):
            try:
                if place in faults:
                    raise faults[place]
                rows.add(identity, span, attributes)
            except Rejected as fault:
                self._refuse(span, fault)
        return [*self._tables(rows), *self._wide]

    def _tables(self, rows: RowSorter) -> Iterator[Table]:
        for group in rows.groups:
            try:
                yield group.table(self._limits)
            except Rejected as fault:
                for span in group.spans:
                    self._refuse(span, fault)

    def _refuse(self, span: int, fault: Rejected) -> None:
        self._ledger.add(self._spans.positions[span], self._spans.names[span], fault)

    def _identify(self, span: int, attributes: dict[str, Any]) -> Identity:
        feedback = semconv.ML_LABEL in attributes or self._spans.names[span].startswith("feedback ")
        if feedback:
            _check_feedback(attributes)
        resource = self._spans.models[span]
        name = attributes.pop(semconv.ML_MODEL_NAME, None)
        version = attributes.pop(semconv.ML_MODEL_VERSION, None)
        task = attributes.pop(semconv.ML_MODEL_TASK, None)
        batch_id = attributes.pop(semconv.ML_PREDICTION_BATCH_ID, None)
        role = attributes.pop(semconv.ML_MODEL_ROLE, None)
        if resource:
            own = (name, version, task, batch_id, role)
            name, version, task, batch_id, role = (
                resource.get(key) if value is None else value for key, value in zip(_IDENTITY, own)
            )
        if batch_id is not None and type(batch_id) is not str:
            batch_id = _one_text(semconv.ML_PREDICTION_BATCH_ID, batch_id)
        if role is not None and type(role) is not str:
            role = _one_text(semconv.ML_MODEL_ROLE, role)
        if not type(name) is type(version) is str:
            # Only strings are looked up: True, 1 and 1.0 are the same key, and a list is none.
            return self._identity(feedback, name, version, task, batch_id, role)
        task = task if type(task) is str else None
        stated = (feedback, name, version, task, batch_id, role)
        identity = self._identities.get(stated)
        if identity is None:
            identity = self._identities[stated] = self._identity(*stated)
        return identity

    def _identity(
        self, feedback: bool, name: Any, version: Any, task: Any, batch_id: str | None, role: str | None
    ) -> Identity:
        name = _text(semconv.ML_MODEL_NAME, name, self._limits)
        version = _text(semconv.ML_MODEL_VERSION, version, self._limits)
        if not name:
            raise Rejected(MISSING_MODEL_NAME, "no model name")
        stated = task if type(task) is str and task in _TASKS else None
        job = _text(semconv.ML_PREDICTION_BATCH_ID, batch_id, self._limits) or None
        if feedback:  # a label is its prediction's, whatever the version does that sends it
            found = Identity(True, name, "", None)
        else:
            found = Identity(False, name, version or UNKNOWN_VERSION, stated, job, _role(role))
        if found not in self._models:
            if len(self._models) >= self._limits.max_models:
                raise Rejected(TOO_MANY_MODELS, f"more than {self._limits.max_models} model versions in a request")
            self._models.add(found)
        return found


def _only(column: Cells | None, kind: type, value: Any) -> bool:
    """Whether a column is absent, or has this value in every cell."""
    if column is None:
        return True
    return isinstance(column, list) and set(map(type, column)) == {kind} and column.count(value) == len(column)


def _text(key: str, value: Any, limits: WireLimits) -> str:
    """A name: a string, or a number's digits; nothing is the empty string."""
    if value is None:
        return ""
    if type(value) not in (str, int, float):
        raise Rejected(WRONG_TYPE, f"{shown(value)} is no string", key)
    if len(str(value)) > limits.max_text:
        raise Rejected(TOO_LONG, f"more than {limits.max_text} characters", key)
    return str(value)


def _one_text(key: str, value: Any) -> str | None:
    """One text of an attribute that is a span's, and may have come as a column: all of its rows have to say the same.

    >>> _one_text("key", 7), _one_text("key", ["a", None, "a"]), _one_text("key", [None])
    ('7', 'a', None)
    """
    cells = value.strings() if isinstance(value, CodedColumn) else value
    cells = cells.tolist() if isinstance(cells, np.ndarray) else cells
    found = {str(cell) for cell in (cells if isinstance(cells, list) else [cells]) if cell is not None}
    if len(found) > 1 or isinstance(value, dict | bytes):
        raise Rejected(WRONG_TYPE, "a span has one of it: send a span for each", key)
    return next(iter(found), None)


def _role(stated: str | None) -> str | None:
    """What a version does; nothing is None. Another word is refused: taken for the champion, a shadow's rows would be scored."""
    if stated and stated not in _ROLES:
        raise Rejected(BAD_ROLE, f"{shown(stated)} is no role", semconv.ML_MODEL_ROLE)
    return stated or None


def _check_feedback(attributes: dict[str, Any]) -> None:
    if semconv.ML_LABEL not in attributes:
        raise Rejected(MISSING_LABEL, "a feedback span without ml.label")
    if semconv.ML_PREDICTION_ID not in attributes:
        raise Rejected(MISSING_ID, "a feedback span without ml.prediction.id")
    content = [key for key in attributes if key in _OUTPUTS or key.startswith(MAP_PREFIXES)]
    if content:
        raise Rejected(LABEL_WITH_PREDICTION, f"{shown(content[0])} beside ml.label")
