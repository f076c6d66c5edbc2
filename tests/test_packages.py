"""A stranger finds what a package offers in its ``__init__``, and its tests in the folder of its name."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "src" / "calidris"
BESIDE = {
    "chaos": "real receivers that are killed, stopped, filled and cut off under load",
    "e2e": "a service, a receiver and a person's commands, from end to end",
    "fuzz": "what the fuzzer found stays found",
    "hostile": "names and floods that mean harm, in every place that shows them",
    # Not "benchmarks": ruff would take the folder for the package of that name, and sort imports of it by that.
    "benchmarking": "the arithmetic of benchmarks",
    "docs": "what the pages name is there",
    "processes": "what real processes predict is what is counted, however they end",
    "scripts": "the scripts of `make`",
}
"""Folders that mirror no package, and what is in them."""


def folders(root: Path) -> set[str]:
    """Folders below ``root`` that hold Python files, relative to it."""
    return {
        str(path.parent.relative_to(root))
        for path in root.rglob("*.py")
        if path.parent != root and "testdata" not in path.parts
    }


def test_every_folder_of_tests_is_a_package_or_stands_beside_them() -> None:
    strangers = {name for name in folders(TESTS) if name.split("/")[0] not in BESIDE} - folders(PACKAGE)
    assert not strangers, f"these folders have the name of no package: {sorted(strangers)}"


def test_every_package_has_a_folder_of_tests_with_tests_in_it() -> None:
    tested = {str(path.parent.relative_to(TESTS)) for path in TESTS.rglob("test_*.py")}
    assert not folders(PACKAGE) - tested, "packages without a folder of tests"


def test_what_stands_beside_is_there() -> None:
    assert set(BESIDE) <= {path.name for path in TESTS.iterdir()}


@pytest.mark.parametrize("name", sorted(folders(PACKAGE)))
def test_a_package_says_in_one_sentence_what_it_is_and_offers_what_it_has(name: str) -> None:
    package = importlib.import_module(f"calidris.{name.replace('/', '.')}")
    assert package.__doc__ and "\n" not in package.__doc__.strip()
    assert not [offered for offered in package.__all__ if not hasattr(package, offered)]
