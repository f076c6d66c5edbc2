"""What `Model.observe` makes of a function: the same function, of the same kind, with a prediction around each call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from calidris import semconv
from calidris.instrument.foreign import PLAIN, Refused, single
from calidris.instrument.prediction import Prediction, Streamed
from calidris.instrument.rows.buffered_items import Series

P = ParamSpec("P")
R = TypeVar("R")


def observe(series: Series, function: Callable[P, R]) -> Callable[P, R]:
    """The function with a prediction around each call, still a coroutine function or a generator function where it was one.

    Raises:
        TypeError, ValueError: something that has no signature.
    """
    begin = _Begin(series, function)
    wrapped: Any
    if inspect.iscoroutinefunction(function):
        wrapped = _wrap_coroutine(begin, function)
    elif inspect.isasyncgenfunction(function):
        wrapped = _wrap_async_generator(begin, function)
    elif inspect.isgeneratorfunction(function):
        wrapped = _wrap_generator(begin, function)
    else:
        wrapped = _wrap_function(begin, function)
    return cast(Callable[P, R], functools.wraps(function)(wrapped))


class _Begin:
    """Makes the prediction of a call: its features are the first argument, of a method the one after ``self``."""

    __slots__ = ("name", "position", "series")

    def __init__(self, series: Series, function: Callable[..., object]) -> None:
        names = list(inspect.signature(function).parameters)
        self.series = series
        self.position = 1 if len(names) > 1 and names[0] in ("self", "cls") else 0
        self.name = names[self.position] if names else ""

    def argument(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The features of a call."""
        return args[self.position] if len(args) > self.position else kwargs.get(self.name)


def _wrap_function(begin: _Begin, function: Callable[..., Any]) -> Callable[..., Any]:
    def observed(*args: Any, **kwargs: Any) -> Any:
        with Prediction(begin.series, begin.argument(args, kwargs), None, None) as prediction:
            result = function(*args, **kwargs)
            _assign(prediction, result)
            return result

    return observed


def _wrap_coroutine(begin: _Begin, function: Callable[..., Any]) -> Callable[..., Any]:
    async def observed(*args: Any, **kwargs: Any) -> Any:
        with Prediction(begin.series, begin.argument(args, kwargs), None, None) as prediction:
            result = await function(*args, **kwargs)
            _assign(prediction, result)
            return result

    return observed


def _wrap_generator(begin: _Begin, function: Callable[..., Any]) -> Callable[..., Any]:
    def observed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with Streamed(begin.series, begin.argument(args, kwargs), None, None):
            return (yield from function(*args, **kwargs))

    return observed


def _wrap_async_generator(begin: _Begin, function: Callable[..., Any]) -> Callable[..., Any]:
    async def observed(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with Streamed(begin.series, begin.argument(args, kwargs), None, None):
            stream = function(*args, **kwargs)
            step = stream.__anext__()
            while True:  # what a delegating yield does for plain generators
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    step = stream.asend((yield value))
                except GeneratorExit:
                    await stream.aclose()
                    raise
                except BaseException as thrown:
                    step = stream.athrow(thrown)

    return observed


def _assign(prediction: Prediction, result: object) -> None:
    """A decorated function's result as score, value or class, by the model's task and by what it is."""
    if prediction._series.task == semconv.ML_MODEL_TASK_REGRESSION:
        prediction.value = result
        return
    if type(result) not in PLAIN:
        try:
            result = single(result)
        except Refused:
            prediction.score = result  # it is told where the row is made
            return
    if issubclass(type(result), (str, bool)):
        prediction.cls = result
    else:
        prediction.score = result
