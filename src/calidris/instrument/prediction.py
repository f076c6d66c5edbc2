"""One prediction while it is made: what `Model.predict` gives.

On the host's path: everything here is either a copy of what was given or the append of one tuple.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import Any, Final

from opentelemetry.trace import get_current_span

from calidris.instrument import many_rows, trace_markers
from calidris.instrument.foreign import PLAIN, Refused, error_name, outcome_of
from calidris.instrument.ids import id_of, last_call, place_of
from calidris.instrument.rows.buffered_items import FLAT, Series, cut_of
from calidris.instrument.rows.vectors import Captured, capture
from calidris.instrument.runtime import runtime
from calidris.instrument.shield import caught, enter, leave
from calidris.instrument.signal_errors import passes

_LEFT: Final = object()
"""Stands for a guard that is open again while the prediction goes on."""


class Prediction:
    """One prediction while it is made; use it as a context manager and set what the model answered.

    Attributes:
        score: probability of the positive class, or a mapping from class to probability.
        cls: the decision.
        value: the output of a regression.

    An exception in the body is recorded as the row's error and goes on untouched.
    """

    __slots__ = (
        "__weakref__", "_begun_ns", "_features", "_given", "_guard", "_marker", "_place", "_series", "_slices", "_tick", "_vectors", "cls", "is_open",
        "score", "value",
    )  # fmt: skip

    def __init__(
        self,
        series: Series,
        features: Any,
        given: object,
        slices: Mapping[str, object] | None,
        embeddings: Mapping[str, Any] | None = None,
        at_ns: int | None = None,
    ) -> None:
        self.score: Any = None
        self.cls: Any = None
        self.value: Any = None
        self._series = series
        self.is_open = False
        self._given = given if given is None or type(given) is str else self._id(given)
        self._begun_ns: Any = at_ns
        self._features: Any = None
        self._slices: Any = None
        self._vectors: Captured = None
        self._guard: Any = None  # what resets the guard, `_LEFT` once it is, or None: then nothing is recorded
        self._marker: trace_markers.Marker | None = None
        if not runtime.ready:
            runtime.ensure()
        if runtime.on:
            picked = None
            if slices is None and type(features) is dict:
                try:
                    picked = series.pick(features)  # the usual row, copied by one call into C
                    if (kind := type(picked[0])) not in PLAIN and hasattr(kind, "__len__"):
                        picked = None  # a table of one row as a mapping: its values are containers
                except KeyError:
                    picked = None  # a missing name, or none declared
                except BaseException as theirs:  # a key of the application's, compared with ours
                    if passes(theirs):
                        raise
                    picked = None
            if picked is None:
                self._capture(features, slices)
            else:
                self._features, self._slices = picked, FLAT
            if embeddings is not None:
                self._vectors = capture(series.embeddings, embeddings, runtime.note)

    def _id(self, given: object) -> str | None:
        """An id as text. Where it cannot be read one is made, which `last_prediction_ids` tells."""
        try:
            return id_of(given)
        except Refused:
            runtime.note("id_unreadable", self._series.name)
            return None

    def _capture(self, features: Any, slices: Mapping[str, object] | None) -> None:
        series = self._series
        try:
            self._features, self._slices = series.capture(features, slices)
            return
        except Refused as refused:
            reason = "no_row" if refused.reason == "no_row" else "features_not_copied"
        if slices is not None:
            try:
                self._slices = cut_of(slices)
            except Refused:
                runtime.note("slices_not_copied", series.name)
                self._capture(features, None)
                return
        runtime.note(reason, series.name)

    def __enter__(self) -> Prediction:
        try:
            span = get_current_span()
            self._place = place = place_of(span)
            last_call.set((self._given, place, 1))
            if runtime.on:
                self.is_open = True
                self._guard = enter(self)
                if span.is_recording():
                    self._marker = trace_markers.begin(self._series)
        except BaseException:
            self._abandon()
        if self._begun_ns is None:
            self._begun_ns = time_ns()
        self._tick = perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._guard is None:
            return
        failed = None
        try:
            lasted_ns = perf_counter_ns() - self._tick
            if kind is not None:
                failed = error_name(kind)
            score, cls, value = self.score, self.cls, self.value
            # Only the usual types are known here; of any other it is asked whether it is plain, which may raise.
            if type(score) is not float and score is not None:
                score = self._answer("score", score)
            if cls is not None and type(cls) is not str and type(cls) is not int:
                cls = self._answer("class", cls)
            if value is not None and type(value) is not float:
                value = self._answer("value", value)
            row = (
                self._series, self._begun_ns, lasted_ns, self._place, self._given, self._features, self._slices,
                score, cls, value, failed, self._vectors,
            )  # fmt: skip
            # Vectors are large: rows that have some are counted by their bytes, which takes a lock.
            runtime.append(row) if self._vectors is None else runtime.append_many(row)
        except BaseException:
            self._lost()
        finally:
            if self._guard is not None:
                self._leave(failed)

    def _answer(self, what: str, answer: Any) -> Any:
        """An answer that is no plain number or string, as one; noted where it is missing then."""
        try:
            return many_rows.frozen_score(answer, self._series) if what == "score" else outcome_of(answer)
        except Refused as refused:
            runtime.note(refused.reason, what)
            return None

    def _lost(self) -> None:
        """Count a row that an error kept from being recorded; call it where that is handled."""
        runtime.lose(self._series.name, 1)
        caught("predict")

    def _abandon(self) -> None:
        """Leave what could not be entered; call it where the error is handled, which may be the application's."""
        try:
            self._lost()
        finally:
            if self._guard is not None:
                self._leave(None)
                self._guard = None

    def _leave(self, failed: str | None) -> None:
        """Open the guard and end the light span, whatever became of the row."""
        try:
            if self._guard is not _LEFT:
                if self._marker is not None:
                    trace_markers.end(self._marker, failed)
                leave(self, self._guard)
        except BaseException:
            caught("predict")


class Streamed(Prediction):
    """A prediction whose answer comes in pieces, from a generator. Nothing is read of it but how long it takes.

    Between the pieces the application does other things, in the same context: there neither the guard nor the light span may last.
    A stream that is left early has no error.
    """

    __slots__ = ()

    def __enter__(self) -> Prediction:
        super().__enter__()
        if self._guard is not None:
            self._leave(None)
            self._guard = _LEFT
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left = kind is not None and kind.__name__ in ("GeneratorExit", "CancelledError")
        super().__exit__(None if left else kind, error, trace)


class Unrecorded(Prediction):
    """A prediction that cannot be placed, and was counted as dropped: the application's block runs as ever."""

    __slots__ = ()

    def __enter__(self) -> Prediction:
        super().__enter__()
        if self._guard is not None:
            self._leave(None)
            self._guard = None
        return self
