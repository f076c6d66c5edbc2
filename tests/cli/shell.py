"""Run commands in this process and see what a shell would see."""

from __future__ import annotations

from dataclasses import dataclass

from typer.testing import CliRunner

from calidris.cli.commands import app


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


def run(*arguments: object) -> Done:
    """One command; anything but an exit code is a defect and is raised."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], prog_name="calidris", catch_exceptions=False)
    return Done(result.exit_code, result.stdout, result.stderr)
