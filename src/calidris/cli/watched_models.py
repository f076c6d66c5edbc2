"""``calidris models list | forget | rebase``: which model versions a running receiver remembers, should not, or should compare with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table
from rich.text import Text

from calidris import semconv
from calidris.batch import DEFAULT_TENANT
from calidris.cli.common import shown
from calidris.cli.receiver_client import Receiver
from calidris.engine.commands import CONFIGURE, FORGET, REBASE, RELABEL

Json = dict[str, Any]
NONE = "–"


def show(receiver: Receiver, everything: bool, out: Console) -> int:
    """A table of what is watched and what never came; with ``everything``, also what was decided about models, and by which settings they were watched."""
    told: Json = receiver.get("/v1/models").json()
    if not told["models"] and not told["absent"]:
        out.print("no model has been seen yet")
    else:
        out.print(_table(told))
    for line in describe_absent(told["absent"]):
        out.print(line)
    if everything:
        for line in _describe_orders(told):
            out.print(line)
    return 0


def _table(told: Json) -> Table:
    columns = ("model", "version", "state", "last seen", "rows", "baseline", "alarms", "status")
    table = Table(*columns, box=None, pad_edge=False)
    for model in told["models"]:
        table.add_row(*map(shown, _cells(model)))
    for absent in told["absent"]:
        version = absent["version"] or NONE
        cells = (name_of(absent), version, "never came", NONE, "0", NONE, NONE, NONE)
        table.add_row(*map(shown, cells))
    return table


def _state(model: Json) -> str:
    """Whether it sends, and what it does where that is not the usual thing; an older receiver does not tell."""
    state, role = "live" if model["live"] else "silent", model.get("role", semconv.ML_MODEL_ROLE_CHAMPION)
    return state if role == semconv.ML_MODEL_ROLE_CHAMPION else f"{state} {role}"


def _cells(model: Json) -> tuple[str, ...]:
    alarms = ", ".join(map(str, model["latched"]))
    return (
        name_of(model),
        model["version"],
        _state(model),
        _moment(model["last_event_ns"]),
        f"{model['rows']:,}",
        model["baseline"] or NONE,
        alarms or NONE,
        model["status"],
    )


def _moment(at_ns: int) -> str:
    if not at_ns:
        return NONE
    at = datetime.fromtimestamp(at_ns / 1e9, tz=UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def describe_absent(absent: list[Json]) -> Iterator[Text]:
    """One line for each configured model, or version, that never came: what came in its place, and the cure."""
    for one in absent:
        what = name_of(one)
        if one["version"]:
            what = f"version {one['version']} of {what}"
        said = f"{what} is configured and never came"
        meant = one["did_you_mean"]
        if meant is not None:
            said = f"{said}; did you mean {name_of(meant)}:{meant['version']}, which did"
        end = "." if meant is None else "?"
        line = shown(f"{said}{end} {one['cure']}", 600)
        line.stylize("yellow")
        yield line


_WHAT = {FORGET: "forgotten", REBASE: "re-based", RELABEL: "labels anew", CONFIGURE: "settings"}


def _describe_orders(told: Json) -> Iterator[Text]:
    """The audit trail of models, oldest first; an older receiver tells of what was forgotten alone."""
    for order in told["orders"] if "orders" in told else told["forgotten"]:
        tenant, name, version = order["model"]
        what = name_of({"tenant": tenant, "name": name})
        which = f"{what}:{version}" if version else f"{what}, every version"
        said = f"{_WHAT.get(order['action'], order['action'])} {_moment(order['at_ns'])}: {which}, by {order['by']}"
        why = order["reason"] or "no reason given"
        # Names and reasons are as long as who wrote them liked.
        yield shown(f"{said}: {why}", 400)


def name_of(told: Json) -> str:
    """A model's name, with the tenant in front unless it is the default one."""
    name = str(told["name"])
    return name if told["tenant"] == DEFAULT_TENANT else f"{told['tenant']}/{name}"


@dataclass(frozen=True)
class Forgotten:
    """What is decided about: ``version`` None is every version, ``tenant`` None the token's own."""

    name: str
    version: str | None
    tenant: str | None

    @property
    def path(self) -> str:
        """Where it is forgotten in the read API."""
        return self.path_of("forget")

    def path_of(self, action: str) -> str:
        """Its path for a decision; names may hold slashes."""
        parts = [self.name]
        if self.version is not None:
            parts.append(self.version)
        quoted = "/".join(quote(part, safe="") for part in parts)
        path = f"/v1/models/{quoted}/{action}"
        if self.tenant is None:
            return path
        return f"{path}?tenant={quote(self.tenant, safe='')}"


def rebase(receiver: Receiver, what: Forgotten, by: str, reason: str, out: Console) -> int:
    """Send the decision; the receiver answers when it is durable."""
    words = {"by": by, "reason": reason}
    told: Json = receiver.post(what.path_of("rebase"), words).json()
    model = told["model"]
    who = f"{name_of(model)}:{model['version']}"
    ends = "alarms about its errors and latency end, and those about features where its baseline is not what they are compared with already"
    out.print(shown(f"re-based on {who}; {ends}", 400))
    return 0


def relabel(receiver: Receiver, what: Forgotten, by: str, reason: str, out: Console) -> int:
    """Send the decision; the receiver answers when it is durable."""
    words = {"by": by, "reason": reason}
    receiver.post(what.path_of("relabel"), words)
    out.print("how labels come is learned anew; what they say of the model is judged again")
    return 0


def forget(receiver: Receiver, what: Forgotten, by: str, reason: str, out: Console) -> int:
    """Send the decision; the receiver answers when it is durable."""
    words = {"by": by, "reason": reason}
    told: Json = receiver.post(what.path, words).json()
    names = [f"{name_of(model)}:{model['version']}" for model in told["models"]]
    out.print(shown(f"forgotten: {', '.join(names) or what.name}", 400))
    for alarm in told["alarms"]:
        out.print(f"alarm {alarm} ended with it")
    return 0
