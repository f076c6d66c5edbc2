"""The page for other languages lists every reason there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from calidris.wire import CURES

PAGE = Path(__file__).parents[2] / "docs" / "wire.md"


def test_every_reason_is_documented() -> None:
    refused = PAGE.read_text().split("## What is refused")[1]
    assert set(re.findall(r"^\| `(\w+)` \|", refused, re.MULTILINE)) == set(CURES)
