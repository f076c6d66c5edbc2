"""What an application may hand over without meaning harm, or meaning it: each a name and a function that makes it anew."""

from __future__ import annotations

import asyncio
import io
import itertools
import mmap
import types
import uuid
import weakref
from array import array
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np
import pandas as pd

from calidris import Model


class Panic(BaseException):
    """What extensions written in Rust raise: no `Exception`."""


ERRORS = (ValueError, AttributeError, RecursionError, MemoryError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Panic)  # fmt: skip
CONVERSIONS = ("__str__", "__repr__", "__float__", "__index__", "__bool__", "__eq__", "__ne__", "__len__", "__iter__", "__getitem__", "__getattr__", "__array__", "tolist", "keys", "shape", "dtype")  # fmt: skip


def raising(error: type[BaseException], names: tuple[str, ...], **others: Any) -> Any:
    """An object whose methods of these names raise."""

    def fail(self: Any, *args: Any) -> Any:
        raise error("hostile")

    found: dict[str, Any] = {name: fail for name in names}
    for name in ("shape", "dtype"):
        if name in names:
            found[name] = property(fail)
    if "__eq__" in names:
        found["__hash__"] = lambda self: hash("income")  # it meets our own names in their dictionary
    return type("Raising", (), found | others)()


class Endless:
    """Says that it is long, and has no end."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, at: object) -> float:
        return 0.5

    def __iter__(self) -> Iterator[float]:
        return itertools.repeat(0.5)


class EndlessMapping(Mapping[Any, Any]):
    """A mapping of all names."""

    def __init__(self, length: int = 2**62) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, name: object) -> float:
        return 0.5

    def __iter__(self) -> Iterator[str]:
        return (f"name {at}" for at in itertools.count())


class Agreeable:
    """Has every attribute, and each is itself."""

    def __getattr__(self, name: str) -> Agreeable:
        return self

    def __call__(self, *args: Any) -> Agreeable:
        return self


class Listing:
    """An array of a library that nobody knows, which answers anything."""

    dtype = "float99"

    def __init__(self, answer: Any, shape: Any = (1,)) -> None:
        self.answer = answer
        self._shape = shape

    @property
    def shape(self) -> Any:
        return self._shape

    def __len__(self) -> int:
        return 1

    def __getitem__(self, at: object) -> Any:
        return self.answer

    def tolist(self) -> Any:
        return self.answer


class Impostor:
    """Says that it is a mapping."""

    __class__ = dict  # type: ignore[assignment]


class Texts(str):
    """A string of somebody's that does not do what strings do."""

    def isascii(self) -> bool:
        raise Panic

    def encode(self, *args: Any) -> bytes:
        raise Panic

    def __str__(self) -> str:
        return self


class Recording:
    """Records a prediction of its own whenever it is read."""

    def __float__(self) -> float:
        with Model("inner").predict(features={"a": 1.0}) as p:
            p.score = 0.5
        return 0.5

    def __str__(self) -> str:
        self.__float__()
        return "recording"

    def __len__(self) -> int:
        self.__float__()
        return 1

    def __getitem__(self, at: int) -> Recording:
        self.__float__()
        if at == 3:  # longer than it says, and not for ever: a prediction a place is what takes long
            raise IndexError
        return self


class Awaitable:
    """Nothing but awaitable: a coroutine that nobody awaits would warn."""

    def __await__(self) -> Iterator[None]:
        raise Panic


class Secretive(type):
    """A type that says nothing about itself."""

    def __getattribute__(cls, name: str) -> Any:
        raise Panic


class Secret(metaclass=Secretive):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, at: object) -> float:
        return 0.5


class Unhashable(type):
    """A type that is in no set, and no key."""

    def __hash__(cls) -> int:
        raise Panic


class Unkeyed(metaclass=Unhashable):
    """Of such a type."""


class Colour(Enum):
    RED = 1


def deep(levels: int = 5000) -> list[Any]:
    nest: list[Any] = [0.5]
    for _ in range(levels):
        nest = [nest]
    return nest


def ring() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def dead() -> Any:
    return weakref.proxy(Agreeable())


def mapped() -> mmap.mmap:
    return mmap.mmap(-1, 4096)


def opposing() -> dict[Any, Any]:
    """A mapping whose key raises when it is compared with our names."""
    return {raising(Panic, ("__eq__",)): 1.0, "age": 2.0}


def hostile_array() -> Any:
    found = np.empty(2, dtype=object)
    found[0], found[1] = raising(Panic, CONVERSIONS), deep(10)
    return found


OBJECTS: dict[str, Callable[[], Any]] = {
    **{f"all raise {error.__name__}": (lambda error=error: raising(error, CONVERSIONS)) for error in ERRORS},
    **{f"{name} raises": (lambda name=name: raising(SystemExit, (name,))) for name in CONVERSIONS},
    **{f"a length of {n}": (lambda n=n: Endless(n)) for n in (0, 1, 2, 3, 1000, 2**62)},
    "a length below zero": lambda: Endless(-1),
    "an endless mapping": EndlessMapping,
    "a mapping of one that is endless": lambda: EndlessMapping(1),
    "an endless count": itertools.count,
    "an endless repetition": lambda: itertools.repeat("x"),
    "an endless generator": lambda: (n for n in itertools.count()),
    "endless lists": lambda: itertools.repeat([0.5, 0.5]),
    "agreeable": Agreeable,
    "a mock": Mock,
    "a magic mock": MagicMock,
    "a mock of a dict": lambda: Mock(spec=dict),
    "an impostor": Impostor,
    "a listing of itself": lambda: Listing(Agreeable()),
    "a listing of text": lambda: Listing("abc"),
    "a listing without an end": lambda: Listing(itertools.count()),
    "a listing of much": lambda: Listing([0.5] * 100_000),
    "a listing of other shape": lambda: Listing([0.5], (2**62, 2**62)),
    "a listing whose shape is text": lambda: Listing([0.5], "abc"),
    "a listing of a negative shape": lambda: Listing([0.5], (-1,)),
    "a deep nest": deep,
    "a ring": ring,
    "a huge integer": lambda: 10**5000,
    "a large integer": lambda: -(10**400),
    "a signalling decimal": lambda: Decimal("sNaN"),
    "a huge decimal": lambda: Decimal("1e999999"),
    "a fraction": lambda: Fraction(10**400, 3),
    "a complex number": lambda: 1 + 2j,
    "nan": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "a lone surrogate": lambda: "half \ud83d",
    "a text of somebody's": lambda: Texts("half \ud83d"),
    "a long text": lambda: "secret " * 100_000,
    "bytes": lambda: b"\xff\xfe secret",
    "a bytearray": lambda: bytearray(b"secret"),
    "a memoryview": lambda: memoryview(b"secret"),
    "an array of bytes": lambda: array("B", b"secret"),
    "a map of memory": mapped,
    "a text file": lambda: io.StringIO("secret\nsecret\n"),
    "a file": lambda: io.BytesIO(b"secret\nsecret\n"),
    "a path": lambda: Path("/secret"),
    "a uuid": uuid.uuid4,
    "a date": lambda: date(2026, 1, 1),
    "a moment": lambda: datetime(2026, 1, 1),  # noqa: DTZ001
    "a duration": lambda: timedelta(1),
    "a member": lambda: Colour.RED,
    "pandas' NA": lambda: pd.NA,
    "pandas' NaT": lambda: pd.NaT,
    "numpy's NaT": lambda: np.datetime64("NaT"),
    "a scalar array": lambda: np.array(0.5),
    "an array of texts": lambda: np.array(["secret", "b"]),
    "an array of hostile things": hostile_array,
    "a masked array": lambda: np.ma.array([0.5, 7.0], mask=[False, True]),
    "records": lambda: np.array([(1.0, b"secret")], dtype=[("age", "f8"), ("income", "S6")]),
    "a large array": lambda: np.zeros((3, 5000)),
    "three dimensions": lambda: np.zeros((2, 2, 2)),
    "a table": lambda: pd.DataFrame({"age": [1.0, 2.0], "income": ["secret", "b"]}),
    "an empty table": pd.DataFrame,
    "a series": lambda: pd.Series([0.5, 0.25, 0.5]),
    "an opposing mapping": opposing,
    "a mapping of nothing": dict,
    "a mapping of much": lambda: {f"name {at}": at for at in range(20_000)},
    "an empty list": list,
    "a set": lambda: {1, 2},
    "a range": lambda: range(10**12),
    "a recording thing": Recording,
    "a dead reference": dead,
    "an awaitable": Awaitable,
    "a class": lambda: Agreeable,
    "a function": lambda: deep,
    "a module": lambda: types,
    "an error": lambda: ValueError("secret"),
    "a thing of a type that says nothing": lambda: Secret(),
    "a thing of a type that is no key": lambda: Unkeyed(),
    "nothing at all": object,
}
