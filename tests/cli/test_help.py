"""Every command says what it is for, and the README knows every command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from shell import run

from calidris.cli.commands import app

README = Path(__file__).parents[2] / "README.md"


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))
PURPOSE = {
    ("serve",): "Receive model telemetry",
    ("check",): "Check a configuration",
    ("status",): "Show what a running receiver watches",
    ("report",): "HTML page about a model",
    ("token",): "Make a bearer token",
    ("render",): "Write Grafana dashboards",
    ("alarms", "list"): "List the latched alarms",
    ("alarms", "ack"): "somebody looks after an alarm",
    ("alarms", "clear"): "End an alarm",
    ("models", "list"): "List every model version",
    ("models", "forget"): "Watch a model no longer",
    ("models", "relabel"): "Learn anew when labels come",
    ("models", "rebase"): "Take what a version is now for ordinary",
    ("baseline", "build"): "Build a baseline from rows",
    ("baseline", "show"): "Show what a baseline holds",
    ("compat", "evidently"): "Show Evidently's default drift verdicts",
}


def test_no_command_is_forgotten_here() -> None:
    assert set(COMMANDS) == set(PURPOSE)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_names_the_purpose(path: tuple[str, ...]) -> None:
    done = run(*path, "--help")
    assert done.code == 0 and PURPOSE[path] in done.out


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_has_help(path: tuple[str, ...]) -> None:
    assert all(getattr(parameter, "help", None) for parameter in COMMANDS[path].params)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_readme_mentions_it(path: tuple[str, ...]) -> None:
    assert f"calidris {' '.join(path)}" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize(("arguments", "shown"), [((), "serve"), (("baseline",), "build")])
def test_nothing_asked_shows_the_help(arguments: tuple[str, ...], shown: str) -> None:
    done = run(*arguments)
    told = done.out + done.err
    assert "Usage: calidris" in told and shown in told


@pytest.mark.parametrize("arguments", [("nonsense",), ("check", "--nonsense"), ("report",)])
def test_a_wrong_command_line(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.code == 2 and "calidris" in done.err and "Traceback" not in done.err


def test_both_entry_points() -> None:
    for command in ([sys.executable, "-m", "calidris.cli"], [str(Path(sys.executable).parent / "calidris")]):
        done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "inside OpenTelemetry" in done.stdout


def test_without_the_server_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from calidris.cli import main

    monkeypatch.setitem(sys.modules, "calidris.cli.commands", None)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1 and "pip install 'calidris[server]'" in capsys.readouterr().err
