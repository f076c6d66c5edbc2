"""Write ``docs/environment.md`` from the definitions in ``src/calidris/instrument/environment.py``.

Run by ``make generate``; ``tests/instrument/test_environment.py`` fails when the written page is stale.
"""

from __future__ import annotations

import ast
import re
import sys
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "calidris" / "instrument" / "environment.py"
PAGE = ROOT / "docs" / "environment.md"
HEAD = """# Environment variables of the SDK

Generated from `src/calidris/instrument/environment.py` by `make generate`: do not edit.

They are read at the first use in a process. `calidris.configure` sets the same in code and wins; `opentelemetry-instrument` takes each
as a flag too. One that cannot be used is told in the log, and its default is used.

| variable | what it says |
|---|---|
"""
TAIL = """
## Models that nobody named

A model that is watched without a line of code is called by its service and the class of its estimator: "shop-logisticregression".
Estimators of one class with the same features and the same classes are one model, however often they are fitted or loaded again. Where
a process has another one of that class, with other features or classes, that gets a name of its own: the same with eight digits that
stand for its features and classes, in every process the same. The first that predicts keeps the plain name, and with several
processes that need not be the same one in all of them: name both, as the line in the log says, in the file of `OTEL_CALIDRIS_MODELS`:

```json
{"LogisticRegression-1f2e3d4c": {"name": "credit", "version": "7"}, "LogisticRegression-5a6b7c8d": {"name": "churn"}}
```

## What is read of what you give

A row is a mapping, a sequence, an array of numbers, a table of one row, or a thing with fields. A text, a buffer, a file and a
generator are no row: nothing of them leaves, the prediction counts, and the log says `no row` once. What goes beyond these is left out,
and told:

| what | at most |
|---|---|
| names or values of a row | 2000 |
| values of one call's features | 4,000,000 |
| rows of one call | 33,554,432; of what does not say how many it has 1,000,000 |
| characters of a category | 256 |
| characters of a name or an id | 1024, then its begin and a digest, the same for predictions and labels |

Ids that a table made floats are their digits (`17.0` is `17`); bytes are the text that they hold, else hexadecimal digits. A prediction without an
id gets one; a label without one is dropped and counted.
"""


def variables(source: str) -> list[tuple[str, str]]:
    r"""Every variable with its text, in the order of the file.

    >>> variables('A: str = "A"\n\'\'\'\n.. envvar:: A\n\nSays ``a``.\n\'\'\'')
    [('A', 'Says `a`.')]
    """
    body = ast.parse(source).body
    found = []
    for node, after in pairwise(body):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = re.sub(r"\.\. envvar:: \w+", "", str(after.value.value))
            found.append((node.target.id, " ".join(text.replace("``", "`").split())))
    return found


def page() -> str:
    """The text of the page."""
    rows = [f"| `{name}` | {text} |\n" for name, text in variables(SOURCE.read_text(encoding="utf-8"))]
    return HEAD + "".join(rows) + TAIL


def main() -> int:
    """Write it where it changed."""
    text = page()
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        PAGE.write_text(text, encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
