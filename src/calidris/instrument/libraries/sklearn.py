"""scikit-learn: every classifier and regressor is watched, with no line of code.

``SklearnInstrumentor().instrument()``, or the entry point ``calidris-sklearn`` under ``opentelemetry-instrument``. Methods are
wrapped where they are defined, also of classes that are defined or imported later, and also in other libraries that derive
from ``BaseEstimator``. Only the outermost call is a prediction; calls within ``fit``, ``score``, scorers and scikit-learn's
own parallel jobs (cross-validation, searches, forests) are none.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection, Sequence
from types import FunctionType, ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from calidris import semconv
from calidris.instrument.libraries._patch import PatchTable
from calidris.instrument.libraries._wrapping import (
    Answer,
    WatchedCall,
    decided,
    flat,
    probable,
    series_of,
    unwatched,
    watched,
    when_imported,
)
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


def _begin(estimator: Any, method: str, x: Any) -> WatchedCall | None:
    task = task_of(estimator)
    if x is None or task is None:
        return None
    what = "predict_proba" if method == "predict_log_proba" else method
    series = series_of(type(final_of(estimator)), task)
    return WatchedCall(estimator, series, what, x, feature_names(estimator))


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
    return None if names is None else names.tolist()


def answer_of(estimator: Any, method: str, result: Any) -> Answer:
    """What a result says, copied. Several outputs at once say nothing that the convention has words for."""
    classes = classes_of(estimator)
    if method == "predict":
        if isinstance(result, tuple):
            result = result[0]  # return_std
        values = flat(result)
        regression = task_of(estimator) == semconv.ML_MODEL_TASK_REGRESSION
        return Answer(values=values) if regression else Answer(classes=values)
    if classes is None or not hasattr(result, "ndim"):
        return Answer()
    if method == "decision_function":
        return Answer(classes=decided(classes, result))
    return probable(classes, sys.modules["numpy"].exp(result) if method == "predict_log_proba" else result)
