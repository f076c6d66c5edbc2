"""A process that measures the code of one folder, a turn at a time, and two of them that alternate."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.alternate.checkouts import CannotCompare
from benchmarks.alternate.paired import Run, Timing, Turn

BEFORE = 0
AFTER = 1

PROBE = Path("benchmarks", "alternate", "hot_paths.py")
CALLERS = Path("benchmarks", "alternate", "callers.py")
MODULE = "benchmarks.alternate.hot_paths"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class Side:
    """A fresh process that measures whenever it is told to; a context manager that ends it.

    Args:
        folder: a checkout with the probe in it.
        seed: of the hashes of strings. Both sides of a run have the same, so that their tables collide alike.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._errors = folder.with_suffix(".errors")
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE],
                cwd=folder,
                env=make_environment(folder, seed),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def wait_until_ready(self) -> list[str]:
        """Wait for its first words; returns the paths it knows.

        Raises:
            CannotCompare: it ended, or measures the code of another folder.
        """
        told = self._read()
        code = Path(told["code"])
        if not code.is_relative_to(self._folder):
            name = self._folder.name
            raise CannotCompare(f"the {name} commit has no src/calidris: {code} would be measured instead")
        paths: list[str] = told["paths"]
        return paths

    def measure(self, path: str) -> Timing:
        """Have it take one turn.

        Raises:
            CannotCompare: it ended.
        """
        assert self._process.stdin
        with suppress(BrokenPipeError):  # reading tells why
            print(path, file=self._process.stdin, flush=True)
        return Timing.summarize(**self._read())

    def _read(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        said = self._errors.read_text().strip() or "nothing"
        last = said.splitlines()[-1]
        name = self._folder.name
        raise CannotCompare(f"the {name} commit cannot be measured: {last}\n{find_cure(last)}")


def lay_probe(folder: Path) -> None:
    """Put this side's copy of what measures into a checkout, which may have an older one or none."""
    for file in (PROBE, CALLERS):
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(__file__).with_name(file.name), target)


def make_environment(folder: Path, seed: int) -> dict[str, str]:
    """Make an environment in which imports find this folder's code before that of the virtual environment."""
    imports = os.pathsep.join([str(folder / "src"), str(folder)])
    return os.environ | ONE_THREAD | {"PYTHONPATH": imports, "PYTHONHASHSEED": str(seed)}


def find_cure(error: str) -> str:
    """Say what to do about the last line of a traceback."""
    missing = error.startswith("ModuleNotFoundError")
    ours = "'calidris" in error or "'benchmarks" in error
    if missing and not ours:
        return "`make setup` installs what is missing; then run this with .venv/bin/python"
    return f"the docstring of {PROBE} lists the names that a commit must have"


def alternate(folders: Sequence[Path], number: int, turns: int, only: str = "") -> dict[str, Run]:
    """Measure paths in two fresh processes that take turns.

    Args:
        folders: of before and of after.
        number: of the run. Sides begin in turn, too: before in even runs, after in odd ones.
        turns: of each path and side.
        only: what the names of the paths begin with.
    """
    first, second = order_sides(number)
    with Side(folders[first], number) as one, Side(folders[second], number) as other:
        by_side = {first: one, second: other}
        known = one.wait_until_ready()
        other.wait_until_ready()
        paths = [path for path in known if path.startswith(only)]
        taken = [take_turns(by_side, turn, paths) for turn in range(turns)]
    runs = {}
    for path in paths:
        runs[path] = Run.summarize([turn[path] for turn in taken])
    return runs


def take_turns(by_side: dict[int, Side], number: int, paths: Sequence[str]) -> dict[str, Turn]:
    """Let both sides measure each path once."""
    turns = {}
    for path in paths:
        measured = {}
        for side in order_sides(number):
            measured[side] = by_side[side].measure(path)
        turns[path] = Turn(measured[BEFORE], measured[AFTER])
    return turns


def order_sides(number: int) -> tuple[int, int]:
    """Say who comes first: A B, B A, A B ..., so that what drifts falls on both alike.

    >>> [order_sides(number) for number in range(4)]
    [(0, 1), (1, 0), (0, 1), (1, 0)]
    """
    if number % 2:
        return AFTER, BEFORE
    return BEFORE, AFTER
