"""What the tests of this folder share: the real Prometheus, and every query that users will ever run."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from calidris.config import CalidrisConfig, load
from calidris.grafana import texts
from calidris.grafana.render import alert_groups

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOOLS = ROOT / ".tools" / "prometheus"


@pytest.fixture(scope="session")
def rich() -> CalidrisConfig:
    """A configuration with objectives, owners, tiers, slices and odd names."""
    return load(HERE / "testdata" / "calidris.yaml")


def tool(name: str) -> Path:
    """A program of Prometheus'; without it the test is skipped, in CI it fails."""
    found = shutil.which(name) or shutil.which(name, path=str(TOOLS))
    if found is None:
        reason = f"{name} is not there: run `python scripts/fetch_prometheus.py`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return Path(found)


@pytest.fixture(scope="session")
def promtool() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run promtool with some arguments."""
    program = tool("promtool")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=100, check=False)

    return run


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus of our own."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """The ``data`` of an answer; an error of Prometheus' is raised with its text."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{query}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expr: str) -> list[dict[str, str]]:
        """Labels of every series of an instant query."""
        return [series["metric"] for series in self.get("/api/v1/query", query=expr)["result"]]

    def values(self, expr: str) -> list[float]:
        """Values of every series of an instant query."""
        return [float(series["value"][1]) for series in self.get("/api/v1/query", query=expr)["result"]]

    def until(self, expr: str, seconds: float = 30.0) -> None:
        """Wait until a query has a result."""
        deadline = time.monotonic() + seconds
        while not self.query(expr):
            assert time.monotonic() < deadline, f"no result within {seconds:g} s: {expr}"
            time.sleep(0.2)


StartPrometheus = Callable[[Path, dict[str, Any]], Prometheus]


@pytest.fixture(scope="module")
def start_prometheus() -> Iterator[StartPrometheus]:
    """Start a Prometheus on a folder with a configuration; all of them end with the module."""
    program = tool("prometheus")
    with ExitStack() as stack:

        def start(folder: Path, config: dict[str, Any]) -> Prometheus:
            with (folder / "prometheus.yml").open("w", encoding="utf-8") as out:
                YAML(typ="safe").dump(config, out)
            port = free_port()
            log = stack.enter_context((folder / "prometheus.log").open("w+"))
            command = [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ]
            process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
            stack.callback(process.terminate)
            _await_ready(f"http://127.0.0.1:{port}", process, folder / "prometheus.log")
            return Prometheus(f"http://127.0.0.1:{port}")

        yield start


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"prometheus did not get ready: {log.read_text()}")


class Asked(NamedTuple):
    """A query and where it stands."""

    where: str
    expr: str


class Questions(NamedTuple):
    """Everything that a configuration makes people ask of Prometheus; nothing is left out."""

    panels: tuple[Asked, ...]
    variables: tuple[Asked, ...]
    alerts: tuple[Asked, ...]
    rule_files: tuple[tuple[str, str], ...]


MACROS = {
    "$__rate_interval": "1m",
    "$__range": "30m",
    "$model": ".+",
    "$version": ".+",
    "$feature": ".+",
    "$measure": ".+",
    "$performance": "accuracy",
    "$maturity": "arrived",
    "$instance": ".+",
}


def substituted(expr: str, window: str) -> str:
    """A dashboard's query with its macros and variables filled in."""
    for macro, value in {**MACROS, "$window": window}.items():
        expr = expr.replace(macro, value)
    assert "$" not in expr, f"an unknown variable: {expr}"
    return expr


def questions(config: CalidrisConfig, window: str) -> Questions:
    """Every query of a configuration, for one chosen window."""
    files = {str(path): text for path, text in texts(config).items()}
    panels, variables = [], []
    for path in (p for p in files if p.startswith("dashboards/")):
        board = json.loads(files[path])
        for panel in (p for p in board["panels"] if p["type"] != "row"):
            panels += [
                Asked(f"{board['title']}/{panel['title']}/{t['refId']}", substituted(t["expr"], window))
                for t in panel["targets"]
            ]
        for variable in (v for v in board["templating"]["list"] if v["type"] == "query"):
            variables.append(
                Asked(f"{board['title']}/${variable['name']}", substituted(variable["definition"], window))
            )
    alerts = [Asked(f"{group}/{alert.title}", alert.expr) for group, found in alert_groups(config) for alert in found]
    rules = tuple((path, text) for path, text in files.items() if path.startswith("prometheus/"))
    return Questions(tuple(panels), tuple(variables), tuple(alerts), rules)


def unanswered(prometheus: Prometheus, asked: tuple[Asked, ...]) -> list[str]:
    """Queries that have no series, with their text."""
    return [f"{where}: {expr}" for where, expr in asked if not prometheus.query(expr)]


def variable_values(prometheus: Prometheus, definition: str) -> list[str]:
    """What Grafana's ``label_values(series, label)`` offers."""
    series, _, label = definition.removeprefix("label_values(").removesuffix(")").rpartition(", ")
    found: list[str] = prometheus.get(f"/api/v1/label/{label}/values", **{"match[]": series})
    return found


@pytest.fixture(scope="session")
def ask() -> Any:
    """The functions above, for test modules that cannot import this one."""

    class Ask:
        questions = staticmethod(questions)
        unanswered = staticmethod(unanswered)
        variable_values = staticmethod(variable_values)
        tool = staticmethod(tool)

    return Ask
