"""One prediction while it is made: what `Model.predict` gives.

On the host's path: everything here is either a copy of what was given or the append of one tuple.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import Any

from opentelemetry.trace import get_current_span

from calidris.instrument import many_rows, trace_markers
from calidris.instrument.ids import last_call, place_of
from calidris.instrument.rows.buffered_items import FLAT, Series
from calidris.instrument.rows.vectors import Captured, capture
from calidris.instrument.runtime import runtime
from calidris.instrument.shield import caught, inside


class Prediction:
    """One prediction while it is made; use it as a context manager and set what the model answered.

    Attributes:
        score: probability of the positive class, or a mapping from class to probability.
        cls: the decision.
        value: the output of a regression.

    An exception in the body is recorded as the row's error and goes on untouched.
    """

    __slots__ = (
        "_begun_ns", "_features", "_given", "_guard", "_marker", "_place", "_series", "_slices", "_tick", "_vectors", "cls",
        "score", "value",
    )  # fmt: skip

    def __init__(
        self,
        series: Series,
        features: Any,
        given: object,
        slices: Mapping[str, object] | None,
        embeddings: Mapping[str, Any] | None = None,
    ) -> None:
        self.score: Any = None
        self.cls: Any = None
        self.value: Any = None
        self._series = series
        self._given = given
        self._features: Any = None
        self._slices: Any = None
        self._vectors: Captured = None
        self._guard: Token[bool] | None = None
        self._marker: trace_markers.Marker | None = None
        if runtime.on:
            try:
                if slices is None and type(features) is dict:
                    # the usual row, copied by one call into C
                    self._features, self._slices = series.pick(features), FLAT
                else:
                    self._capture(features, slices)
            except KeyError:
                self._capture(features, slices)
            if embeddings is not None:
                self._capture_vectors(embeddings)

    def _capture(self, features: Any, slices: Mapping[str, object] | None) -> None:
        try:
            self._features, self._slices = self._series.capture(features, slices)
        except Exception:
            runtime.note("features_not_copied", self._series.name)

    def _capture_vectors(self, embeddings: Mapping[str, Any]) -> None:
        try:
            self._vectors = capture(self._series.embeddings, embeddings, runtime.note)
        except Exception:
            runtime.note("embedding_not_copied", self._series.name)

    def __enter__(self) -> Prediction:
        try:
            span = get_current_span()
            self._place = place = place_of(span)
            last_call.set((self._given, place, 1))
            if runtime.on:
                self._guard = inside.set(True)
                if span.is_recording():
                    self._marker = trace_markers.begin(self._series)
        except Exception:
            caught("predict")
        self._begun_ns = time_ns()
        self._tick = perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lasted_ns = perf_counter_ns() - self._tick
        if self._guard is None:
            return
        failed = None if kind is None else kind.__qualname__
        try:
            score = self.score
            if type(score) is not float and score is not None:
                score = many_rows.frozen_score(score, self._series)
            row = (
                self._series, self._begun_ns, lasted_ns, self._place, self._given, self._features, self._slices,
                score, self.cls, self.value, failed, self._vectors,
            )  # fmt: skip
            # Vectors are large: rows that have some are counted by their bytes, which takes a lock.
            runtime.append(row) if self._vectors is None else runtime.append_many(row)
        except Exception:
            caught("predict")
        finally:
            self._leave(self._guard, failed)

    def _leave(self, guard: Token[bool], failed: str | None) -> None:
        """Open the guard and end the light span, whatever became of the row."""
        try:
            if self._marker is not None:
                trace_markers.end(self._marker, failed)
            inside.reset(guard)
        except ValueError:
            # Left in another context than it was entered in, as generators may be: that one never saw the guard.
            pass
        except Exception:
            caught("predict")
