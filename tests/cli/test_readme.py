"""The first page as a newcomer follows it: its lines install, its service sends what its configuration asks for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from running import until
from served import Started, configuration

import calidris

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = 150


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Started]:
    """A receiver with the model of the page, but for its baseline."""
    settings = YAML(typ="safe").load(block("yaml"))
    for model in settings["models"]:
        del model["baseline"]
    started = Started(configuration(tmp_path, models=settings["models"]))
    address = next(line.rpartition(" ")[2] for line in started.lines if line.startswith("otlp/grpc"))
    calidris.configure(endpoint=f"http://{address}")
    yield started
    calidris.shutdown(0.2)
    started.server.stop()


def test_its_service_sends_all_that_its_configuration_cuts_by(receiver: Started) -> None:
    row = {"income": 2100.0, "age": 41, "country": "NL", "sex": "f"}
    clf = SimpleNamespace(predict_proba=lambda rows: np.array([[0.1, 0.9]] * len(rows)))
    program = compile(block("python"), "README.md", "exec")
    names: dict[str, Any] = {"row": row, "clf": clf}
    for number in range(ROWS):
        exec(program, names | {"request_id": str(number)})
    assert calidris.flush(30)
    until(lambda: receiver.rows() == ROWS)
    (model,) = receiver.server.snapshot().models
    assert model.notes == ()
    assert set(receiver.server.loop.engine.models[model.key].sent_slices.lacking.values()) == {None}


def test_its_install_lines_work_from_a_clone() -> None:
    """Each names this folder, and only extras that there are."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    lines = re.findall(r"^pip install '?([^'\s]+)'?", PAGE, re.MULTILINE)
    assert lines[0] == "."
    for line in lines:
        named = re.fullmatch(r"\.(?:\[([a-z,]+)\])?", line)
        assert named is not None, line
        assert set((named[1] or "").split(",")) - {""} <= set(extras)
