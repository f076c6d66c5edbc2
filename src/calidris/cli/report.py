"""``calidris report``: a page about a model, from a running receiver."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.markup import escape

from calidris.batch import DEFAULT_TENANT
from calidris.cli.receiver_client import Receiver
from calidris.errors import CalidrisError


def report(receiver: Receiver, model: str, output: Path, out: Console) -> int:
    """Fetch the HTML report of a model, of its most recently seen version unless one is named."""
    told: dict[str, Any] = receiver.get("/v1/status").json()
    found = [m for m in told["models"] if model in _names(m)]
    if not found:
        known = ", ".join(f"{_name(m)}:{m['version']}" for m in told["models"]) or "none yet"
        raise CalidrisError(f"there is no model {model!r}; the receiver watches: {known}")
    if len({m["tenant"] for m in found}) > 1:
        raise CalidrisError(f"several tenants have a model {model!r}; say which: tenant/{model}")
    newest = max(found, key=lambda m: m["last_event_ns"])
    name, version, tenant = (quote(newest[key], safe="") for key in ("name", "version", "tenant"))
    output.write_text(receiver.get(f"/v1/report/{name}/{version}?tenant={tenant}").text, encoding="utf-8")
    out.print(f"wrote {escape(str(output))}")
    return 0


def _name(told: dict[str, Any]) -> str:
    """A model's name, with the tenant in front unless it is the default one."""
    return str(told["name"]) if told["tenant"] == DEFAULT_TENANT else f"{told['tenant']}/{told['name']}"


def _names(model: dict[str, Any]) -> set[str]:
    """How a person may write it."""
    version = model["version"]
    plain = {model["name"], _name(model), f"{model['tenant']}/{model['name']}"}
    return plain | {f"{name}:{version}" for name in plain}
