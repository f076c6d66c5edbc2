"""Columns that are the index of a table and came to be columns when it was stored: they number rows, and no model is fed with them.

What nobody declared and is called so is no feature, for the SDK and for `baseline build` alike.
"""

from __future__ import annotations

import re
from typing import Final

_INDEX: Final = re.compile(r"\s*|__index_level_\d+__|Unnamed: \d+")


def is_index(name: str) -> bool:
    """Whether a column is called as pandas calls an index without a name: in Parquet, in CSV, and in CSV that was read again.

    >>> is_index("__index_level_0__"), is_index(""), is_index("Unnamed: 0"), is_index("age")
    (True, True, True, False)
    """
    return _INDEX.fullmatch(name) is not None
