"""Patients come in over HTTP, and what the laboratory finds follows later."""

from __future__ import annotations

import threading
import time
from collections import deque

import httpx

from examples.demo.data import Sampler

LABEL_DELAY_S = 3.0


class Traffic:
    """Sends measurements from a thread of its own, one after the other, and each outcome ``LABEL_DELAY_S`` later.

    Args:
        service: base URL of the service.
        sampler: where patients come from; setting ``sampler.changed`` changes the unit of one feature.
        rate: predictions a second at most; a machine whose answers take longer makes fewer, see `per_second`.
    """

    def __init__(self, service: str, sampler: Sampler, rate: float) -> None:
        self.sampler = sampler
        self.rate = rate
        self.sent = self.failed = self.labelled = 0
        self.error = ""
        self._begun_s = self._ended_s = 0.0
        self._client = httpx.Client(base_url=service, timeout=10.0, trust_env=False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Traffic:
        self._begun_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=10)
        self._ended_s = time.monotonic()
        self._client.close()

    @property
    def per_second(self) -> float:
        """Predictions a second that were really made so far."""
        lasted_s = (self._ended_s or time.monotonic()) - self._begun_s
        return self.sent / lasted_s if self._begun_s and lasted_s > 0 else 0.0

    def _run(self) -> None:
        outcomes: deque[tuple[float, str, int]] = deque()
        due = time.monotonic()
        for measurements, malignant in self.sampler:
            if self._stopping.is_set():
                return
            try:
                answer = self._client.post("/predict", json=measurements)
                answer.raise_for_status()
                outcomes.append((time.monotonic() + LABEL_DELAY_S, answer.json()["id"], malignant))
                self.sent += 1
                self._report(outcomes)
            except httpx.HTTPError as error:
                self.failed += 1
                self.error = str(error)
            due = max(due + 1 / self.rate, time.monotonic() - 0.5)  # after a stall, catch up a little and no more
            self._stopping.wait(max(0.0, due - time.monotonic()))

    def _report(self, outcomes: deque[tuple[float, str, int]]) -> None:
        while outcomes and outcomes[0][0] <= time.monotonic():
            _, prediction, malignant = outcomes.popleft()
            self._client.post("/outcome", params={"id": prediction, "malignant": malignant}).raise_for_status()
            self.labelled += 1
