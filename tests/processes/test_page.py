"""The page of processes claims what is tried here, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "processes.md"
TRIED = re.compile(r"<!-- (\w+\.py)::(\w+) -->")
TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)


def rows() -> list[str]:
    """Lines of the page's tables, without heads and rules."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("|") and not re.match(r"\|(-+\||.*\| tried \|$)", line)]


def tried_here() -> set[tuple[str, str]]:
    """File and name of every test here but of these."""
    files = [path for path in HERE.glob("test_*.py") if path.name != Path(__file__).name]
    return {(path.name, name) for path in files for name in TEST.findall(path.read_text(encoding="utf-8"))}


def test_every_line_names_a_test_and_leads_to_it() -> None:
    assert len(rows()) > 20
    for row in rows():
        tried = TRIED.findall(row)
        assert tried and set(tried) <= tried_here(), f"no such test: {row[:100]}"
        assert all(f"(../tests/processes/{file})" in row for file, _ in tried), row[:100]


def test_every_test_has_its_line() -> None:
    told = {tried for row in rows() for tried in TRIED.findall(row)}
    assert not tried_here() - told
