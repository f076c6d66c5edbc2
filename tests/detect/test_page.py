"""The figures on the page are those of the benchmark's configuration, and keep what must hold."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "detection.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def config():
    """The benchmark's module, whether or not the repository is on the path."""
    spec = importlib.util.spec_from_file_location("detection_config", ROOT / "benchmarks" / "detection" / "config.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_figures_were_made_with_the_one_configuration(config):
    """Change CONFIG, and `make bench-detect` has to be run."""
    assert config.marker() in PAGE
    assert config.placed(PAGE, "new figures").count("new figures") == 1


def test_a_page_without_its_markers_is_not_written(config):
    with pytest.raises(ValueError, match="one begin and one end marker"):
        config.placed("no markers", "figures")


def test_what_must_hold_does():
    table = PAGE.split("### What must hold")[1].split("###")[0]
    rows = re.findall(r"^\| (.+?) \| ≤ ([\d.]+) \| ([\d.]+) \| (.+?) \|$", table, re.MULTILINE)
    assert len(rows) == 92
    for what, limit, measured, met in rows:
        assert float(measured) <= float(limit), what
        assert met == "yes"
