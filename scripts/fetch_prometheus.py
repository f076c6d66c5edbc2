"""Put prometheus and promtool into .tools/prometheus/ for the tests: no root, no service started, nothing installed.

    python scripts/fetch_prometheus.py

Programs that are already on PATH are linked; else the distribution's package is downloaded and unpacked, not installed.
Running it again does nothing. Exit code 1, with the cure, where neither is possible.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = ("prometheus", "promtool")
TOOLS = Path(__file__).resolve().parent.parent / ".tools" / "prometheus"
CURE = (
    "Put prometheus and promtool (2.42 or newer) on PATH, for instance from the release archive of the Prometheus "
    "project, or run `sudo apt-get update` on a Debian or Ubuntu with network, and run this script again."
)


class CannotFetch(Exception):
    """Neither PATH nor the distribution has the programs."""


def fetch(tools: Path = TOOLS) -> str:
    """Make both programs available under ``tools``; returns what was done, in a few words.

    Raises:
        CannotFetch: with the reason.
    """
    if all((tools / program).exists() for program in PROGRAMS):
        return "already there"
    tools.mkdir(parents=True, exist_ok=True)
    found = [shutil.which(program) for program in PROGRAMS]
    if all(found):
        for program, path in zip(PROGRAMS, found, strict=True):
            _replace(tools / program, Path(str(path)))
        return "linked from PATH"
    return _from_package(tools)


def _replace(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _from_package(tools: Path) -> str:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise CannotFetch("prometheus and promtool are not on PATH, and this system has no apt-get and dpkg-deb")
    with tempfile.TemporaryDirectory(prefix="fetch-prometheus-") as folder:
        work = Path(folder)
        package = _download(work)
        _run(["dpkg-deb", "-x", str(package), str(work / "tree")], work)
        for program in PROGRAMS:
            shutil.copy2(work / "tree" / "usr" / "bin" / program, tools / program)
    return f"unpacked from {package.name}"


def _download(work: Path) -> Path:
    """The package, by the system's lists, else by lists of our own that root need not have fetched."""
    try:
        _run(["apt-get", "download", "prometheus"], work)
    except CannotFetch:
        own = _own_lists(work)
        _run(["apt-get", *own, "update"], work)
        _run(["apt-get", *own, "download", "prometheus"], work)
    packages = list(work.glob("prometheus_*.deb"))
    if not packages:
        raise CannotFetch("apt-get downloaded no package named prometheus")
    return packages[0]


def _own_lists(work: Path) -> list[str]:
    """Options that keep apt's lists and cache in ``work``; its sources and keys stay the system's."""
    (work / "lists" / "partial").mkdir(parents=True)
    (work / "cache" / "archives" / "partial").mkdir(parents=True)
    return ["-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise CannotFetch(f"`{' '.join(command)}` failed: {' '.join(last)}")


def main() -> int:
    """Fetch, and say what happened."""
    try:
        done = fetch()
    except (CannotFetch, OSError, subprocess.TimeoutExpired) as error:
        print(f"fetch_prometheus: {error}\n{CURE}", file=sys.stderr)
        return 1
    version = subprocess.run([TOOLS / "promtool", "--version"], capture_output=True, text=True, check=False).stdout
    print(f"{TOOLS}: {done}; {version.partition(' (')[0] or 'version unknown'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
