"""A branch from before the packages were cut anew is carried over: imports, what uses them, and names in prose."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "rewrite_moved_names.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rewrite_moved_names", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


OLD = '''
from calidris.detect.loss_bets import loss_bets
from calidris.detect import group_bets
from calidris.engine.orders import CLEAR, Order as Decision, BadOrder
from calidris.state import frame
from calidris.detect.feeds import error_counts, level_names
from calidris.batch import Ints
import calidris.wire.reader


def f(order, names=dict(BadOrder=1)):
    """See calidris.engine.orders.Order."""
    if not isinstance(order, Decision):  # calidris.engine.limits
        raise BadOrder(order.BadOrder)
    return frame.pack(order, error_counts, calidris.wire.reader.Spans)
'''
NEW = '''
from calidris.detect.bets.losses import loss_bets
from calidris.detect import group_bets
from calidris.engine.commands import CLEAR
from calidris.engine.commands import Command as Decision
from calidris.engine.commands import BadCommand
from calidris.state import state_bytes
from calidris.detect.bets.losses import error_counts
from calidris.detect.bets.groups import level_names
from calidris.batch import Ints
import calidris.wire.otlp.spans


def f(order, names=dict(BadOrder=1)):
    """See calidris.engine.commands.Order."""
    if not isinstance(order, Decision):  # calidris.engine.detectors.thresholds
        raise BadCommand(order.BadOrder)
    return state_bytes.pack(order, error_counts, calidris.wire.otlp.spans.Spans)
'''


def test_imports_and_what_uses_them_are_rewritten_and_attributes_are_not(tmp_path: Path) -> None:
    path = tmp_path / "branch.py"
    path.write_text(OLD)
    for _ in range(2):
        subprocess.run([sys.executable, SCRIPT, tmp_path], check=True, capture_output=True)
        assert path.read_text() == NEW


def test_prose_names_the_new_modules(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`calidris.metrics.drift` reads `calidris.engine.rows`, see calidris.yaml and calidris.state.spec.Spec"
    )
    subprocess.run([sys.executable, SCRIPT, page], check=True, capture_output=True)
    assert page.read_text() == (
        "`calidris.metrics.drift.drift_readings` reads `calidris.engine.rows`, see calidris.yaml and calidris.state.spec.Spec"
    )


def test_whatever_the_table_leads_to_is_there(script: ModuleType) -> None:
    moves = script.read_table()
    assert len(moves.modules) > 200
    for module in moves.modules.values():
        importlib.import_module(module)
    for module, name in moves.names.values():
        assert hasattr(importlib.import_module(module), name), (module, name)


def test_without_files_it_says_how_it_is_used() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "src tests docs" in done.stdout
