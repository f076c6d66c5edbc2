"""Write ``src/calidris/semconv.py`` and ``docs/semconv.md`` from ``semconv/ml.yaml``.

Run by ``make generate``; ``tests/test_semconv.py`` fails when the written files are stale.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
HEADER = '''"""GENERATED from semconv/ml.yaml by `make generate`: do not edit.

Names, units and descriptions of every attribute and metric on the wire. A metric's ``prometheus`` is the name that the
default translation (``UnderscoreEscapingWithSuffixes``) gives it, on every path.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Metric(NamedTuple):
    """One metric of the convention."""

    name: str
    unit: str
    instrument: str
    description: str
    prometheus: str


def prometheus_label(attribute: str) -> str:
    """The Prometheus label of an attribute name.

    >>> prometheus_label("ml.model.name")
    'ml_model_name'
    """
    return attribute.replace(".", "_")


SCHEMA_URL: Final = "{schema_url}"
'''
UNIT_SUFFIX = {"s": "_seconds", "By": "_bytes"}


def load(path: Path) -> dict[str, Any]:
    """Read the registry; duplicate keys are an error of the YAML reader."""
    data: dict[str, Any] = YAML(typ="safe").load(path)
    return data


def prometheus_name(name: str, unit: str, instrument: str) -> str:
    """Translate as OpenTelemetry's compatibility specification does by default."""
    base = re.sub(r"[^a-zA-Z0-9:]+", "_", name) + UNIT_SUFFIX.get(unit, "")
    return base + "_total" if instrument == "counter" else base


def constant(name: str) -> str:
    """The Python constant of a dotted name."""
    return re.sub(r"[^A-Z0-9]+", "_", name.upper())


def attributes(registry: dict[str, Any]) -> list[dict[str, Any]]:
    """Every attribute definition, in the order of the file."""
    groups = (g for g in registry["groups"] if g["type"] == "attribute_group")
    return [a for g in groups for a in g["attributes"]]


def metrics(registry: dict[str, Any]) -> list[dict[str, Any]]:
    """Every metric definition, in the order of the file."""
    return [g for g in registry["groups"] if g["type"] == "metric"]


def type_name(attribute: dict[str, Any]) -> str:
    """``enum`` for members, else the plain type."""
    kind = attribute["type"]
    return "enum" if isinstance(kind, dict) else str(kind)


def python(registry: dict[str, Any]) -> str:
    """The text of ``semconv.py``."""
    out = [HEADER.replace("{schema_url}", registry["schema_url"])]
    for a in attributes(registry):
        out.append(f'{constant(a["id"])}: Final = "{a["id"]}"\n"""{a["brief"]}"""\n')
        for m in a["type"]["members"] if isinstance(a["type"], dict) else []:
            out.append(f'{constant(a["id"])}_{constant(m["id"])}: Final = "{m["value"]}"\n"""{m["brief"]}"""\n')
    for m in metrics(registry):
        name, unit, kind = m["metric_name"], m["unit"], m["instrument"]
        out.append(
            f"METRIC_{constant(name)}: Final = Metric(\n"
            f'    name="{name}",\n    unit="{unit}",\n    instrument="{kind}",\n'
            f'    description="{m["brief"]}",\n    prometheus="{prometheus_name(name, unit, kind)}",\n)\n'
        )
    names = "\n".join(f"    METRIC_{constant(m['metric_name'])}," for m in metrics(registry))
    out.append(f"METRICS: Final = (\n{names}\n)\n")
    return "\n".join(out)


def markdown(registry: dict[str, Any]) -> str:
    """The text of ``docs/semconv.md``."""
    out = [
        "# Names on the wire\n",
        "Generated from `semconv/ml.yaml` by `make generate`: do not edit.\n",
        f"Schema URL: `{registry['schema_url']}`\n",
        "A **column** is a scalar (count 1), an OTLP array, packed little-endian bytes `{f64|f32|i64: bytes}` (NaN is",
        "missing), coded strings `{levels: [strings], codes: bytes of int32, -1 is missing}`, or a JSON array in one string.",
        "A map may also be sent as one JSON object in one string, which every SDK can do.\n",
    ]
    for g in registry["groups"]:
        if g["type"] == "attribute_group":
            out += [f"## {g['brief']}\n", "| attribute | type | description |", "|---|---|---|"]
            out += [f"| `{a['id']}` | {type_name(a)} | {a['brief']} |" for a in g["attributes"]] + [""]
    for g in registry["groups"]:
        if g["type"] == "span":
            out += [
                f"## Span `{g['id'].removeprefix('span.')}`\n",
                g["brief"] + "\n",
                "| attribute | requirement |",
                "|---|---|",
            ]
            out += [f"| `{a['ref']}` | {requirement(a)} |" for a in g["attributes"]] + [""]
    out += ["## Metrics\n", "| metric | in Prometheus | instrument | unit | description |", "|---|---|---|---|---|"]
    for m in metrics(registry):
        name, unit, kind = m["metric_name"], m["unit"], m["instrument"]
        out.append(f"| `{name}` | `{prometheus_name(name, unit, kind)}` | {kind} | {unit or '–'} | {m['brief']} |")
    return "\n".join(out) + "\n"


def requirement(attribute: dict[str, Any]) -> str:
    """A requirement level in words."""
    level = attribute["requirement_level"]
    if isinstance(level, dict):
        return "conditionally required: " + str(level["conditionally_required"])
    return str(level).replace("_", "-")


def outputs() -> dict[Path, str]:
    """Every generated file with the text it should hold."""
    registry = load(ROOT / "semconv" / "ml.yaml")
    return {
        ROOT / "src" / "calidris" / "semconv.py": python(registry),
        ROOT / "docs" / "semconv.md": markdown(registry),
    }


def main() -> int:
    """Write what changed."""
    for path, text in outputs().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
