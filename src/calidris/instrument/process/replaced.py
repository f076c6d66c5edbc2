"""Functions of other modules that are replaced by ours, and put back."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from calidris.instrument.shield import caught


class Replaced:
    """A function of a module replaced by ours."""

    def __init__(self, module: ModuleType, name: str, ours: Any) -> None:
        self._module = module
        self._name = name
        self._ours = ours
        self._theirs = getattr(module, name)
        # As what it stands for: it is pickled by name, and found again under it.
        ours.__module__ = module.__name__
        setattr(module, name, ours)
        self._sets = [named for named in _list_sets() if self._theirs in named]
        for named in self._sets:
            named.add(ours)

    def undo(self) -> None:
        """Put the very object back, unless somebody else has replaced ours."""
        found = getattr(self._module, self._name)
        if found is self._ours:
            setattr(self._module, self._name, self._theirs)
            for named in self._sets:
                named.discard(self._ours)


def _list_sets() -> list[set[Any]]:
    """Where ``os`` says what its functions can do."""
    return [os.supports_fd, os.supports_dir_fd, os.supports_effective_ids, os.supports_follow_symlinks]


def precede(
    module: ModuleType,
    name: str,
    act: Callable[..., None],
    after: Callable[[], object] | None = None,
) -> Replaced:
    """Have ``act`` called with the same arguments before a function of a module, whatever comes of it.

    And ``after`` when that comes back, or raises.
    """
    theirs = getattr(module, name)

    @functools.wraps(theirs)
    def ours(*args: Any, **kwargs: Any) -> Any:
        try:
            act(*args, **kwargs)
        except Exception:  # also for arguments that are none: then the function says so itself
            caught(name)
        try:
            return theirs(*args, **kwargs)
        finally:
            if after is not None:
                _call(after, name)

    return Replaced(module, name, ours)


def _call(function: Callable[[], object], name: str) -> None:
    try:
        function()
    except Exception:
        caught(name)
