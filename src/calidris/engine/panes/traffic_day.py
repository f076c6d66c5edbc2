"""The counts of one day's rows, labelled or not: what the day's errors, latency and drift are read from when it is over."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calidris.engine.panes.pane import Pane
from calidris.state import CountsState, Spec


@dataclass
class TrafficDay:
    """Rows of the day whose windows are being sealed, in the cells of one spec.

    A day's panes leave memory long before its figures are asked for, and hours that are rolled up do not end with days of other
    clocks; so the day is added up as its windows are sealed. Rows that come after their seal are in no figure of it.

    Attributes:
        number: of the day since the epoch, in UTC.
        counts: its rows; None before there are any.
        baseline: id of the one that the newest finished day was compared with; drift from another one is not the same figure.
    """

    number: int = 0
    counts: CountsState | None = None
    baseline: str = ""

    def add(self, number: int, spec: Spec, panes: list[Pane]) -> None:
        """Count the panes of a day; another day or another spec begins anew."""
        counts = self.counts
        if counts is None or number != self.number or spec != counts.spec:
            counts = CountsState(spec)
        for pane in panes:
            counts.merge(pane.counts)
        self.number = number
        self.counts = counts

    def take_finished(self, day: int) -> CountsState | None:
        """The counts, where they are of a day before ``day``: they are handed out once."""
        if self.number >= day:
            return None
        finished = self.counts
        self.counts = None
        return finished

    def compare_with(self, baseline: str) -> bool:
        """Note which baseline a finished day is compared with; whether the days before it were compared with it too."""
        same = self.baseline == baseline
        self.baseline = baseline
        return same

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back exactly; nothing where there is nothing to tell."""
        if self.counts is None and not self.baseline:
            return {}
        spec, raw = "", b""
        if self.counts is not None:
            spec = self.counts.spec.hash
            raw = self.counts.to_bytes()
        text = base64.b64encode(raw).decode("ascii")
        return {"traffic_day": [self.number, spec, text, self.baseline]}

    @classmethod
    def from_json(cls, data: dict[str, Any], specs: Sequence[Spec]) -> TrafficDay:
        """The day that ``to_json`` described; one without rows where it was counted under none of ``specs``, or not at all."""
        if "traffic_day" not in data:
            return cls()
        number, wanted, text, baseline = data["traffic_day"]
        day = cls(number, baseline=baseline)
        for spec in specs:
            if spec.hash == wanted:
                day.counts = CountsState.from_bytes(spec, base64.b64decode(text))
        return day
