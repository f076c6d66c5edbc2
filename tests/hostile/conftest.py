"""Real receivers are started as the end-to-end tests start theirs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
