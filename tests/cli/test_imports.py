"""What a command imports before it works: a receiver that restarts keeps its senders waiting meanwhile."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pyarrow", "scipy.stats", "sklearn", "pandas", "grafana_foundation_sdk", "httpx")


def test_serve_imports_nothing_that_only_other_commands_need() -> None:
    code = "import sys, calidris.cli.commands, calidris.cli.serve; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.split())
