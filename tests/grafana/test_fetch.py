"""The programs that these tests need: linked or unpacked, once, and a missing one is never passed over in CI."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fetch_prometheus", ROOT / "scripts" / "fetch_prometheus.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def program(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho version 9\n")
    path.chmod(0o755)


def test_programs_on_path_are_linked_once(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in script.PROGRAMS:
        program(tmp_path / "bin" / name)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert script.fetch(tmp_path / "tools") == "linked from PATH"
    assert all(os.access(tmp_path / "tools" / name, os.X_OK) for name in script.PROGRAMS)
    assert script.fetch(tmp_path / "tools") == "already there"


def test_a_link_that_leads_nowhere_is_made_again(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tools").mkdir()
    for name in script.PROGRAMS:
        program(tmp_path / "bin" / name)
        (tmp_path / "tools" / name).symlink_to(tmp_path / "gone" / name)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert script.fetch(tmp_path / "tools") == "linked from PATH"


def test_where_neither_is_possible_the_cure_is_said(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(script.fetch, "__defaults__", (tmp_path / "tools",))
    assert script.main() == 1
    said = capsys.readouterr().err
    assert "no apt-get" in said and "Put prometheus and promtool (2.42 or newer) on PATH" in said


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_program_fails_in_ci_and_is_skipped_elsewhere(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=r"run `python scripts/fetch_prometheus\.py`"):
        ask.tool("no-such-program")
