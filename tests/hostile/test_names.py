"""A flood of names: everything sent is counted, left out by name or refused; memory stays; a replay is bit-equal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MOST_RISE_MIB = 48
"""Of resident memory from the first large request on. A million names of 8 bytes are 60 MB as Python strings alone."""

OVERFLOW, LIMITS = "calidris.models.overflow", "calidris.limits.overflow"


def flood(kind: str, names: int, folder: Path) -> dict[str, Any]:
    """The account of a process that took the flood in."""
    command = [sys.executable, "-m", "tests.hostile.flood", kind, str(names), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["replay_is_equal"]
    assert told["rise_mib"] < MOST_RISE_MIB
    assert not told["counters"].get("calidris.engine.failures")
    rows = told["rows"] + sum(told["counters"].get(OVERFLOW, {}).values())
    assert rows == told["counters"]["calidris.engine.rows"][""] == told["sent"]["rows"]
    return told


def test_a_million_models(tmp_path: Path) -> None:
    told = flood("models", 1_000_000, tmp_path)
    assert told["sent"]["spans"] == 1_000_000 == told["sent"]["rows"] + told["rejected"]["too_many_models"]
    assert told["models"] == 20
    assert told["counters"][OVERFLOW] == {"models": told["sent"]["rows"] - 20}


def test_versions_of_one_model(tmp_path: Path) -> None:
    told = flood("versions", 50_000, tmp_path)
    assert told["sent"]["spans"] == 50_000 == told["sent"]["rows"] // 2 + told["rejected"]["too_many_models"]
    assert (told["models"], told["rows"]) == (5, 10)
    assert told["counters"][OVERFLOW] == {"versions": told["sent"]["rows"] - 10}


def test_features_in_wide_maps(tmp_path: Path) -> None:
    told = flood("features", 100_000, tmp_path)
    assert told["values"]["features"] == 200 + 64  # those of the spec, and as many that a pane remembers
    assert told["counters"][LIMITS] == {"features": 100_000 - 264}


def test_features_one_a_row(tmp_path: Path) -> None:
    told = flood("features_one_by_one", 12_000, tmp_path)
    assert told["sent"]["spans"] == 12_000 == told["sent"]["rows"] + told["rejected"]["too_many_schemas"]
    assert told["values"]["features"] + told["counters"][LIMITS]["features"] == told["sent"]["rows"]


def test_a_million_levels(tmp_path: Path) -> None:
    told = flood("levels", 1_000_000, tmp_path)
    assert told["values"]["unseen"] == told["rows"] == 1_000_000
    assert told["values"]["named"] + told["counters"][LIMITS]["levels"] == 1_000_000


def test_levels_of_a_slice(tmp_path: Path) -> None:
    told = flood("slices", 300_000, tmp_path)
    assert told["counters"][LIMITS]["slices"] == told["rows"] == 300_000
    assert told["values"]["waiting"] + told["counters"][LIMITS]["pending_labels"] == 300_000
