"""What docs/wire.md shows to be copied does what it says, taken from the page and run as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from running import Running, until

pytestmark = pytest.mark.e2e

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
CLAMPED = "calidris_receiver_times_clamped_total"


def block(language: str, holds: str) -> str:
    """The one block of the page in this language that holds a text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (found,) = [body for body in blocks if holds in body]
    return str(found)


def test_the_example_by_hand_is_counted_now(receiver: Running) -> None:
    if not shutil.which("curl"):
        assert not os.environ.get("CI"), "curl is not on PATH"
        pytest.skip("curl is not on PATH")
    script = block("sh", "curl").replace("127.0.0.1:4328", urlsplit(receiver.http).netloc)
    before_ns = time.time_ns() // 10**9 * 10**9
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "{}"), done.stderr
    until(lambda: receiver.model()["rows"] == 1)
    assert before_ns <= receiver.model()["last_event_ns"] <= time.time_ns()
    assert receiver.total(CLAMPED) == 0
    time.sleep(1.0 - time.time() % 1)  # the next second: other bytes, so no repeat
    subprocess.run(["bash", "-euc", script], capture_output=True, timeout=30, check=True)
    until(lambda: receiver.model()["rows"] == 2)


def test_the_example_in_python_without_our_library_loses_nothing(receiver: Running, tmp_path: Path) -> None:
    program = tmp_path / "plain.py"
    program.write_text(block("python", "BatchSpanProcessor"), encoding="utf-8")
    env = os.environ | {"RECEIVER": f"http://{receiver.grpc}"}
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False, env=env
    )
    assert not done.returncode, done.stderr
    until(lambda: receiver.model()["rows"] == 5000)


def test_no_example_has_a_time_of_its_own() -> None:
    """A literal time is right for a minute and is moved ever after; 13 digits and more are milliseconds or finer."""
    assert re.findall(r"\b1[5-9]\d{11,17}\b", PAGE) == []
