"""What the receiver says right now, through its read API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

Json = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """One answer of the read API.

    Attributes:
        status: ``/v1/status``.
        readings: figures of the demonstration's model, empty before it is seen.
        alarms: every alarm so far.
    """

    status: Json = field(default_factory=dict)
    readings: list[Json] = field(default_factory=list)
    alarms: list[Json] = field(default_factory=list)

    @property
    def model(self) -> Json | None:
        """The demonstration's model, or None before it is seen."""
        return next(iter(self.status.get("models", [])), None)

    def reading(self, metric: str, window: str, **attributes: str) -> Json | None:
        """A figure with a value, by metric, window and attributes (dots written as underscores)."""
        for found in self.readings:
            have = {k.replace(".", "_"): v for k, v in found["attributes"].items()}
            if found["metric"] == metric and found["window"] == window and attributes.items() <= have.items():
                return found if found["value"] is not None else None
        return None

    def evidence(self) -> list[Json]:
        """Evidence of each feature of the newest scored window, strongest first."""
        found = [e for e in (self.model or {}).get("evidence", []) if e["feature"] and e["value"] is not None]
        return sorted(found, key=lambda e: -float(e["value"]))


class Watch:
    """Asks the read API."""

    def __init__(self, api: str) -> None:
        self._client = httpx.Client(base_url=api, timeout=5.0, trust_env=False)

    def ask(self) -> Told:
        """Ask everything once."""
        status = self._get("/v1/status").json()
        models = status["models"]
        readings: list[Json] = []
        if models:
            name, version = quote(models[0]["name"], safe=""), quote(models[0]["version"], safe="")
            readings = self._get(f"/v1/models/{name}/{version}/readings").json()
        return Told(status, readings, self._get("/v1/alarms").json())

    def report(self, name: str, version: str) -> str:
        """The HTML report of a model version."""
        return self._get(f"/v1/report/{quote(name, safe='')}/{quote(version, safe='')}").text

    def _get(self, path: str) -> httpx.Response:
        answer = self._client.get(path)
        answer.raise_for_status()
        return answer
