"""Which functions begin with a verb: by a list of words, `scripts/verbs.txt`, and not by a guess at grammar.

The first word of a name is what stands before the first underscore or capital, leading underscores left aside, in
lower case: ``_read_alone`` begins with *read*. It is a verb where the list has it.

Not asked: methods like ``__len__`` (Python names them), tests (they state what holds) and properties with their setters
(they are read like values, so a noun is right). Everything else is asked, functions inside functions included.
"""

from __future__ import annotations

import re
from pathlib import Path

from housekeeping.source import Function

WORDS = Path(__file__).resolve().parent.parent / "verbs.txt"
PROPERTIES = {
    "property",
    "cached_property",
    "setter",
    "deleter",
}

_FIRST = re.compile(r"[A-Z]+(?![a-z])|[A-Za-z][a-z]*")


def read_verbs(path: Path = WORDS) -> frozenset[str]:
    """Read the list: one word a line, ``#`` begins a remark."""
    verbs = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, _ = line.partition("#")
        verbs.add(word.strip())
    return frozenset(verbs - {""})


def find_first_word(name: str) -> str:
    """Find the word that a function's name begins with.

    >>> find_first_word("_read_alone"), find_first_word("HTTPServer"), find_first_word("_")
    ('read', 'http', '')
    """
    found = _FIRST.search(name)
    if found is None:
        return ""
    return found.group().lower()


def is_asked(function: Function) -> bool:
    """Whether the function's name should begin with a verb."""
    name = function.own_name
    if function.decorators & PROPERTIES:
        return False
    if name.startswith("__") and name.endswith("__"):
        return False
    # `_`, the name of what nobody calls by name, has no first word.
    return not name.startswith("test_") and name.strip("_") != ""


def has_verb(function: Function, verbs: frozenset[str]) -> bool:
    """Whether the function's own name, not that of its class, begins with a word of ``verbs``."""
    return find_first_word(function.own_name) in verbs
