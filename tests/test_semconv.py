"""The generated names are not stale, and keep OpenTelemetry's naming rules."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from calidris import semconv

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "semconv" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_are_fresh(generate: ModuleType) -> None:
    for path, text in generate.outputs().items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is stale: run `make generate`"


def test_names_keep_the_rules_of_opentelemetry(generate: ModuleType) -> None:
    registry = generate.load(ROOT / "semconv" / "ml.yaml")
    attributes = [a["id"] for a in generate.attributes(registry)]
    metrics = [m.name for m in semconv.METRICS]
    assert len(set(attributes)) == len(attributes) and len(set(metrics)) == len(metrics)
    for name in attributes + metrics:
        assert re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*", name), name
        assert not name.endswith("_total")


def test_scores_have_no_unit_so_that_every_path_gives_one_prometheus_name() -> None:
    for metric in semconv.METRICS:
        assert metric.unit != "1", f"{metric.name}: unit 1 becomes _ratio on some paths only"
        assert metric.prometheus.endswith("_total") == (metric.instrument == "counter")


def test_every_reference_is_defined(generate: ModuleType) -> None:
    registry = generate.load(ROOT / "semconv" / "ml.yaml")
    known = {a["id"] for a in generate.attributes(registry)}
    for group in registry["groups"]:
        for attribute in group.get("attributes", []):
            assert attribute.get("ref", attribute.get("id")) in known
