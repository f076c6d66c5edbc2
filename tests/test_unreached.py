"""What nothing calls is listed with what will use it, or goes."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "calidris"
PAGE = ROOT / "docs" / "contributing" / "unreached.md"
CALLED_BY_OTHERS = {
    "Model": "the SDK's door",
    "Model.predict": "the SDK's door",
    "configure": "the SDK's door",
    "Runtime.drops": "tests and benchmarks ask what was not sent",
    "internal_errors": "tests ask what the shield swallowed",
    "State": "the protocol that every state keeps",
    "PrometheusExporter.exposition": "what a scrape gets, without the socket",
    "SklearnInstrumentor.instrumentation_dependencies": "OpenTelemetry",
    "OwnIds.generate_span_id": "OpenTelemetry",
    "OwnIds.generate_trace_id": "OpenTelemetry",
    "OwnIds.is_trace_id_random": "OpenTelemetry",
    "_Collected.on_end": "OpenTelemetry",
    "_Handler.log_message": "the standard library's HTTP server",
    "_Handler.get_stderr": "the standard library's HTTP server",
}
"""Called from outside of the package, so not unreached."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """Functions and classes of a module, and the methods of its classes as ``Class.method``."""
    for node in tree.body:
        if isinstance(node, Definition):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, Definition):
                    yield f"{node.name}.{part.name}", part


def unreached() -> set[str]:
    """Definitions whose name is used nowhere in the package. A decorator may register what it decorates, so those count as used."""
    used: Counter[str] = Counter()
    found: dict[str, Definition] = {}
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= dict(definitions(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                used[node.id] += 1
            elif isinstance(node, ast.Attribute):
                used[node.attr] += 1
    return {
        name
        for name, node in found.items()
        if not used[name.rpartition(".")[2]] and not node.decorator_list and not name.rpartition(".")[2].startswith("_")
    }


def test_the_list_is_what_nothing_calls() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    listed = {name for cell in rows for name in re.findall(r"`([\w.]+)`", cell)}
    assert listed == unreached() - set(CALLED_BY_OTHERS)


def test_every_line_says_who_will_use_it() -> None:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            assert all(len(cell.strip()) > 5 for cell in line.split("|")[1:4]), line
