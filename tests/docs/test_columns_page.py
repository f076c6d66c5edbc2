"""The page on what a column becomes says what the SDK does."""

from __future__ import annotations

import datetime
import decimal
import fractions
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from calidris.instrument.privacy import Policy
from calidris.instrument.rows.packed_columns import feature

PAGE = Path(__file__).parents[2] / "docs" / "columns.md"
KNOWN: dict[str, Any] = {
    "np": np,
    "pd": pd,
    "datetime": datetime,
    "decimal": decimal,
    "fractions": fractions,
    "sys": sys,
    "inf": np.inf,
}


def rows() -> list[tuple[str, str]]:
    """Each expression of the table, and what it leaves as."""
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            found += [(given, cells[1]) for given in re.findall(r"`([^`]+)`", cells[0])]
    return found


def left(value: Any) -> Any:
    packed = feature("x", [value], Policy.of(allow=["x"]), lambda *_: None)
    if packed is None:
        return "nothing"
    if "f64" in packed:
        (number,) = np.frombuffer(packed["f64"])
        return None if number != number else number
    return packed["levels"][0]


@pytest.mark.parametrize(("given", "said"), rows())
def test_each_row_of_the_table(given: str, said: str) -> None:
    value = eval(given, KNOWN)
    if said == "nothing":
        assert left(value) == "nothing"
    elif said in ("the text itself", "the number itself"):
        assert left(value) == value
    else:
        assert left(value) == eval(said.strip("`"), KNOWN)
