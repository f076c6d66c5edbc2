"""The page of environment variables is what the definitions say, and the table is whole."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from calidris.instrument import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment_page", ROOT / "scripts" / "environment_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(page: ModuleType) -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "docs/environment.md is stale: run `make generate`"


def test_every_variable_is_in_the_table(page: ModuleType) -> None:
    names = [name for name in dir(environment) if name.startswith("OTEL_")]
    assert sorted(name for name, _ in page.variables(page.SOURCE.read_text(encoding="utf-8"))) == names
    assert all(page.page().count(f"| `{name}` | ") == 1 for name in names)
