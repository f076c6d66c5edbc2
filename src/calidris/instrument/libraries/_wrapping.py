"""One watched call of a library's model: copy the input, time it, read the answer, record one block.

What the thin library files share. A call that completes another on the same input (``predict`` after ``predict_proba``)
is the same prediction and joins its block.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from opentelemetry.trace import Span, get_current_span

from calidris.instrument import ids, markers
from calidris.instrument.batches import slice_table, table_or_none
from calidris.instrument.items import Block, Series
from calidris.instrument.runtime import runtime
from calidris.instrument.table import Table, rows_of

MAX_FINGERPRINT_CELLS = 100_000
"""Inputs above it are recognised by being the same object."""

MAX_GAP_NS = 1_000_000_000
"""Longest time between two calls outside a trace that are one prediction."""


class Answer:
    """What a call said about its rows; None where it did not say."""

    __slots__ = ("classes", "scores", "values")

    def __init__(self, scores: Any = None, classes: Any = None, values: Any = None) -> None:
        self.scores = scores
        self.classes = classes
        self.values = values


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
        "_what",
        "_x",
    )

    def __init__(self, model: object, series: Series, what: str, x: Any, names: Sequence[str] | None) -> None:
        self._model, self._series, self._what, self._x = model, series, what, x
        self._rows = _rows(x)
        self._features: Table | None = None
        self._slices: Table | None = None
        self._marker: markers.Marker | None = None
        self._span = get_current_span()
        if runtime.on:
            self._features = table_or_none(series, x, names)
            self._slices = slice_table(runtime.settings.slices, None, self._features)
            if self._span.is_recording():
                self._marker = markers.begin(series)
        self._begun_ns = time.time_ns()
        self._tick = time.perf_counter_ns()

    def failed(self, lasted_ns: int, error: BaseException) -> None:
        """The call raised: its rows carry the error's type."""
        name = type(error).__qualname__
        self._end(name)
        block = self._block(lasted_ns)
        block.error = name
        self._record(block)

    def done(self, lasted_ns: int, answer: Answer) -> None:
        """The call answered."""
        self._end(None)
        if not runtime.on:
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

    def lasted_ns(self) -> int:
        """Time since the call began; take it before anything else is done."""
        return time.perf_counter_ns() - self._tick

    def _end(self, error: str | None) -> None:
        if self._marker is not None:
            markers.end(self._marker, error)

    def _block(self, lasted_ns: int) -> Block:
        place = ids.place_of(self._span, self._rows)
        ids.remember(None, place, self._rows)
        block = Block(self._series, self._begun_ns, lasted_ns / 1e9, place, self._rows)
        block.features, block.slices = self._features, self._slices
        return block

    def _record(self, block: Block) -> None:
        if runtime.on and self._rows:
            runtime.append_many(block)


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
        if table is not None and table.cells <= MAX_FINGERPRINT_CELLS:
            self.content = table.fingerprint()
        else:
            try:
                self.content = weakref.ref(call._x)
            except TypeError:
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


def _rows(x: Any) -> int:
    try:
        return rows_of(x)
    except Exception:  # an input that has no rows: the library will say so itself
        return 1
