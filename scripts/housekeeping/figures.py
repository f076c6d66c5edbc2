"""The measures of a package, and the same measures with a little forgiven.

Every measure is a figure or None: a package without functions has no median.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from housekeeping.source import Source
from housekeeping.verbs import has_verb, is_asked

FORGIVEN_FUNCTIONS = 2
FORGIVEN_NAMES = 2
FORGIVEN_COMMENTS = 1
FORGIVEN_TOKENS = 100


@dataclass(frozen=True)
class Figures:
    """What was counted in a set of files.

    Attributes:
        sizes: tokens of each function, ascending.
        lines: those that are not blank.
        silent: files of 120 lines and more without a comment.
        asked: functions whose name should begin with a verb; ``verbs`` of them do.
    """

    files: int
    sizes: tuple[int, ...]
    tokens: int
    code_lines: int
    comments: int
    lines: int
    silent: int
    verbs: int
    asked: int

    @property
    def median(self) -> float | None:
        """Tokens of the middle function."""
        return statistics.median(self.sizes) if self.sizes else None

    @property
    def p90(self) -> float | None:
        """Tokens of the function that nine tenths do not exceed."""
        rank = int(len(self.sizes) * 0.9)
        return self.sizes[rank] if self.sizes else None

    @property
    def tokens_a_line(self) -> float | None:
        """Tokens a code line."""
        return _divide(self.tokens, self.code_lines)

    @property
    def comments_a_hundred(self) -> float | None:
        """Comments for a hundred lines that are not blank."""
        return _divide(100 * self.comments, self.lines)

    @property
    def verb_share(self) -> float | None:
        """Per cent of the functions asked."""
        return _divide(100 * self.verbs, self.asked)


def _divide(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def count_figures(sources: Sequence[Source], verbs: frozenset[str]) -> Figures:
    """Count a set of files; ``verbs`` are the words that a name may begin with."""
    functions = [function for source in sources for function in source.functions]
    asked = list(filter(is_asked, functions))
    sizes = sorted(function.tokens for function in functions)
    return Figures(
        files=len(sources),
        sizes=tuple(sizes),
        tokens=_add_up(sources, "tokens"),
        code_lines=_add_up(sources, "code_lines"),
        comments=_add_up(sources, "comments"),
        lines=_add_up(sources, "lines"),
        silent=_add_up(sources, "is_silent"),
        verbs=sum(has_verb(function, verbs) for function in asked),
        asked=len(asked),
    )


def _add_up(sources: Sequence[Source], attribute: str) -> int:
    counts: list[int] = [getattr(source, attribute) for source in sources]
    return sum(counts)


def forgive(figures: Figures) -> Figures:
    """The same package with its two longest functions, a hundred tokens, one comment and two names forgiven.

    A small honest addition moves the figures of a small package by more than any per cent would allow, and those of a
    large one by next to nothing; a fixed count is right for both. It is no way to drift: the forgiven figures are
    compared with those taken, so the same count is forgiven once, not again at every change.
    """
    return replace(
        figures,
        sizes=figures.sizes[:-FORGIVEN_FUNCTIONS],
        tokens=figures.tokens - FORGIVEN_TOKENS,
        comments=figures.comments + FORGIVEN_COMMENTS,
        verbs=figures.verbs + FORGIVEN_NAMES,
    )
