"""The manual interface: a `Model`, its predictions, and the labels that follow.

Whatever goes wrong in here stays in here: predictions, exceptions and timings of the host are its own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast

from calidris import semconv
from calidris.instrument import many_rows
from calidris.instrument.ids import last_prediction_ids
from calidris.instrument.prediction import Prediction
from calidris.instrument.privacy import Policy
from calidris.instrument.rows.buffered_items import Series
from calidris.instrument.runtime import configure, flush, runtime, shutdown
from calidris.instrument.shield import caught, shielded

__all__ = [
    "Model", "Prediction", "configure", "flush", "last_prediction_ids", "record_label", "record_labels", "shutdown",
]  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")


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
        embeddings: names of the vectors that may leave the process; without it none does.

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
        embeddings: Sequence[str] = (),
    ) -> None:
        self._series = Series(str(name), str(version))
        try:
            policy = Policy.of(allow, drop, hash, bucket)
            self._series = Series(name, version, task, features, slices, classes, policy, embeddings)
            runtime.seen(self._series)
        except Exception:
            caught("Model")

    def predict(
        self,
        features: Any = None,
        *,
        id: object = None,
        slices: Mapping[str, object] | None = None,
        embeddings: Mapping[str, Any] | None = None,
    ) -> Prediction:
        """Record one prediction: ``with credit.predict(features=row) as p: p.score = ...``.

        Args:
            features: a mapping, or a sequence in the order of the model's ``features``. Copied here.
            id: joins the label later; else one is made, see `last_prediction_ids`.
            slices: groups of this row.
            embeddings: vectors of this row by declared name: arrays, tensors or lists of up to 4096 numbers. Copied here, as
                float32.
        """
        return Prediction(self._series, features, id, slices, embeddings)

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
        embeddings: Any = None,
    ) -> None:
        """Record predictions already made: arrays, DataFrames, lists of rows or mappings of columns, all copied.

        Args:
            X: n rows, or None.
            scores: n probabilities, n rows of one probability a class, or a mapping from class to n of them.
            ids: n ids; else they are made, see `last_prediction_ids`.
            classes: n decisions.
            values: n outputs of a regression.
            slices: a mapping from name to n values; else columns of ``X`` that are slices of the model.
            embeddings: a mapping from declared name to n vectors of one length: a matrix, or a list in which None is missing.

        Lengths that do not agree drop the whole call, counted as ``malformed``.
        """
        many_rows.record_batch(self._series, X, scores, ids, classes, values, slices, embeddings)

    def record_label(self, id: object, label: object, *, time_ns: int | None = None) -> None:
        """The true outcome of an earlier prediction, any time later, from any process."""
        record_label(id, label, model=self._series.name, time_ns=time_ns)

    def record_labels(self, ids: Any, labels: Any, *, times_ns: Any = None) -> None:
        """Many outcomes at once."""
        record_labels(ids, labels, model=self._series.name, times_ns=times_ns)


@shielded("record_label")
def record_label(id: object, label: object, *, model: str | None = None, time_ns: int | None = None) -> None:
    """The true outcome of one prediction; see `record_labels`."""
    many_rows.record_labels([id], [label], model, None if time_ns is None else [time_ns])


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
    many_rows.record_labels(ids, labels, model, times_ns)


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
