"""Key paths of the configuration, and the values that they take: from the classes that read it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

# A value may be shown as a choice, or be left to the reader.
_CHOICE = re.compile(r" *\| *")
_ANY = "…"


class Settings:
    """What may be written below the root of a configuration, or below a model in it."""

    def __init__(self, root: type[BaseModel], model: type[BaseModel]) -> None:
        self._roots = (root, model)
        self._models = {*_models(root)}

    def has(self, path: str) -> bool:
        """Whether a key path leads somewhere."""
        keys = path.split(".")
        return any(_walk(root, keys) is not None for root in self._roots)

    @cached_property
    def paths(self) -> frozenset[str]:
        """All key paths from the root."""
        return frozenset(_paths(self._roots[0], ""))

    @cached_property
    def kinds(self) -> dict[str, list[Any]]:
        """Each key of any class of the configuration, with the types of its values."""
        found = defaultdict(list)
        for model in self._models:
            for name, field in _fields(model).items():
                found[name].append(field.annotation)
        return found

    @cached_property
    def values(self) -> frozenset[str]:
        """The only values that some setting takes, and what settings are by default."""
        found = set[str]()
        for model in self._models:
            for field in _fields(model).values():
                found.update(_choices(field.annotation))
                if isinstance(field.default, str):
                    found.add(field.default)
        return frozenset(found)

    def wrong(self, told: Any, above: str = "") -> str | None:
        """The first key in a piece of configuration that is no setting, or that does not take its value."""
        if isinstance(told, list):
            for item in told:
                found = self.wrong(item, above)
                if found:
                    return found
        if isinstance(told, dict):
            for key, value in told.items():
                found = self._wrong_key(f"{above}{key}", value)
                if found:
                    return found
        return None

    def _wrong_key(self, path: str, value: Any) -> str | None:
        if not self.has(path):
            return path
        if isinstance(value, str):
            return self._wrong_value(path, value)
        return self.wrong(value, f"{path}.")

    def _wrong_value(self, path: str, value: str) -> str | None:
        kinds = self.kinds[path.rpartition(".")[2]]
        choices = {_ANY}
        for kind in kinds:
            if kind is str or str in get_args(kind):
                return None
            choices.update(_choices(kind))
        for word in _CHOICE.split(value):
            limited = len(choices) > 1
            if limited and word not in choices:
                return f"{path}: {word}"
        return None


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _fields(kind: type[BaseModel]) -> dict[str, Any]:
    """Fields by the keys that people write."""
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def _walk(kind: Any, keys: list[str]) -> Any:
    """The type behind a key path in a type; None where it leads nowhere."""
    if not keys:
        return kind
    if _is_model(kind):
        field = _fields(kind).get(keys[0])
        if field is None:
            return None
        return _walk(field.annotation, keys[1:])
    if get_origin(kind) is dict:
        # Its keys are names that the user chooses.
        value = get_args(kind)[1]
        return _walk(value, keys[1:])
    for inner in get_args(kind):
        found = _walk(inner, keys)
        if found is not None:
            return found
    return None


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    inner = get_args(kind)
    if _is_model(kind):
        yield kind
        inner = tuple(field.annotation for field in _fields(kind).values())
    for one in inner:
        yield from _models(one)


def _paths(kind: Any, above: str) -> Iterator[str]:
    for inner in get_args(kind):
        yield from _paths(inner, above)
    if _is_model(kind):
        for name, field in _fields(kind).items():
            yield above + name
            yield from _paths(field.annotation, f"{above}{name}.")


def _choices(kind: Any) -> Iterator[str]:
    if get_origin(kind) is Literal:
        for choice in get_args(kind):
            yield str(choice)
    else:
        for inner in get_args(kind):
            yield from _choices(inner)
