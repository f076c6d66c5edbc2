"""What a class is called: one spelling, in settings, decisions, labels and scores, in files and on the wire."""

from __future__ import annotations

import math
import re
import sys
from typing import Any, Final

_TRUTHS: Final = {
    "true": "1",
    "True": "1",
    "TRUE": "1",
    "false": "0",
    "False": "0",
    "FALSE": "0",
}
"""As languages and files spell them. They arrive as numbers where they are sent as booleans, and as texts where they are names."""

NO_CLASSES: Final = frozenset({"", "nan", "NaN", "<NA>"})
"""Texts that are no class: what forms leave empty, and what libraries make of a gap when they are asked for texts."""

_WHOLE: Final = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_POINTED: Final = re.compile(rf"{_WHOLE.pattern}(\.[0-9]*([eE][+-]?[0-9]+)?|[eE][+-][0-9]+)")
"""Numbers with a point or an exponent, as languages write them: "1e3" is a code."""

_EXACT: Final = 2.0**53
"""Beyond it double precision does not know each whole number."""

_MOST_DIGITS: Final = sys.int_info.default_max_str_digits
"""Python reads no longer whole numbers."""


def class_text(label: Any) -> str:
    """One spelling of a class that arrives as a number, a boolean or a text. Blanks around a text are no part of it.

    A text stands for a number where it is written as one is: "01" is a code, and a long whole number keeps every digit.

    >>> [class_text(v) for v in (True, 1.0, "1", "+1.0", "True ", "yes", "01", "1_0")]
    ['1', '1', '1', '1', '1', 'yes', '01', '1_0']
    >>> class_text("9007199254740993"), class_text(1e17)
    ('9007199254740993', '100000000000000000')
    """
    if isinstance(label, str):
        return _read(label.strip())
    try:
        return _spell(float(label))
    except (TypeError, ValueError, OverflowError):
        return str(label)


def _read(text: str) -> str:
    if _WHOLE.fullmatch(text) and len(text) < _MOST_DIGITS:
        return str(int(text))
    if _POINTED.fullmatch(text):
        return _spell(float(text))
    return _TRUTHS.get(text, text)


def _spell(number: float) -> str:
    if abs(number) >= _EXACT and math.isfinite(number):
        return str(int(number))
    # Otherwise -0.0 were a class of its own.
    return f"{number + 0.0:.17g}"
