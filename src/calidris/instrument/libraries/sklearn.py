"""scikit-learn: every classifier and regressor is watched, with no line of code.

``SklearnInstrumentor().instrument()``, or the entry point ``calidris-sklearn`` under ``opentelemetry-instrument``. Methods are
wrapped where they are defined, also of classes that are defined or imported later, and also in other libraries that derive
from ``BaseEstimator``. Only the outermost call is a prediction; calls within ``fit``, ``score``, scorers and scikit-learn's
own parallel jobs (cross-validation, searches, forests) are none.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection
from types import FunctionType, ModuleType
from typing import Any

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from calidris.instrument.libraries import _sklearn_facts as facts
from calidris.instrument.libraries._patch import PatchTable, inside, not_a_prediction, shielded
from calidris.instrument.libraries._wrapping import Answer, WatchedCall
from calidris.instrument.runtime import runtime

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
        wrapt.register_post_import_hook(shielded(module)(functools.partial(_hook, table, hook)), module)


def _hook(table: PatchTable, hook: Callable[[PatchTable, ModuleType], None], module: ModuleType) -> None:
    if table.active:  # hooks cannot be taken back: after uninstrument they do nothing
        hook(table, module)


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
    table.replace(module._FuncWrapper, "__call__", functools.partial(_unwatched, table))


def _patch_scorer(table: PatchTable, module: ModuleType) -> None:
    table.replace(module._BaseScorer, "__call__", functools.partial(_unwatched, table))


@shielded("sklearn class")
def _patch_estimator(table: PatchTable, kind: type) -> None:
    """Wrap the methods of a class and of the mixins that it takes them from, each where it is defined."""
    for owner in kind.__mro__[:-1]:
        for name in PREDICTING:
            if name in vars(owner):
                _wrap(table, owner, name, functools.partial(_watched, table, name))
        for name in NOT_PREDICTING:
            if name in vars(owner):
                _wrap(table, owner, name, functools.partial(_unwatched, table))


def _wrap(table: PatchTable, owner: type, name: str, make: Callable[[Any], Any]) -> None:
    """Wrap a plain function, or one behind ``available_if``. Anything else is left alone."""
    original = vars(owner)[name]
    if isinstance(original, FunctionType):
        table.replace(owner, name, make)
    elif type(original).__name__ == "_AvailableIfDescriptor":
        available_if = sys.modules["sklearn.utils._available_if"].available_if
        table.replace(owner, name, lambda descriptor: available_if(descriptor.check)(make(descriptor.fn)))


def _unwatched(table: PatchTable, function: Callable[..., Any]) -> Callable[..., Any]:
    # Real functions with __wrapped__, not wrapt proxies: scikit-learn asks inspect.isfunction for its metadata routing.
    @functools.wraps(function)
    def within(*args: Any, **kwargs: Any) -> Any:
        if inside.get() or not table.active:
            return function(*args, **kwargs)
        with not_a_prediction():
            return function(*args, **kwargs)

    return within


def _watched(table: PatchTable, method: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def predicting(self: Any, *args: Any, **kwargs: Any) -> Any:
        if inside.get() or not table.active:
            return function(self, *args, **kwargs)
        call = _begin(self, method, args[0] if args else kwargs.get("X"))
        if call is None:
            return function(self, *args, **kwargs)
        token = inside.set(True)
        try:
            result = function(self, *args, **kwargs)
        except BaseException as error:  # also an interrupt must end the light span
            _failed(call, error)
            raise
        finally:
            inside.reset(token)
        _done(call, self, method, result)
        return result

    return predicting


@shielded("sklearn call")
def _begin(estimator: Any, method: str, x: Any) -> WatchedCall | None:
    task = facts.task_of(estimator)
    if x is None or task is None:
        return None
    what = "predict_proba" if method == "predict_log_proba" else method
    return WatchedCall(estimator, facts.series_of(estimator, task), what, x, facts.feature_names(estimator))


@shielded("sklearn failure")
def _failed(call: WatchedCall, error: BaseException) -> None:
    call.failed(call.lasted_ns(), error)


@shielded("sklearn answer")
def _done(call: WatchedCall, estimator: Any, method: str, result: Any) -> None:
    call.done(call.lasted_ns(), facts.answer_of(estimator, method, result) if runtime.on else Answer())
