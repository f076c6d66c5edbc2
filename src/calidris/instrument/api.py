"""The manual interface: a `Model`, its predictions, and the labels that follow.

Whatever goes wrong in here stays in here: predictions, exceptions and timings of the host are its own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Token
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from opentelemetry.trace import get_current_span

from calidris import semconv
from calidris.instrument import batches, markers
from calidris.instrument._patch import caught, inside, shielded
from calidris.instrument.ids import last_call, last_prediction_ids, place_of
from calidris.instrument.items import FLAT, Series
from calidris.instrument.privacy import Policy
from calidris.instrument.runtime import configure, flush, runtime, shutdown

__all__ = [
    "Model", "Prediction", "configure", "flush", "last_prediction_ids", "record_label", "record_labels", "shutdown",
]  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")


class Prediction:
    """One prediction while it is made; use it as a context manager and set what the model answered.

    Attributes:
        score: probability of the positive class, or a mapping from class to probability.
        cls: the decision.
        value: the output of a regression.

    An exception in the body is recorded as the row's error and goes on untouched.
    """

    __slots__ = (
        "_begun_ns", "_features", "_given", "_guard", "_marker", "_place", "_series", "_slices", "_tick", "cls", "score", "value",
    )  # fmt: skip

    def __init__(self, series: Series, features: Any, given: object, slices: Mapping[str, object] | None) -> None:
        self.score: Any = None
        self.cls: Any = None
        self.value: Any = None
        self._series = series
        self._given = given
        self._features: Any = None
        self._slices: Any = None
        self._guard: Token[bool] | None = None
        self._marker: markers.Marker | None = None
        if runtime.on:
            try:
                if slices is None and type(features) is dict:
                    # the usual row, copied by one call into C
                    self._features, self._slices = series.pick(features), FLAT
                else:
                    self._capture(features, slices)
            except KeyError:
                self._capture(features, slices)

    def _capture(self, features: Any, slices: Mapping[str, object] | None) -> None:
        try:
            self._features, self._slices = self._series.capture(features, slices)
        except Exception:
            runtime.note("features_not_copied", self._series.name)

    def __enter__(self) -> Prediction:
        try:
            span = get_current_span()
            self._place = place = place_of(span)
            last_call.set((self._given, place, 1))
            if runtime.on:
                self._guard = inside.set(True)
                if span.is_recording():
                    self._marker = markers.begin(self._series)
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
                score = batches.frozen_score(score, self._series)
            runtime.append(
                (
                    self._series, self._begun_ns, lasted_ns, self._place, self._given, self._features, self._slices,
                    score, self.cls, self.value, failed,
                )
            )  # fmt: skip
        except Exception:
            caught("predict")
        finally:
            self._leave(self._guard, failed)

    def _leave(self, guard: Token[bool], failed: str | None) -> None:
        """Open the guard and end the light span, whatever became of the row."""
        try:
            if self._marker is not None:
                markers.end(self._marker, failed)
            inside.reset(guard)
        except ValueError:
            # Left in another context than it was entered in, as generators may be: that one never saw the guard.
            pass
        except Exception:
            caught("predict")


class Model:
    """A model version whose predictions are recorded.

    Args:
        name: of the model; with the version it is what is monitored.
        version: of the model; a change of it is a promotion.
        task: ``binary``, ``multiclass``, ``regression``, ``ranking`` or ``generation``.
        features: names in the order in which sequences bring them; with mappings, the ones to record. Naming them makes
            recording faster and keeps everything else in the process.
        slices: names to cut by, taken from ``slices=`` of a call, else from its features.
        classes: names of the classes in the order of probability columns.
        allow: features whose strings may leave the process.
        drop: features that never leave it.
        hash: features that leave as a keyed hash.
        bucket: features that leave as a range, with its edges.

    It is cheap, thread-safe and may be made at import. Recording costs the caller 2 to 4 µs, and nothing without an endpoint.

    >>> credit = Model("credit", version="7", task="binary", features=["income", "age"])
    >>> with credit.predict(features={"income": 2100.0, "age": 41}, id="request-1") as p:
    ...     p.score = 0.93
    >>> last_prediction_ids()
    ('request-1',)
    """

    def __init__(
        self,
        name: str,
        version: str = "unknown",
        task: str | None = None,
        features: Sequence[str] | None = None,
        slices: Sequence[str] = (),
        *,
        classes: Sequence[object] | None = None,
        allow: Iterable[str] = (),
        drop: Iterable[str] = (),
        hash: Iterable[str] = (),
        bucket: Mapping[str, Iterable[float]] | None = None,
    ) -> None:
        self._series = Series(str(name), str(version))
        try:
            policy = Policy.of(allow, drop, hash, bucket)
            self._series = Series(name, version, task, features, slices, classes, policy)
            runtime.seen(self._series)
        except Exception:
            caught("Model")

    def predict(
        self, features: Any = None, *, id: object = None, slices: Mapping[str, object] | None = None
    ) -> Prediction:
        """Record one prediction: ``with credit.predict(features=row) as p: p.score = ...``.

        Args:
            features: a mapping, or a sequence in the order of the model's ``features``. Copied here.
            id: joins the label later; else one is made, see `last_prediction_ids`.
            slices: groups of this row.
        """
        return Prediction(self._series, features, id, slices)

    def observe(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate ``f(row) -> score`` (or value, or class), plain or async: each call is one prediction.

        The features are its first argument (of a method, the one after ``self``). What it returns is returned untouched.
        """
        try:
            at = _position_of_features(function)
        except Exception:
            caught("observe")
            return function
        series = self._series
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def observed_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with Prediction(series, _argument(at, args, kwargs), None, None) as prediction:
                    result = await function(*args, **kwargs)
                    _assign(prediction, result)
                    return result

            return cast(Callable[P, R], observed_async)

        @functools.wraps(function)
        def observed(*args: P.args, **kwargs: P.kwargs) -> R:
            with Prediction(series, _argument(at, args, kwargs), None, None) as prediction:
                result = function(*args, **kwargs)
                _assign(prediction, result)
                return result

        return observed

    @shielded("record_batch")
    def record_batch(
        self,
        X: Any,
        scores: Any = None,
        ids: Any = None,
        classes: Any = None,
        values: Any = None,
        slices: Any = None,
    ) -> None:
        """Record predictions already made: arrays, DataFrames, lists of rows or mappings of columns, all copied.

        Args:
            X: n rows, or None.
            scores: n probabilities, n rows of one probability a class, or a mapping from class to n of them.
            ids: n ids; else they are made, see `last_prediction_ids`.
            classes: n decisions.
            values: n outputs of a regression.
            slices: a mapping from name to n values; else columns of ``X`` that are slices of the model.

        Lengths that do not agree drop the whole call, counted as ``malformed``.
        """
        batches.record_batch(self._series, X, scores, ids, classes, values, slices)

    def record_label(self, id: object, label: object, *, time_ns: int | None = None) -> None:
        """The true outcome of an earlier prediction, any time later, from any process."""
        record_label(id, label, model=self._series.name, time_ns=time_ns)

    def record_labels(self, ids: Any, labels: Any, *, times_ns: Any = None) -> None:
        """Many outcomes at once."""
        record_labels(ids, labels, model=self._series.name, times_ns=times_ns)


@shielded("record_label")
def record_label(id: object, label: object, *, model: str | None = None, time_ns: int | None = None) -> None:
    """The true outcome of one prediction; see `record_labels`."""
    batches.record_labels([id], [label], model, None if time_ns is None else [time_ns])


@shielded("record_labels")
def record_labels(ids: Any, labels: Any, *, model: str | None = None, times_ns: Any = None) -> None:
    """True outcomes of earlier predictions.

    Args:
        ids: of the predictions.
        labels: numbers, booleans or strings. Strings leave the process: they are what quality is measured by.
        model: name; without it the only model that this process has seen, else ``OTEL_CALIDRIS_MODEL_NAME``.
        times_ns: when each became known, ns since the epoch; now by default.

    Never raises. Without a model to name, or with lengths that do not agree, the labels are dropped, counted and logged once.
    """
    batches.record_labels(ids, labels, model, times_ns)


def _position_of_features(function: Callable[..., object]) -> tuple[int, str]:
    """Where a function takes its features: position and name of its first parameter, of a method the second."""
    names = list(inspect.signature(function).parameters)
    at = 1 if len(names) > 1 and names[0] in ("self", "cls") else 0
    return at, names[at] if names else ""


def _argument(at: tuple[int, str], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    position, name = at
    return args[position] if len(args) > position else kwargs.get(name)


def _assign(prediction: Prediction, result: object) -> None:
    """A decorated function's result as score, value or class, by the model's task and by what it is."""
    if prediction._series.task == semconv.ML_MODEL_TASK_REGRESSION:
        prediction.value = result
    elif isinstance(result, (str, bool)):
        prediction.cls = result
    else:
        prediction.score = result
