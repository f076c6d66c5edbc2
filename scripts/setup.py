"""Build the virtual environment with pinned dependencies; quiet when all is well, the whole log when not."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)


def main() -> int:
    """Create the environment named by the first argument and install the project with all extras."""
    if sys.version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        print(
            f"Calidris needs Python {wanted} or newer, this is {sys.version.split()[0]}: make PYTHON=python{wanted} …"
        )
        return 1
    target = Path(sys.argv[1])
    print(f"setting up {target} (a minute or two, once)", flush=True)
    venv.create(target, with_pip=True, clear=True)
    command = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["-c", "constraints.txt", "-e", ".[server,render,demo,dev]"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout + done.stderr)
        print("the dependencies could not be installed; is the package index reachable?")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
