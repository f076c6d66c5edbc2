"""Environments of the other tools, each apart from ours and from each other, under ``.tools/peers`` (git ignores it)."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools" / "peers"
PINS = Path(__file__).parent / "pins"


class CannotBuild(Exception):
    """No index, or a version that this Python has no wheel of."""


def python_of(name: str) -> Path:
    """The interpreter of a tool's environment; it is built where it is missing or its pins have changed.

    Raises:
        CannotBuild: with what pip said last.
    """
    pins, home = PINS / f"{name}.txt", TOOLS / name
    python, done = home / "bin" / "python", home / ".pins"
    wanted = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    if done.exists() and done.read_text() == wanted:
        return python
    print(f"setting up {home} (some minutes, once)", flush=True)
    venv.create(home, with_pip=True, clear=True)
    # Without dependencies: the list is complete, and leaves out what only a graphics card needs.
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    ran = subprocess.run([*command, "--no-deps", "-r", str(pins)], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise CannotBuild(f"{name}: {(ran.stderr.strip().splitlines() or ['pip failed'])[-1]}")
    done.write_text(wanted)
    return python
