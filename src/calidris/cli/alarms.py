"""``calidris alarms list | ack | clear``: decide about the alarms of a running receiver."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from calidris import semconv
from calidris.batch import DEFAULT_TENANT
from calidris.cli.common import shown
from calidris.cli.receiver_client import Receiver
from calidris.engine.commands import FORGET, REBASE, RELABEL


def show(receiver: Receiver, everything: bool, out: Console) -> int:
    """A table of the latched alarms, or of all of them, each with what people decided about it."""
    told: list[dict[str, Any]] = receiver.get("/v1/alarms").json()
    alarms = [a for a in told if everything or a["latched"]]
    if not alarms:
        out.print(
            "no alarm was ever raised" if not told else "no alarm is latched; --all shows those that were cleared"
        )
        return 0
    table = Table("id", "model", "kind", "for", "what changed", "since", "budget", "state", box=None)
    for alarm in alarms:
        names = ", ".join(f"{f['name']} ({f['direction']})" for f in alarm["features"])
        names = f"new beside alarm {alarm['renews']}: {names}" if alarm["renews"] else names
        names = "; ".join([names, *map(_moved, alarm.get("moved", ()))])  # an older receiver does not tell
        who, kind = f"{_tenant(alarm)}{alarm['name']}:{alarm['version']}", f"{alarm['kind']} {alarm['window']}"
        budget = alarm["budget"] if alarm["budgeted"] else "none: a fixed limit"
        cells = (str(alarm["id"]), who, kind, severity(alarm), names, _since(alarm), budget, _state(alarm))
        table.add_row(*(shown(text, 400) for text in cells))
    out.print(table)
    return 0


def _moved(one: dict[str, Any]) -> str:
    """What moved between two versions, from what to what."""
    was = _side(one["from"])
    to = _side(one["to"])
    against = one["against"]
    version = one["version"]
    return f"{one['figure']} {was} in {against}, {to} in {version}"


def _side(told: dict[str, Any]) -> str:
    n = told["n"]
    value = told["value"]
    if value is None:
        return f"not known of {n:,}"
    return f"{value:.3g} of {n:,}"


def severity(alarm: dict[str, Any]) -> str:
    """Whom an alarm is for, and that it is early where it is; nothing where an older receiver does not say.

    >>> severity({"severity": "ticket", "level": "early"}), severity({"severity": "page", "level": "strong"})
    ('ticket, early', 'page')
    """
    whom = str(alarm.get("severity", ""))
    early = alarm.get("level") == semconv.ML_DETECTION_LEVEL_EARLY
    return f"{whom}, early" if early else whom


def _time(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / 1e9, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"


def _since(alarm: dict[str, Any]) -> str:
    """When the change began, with its interval where there is one."""
    onset = alarm["onset"]
    if onset["at_ns"] is None or onset["earliest_ns"] == onset["latest_ns"]:
        return _time(alarm["since_ns"])
    return f"{_time(onset['at_ns'])} ({_time(onset['earliest_ns'])} to {_time(onset['latest_ns'])})"


def _tenant(alarm: dict[str, Any]) -> str:
    return "" if alarm["tenant"] == DEFAULT_TENANT else f"{alarm['tenant']}/"


def _by(command: dict[str, Any]) -> str:
    """Who decided, and the token that came with it where there was one."""
    return f"{command['by']} (token {command['token']})" if command.get("token") else str(command["by"])


def _state(alarm: dict[str, Any]) -> str:
    last = alarm["orders"][-1] if alarm["orders"] else None
    if alarm["latched"]:
        held = f"acknowledged by {_by(last)}" if last else "latched"
        back = alarm["recovered_ns"]
        return f"{held}; what it named came back at {_time(back)}" if back else held
    if last and last["action"] == FORGET:
        return f"ended with its model, which {_by(last)} forgot: {last['reason']}"
    if last and last["action"] == REBASE:
        return f"ended when {_by(last)} re-based its model: {last['reason']}"
    if last and last["action"] == RELABEL:
        return f"ended when {_by(last)} had labels learned anew: {last['reason']}"
    return f"cleared by {_by(last)}: {last['reason']}" if last else "cleared"


def decide(receiver: Receiver, alarm: int, action: str, by: str, reason: str, out: Console) -> int:
    """Send a decision; the receiver answers when it is durable."""
    receiver.post(f"/v1/alarms/{alarm}/{action}", {"by": by, "reason": reason})
    out.print(f"alarm {alarm} {'acknowledged' if action == 'ack' else 'cleared'}")
    return 0
