"""Without node or go the tests of those clients are skipped; in CI that is an error, so that it is never silent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fetch_clients
import pytest
from tests.scripts.conftest import SCRIPTS


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_programs_that_are_missing_are_an_error_in_ci(tmp_path: Path, ci: str, code: int) -> None:
    env = os.environ | {"PATH": str(tmp_path), "CI": ci}
    script = (SCRIPTS / "fetch_clients.py").read_text(encoding="utf-8")
    place = tmp_path / "tree" / "scripts" / "fetch_clients.py"
    package = tmp_path / "tree" / "examples" / "node-client" / "package.json"
    for path, text in ((place, script), (package, "{}")):
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, str(place)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "npm is not on PATH" in done.stderr and "go is not on PATH" in done.stderr
    assert fetch_clients.CURE in done.stderr


def test_node_packages_of_the_same_list_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(fetch_clients, "NODE_PACKAGES", tmp_path / "node" / "node_modules")
    monkeypatch.setattr(fetch_clients, "_run", lambda command, folder: calls.append(command))
    assert [fetch_clients.fetch_node_packages() for _ in range(2)] == ["installed", "already there"]
    assert len(calls) == 1 and "--no-package-lock" in calls[0]
