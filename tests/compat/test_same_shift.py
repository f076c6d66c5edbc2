"""The page's table "Same shift, different verdict": made with the one configuration, and its verdicts hold on fewer runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmarks.peers import shifts
from benchmarks.peers.rules import NAMES
from benchmarks.peers.streams import SCENES

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")
EVIDENTLY, _, _, P_VALUE, OURS = NAMES
RUNS = 8
BY_NAME = {scene.name: scene for scene in SCENES}


def on_the_page() -> dict[str, list[str]]:
    table = PAGE.split(shifts.BEGIN)[1].split(shifts.END)[0]
    return {row[0]: row[1:] for row in re.findall(r"^\| (.+?) \| " + r"(.+?) \| " * 4 + r"(.+?) \|$", table, re.M)[1:]}


def test_the_figures_were_made_with_the_one_configuration() -> None:
    """Change CONFIG or a scene, and ``python -m benchmarks.peers.shifts`` has to be run."""
    assert shifts.marker() in PAGE
    assert list(on_the_page()) == [scene.name for scene in SCENES]
    assert shifts.placed(PAGE, "new figures").count("new figures") == 1
    with pytest.raises(ValueError, match="one begin and one end marker"):
        shifts.placed("no markers", "figures")


def test_ours_keeps_its_word_on_the_page() -> None:
    for scene in SCENES:
        _, ever = on_the_page()[scene.name][NAMES.index(OURS)].replace("%", "").split(" / ")
        # 24 windows at one false alarm in 1000: 2.4 % of quiet runs at the most, one run in fifty.
        assert (int(ever) >= 50) if scene.changed else (int(ever) <= 2), scene.name


@pytest.mark.parametrize(
    ("scene", "theirs"),
    [
        ("number: no change, n = 100", EVIDENTLY),
        ("20 levels: no change, n = 100", EVIDENTLY),
        ("20 levels: no change, n = 1000, baseline 840 rows", EVIDENTLY),
        ("number: no change, n = 100", P_VALUE),
    ],
)
def test_they_alarm_without_a_change_and_ours_does_not(scene: str, theirs: str) -> None:
    found = shifts.played(BY_NAME[scene], RUNS, (theirs, OURS))
    assert found[theirs][1] >= 0.5 and found[OURS] == (0.0, 0.0)


@pytest.mark.parametrize("scene", ["number: +.25 σ, n = 1000", "number: missing 1 → 3 %, n = 1000"])
def test_ours_finds_a_change(scene: str) -> None:
    assert shifts.played(BY_NAME[scene], 2, (OURS,))[OURS][1] == 1.0


def test_a_new_level_in_few_rows_is_seen_here_and_not_by_that_default() -> None:
    found = shifts.played(BY_NAME["20 levels: a new one in 1 % of rows, n = 1000"], 3, (EVIDENTLY, OURS))
    assert found[EVIDENTLY][0] == 0.0 and found[OURS][1] == 1.0
