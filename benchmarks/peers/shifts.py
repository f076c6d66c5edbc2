"""The same shift, different verdicts: seeded runs of one column under each rule, for `docs/statistics.md`.

python -m benchmarks.peers.shifts             # some minutes; writes the table into the page
python -m benchmarks.peers.shifts --runs 5    # prints only
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from benchmarks.peers.rules import DELTA, EARLY, NAMES, THRESHOLD, TOLERANCE, rules
from benchmarks.peers.streams import SCENES, WINDOWS, Scene

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"
CONFIG: dict[str, float] = {
    "runs": 50,
    "horizon": 24,
    "baseline_windows": WINDOWS,
    "threshold": THRESHOLD,
    "delta": DELTA,
    "tolerance": TOLERANCE,
    "early_tolerance": EARLY,
    "seed": 20,
}
"""Goes into the page's marker: a page written with another configuration fails a test."""
BEGIN, END = "<!-- same shift: begin", "<!-- same shift: end -->"

Shares = dict[str, tuple[float, float]]
"""By rule: share of runs that alarm in the first window, and in any window of the horizon."""


def played(scene: Scene, runs: int, only: Collection[str] = NAMES) -> Shares:
    """The runs of one scene: every rule sees the same baseline and the same windows."""
    seed = int(CONFIG["seed"])
    horizon, fired = int(CONFIG["horizon"]), dict[str, list[list[bool]]]()
    for run in range(runs):
        rng = np.random.default_rng([seed, SCENES.index(scene), run])
        judges = rules(scene, scene.baseline(rng), only)
        windows = list(scene.windows(rng, horizon))
        for name, judge in judges.items():
            fired.setdefault(name, []).append([judge(window) for window in windows])
    return {name: (float(np.array(f)[:, 0].mean()), float(np.array(f).any(axis=1).mean())) for name, f in fired.items()}


def table(found: Sequence[tuple[Scene, Shares]]) -> str:
    """The rows in Markdown."""
    lines = ["| what happens | " + " | ".join(NAMES) + " |", "|---|" + "---|" * len(NAMES)]
    for scene, shares in found:
        cells = ("{:.0%} / {:.0%}".format(*shares[name]) if name in shares else "–" for name in NAMES)
        lines.append(f"| {scene.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def marker() -> str:
    """The line that begins the figures."""
    return f"{BEGIN} {json.dumps(CONFIG, sort_keys=True)} -->"


def placed(page: str, figures: str) -> str:
    """The page with the figures between its markers.

    Raises:
        ValueError: the page has not exactly one of each marker.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError("the page needs one begin and one end marker for the figures")
    head, rest = page.split(BEGIN)
    return f"{head}{marker()}\n\n{figures}\n\n{END}{rest.split(END)[1]}"


def write(figures: str) -> None:
    """Put the figures into the page."""
    draft = PAGE.with_suffix(".md.new")
    draft.write_text(placed(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")
    os.replace(draft, PAGE)
    print(f"written to {PAGE}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, help="runs of each scene; prints only")
    runs = parser.parse_args().runs
    found = []
    for scene in SCENES:
        found.append((scene, played(scene, runs or int(CONFIG["runs"]))))
        print(table(found[-1:]).splitlines()[-1], flush=True)
    if runs is None:
        write(table(found))


if __name__ == "__main__":
    main()
