"""What the library files share: how a call is watched, and what its answer means once it is arrays of classes and probabilities.

One watched call: copy the input, time it, read the answer, record one block. A call that completes another on the same input
(``predict`` after ``predict_proba``) is the same prediction and joins its block.
"""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import wrapt
from opentelemetry.trace import Span, get_current_span

from calidris.instrument import ids, trace_markers
from calidris.instrument.foreign import (
    MAX_ROWS,
    Refused,
    error_name,
    guarded,
    is_sequence,
    name_of,
    rows_in,
    usual_rows_in,
)
from calidris.instrument.libraries._patch import PatchTable
from calidris.instrument.many_rows import slice_table, table_or_none
from calidris.instrument.rows.buffered_items import Block, Series
from calidris.instrument.rows.input_table import Table, column_of
from calidris.instrument.runtime import runtime
from calidris.instrument.shield import Enclosure, caught, enter, is_inside, leave, not_a_prediction, shielded

MAX_FINGERPRINT_CELLS = 100_000
"""Inputs above it are recognised by being the same object."""

MAX_GAP_NS = 1_000_000_000
"""Longest time between two calls outside a trace that are one prediction."""


def when_imported(table: PatchTable, module: str, patch: Callable[[PatchTable, ModuleType], None]) -> None:
    """Call ``patch`` once the application imports a module, or now if it has. An error of ours is shielded."""

    def hook(found: ModuleType) -> None:
        if table.active:  # hooks cannot be taken back: after uninstrument they do nothing
            patch(table, found)

    wrapt.register_post_import_hook(shielded(module)(hook), module)


def unwatched(table: PatchTable, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as before, but no library call within it is a prediction."""

    # Real functions with __wrapped__, not wrapt proxies: scikit-learn asks inspect.isfunction for its metadata routing.
    @functools.wraps(function)
    def within(*args: Any, **kwargs: Any) -> Any:
        if is_inside() or not table.active:
            return function(*args, **kwargs)
        with not_a_prediction():
            return function(*args, **kwargs)

    return within


def watched(
    table: PatchTable,
    function: Callable[..., Any],
    begin: Callable[[Any, tuple[Any, ...], dict[str, Any]], WatchedCall | None],
    answer: Callable[[Any, Any], Answer],
    library: str,
) -> Callable[..., Any]:
    """The method as before; its outermost calls are predictions.

    Args:
        table: while it is not active, calls are only passed on.
        function: the method.
        begin: makes the watched call of an instance and its arguments; None where it is no prediction.
        answer: what the result of an instance says.
        library: whose errors of ours are told as.
    """
    failed = shielded(f"{library} failure")(_failed)

    def begun(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> WatchedCall | None:
        try:
            return begin(instance, args, kwargs)
        except BaseException:
            runtime.drop("", "internal_error", 1)
            caught(f"{library} call")
            return None

    def done(call: WatchedCall, instance: Any, result: Any) -> None:
        try:
            call.done(call.lasted_ns(), answer(instance, result) if runtime.on else Answer())
        except BaseException:
            call.lost()
            caught(f"{library} answer")

    @functools.wraps(function)
    def predicting(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_inside() or not table.active:
            return function(self, *args, **kwargs)
        call = begun(self, args, kwargs)
        if call is None:
            return function(self, *args, **kwargs)
        outer = Enclosure()
        token = enter(outer)
        try:
            result = function(self, *args, **kwargs)
        except BaseException as error:  # also an interrupt must end the light span
            failed(call, error)
            raise
        finally:
            leave(outer, token)
        done(call, self, result)
        return result

    return predicting


def _failed(call: WatchedCall, error: BaseException) -> None:
    call.failed(call.lasted_ns(), error)


class Answer:
    """What a call said about its rows; None where it did not say."""

    __slots__ = ("classes", "scores", "values")

    def __init__(self, scores: Any = None, classes: Any = None, values: Any = None) -> None:
        self.scores = scores
        self.classes = classes
        self.values = values

    @property
    def rows(self) -> int | None:
        """How many rows it is of, None where it says nothing."""
        scores = next(iter(self.scores.values())) if isinstance(self.scores, dict) else self.scores
        for one in (scores, self.classes, self.values):
            if one is not None:
                return len(one)
        return None


class WatchedCall:
    """From before the call to after it. Make it, call the library, then `done` or `failed`, whichever it was."""

    __slots__ = (
        "_begun_ns",
        "_features",
        "_marker",
        "_model",
        "_rows",
        "_series",
        "_slices",
        "_span",
        "_tick",
        "_was_on",
        "_what",
        "_x",
    )

    def __init__(self, model: object, series: Series, what: str, x: Any, names: Sequence[str] | None) -> None:
        self._model, self._series, self._what, self._x = model, series, what, x
        self._rows = count_rows(x)
        self._features: Table | None = None
        self._slices: Table | None = None
        self._marker: trace_markers.Marker | None = None
        self._span = get_current_span()
        self._was_on = runtime.on
        if runtime.on:
            self._features = table_or_none(series, x, names)
            self._slices = slice_table(series, runtime.settings.slices, None, self._features)
            if self._span.is_recording():
                self._marker = trace_markers.begin(series)
        self._begun_ns = time.time_ns()
        self._tick = time.perf_counter_ns()

    def failed(self, lasted_ns: int, error: BaseException) -> None:
        """The call raised: its rows carry the error's type."""
        name = error_name(type(error))
        self._end(name)
        self._rows = self._rows or 1
        block = self._block(lasted_ns)
        block.error = name
        self._record(block)

    def done(self, lasted_ns: int, answer: Answer) -> None:
        """The call answered. Of an input that does not say how many rows it has, the answer does."""
        self._end(None)
        rows = answer.rows
        if rows is not None and self._features is None:
            self._rows = rows  # what the input says of itself was not seen to be so
        if rows is not None and self._rows and rows != self._rows:
            runtime.note("answer_length", self._series.name, rows)
            answer = Answer()
        self._rows = self._rows or rows or 1
        if self._features is not None and self._features.rows != self._rows:
            self._features = self._slices = None
        if not self._is_recorded():
            ids.remember(None, ids.place_of(self._span, self._rows), self._rows)
            return
        same = _Input(self)
        last = _last.get()
        if last is not None and last.completed_by(same, self._what):
            last.join(self._what, answer, lasted_ns)
            return
        block = self._block(lasted_ns)
        block.scores, block.classes, block.values = answer.scores, answer.classes, answer.values
        _last.set(_Last(same, self._what, block))
        self._record(block)

    def lost(self) -> None:
        """Count the rows of a call that an error kept from being recorded."""
        runtime.lose(self._series.name, self._rows or 1)

    def lasted_ns(self) -> int:
        """Time since the call began; take it before anything else is done."""
        return time.perf_counter_ns() - self._tick

    def _end(self, error: str | None) -> None:
        if self._marker is not None:
            trace_markers.end(self._marker, error)

    def _block(self, lasted_ns: int) -> Block:
        place = ids.place_of(self._span, self._rows)
        ids.remember(None, place, self._rows)
        block = Block(self._series, self._begun_ns, lasted_ns / 1e9, place, self._rows)
        block.features, block.slices = self._features, self._slices
        return block

    def _record(self, block: Block) -> None:
        if self._is_recorded() and self._rows:
            runtime.append_many(block)

    def _is_recorded(self) -> bool:
        """Also where recording ended meanwhile: then the rows are counted as dropped."""
        return runtime.on or self._was_on


def count_rows(x: Any) -> int:
    """Rows that an input says that it has; 0 where it does not say, or says what cannot be."""
    rows = usual_rows_in(x)
    if rows is None:
        try:
            rows = _rows_of_sequence(x)
        except Refused:
            return 0
    return rows if rows is not None and 0 < rows <= MAX_ROWS else 0


@guarded
def _rows_of_sequence(x: Any) -> int | None:
    return rows_in(x) if is_sequence(x) else None


class _Input:
    """What two calls must have in common to be one prediction: model, span, rows and content."""

    __slots__ = ("begun_ns", "content", "model", "rows", "span")

    def __init__(self, call: WatchedCall) -> None:
        self.model = weakref.ref(call._model)
        self.span: weakref.ref[Span] | None = (
            weakref.ref(call._span) if call._span.get_span_context().is_valid else None
        )
        self.rows = call._rows
        self.begun_ns = call._begun_ns
        table = call._features
        self.content: Any = None
        try:
            small = table is not None and table.cells <= MAX_FINGERPRINT_CELLS
            self.content = table.fingerprint() if small and table is not None else weakref.ref(call._x)
        except (Refused, TypeError):
            self.content = None

    def same_as(self, other: _Input) -> bool:
        """Conservative: in doubt they are two."""
        if self.model() is None or self.model() is not other.model() or self.rows != other.rows:
            return False
        if (self.span and self.span()) is not (other.span and other.span()):
            return False
        if self.span is None and other.begun_ns - self.begun_ns > MAX_GAP_NS:
            return False
        if isinstance(self.content, int):
            return bool(self.content == other.content)
        ours, theirs = (
            content() if isinstance(content, weakref.ref) else None for content in (self.content, other.content)
        )
        return ours is not None and ours is theirs


class _Last:
    """The last call of this context and what was already said about its input."""

    __slots__ = ("block", "input", "said")

    def __init__(self, input: _Input, what: str, block: Block) -> None:
        self.input = input
        self.said = {what}
        # Weak: a context may live long, and the buffer alone decides how long rows are kept.
        self.block = weakref.ref(block)

    def completed_by(self, other: _Input, what: str) -> bool:
        """True when the other call says something new about the same input."""
        return what not in self.said and self.input.same_as(other)

    def join(self, what: str, answer: Answer, lasted_ns: int) -> None:
        """Add what it says. A block that has left already stays as it is: better a row without its class than two rows."""
        self.said.add(what)
        block = self.block()
        if block is None or block.taken:
            return
        block.duration_s = (block.duration_s or 0.0) + lasted_ns / 1e9
        if block.scores is None:
            block.scores = answer.scores
        if block.values is None:
            block.values = answer.values
        if answer.classes is not None and (what == "predict" or block.classes is None):
            block.classes = answer.classes


_last: ContextVar[_Last | None] = ContextVar("calidris_last_call", default=None)


@guarded
def probable(classes: Any, probabilities: Any) -> Answer:
    """A column a class, by its name: who reads them knows which is the positive one. Of more than two also the likeliest class."""
    if probabilities.ndim != 2 or probabilities.shape[1] != len(classes):
        return Answer()
    scores = {name_of(name): probabilities[:, at].copy() for at, name in enumerate(classes.tolist())}
    likeliest = classes[probabilities.argmax(axis=1)] if len(classes) > 2 else None
    return Answer(scores=scores, classes=likeliest)


@guarded
def decided(classes: Any, margins: Any) -> Any:
    """The class that margins stand for; they are no probabilities, so there is no score."""
    if margins.ndim == 1 and len(classes) == 2:
        return classes[(margins > 0).astype(int)]
    if margins.ndim == 2 and margins.shape[1] == len(classes):
        return classes[margins.argmax(axis=1)]
    return None


def flat(result: Any) -> Any:
    """One value a row, copied, or None. A result that can be read only once is the application's to read."""
    rows = count_rows(result)
    try:
        return column_of(result, rows, once=False) if rows else None
    except Refused:
        return None
