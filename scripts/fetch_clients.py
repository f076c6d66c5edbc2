"""Make the clients of other languages ready for the tests: Node's packages, and Go's program, in .tools/clients/.

    python scripts/fetch_clients.py

Node's packages are installed beside a copy of the client, never inside the tree; no lock file is written. Running it again
does nothing to Node's packages while ``package.json`` is the same, and lets Go decide what it has to build anew (a second).
Without node, npm or go it says so and goes on: the tests of that client are skipped. In CI (the variable ``CI`` is set)
that is exit code 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
CLIENTS = ROOT / ".tools" / "clients"
NODE_PACKAGES = CLIENTS / "node" / "node_modules"
GO_PROGRAM = CLIENTS / "go-client"
CURE = "Install Node 18.19 or newer with npm, and Go 1.26 or newer, and see that their registries are reachable."
# No scripts of packages are run, and nothing is asked that the tests do not need.
NPM_INSTALL = ["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]


class CannotFetch(Exception):
    """A program is missing, or its registry does not answer."""


def fetch_node_packages() -> str:
    """Install what the Node client depends on; returns what was done.

    Raises:
        CannotFetch: with the reason.
    """
    wanted = (EXAMPLES / "node-client" / "package.json").read_text(encoding="utf-8")
    folder = NODE_PACKAGES.parent
    done = folder / "installed.json"
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return "already there"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(wanted, encoding="utf-8")
    _run(["npm", *NPM_INSTALL], folder)
    done.write_text(wanted, encoding="utf-8")
    return "installed"


def build_go_client() -> str:
    """Build the Go client; returns what was done.

    Raises:
        CannotFetch: with the reason.
    """
    CLIENTS.mkdir(parents=True, exist_ok=True)
    # A work tree of git may belong to another user than the one who builds, and the tests need no stamp.
    _run(["go", "build", "-buildvcs=false", "-o", str(GO_PROGRAM), "."], EXAMPLES / "go-client")
    return "built"


def _run(command: list[str], folder: Path) -> None:
    if not shutil.which(command[0]):
        raise CannotFetch(f"{command[0]} is not on PATH")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise CannotFetch(f"`{' '.join(command)}` failed: {' '.join(last)}")


def _try(name: str, fetch: Callable[[], str]) -> bool:
    try:
        print(f"{name}: {fetch()}", flush=True)
    except (CannotFetch, OSError, subprocess.TimeoutExpired) as error:
        print(f"fetch_clients: {name}: {error}", file=sys.stderr)
        return False
    return True


def main() -> int:
    """Make both ready, and say what happened; in CI both must be."""
    node = _try("client for Node", fetch_node_packages)
    go = _try("client for Go", build_go_client)
    if node and go:
        return 0
    print(CURE, file=sys.stderr)
    return 1 if os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main())
