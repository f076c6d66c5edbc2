"""What we say of other tools, checked against the tools themselves."""

from __future__ import annotations

import json
import math
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from benchmarks.peers.environment import python_of
from benchmarks.peers.rules import nannyml_parts
from benchmarks.peers.run_calidris import batch
from tests.compat.parity import compared, differences

ROOT = Path(__file__).parents[2]
_METRIC = re.compile(r"ValueDrift\(column=(\w+),method=(.+),threshold=")
_CHUNKS = 10


def fixture() -> tuple[int, list[str]]:
    """Record the seeded tables afresh: verdicts compared, and a line for each difference."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "evidently.json"
        command = [str(python_of("evidently")), "tests/compat/make_fixture.py", "--out", str(file)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        recorded = json.loads(file.read_text(encoding="utf-8"))["cases"]
    return compared(recorded), list(differences(recorded))


def large(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    """Differences between Evidently's figures of the large table and the profile's."""
    for metric, (score, drifted) in theirs.items():
        found = _METRIC.match(metric)
        assert found is not None, metric
        rule, mine, verdict = ours[found[1]]
        if (rule, verdict) != (found[2], drifted) or not math.isclose(mine, score, rel_tol=1e-9, abs_tol=1e-12):
            yield f"{found[1]}: {ours[found[1]]} and not {found[2], score, drifted}"


def chunks(theirs: Mapping[str, Any], baseline: Path, current: Path) -> Iterator[str]:
    """Differences between NannyML's distances and limits of the large table and those of our rule."""
    before, now = (batch(pd.read_parquet(path)).features for path in (baseline, current))
    for name, (values, limit) in theirs.items():
        distance, mine = nannyml_parts(before[name], len(before[name]) // _CHUNKS)
        size = len(now[name]) // _CHUNKS
        found = [distance(now[name].take(slice(i * size, (i + 1) * size))) for i in range(_CHUNKS)]  # type: ignore[arg-type]
        if not all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip([*found, mine], [*values, limit], strict=True)):
            yield f"{name}: {found}, limit {mine}, and not {values}, limit {limit}"
