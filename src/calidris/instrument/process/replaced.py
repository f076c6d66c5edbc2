"""Functions of other modules that are replaced by ours, and put back."""

from __future__ import annotations

import functools
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

    def undo(self) -> None:
        """Put the very object back, unless somebody else has replaced ours."""
        found = getattr(self._module, self._name)
        if found is self._ours:
            setattr(self._module, self._name, self._theirs)


def precede(module: ModuleType, name: str, act: Callable[..., None]) -> Replaced:
    """Have ``act`` called with the same arguments before a function of a module, whatever comes of it."""
    theirs = getattr(module, name)

    @functools.wraps(theirs)
    def ours(*args: Any, **kwargs: Any) -> Any:
        try:
            act(*args, **kwargs)
        except Exception:  # also for arguments that are none: then the function says so itself
            caught(name)
        return theirs(*args, **kwargs)

    return Replaced(module, name, ours)
