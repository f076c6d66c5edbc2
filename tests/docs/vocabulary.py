"""Names that are neither Python's nor settings: of telemetry, routes, the environment, and what we build upon."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from opentelemetry.sdk import environment_variables
from ruamel.yaml import YAML
from tests.docs.reading import Fence, fences
from tests.docs.source import ROOTS, Source

PYTHON = frozenset(
    {
        *dir(builtins),
        *keyword.kwlist,
        *keyword.softkwlist,
        *sys.stdlib_module_names,
        "self",
        "cls",
    }
)
# A block of yaml that begins with one of these is for another program.
_FOREIGN_KEYS = re.compile(
    r"^(?:exporters|extensions|groups|processors|receivers|scrape_configs|service):",
    re.MULTILINE,
)
_OUR_ROOTS = frozenset(folder.name for folder in ROOTS) | {"tests"}
_READS_VARIABLE = re.compile(r"""environ(?:\.get\(|\[)["']([A-Z_]+)""")
_VARIABLE = re.compile(r"(?:OTEL|CALIDRIS)_[A-Z_]+")
_ROUTE = re.compile(r"/[\w/{}:.]+")
_SERIES = re.compile(r"(?:ml|calidris)_[a-z_]+")
_SHORT_NAMES = {
    "np": "numpy",
    "pa": "pyarrow",
    "pd": "pandas",
}


class Vocabulary:
    """Each list is read from where the names are defined, when somebody first asks."""

    def __init__(self, root: Path, source: Source) -> None:
        self.root = root
        self.source = source

    def _text(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    # Telemetry

    @cached_property
    def registry(self) -> dict[str, dict[str, Any]]:
        """Attributes, metrics and spans of ``semconv/ml.yaml`` by name."""
        groups = YAML(typ="safe").load(self._text("semconv/ml.yaml"))["groups"]
        found: dict[str, dict[str, Any]] = {}
        for group in groups:
            for entry in (group, *group.get("attributes", ())):
                name = entry.get("metric_name") or entry.get("id") or entry["ref"]
                # A definition comes before what refers to it.
                found.setdefault(name.removeprefix("span."), entry)
        return found

    @cached_property
    def members(self) -> frozenset[str]:
        """Values of attributes that have a list of them."""
        found = set[str]()
        for entry in self.registry.values():
            kind = entry.get("type")
            if isinstance(kind, dict):
                found.update(member["value"] for member in kind["members"])
        return frozenset(found)

    def is_telemetry(self, name: str) -> bool:
        """Whether it is an attribute, a metric, a pattern of some, or a name inside a map of columns."""
        if name in self.registry:
            return True
        above, _, last = name.rpartition(".")
        if last == "*":
            return any(known.startswith(f"{above}.") for known in self.registry)
        return self.registry.get(above, {}).get("type") == "any"

    @cached_property
    def prometheus(self) -> frozenset[str]:
        """Labels and series as Prometheus spells them; the series are texts of the generated names."""
        found = {name.replace(".", "_") for name in self.registry}
        for text in self.source.strings:
            if _SERIES.fullmatch(text):
                found.add(text)
        return frozenset(found)

    # Servers and processes

    @cached_property
    def routes(self) -> dict[str, re.Pattern[str]]:
        """Paths that a server of ours answers, as the code writes them."""
        found = {}
        for module in self.source.ours:
            for text in module.strings:
                if _ROUTE.fullmatch(text):
                    found[text] = _route(text)
        return found

    def is_route(self, path: str) -> bool:
        """Whether a server answers it; where one reads the rest of a path by itself, the code must have its words."""
        bare = path.partition("?")[0]
        for word in re.findall(r"(?<=/)\w+(?=/|$)", bare):
            if word not in self.source.strings and word not in " ".join(self.routes):
                return False
        return any(route.fullmatch(bare) for route in self.routes.values())

    @cached_property
    def environment(self) -> frozenset[str]:
        """Variables that the code, its tests or OpenTelemetry's SDK read."""
        found = {name for name in vars(environment_variables) if name.startswith("OTEL_")}
        for text in self.source.strings:
            if _VARIABLE.fullmatch(text):
                found.add(text)
        for path in (self.root / "tests").rglob("*.py"):
            found.update(_READS_VARIABLE.findall(path.read_text(encoding="utf-8")))
        return frozenset(found)

    # What we build upon

    @cached_property
    def project(self) -> frozenset[str]:
        """Distributions, extras and entry points in ``pyproject.toml``."""
        project = tomllib.loads(self._text("pyproject.toml"))["project"]
        found = {project["name"]}
        needed = [*project["dependencies"]]
        for extra, lines in project["optional-dependencies"].items():
            found.add(extra)
            needed.extend(lines)
        for group, points in project["entry-points"].items():
            found.update([group, *points])
        for line in needed:
            found.add(re.split(r"[^\w.-]", line)[0])
        return frozenset(found)

    def is_library(self, dotted: str) -> bool:
        """Whether it is, or is in, a module that can be imported and is not ours."""
        root = dotted.partition(".")[0]
        root = _SHORT_NAMES.get(root, root)
        return root not in _OUR_ROOTS and find_spec(root) is not None

    @cached_property
    def foreign(self) -> frozenset[str]:
        """Words of other programs: in blocks of our pages, and keys of what we render for Grafana."""
        found = set[str]()
        for block in self._blocks():
            if block.language == "ini" or is_foreign(block):
                bare = re.sub(r"#.*", "", block.body)
                found.update(re.findall(r"[A-Za-z_]\w+", bare))
        for path in (self.root / "grafana").rglob("*.y*ml"):
            text = path.read_text(encoding="utf-8")
            found.update(re.findall(r"^[ -]*(\w+):", text, re.MULTILINE))
        return frozenset(found)

    def _blocks(self) -> Iterator[Fence]:
        for folder in (self.root, self.root / "docs"):
            for page in folder.glob("*.md"):
                text = page.read_text(encoding="utf-8")
                yield from fences(page, text)


def is_foreign(block: Fence) -> bool:
    """Whether a block of yaml is for another program."""
    return block.language == "yaml" and bool(_FOREIGN_KEYS.search(block.body))


def _route(text: str) -> re.Pattern[str]:
    """What a route takes: in braces one part of a path, or the rest of it."""
    pattern = ""
    for part in re.split(r"(\{[^}]*\})", text):
        if not part.startswith("{"):
            pattern += re.escape(part)
        elif "path" in part:
            pattern += ".+"
        else:
            pattern += "[^/]+"
    return re.compile(pattern)
