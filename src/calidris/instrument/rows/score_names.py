"""Which class a column of scores is of, where the model's classes are known and columns are called after them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile


def classes_in(
    names: Sequence[str],
    classes: Sequence[str] | None,
) -> Sequence[str] | None:
    """The class of each column, in the columns' order; None where their names do not say it of all of them.

    A column is called as its class is, but for capitals and blanks, or has around it what all columns have.

    >>> classes_in(["p_dog", "p_cat"], ["cat", "dog"])
    ['dog', 'cat']
    >>> classes_in(["first", "second"], ["cat", "dog"])
    """
    if classes is None:
        return None
    spellings = (
        list,
        _leave_out_case,
        _cut_to_differences,
    )
    for spell in spellings:
        own = spell(names)
        known = dict(zip(spell(classes), classes))
        if _are_same(own, known):
            return [known[name] for name in own]
    return None


def _are_same(names: Sequence[str], classes: dict[str, str]) -> bool:
    """Whether each name is a class and each class a name."""
    if len(names) != len(classes):
        return False
    return set(names) == classes.keys()


def _leave_out_case(names: Sequence[str]) -> list[str]:
    """Names without capitals and blanks around them, whole numbers without a point."""
    plain = map(str.strip, names)
    small = map(str.casefold, plain)
    return list(map(_leave_out_point, small))


def _leave_out_point(name: str) -> str:
    return name.removesuffix(".0")


def _cut_to_differences(names: Sequence[str]) -> list[str]:
    """The same without what all of them begin or end with."""
    ends = _cut_begins(_leave_out_case(names))
    turned = map(_turn, ends)
    begins = _cut_begins(list(turned))
    return list(map(_turn, begins))


def _turn(name: str) -> str:
    return name[::-1]


def _cut_begins(names: list[str]) -> list[str]:
    """Names without the characters that all of them begin with."""
    # Of names in their order the first and the last differ earliest.
    first = min(names)
    last = max(names)
    same = takewhile(_is_one_letter, zip(first, last))
    shared = len(list(same))
    return [name[shared:] for name in names]


def _is_one_letter(pair: tuple[str, str]) -> bool:
    one = pair[0]
    other = pair[1]
    return one == other
