"""A whole-data drift report in Calidris, Evidently and NannyML: the same files, defaults, the warm best of some repeats."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import data, live
from benchmarks.peers.environment import python_of

ROOT = Path(__file__).parents[2]
FILES = ROOT / "bench-out" / "peers"
HERE = "benchmarks/peers"
MUST, AIM = 10.0, 50.0
WHAT = {
    "Calidris, report": "bins from the baseline, counts, 11 drift measures with intervals, data quality, p-values",
    "Calidris, profile evidently": "Evidently's verdicts, with its tests",
    "Evidently 0.7.23": "data drift preset: one test a column, plus histograms and correlations of its page",
    "NannyML 0.13.1": "univariate drift: Jensen-Shannon distance of 10 chunks a column, limits from the baseline's chunks",
}


def told(command: Sequence[str]) -> dict[str, Any]:
    """The last line that a command prints, as JSON. Nobody's usage is reported to anybody."""
    quiet = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=os.environ | quiet, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{ran.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return found


def timed() -> dict[str, dict[str, Any]]:
    """Figures by tool; the environments of the others are built first.

    Raises:
        CannotBuild: of an environment.
    """
    others = {name: str(python_of(name)) for name in ("evidently", "nannyml")}
    files = [str(path) for path in data.write(FILES)]
    ours = [sys.executable, "-m", "benchmarks.peers.run_calidris", *files]
    commands = {
        "Calidris, report": [*ours, "7"],
        "Calidris, profile evidently": [*ours, "5", "verdicts"],
        "Evidently 0.7.23": [others["evidently"], f"{HERE}/run_evidently.py", *files, "3"],
        "NannyML 0.13.1": [others["nannyml"], f"{HERE}/run_nannyml.py", *files, "5"],
    }
    return {name: told(command) for name, command in commands.items()}


def checked(found: dict[str, dict[str, Any]]) -> list[str]:
    """Differences between what we say of the others and what they said."""
    scores = {name: figures["scores"] for name, figures in found.items()}
    wrong = list(live.large(scores["Evidently 0.7.23"], scores["Calidris, profile evidently"]))
    return wrong + list(live.chunks(scores["NannyML 0.13.1"], FILES / "baseline.parquet", FILES / "current.parquet"))


def show(found: dict[str, dict[str, Any]]) -> list[str]:
    """Print seconds and ratios; returns the verdict on the target."""
    rows = f"{data.ROWS:,} x {data.NUMERIC + data.CATEGORICAL} against {data.BASELINE_ROWS:,} rows"
    print(f"\n{'whole-data drift report, ' + rows:<62}{'s':>8}{'CPU s':>8}{'x ours':>8}{'import s':>10}")
    ours = found["Calidris, report"]
    for name, figures in found.items():
        ratio = figures["cpu_seconds"] / ours["cpu_seconds"]
        print(
            f"{name:<62}{figures['seconds']:>8.2f}{figures['cpu_seconds']:>8.2f}{ratio:>8.1f}{figures['import_s']:>10.1f}"
        )
        print(f"  {WHAT[name]}")
    ratio = found["Evidently 0.7.23"]["cpu_seconds"] / ours["cpu_seconds"]
    word = "met" if ratio >= MUST else "MISSED"
    return [f"{word:<7} report: {ratio:.0f} times faster than Evidently (CPU), must {MUST:g}, aim {AIM:g}"]


def run() -> tuple[dict[str, Any], list[str]]:
    """Time, check, print; figures for the record, and verdicts.

    Raises:
        CannotBuild: an environment of another tool.
    """
    found = timed()
    verdicts = show(found)
    count, wrong = live.fixture()
    wrong += checked(found)
    verdicts.append(
        f"{'MISSED' if wrong else 'met':<7} live: {count} recorded verdicts and both large tables, {len(wrong)} differ"
    )
    for line in wrong:
        print(f"differs: {line}")
    keep = ("seconds", "cpu_seconds", "import_s")
    return {name: {k: figures[k] for k in keep} for name, figures in found.items()} | {"differences": wrong}, verdicts
