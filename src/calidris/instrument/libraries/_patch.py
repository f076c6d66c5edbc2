"""The patch table: replaces attributes and puts back the very objects that were there, or their absence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_ABSENT: Final = object()


class PatchTable:
    """Replaces attributes of classes and modules, and undoes it exactly.

    Exactly means identity: afterwards ``vars(owner)`` holds the very object it held before, or nothing where the attribute
    was inherited. An attribute that somebody else replaced in the meantime is left to them: our function under theirs sees
    `active` go false and only passes the call on.

    >>> class Owner:
    ...     def greet(self): return "hello"
    >>> before = vars(Owner)["greet"]
    >>> table = PatchTable()
    >>> table.replace(Owner, "greet", lambda original: lambda self: original(self) + "!")
    True
    >>> Owner().greet()
    'hello!'
    >>> table.undo()
    >>> vars(Owner)["greet"] is before
    True
    """

    def __init__(self) -> None:
        self.active = True
        self._done: list[tuple[Any, str, object, object]] = []
        self._ours: set[tuple[int, str]] = set()

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> bool:
        """Put ``make(original)`` in ``owner.name``; false where that was done already.

        An attribute that ``owner`` inherits is looked up for ``make`` and shadowed, not changed at its source.
        """
        if (id(owner), name) in self._ours:
            return False
        original = vars(owner).get(name, _ABSENT)
        new = make(getattr(owner, name) if original is _ABSENT else original)
        setattr(owner, name, new)
        self._done.append((owner, name, original, new))
        self._ours.add((id(owner), name))
        return True

    def undo(self) -> None:
        """Take everything off, last first. Afterwards the table can be used again."""
        self.active = False
        while self._done:
            owner, name, original, new = self._done.pop()
            if vars(owner).get(name) is not new:
                continue
            if original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
        self._ours.clear()
