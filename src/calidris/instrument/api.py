"""The manual interface: a `Model`, its predictions, and the labels that follow.

Whatever goes wrong in here stays in here: predictions, exceptions and timings of the host are its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Never, ParamSpec, TypeVar

from calidris.instrument import announcement, many_rows, observed
from calidris.instrument.foreign import Refused
from calidris.instrument.ids import last_prediction_ids
from calidris.instrument.prediction import Prediction, Unrecorded
from calidris.instrument.privacy import ALL, Policy
from calidris.instrument.rows.buffered_items import Series
from calidris.instrument.runtime import configure, flush, runtime, shutdown
from calidris.instrument.shield import caught
from calidris.instrument.signal_errors import passes

__all__ = [
    "Model", "Prediction", "configure", "flush", "last_prediction_ids", "record_label", "record_labels", "shutdown",
]  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")


def _door(where: str) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Make a function that the application calls unable to raise, also where it is called with arguments that it does not have.

    Those are counted as rows that were dropped, and told with the argument's name, at each call: it is not an error of ours.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except BaseException as error:
                # An error of the call itself has no frame of the function in its trace.
                if type(error) is TypeError and error.__traceback__ is not None and error.__traceback__.tb_next is None:
                    _drop_wrong_call(str(error), args, kwargs)
                else:
                    caught(where)
                return None

        return guarded

    return decorate


def _drop_wrong_call(message: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    runtime.ensure()
    model = args[0]._series.name if args and type(args[0]) is Model else runtime.label_model() or ""
    rows = max(many_rows.rows_or_none(one) or 1 for one in (*args, *kwargs.values(), None))
    runtime.note("wrong_arguments", message)
    runtime.drop(model, "malformed", rows)


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
        role: ``champion``, ``canary`` or ``shadow``, where other versions serve beside it: what a shadow answers is not used. Else that
            of ``OTEL_CALIDRIS_MODEL_ROLE``. One that is none of these is counted, and none is sent.

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
        role: str | None = None,
        **unknown: Never,
    ) -> None:
        policy, usable = _policy(allow, drop, hash, bucket)
        self._series = series = Series(name, version, task, features, slices, classes, policy, embeddings, role)
        try:
            runtime.seen(series)
            for argument in (*series.unusable, *(() if usable else ("rules",))):
                runtime.note("argument_unusable", f"{series.name}: {argument}")
            for argument in unknown:
                runtime.note("wrong_arguments", f"Model({argument}=)")
            announcement.announce_model(series)
        except BaseException:
            caught("Model")

    def predict(
        self,
        features: Any = None,
        *more: Never,
        id: object = None,
        slices: Mapping[str, object] | None = None,
        embeddings: Mapping[str, Any] | None = None,
        time: object = None,
        time_unit: str | None = None,
        **unknown: Never,
    ) -> Prediction:
        """Record one prediction: ``with credit.predict(features=row) as p: p.score = ...``.

        Args:
            features: a mapping, a sequence in the order of the model's ``features``, a table of one row, or a thing with fields
                (a dataclass, a named tuple, a model of pydantic). Copied here. A text or a buffer is no row and stays here.
            more: nothing; what is there is left out and told, as are arguments of other names.
            id: joins the label later; else one is made, see `last_prediction_ids`.
            slices: groups of this row.
            embeddings: vectors of this row by declared name: arrays, tensors or lists of up to 4096 numbers. Copied here, as
                float32.
            time: when it was made, where that is not now: a date with a zone, or a number with its unit.
            time_unit: "s", "ms", "us" or "ns" since the epoch, of a ``time`` that is a number.
            unknown: nothing, see ``more``.
        """
        if time is None and not more and not unknown:
            return Prediction(self._series, features, id, slices, embeddings)
        for argument in (*more, *unknown):
            runtime.note(
                "wrong_arguments", f"predict({argument}=)" if argument in unknown else "predict(features, ...)"
            )
        return self._predict_at(features, id, slices, embeddings, time, time_unit)

    def _predict_at(
        self, features: Any, id: object, slices: Any, embeddings: Any, time: object, unit: object
    ) -> Prediction:
        """A prediction of another time; one whose time is none is not recorded, and counted."""
        series = self._series
        try:
            return Prediction(series, features, id, slices, embeddings, many_rows.time_of(time, unit, series.name))
        except Refused as refused:
            runtime.note(refused.reason, series.name)
            runtime.drop(series.name, "malformed", 1)
            return Unrecorded(series, None, id, None)

    def observe(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate ``f(row) -> score`` (or value, or class), plain or async: each call is one prediction.

        The features are its first argument (of a method, the one after ``self``). What it returns is returned untouched, and
        read only where it can be read twice: of a generator, plain or async, only the time until its end is recorded.
        """
        try:
            return observed.observe(self._series, function)
        except BaseException as error:
            if passes(error):
                raise
            runtime.note("not_observed", self._series.name)
            return function

    @_door("record_batch")
    def record_batch(
        self,
        X: Any,
        scores: Any = None,
        ids: Any = None,
        classes: Any = None,
        values: Any = None,
        slices: Any = None,
        embeddings: Any = None,
        times: Any = None,
        time_unit: str | None = None,
        *,
        batch_id: object = None,
    ) -> None:
        """Record predictions already made: arrays, DataFrames, lists of rows or mappings of columns, all copied.

        Args:
            X: n rows, or None.
            scores: n probabilities, n rows of one probability a class, or a mapping from class to n of them.
            ids: n ids; else they are made, see `last_prediction_ids`. One that is None or NaN is made too.
            classes: n decisions.
            values: n outputs of a regression.
            slices: a mapping from name to n values; else columns of ``X`` that are slices of the model.
            embeddings: a mapping from declared name to n vectors of one length: a matrix, or a list in which None is missing.
            times: when each was made, where that is not now: dates with a zone, numpy's datetime64 (which is UTC), a Series of
                either, or numbers with a unit. Rows whose time is missing are of now, and counted.
            time_unit: "s", "ms", "us" or "ns" since the epoch, of ``times`` that are numbers.
            batch_id: names the job that made them, a text, a number or a date: windows of a model of which all rows come in jobs
                close by their ``times``, when the job is over. Calls of one job say the same. One that is none of these is
                counted, and the rows are sent without.

        n is what the first of them says that it has; of what does not say so no more than one row beyond n is read. Lengths that do
        not agree drop the whole call, counted as ``malformed``; so do times that nobody can place.

        >>> night = {"times": [1_700_000_000], "time_unit": "s", "batch_id": "2023-11-14"}
        >>> Model("credit").record_batch([[2100.0, 41]], [0.93], **night)
        """
        batch = many_rows.Batch(X, scores, ids, classes, values, slices)
        batch.times, batch.time_unit = times, time_unit
        batch.batch_id = batch_id
        many_rows.record_batch(self._series, batch, embeddings)

    @_door("record_label")
    def record_label(
        self,
        id: object,
        label: object,
        *,
        time_ns: int | None = None,
        time: object = None,
        time_unit: str | None = None,
    ) -> None:
        """The true outcome of an earlier prediction, any time later, from any process; a second call corrects the first."""
        _record_label(id, label, self._series.name, time_ns, time, time_unit)

    @_door("record_labels")
    def record_labels(
        self, ids: Any, labels: Any, *, times_ns: Any = None, times: Any = None, time_unit: str | None = None
    ) -> None:
        """Many outcomes at once."""
        at, unit = (times, time_unit) if times is not None else (times_ns, "ns")
        many_rows.record_labels(ids, labels, self._series.name, at, unit)


@_door("record_label")
def record_label(
    id: object,
    label: object,
    *,
    model: str | None = None,
    time_ns: int | None = None,
    time: object = None,
    time_unit: str | None = None,
) -> None:
    """The true outcome of one prediction; see `record_labels`."""
    _record_label(id, label, model, time_ns, time, time_unit)


def _record_label(id: object, label: object, model: Any, time_ns: Any, time: object, time_unit: Any) -> None:
    at, unit = (time, time_unit) if time is not None else (time_ns, "ns")
    many_rows.record_labels([id], [label], model, None if at is None else [at], unit)


@_door("record_labels")
def record_labels(
    ids: Any,
    labels: Any,
    *,
    model: str | None = None,
    times_ns: Any = None,
    times: Any = None,
    time_unit: str | None = None,
) -> None:
    """True outcomes of earlier predictions. A second call for one of them corrects the first: of two outcomes the newer one counts.

    Args:
        ids: of the predictions. A label whose id is None or NaN is dropped and counted.
        labels: numbers, booleans or strings. Strings leave the process: they are what quality is measured by.
        model: name; without it the only model that this process has seen, else ``OTEL_CALIDRIS_MODEL_NAME``.
        times_ns: when each became known, ns since the epoch; now by default.
        times: the same as dates with a zone, numpy's datetime64 (which is UTC), or numbers with a unit.
        time_unit: "s", "ms", "us" or "ns" since the epoch, of ``times`` that are numbers.

    Never raises. Without a model to name, or with lengths that do not agree, the labels are dropped, counted and logged once.
    """
    at, unit = (times, time_unit) if times is not None else (times_ns, "ns")
    many_rows.record_labels(ids, labels, model, at, unit)


def _policy(allow: Any, drop: Any, hash: Any, bucket: Any) -> tuple[Policy, bool]:
    """The rules of a model, and whether they could be read. Where they could not, nothing leaves: one of them may be a drop."""
    try:
        return Policy.of(allow, drop, hash, bucket), True
    except BaseException as error:
        if passes(error):
            raise
        return Policy.of(drop=[ALL]), False
