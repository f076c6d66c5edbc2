"""scikit-learn: every classifier and regressor is watched, with no line of code.

``SklearnInstrumentor().instrument()``, or the entry point ``calidris-sklearn`` under ``opentelemetry-instrument``. Methods are
wrapped where they are defined, also of classes that are defined or imported later, and also in other libraries that derive
from ``BaseEstimator``. Only the outermost call is a prediction; calls within ``fit``, ``score``, scorers and scikit-learn's
own parallel jobs (cross-validation, searches, forests) are none.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from operator import is_
from types import FunctionType, ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from calidris import semconv
from calidris.instrument import announcement
from calidris.instrument.foreign import Refused, guarded, listed, name_of, offers
from calidris.instrument.libraries._identities import Shape, default_name, series_of
from calidris.instrument.libraries._patch import PatchTable
from calidris.instrument.libraries._wrapping import (
    Answer,
    WatchedCall,
    decided,
    flat,
    probable,
    unwatched,
    watched,
    when_imported,
)
from calidris.instrument.rows.buffered_items import Series
from calidris.instrument.rows.one_row import MAX_WIDTH
from calidris.instrument.runtime import runtime
from calidris.instrument.shield import shielded

PREDICTING = ("predict", "predict_proba", "predict_log_proba", "decision_function")
NOT_PREDICTING = ("fit", "partial_fit", "fit_predict", "score")


class SklearnInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Watches scikit-learn estimators. `uninstrument` puts back the very objects that were there.

    Importing nothing itself: what it patches is patched when the host imports it.
    """

    _table: PatchTable | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """The versions that are tested."""
        return ("scikit-learn >= 1.3",)

    def _instrument(self, **kwargs: Any) -> None:
        _install(self)

    def _uninstrument(self, **kwargs: Any) -> None:
        table, self._table = self._table, None
        if table is not None:
            table.undo()


@shielded("sklearn instrument")
def _install(instrumentor: SklearnInstrumentor) -> None:
    """Never raises: an exception here would abort the auto-instrumentation of everything after it."""
    runtime.ensure()
    table = instrumentor._table = PatchTable()
    for module, hook in (
        ("sklearn.base", _patch_base),
        ("sklearn.utils.parallel", _patch_parallel),
        ("sklearn.metrics._scorer", _patch_scorer),
    ):
        when_imported(table, module, hook)
    announcement.announce_library("scikit-learn", default_name("<class>"))


def _patch_base(table: PatchTable, module: ModuleType) -> None:
    """All estimators that exist, and through ``__init_subclass__`` all that come."""
    base = module.BaseEstimator

    def announce(original: Any) -> Any:
        def __init_subclass__(cls: type[Any], /, **kwargs: Any) -> None:
            if isinstance(original, classmethod):
                original.__get__(None, cls)(**kwargs)
            else:
                super(base, cls).__init_subclass__(**kwargs)
            if table.active:
                _patch_estimator(table, cls)

        return classmethod(__init_subclass__)

    table.replace(base, "__init_subclass__", announce)
    waiting = [base]
    while waiting:
        kind = waiting.pop()
        waiting.extend(type.__subclasses__(kind))
        _patch_estimator(table, kind)


def _patch_parallel(table: PatchTable, module: ModuleType) -> None:
    # Jobs run in other threads, which do not see the caller's guard. Whatever scikit-learn delays is part of something larger.
    table.replace(module._FuncWrapper, "__call__", functools.partial(unwatched, table))


def _patch_scorer(table: PatchTable, module: ModuleType) -> None:
    table.replace(module._BaseScorer, "__call__", functools.partial(unwatched, table))


@shielded("sklearn class")
def _patch_estimator(table: PatchTable, kind: type) -> None:
    """Wrap the methods of a class and of the mixins that it takes them from, each where it is defined."""
    for owner in kind.__mro__[:-1]:
        for name in PREDICTING:
            if name in vars(owner):
                _wrap(table, owner, name, functools.partial(_watch, table, name))
        for name in NOT_PREDICTING:
            if name in vars(owner):
                _wrap(table, owner, name, functools.partial(unwatched, table))


def _wrap(table: PatchTable, owner: type, name: str, make: Callable[[Any], Any]) -> None:
    """Wrap a plain function, or one behind ``available_if``. Anything else is left alone."""
    original = vars(owner)[name]
    if isinstance(original, FunctionType):
        table.replace(owner, name, make)
    elif type(original).__name__ == "_AvailableIfDescriptor":
        available_if = sys.modules["sklearn.utils._available_if"].available_if
        table.replace(owner, name, lambda descriptor: available_if(descriptor.check)(make(descriptor.fn)))


def _watch(table: PatchTable, method: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def begin(estimator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> WatchedCall | None:
        return _begin(estimator, method, args[0] if args else kwargs.get("X"))

    def answer(estimator: Any, result: Any) -> Answer:
        return answer_of(estimator, method, result)

    return watched(table, function, begin, answer, "sklearn")


class _Known:
    """What an estimator stands for, for as long as what it was fitted with stays the same objects."""

    __slots__ = ("fitted", "generation", "names", "ref", "series")

    def __init__(self, estimator: Any, fitted: tuple[Any, ...], series: Series, names: Sequence[str] | None) -> None:
        self.ref = weakref.ref(estimator, functools.partial(_forget, id(estimator)))
        self.fitted = fitted
        self.generation = runtime.generation
        self.series = series
        self.names = names

    def stands_for(self, estimator: Any, fitted: tuple[Any, ...]) -> bool:
        return self.ref() is estimator and self.generation == runtime.generation and all(map(is_, self.fitted, fitted))


_known: dict[int, _Known] = {}


def _forget(key: int, gone: Any) -> None:
    _known.pop(key, None)


def _begin(estimator: Any, method: str, x: Any) -> WatchedCall | None:
    if x is None:
        return None
    try:
        known = _identified(estimator)
    except Refused:
        runtime.note("model_unreadable", type(estimator).__name__)
        runtime.drop("", "model_unreadable", 1)
        return None
    if known is None:
        return None
    what = "predict_proba" if method == "predict_log_proba" else method
    return WatchedCall(estimator, known[0], what, x, known[1])


@guarded
def _identified(estimator: Any) -> tuple[Series, Sequence[str] | None] | None:
    """The model that an estimator is, and the names of its features; None for what is not watched."""
    fitted = (
        getattr(estimator, "feature_names_in_", None),
        getattr(estimator, "classes_", None),
        getattr(estimator, "n_features_in_", None),
    )
    known = _known.get(id(estimator))
    if known is not None and known.stands_for(estimator, fitted):
        return known.series, known.names
    task = task_of(estimator)
    if task is None:
        return None
    names = feature_names(estimator)
    series = series_of(_shape(estimator, task, names))
    with suppress(TypeError):  # one that cannot be referred to weakly is looked at each time
        _known[id(estimator)] = _Known(estimator, fitted, series, names)
    return series, names


def _shape(estimator: Any, task: str, names: Sequence[str] | None) -> Shape:
    final = final_of(estimator)
    width = getattr(estimator, "n_features_in_", None) or getattr(final, "n_features_in_", None)
    classes = classes_of(estimator)
    texts = () if classes is None else tuple(map(name_of, listed(classes, MAX_WIDTH)))
    return Shape(type(final), task, tuple(names) if names else width if type(width) is int else None, texts)


def final_of(estimator: Any) -> Any:
    """The estimator that answers: the last step of a pipeline, the best one of a search."""
    for _ in range(8):
        steps = getattr(estimator, "steps", None)
        if isinstance(steps, list) and steps:
            estimator = steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            break
    return estimator


def task_of(estimator: Any) -> str | None:
    """The task of a fitted classifier or regressor; None for anything else, which is not watched."""
    base = sys.modules["sklearn.base"]
    final = final_of(estimator)
    if isinstance(final, base.ClassifierMixin):
        classes = classes_of(estimator)
        several = classes is not None and len(classes) > 2
        return semconv.ML_MODEL_TASK_MULTICLASS if several else semconv.ML_MODEL_TASK_BINARY
    return semconv.ML_MODEL_TASK_REGRESSION if isinstance(final, base.RegressorMixin) else None


def classes_of(estimator: Any) -> Any:
    """The array of classes; None where there are several outputs, or none yet."""
    classes = getattr(estimator, "classes_", None)
    return classes if getattr(classes, "ndim", 0) == 1 else None


def feature_names(estimator: Any) -> Sequence[str] | None:
    """The names it was fitted with, if it was fitted with names."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else list(map(name_of, listed(names, MAX_WIDTH)))


def answer_of(estimator: Any, method: str, result: Any) -> Answer:
    """What a result says, copied. Several outputs at once say nothing that the convention has words for."""
    try:
        answer = _read_answer(estimator, method, result)
    except Refused:
        answer = Answer()
    if answer.rows is None:
        runtime.note("answer_not_read", type(estimator).__name__)
    return answer


@guarded
def _read_answer(estimator: Any, method: str, result: Any) -> Answer:
    classes = classes_of(estimator)
    if method == "predict":
        if type(result) is tuple and result:
            result = result[0]  # return_std
        values = flat(result)
        regression = task_of(estimator) == semconv.ML_MODEL_TASK_REGRESSION
        return Answer(values=values) if regression else Answer(classes=values)
    if classes is None or not offers(type(result), "ndim"):
        return Answer()
    if method == "decision_function":
        return Answer(classes=decided(classes, result))
    return probable(classes, sys.modules["numpy"].exp(result) if method == "predict_log_proba" else result)
