"""``calidris status`` and ``report``: what a running receiver knows, through its read API."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calidris.config import load
from calidris.errors import CalidrisError

_TIMEOUT_S = 10.0


def get(config_path: Path, path: str) -> httpx.Response:
    """What the receiver answers to a question."""
    return _ask(config_path, "GET", path)


def post(config_path: Path, path: str, body: dict[str, str]) -> httpx.Response:
    """What the receiver answers to a decision."""
    return _ask(config_path, "POST", path, json=body)


def _ask(config_path: Path, method: str, path: str, **body: Any) -> httpx.Response:
    endpoint = load(config_path).api.endpoint
    try:
        answer = httpx.request(method, f"http://{endpoint}{path}", timeout=_TIMEOUT_S, trust_env=False, **body)
    except httpx.HTTPError as error:
        raise CalidrisError(
            f"no receiver answers on {endpoint} (api.endpoint): {error}; is `calidris serve` running?"
        ) from None
    if answer.status_code >= 400:
        raise CalidrisError(f"{endpoint}{path} answered {answer.status_code}: {answer.text[:500]}")
    return answer


def status(config_path: Path, out: Console) -> int:
    """A table of the models and the latched alarms."""
    told: dict[str, Any] = get(config_path, "/v1/status").json()
    table = Table("model", "version", "status", "rows", "labels", "evidence", "baseline", box=None)
    for model in told["models"]:
        evidence = [p["evidence"] for p in model["history"] if p["evidence"] is not None]
        shown = f"{evidence[-1]:.0%}" if evidence else "–"
        numbers = (f"{model['rows']:,}", f"{model['labels']:,}", shown, model["baseline"] or "–")
        table.add_row(*(escape(t) for t in (model["name"], model["version"], model["status"], *numbers)))
    out.print(table)
    for alarm in told["alarms"]:
        names = ", ".join(f"{f['name']} ({f['direction']})" for f in alarm["features"])
        who = f"{alarm['name']}:{alarm['version']} {alarm['kind']}: {names}"
        out.print(f"[red]alarm {alarm['id']}[/] {escape(who)}", highlight=False)
    return 0


def report(config_path: Path, model: str, output: Path, out: Console) -> int:
    """Fetch the HTML report of a model, of its most recently seen version unless one is named."""
    told: dict[str, Any] = get(config_path, "/v1/status").json()
    found = [m for m in told["models"] if model in (m["name"], f"{m['name']}:{m['version']}")]
    if not found:
        known = ", ".join(f"{m['name']}:{m['version']}" for m in told["models"]) or "none yet"
        raise CalidrisError(f"there is no model {model!r}; the receiver watches: {known}")
    newest = max(found, key=lambda m: m["last_event_ns"])
    name, version, tenant = (quote(newest[key], safe="") for key in ("name", "version", "tenant"))
    output.write_text(get(config_path, f"/v1/report/{name}/{version}?tenant={tenant}").text, encoding="utf-8")
    out.print(f"wrote {escape(str(output))}")
    return 0
