"""What stands before an object that can be called, does something at its calls, and is otherwise that object."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import MethodType
from typing import Any

import wrapt

_Proxy: Any = wrapt.ObjectProxy  # generic for who checks types, but not in each version that we run with


class Transparent(_Proxy):  # type: ignore[misc]
    """Its attributes, its type as ``isinstance`` asks for it, its copies and its pickles are those of what it stands before.

    Args:
        wrapped: the object.
        call: called in its place, with what it is called with.
        is_bindable: whether it becomes a method where it is found in a class, as functions do.
    """

    def __init__(
        self,
        wrapped: Any,
        call: Callable[..., Any],
        is_bindable: bool,
    ) -> None:
        super().__init__(wrapped)
        self._self_call = call
        self._self_is_bindable = is_bindable

    def __call__(
        self,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        call = self._self_call
        return call(*args, **kwargs)

    def __get__(
        self,
        instance: Any,
        owner: Any = None,
    ) -> Any:
        if instance is None:
            return self
        if not self._self_is_bindable:
            return self
        return MethodType(self, instance)

    def __copy__(self) -> Any:
        wrapped = self.__wrapped__
        return copy.copy(wrapped)

    def __deepcopy__(
        self,
        memo: dict[int, Any],
    ) -> Any:
        wrapped = self.__wrapped__
        return copy.deepcopy(wrapped, memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        wrapped = self.__wrapped__
        return wrapped.__reduce_ex__(protocol)
