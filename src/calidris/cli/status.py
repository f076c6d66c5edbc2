"""``calidris status``: what a running receiver watches and how it is, once, as JSON, or live."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from calidris.cli.receiver_client import Receiver
from calidris.cli.status_view import Look, view
from calidris.errors import CalidrisError, ConfigError


def status(receiver: Receiver, out: Console, *, watch: bool | None, as_json: bool, every_s: float) -> int:
    """Show the receiver.

    Args:
        receiver: whom to ask.
        out: the terminal, or what takes its place.
        watch: live until Ctrl-C, or once; None is live on a terminal.
        as_json: the read API's own answer, once.
        every_s: how often to ask.
    """
    if as_json and watch:
        raise ConfigError("--json: is said once; leave --watch out")
    if as_json:
        sys.stdout.write(receiver.get("/v1/status").text + "\n")
        return 0
    if out.is_terminal if watch is None else watch:
        return _live(receiver, out, every_s)
    out.print(view(Look(_ask(receiver), time.monotonic())))
    return 0


def _live(receiver: Receiver, out: Console, every_s: float) -> int:
    look = Look(_ask(receiver), time.monotonic())
    with Live(view(look), console=out, screen=out.is_terminal, auto_refresh=False, transient=False) as live:
        try:
            while True:
                time.sleep(every_s)
                look, shown = next_look(look, lambda: _ask(receiver), time.monotonic)
                live.update(shown, refresh=True)
        except KeyboardInterrupt:
            return 0


def next_look(
    before: Look, ask: Callable[[], dict[str, Any]], clock_s: Callable[[], float]
) -> tuple[Look, RenderableType]:
    """Ask again. A receiver that does not answer, as while it restarts, is no reason to end: the newest answer stays."""
    try:
        look = Look(ask(), clock_s(), before)
    except CalidrisError as error:
        return before, view(before, Text(f"no answer: {error}", style="red"))
    return look, view(look)


def _ask(receiver: Receiver) -> dict[str, Any]:
    told: dict[str, Any] = receiver.get("/v1/status").json()
    return told
