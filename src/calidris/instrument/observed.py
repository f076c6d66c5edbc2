"""What `Model.observe` makes of a function: the same function, of the same kind, with a prediction around each call."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final, ParamSpec, TypeVar, cast

from calidris import semconv
from calidris.instrument.foreign import Refused, single
from calidris.instrument.prediction import Prediction, Streamed
from calidris.instrument.rows.buffered_items import Series

P = ParamSpec("P")
R = TypeVar("R")

_Function = Callable[..., Any]

_FUNCTIONS: Final = frozenset({FunctionType, BuiltinFunctionType})

_COMPILED: Final = "cython_function_or_method"
"""What Cython makes of functions; each of its modules may have a type of its own."""

_Cached: Final = type(functools.lru_cache(len))


def observe(series: Series, function: Callable[P, R]) -> Callable[P, R]:
    """The function with a prediction around each call, and otherwise as it was: of its kind, and with all that it has.

    Raises:
        TypeError, ValueError: something that has no signature, or would no longer be what it was: a class, a descriptor of the
            application's own.
    """
    return cast(Callable[P, R], _observe(series, function))


def _observe(series: Series, function: Any) -> Any:
    kind = type(function)
    if kind is staticmethod:
        inner = _observe(series, function.__func__)
        return staticmethod(inner)
    if kind is classmethod:
        inner = _observe_function(series, function.__func__, is_bound=True)
        return classmethod(inner)
    if kind is MethodType:
        inner = _observe_function(series, function.__func__, is_bound=True)
        return MethodType(inner, function.__self__)
    if kind in _FUNCTIONS or kind.__name__ == _COMPILED:
        return _observe_function(series, function)
    return _observe_object(series, function)


def _observe_function(series: Series, function: _Function, is_bound: bool = False) -> _Function:
    wrap = _choose_wrapper(function)
    calls = _Calls(series, function)
    if is_bound:
        calls.move_to(1)
    wrapped = wrap(calls)
    functools.update_wrapper(wrapped, function)
    return wrapped


def _observe_object(series: Series, function: _Function) -> Any:
    """What is called but is no function has more than that: a cache to clear, a type. It stays, and something transparent is before it."""
    kind = type(function)
    is_bindable = kind is _Cached
    is_descriptor = hasattr(kind, "__get__")
    if issubclass(kind, type):
        raise TypeError("to observe a class would change it")
    if is_descriptor and not is_bindable:
        raise TypeError("to observe it would change it")
    transparent = importlib.import_module("calidris.instrument.libraries._transparent")  # only who needs it loads wrapt
    wrap = _choose_wrapper(function)
    calls = _Calls(series, function)
    return transparent.Transparent(function, wrap(calls), is_bindable)


class _Calls:
    """The calls of a function and their features: the first argument, of a method the one after ``self``."""

    __slots__ = ("_names", "function", "name", "position", "series")

    def __init__(self, series: Series, function: _Function) -> None:
        names = list(inspect.signature(function).parameters)
        is_method = len(names) > 1 and names[0] in ("self", "cls")
        self.function = function
        self.series = series
        self.position = 1 if is_method else 0
        self._names = names
        self.name = names[self.position] if names else ""

    def move_to(self, position: int) -> None:
        """Say which argument has the features."""
        self.position = position
        self.name = self._names[position]

    def begin(self, kind: type[Prediction], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Prediction:
        """The prediction of a call."""
        features = self.find_features(args, kwargs)
        return kind(self.series, features, None, None)

    def find_features(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The features of a call, by place or by name."""
        if len(args) > self.position:
            return args[self.position]
        return kwargs.get(self.name)


def _choose_wrapper(function: _Function) -> Callable[[_Calls], _Function]:
    """What wraps a function of this kind by one of the same kind."""
    if inspect.iscoroutinefunction(function):
        return _wrap_coroutine
    if inspect.isasyncgenfunction(function):
        return _wrap_async_generator
    if inspect.isgeneratorfunction(function):
        return _wrap_generator
    return _wrap_function


def _wrap_function(calls: _Calls) -> _Function:
    def observed(*args: Any, **kwargs: Any) -> Any:
        prediction = calls.begin(Prediction, args, kwargs)
        with prediction:
            result = calls.function(*args, **kwargs)
            _assign(prediction, result)
            return result

    return observed


def _wrap_coroutine(calls: _Calls) -> _Function:
    async def observed(*args: Any, **kwargs: Any) -> Any:
        prediction = calls.begin(Prediction, args, kwargs)
        with prediction:
            result = await calls.function(*args, **kwargs)
            _assign(prediction, result)
            return result

    return observed


def _wrap_generator(calls: _Calls) -> _Function:
    def observed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        prediction = calls.begin(Streamed, args, kwargs)
        with prediction:
            return (yield from calls.function(*args, **kwargs))

    return observed


def _wrap_async_generator(calls: _Calls) -> _Function:
    async def observed(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        prediction = calls.begin(Streamed, args, kwargs)
        with prediction:
            stream = calls.function(*args, **kwargs)
            step = stream.__anext__()
            # What a delegating yield does for plain generators; asynchronous ones have none.
            while True:
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    sent = yield value
                    step = stream.asend(sent)
                except GeneratorExit:
                    await stream.aclose()
                    raise
                except BaseException as thrown:
                    step = stream.athrow(thrown)

    return observed


def _assign(prediction: Prediction, result: object) -> None:
    """A decorated function's result as score, value or class, by the model's task and by what it is."""
    task = prediction._series.task
    if task == semconv.ML_MODEL_TASK_REGRESSION:
        prediction.value = result
        return
    try:
        result = single(result)
    except Refused:
        # It is told where the row is made.
        prediction.score = result
        return
    kind = type(result)
    if issubclass(kind, (str, bool)):
        prediction.cls = result
    else:
        prediction.score = result
