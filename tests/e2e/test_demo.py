"""The demonstration ends well, and leaves what it says it leaves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


@pytest.mark.timeout(180)
def test_the_fast_demonstration() -> None:
    done = run("examples.demo.run", "--fast")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "50 a second at most; nothing is wrong yet" in done.stdout
    came = re.search(r"the end of the story: ([\d,]+) patients came in, (\d+) a second", done.stdout)
    assert came is not None
    patients, per_second = (int(number.replace(",", "")) for number in came.groups())
    assert 0 < per_second <= 51 and patients / per_second > 20, "what was really made, of some 60 seconds"
    page = (ROOT / "demo-out" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "worst radius" in page
    metrics = (ROOT / "demo-out" / "metrics.prom").read_text(encoding="utf-8")
    assert re.search(r'^ml_detection_alarm\{[^}]*ml_model_name="tumour"[^}]*\} 1(\.0)?$', metrics, re.MULTILINE)


def test_the_demonstration_on_twenty_seeds() -> None:
    done = run("examples.demo.seeds", "--seeds", "20")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 of 20 seeds" in done.stdout
