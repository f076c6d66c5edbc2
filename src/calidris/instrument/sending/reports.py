"""What a sender tells the receiver about what it could not send: counts since the last report that arrived."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from calidris.instrument.sending.losses import Loss, Losses
from calidris.instrument.sending.outbox import Request

AGAIN_AFTER_S = 60.0
"""After a report that was refused: a receiver that takes nothing from us is not to hear more of it than of our rows."""

Serialise = Callable[[str, Mapping[str, int], Mapping[str, int]], bytes]
"""Model, rows dropped by reason, values withheld by reason, to a serialised span."""

Totals = tuple[dict[Loss, int], dict[Loss, int]]
"""Rows dropped and values withheld so far."""


class Reports:
    """Makes reports, one at a time: while one is on its way, what comes meanwhile waits for the next.

    A report that was given up is told again by the next: the counts at the receiver are then late, but whole.
    """

    def __init__(self, serialise: Serialise, now: Callable[[], float] = time.monotonic) -> None:
        self._serialise = serialise
        self._now = now
        self._not_before_s = 0.0
        self._told: Totals = ({}, {})
        self._under_way: Totals | None = None

    def make(self, losses: Losses) -> Request | None:
        """A request that tells what is new, or None."""
        totals = losses.rows(), losses.values()
        if self._under_way is not None or totals == self._told or self._now() < self._not_before_s:
            return None
        self._under_way = totals
        request = Request(settled=self._settle)
        for payload in self._spans(totals):
            request.add(payload, "", 0)
        return request

    def _spans(self, totals: Totals) -> Iterator[bytes]:
        dropped, withheld = (_new(now, told) for now, told in zip(totals, self._told))
        for model in dict.fromkeys([*dropped, *withheld]):
            yield self._serialise(model, dropped.get(model, {}), withheld.get(model, {}))

    def _settle(self, arrived: bool) -> None:
        if not arrived:
            self._not_before_s = self._now() + AGAIN_AFTER_S
        elif self._under_way is not None:
            self._told = self._under_way
        self._under_way = None


def _new(now: Mapping[Loss, int], told: Mapping[Loss, int]) -> dict[str, dict[str, int]]:
    """What came since, by model and reason."""
    new: dict[str, dict[str, int]] = {}
    for (model, reason), count in now.items():
        if count > told.get((model, reason), 0):
            new.setdefault(model, {})[reason] = count - told.get((model, reason), 0)
    return new
