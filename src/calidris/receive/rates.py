"""How many requests and rows a second are taken, of each tenant and of all together: token buckets.

::

    before decoding    a request takes one token of each request bucket, if all of them have one
                       and is refused while a row bucket is in debt
    after decoding     its rows are taken off the row buckets, which may go into debt

How many rows a request holds is known only once it is decoded, and then it is in the journal: it is never refused for them.
It pays afterwards, and the next request waits until the debt is gone. So a sender is at most one request ahead of its rate for
each request that is being decoded, and the long-run rate holds exactly. What a rate refuses costs no token.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from calidris.config import RateConfig, RatesConfig
from calidris.errors import RetryableError

ALL = ""
"""Key of the buckets of all tenants together; no tenant is named like that."""


class RateOfRequests(RetryableError):
    """More requests a second than the settings allow."""


class RateOfRows(RetryableError):
    """More rows a second than the settings allow."""


@dataclass(slots=True)
class Bucket:
    """Tokens that come back at a rate, up to as many as ``burst_s`` seconds bring; it may be in debt.

    >>> bucket = Bucket(rate=10.0, burst_s=1.0, now_s=0.0)
    >>> bucket.take(15.0, now_s=0.0)
    >>> bucket.wait_s(1.0, now_s=0.0), bucket.wait_s(1.0, now_s=0.6)
    (0.6, 0.0)
    """

    rate: float
    burst_s: float
    now_s: float
    tokens: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.most

    @property
    def most(self) -> float:
        """Tokens when nothing was taken for long: one at least, or nothing could ever pass."""
        return max(self.rate * self.burst_s, 1.0)

    def wait_s(self, needed: float, now_s: float) -> float:
        """Seconds until there are ``needed`` tokens; 0 where there are."""
        self._fill(now_s)
        return max(needed - self.tokens, 0.0) / self.rate

    def take(self, count: float, now_s: float) -> None:
        """Take tokens, those that are not there too."""
        self._fill(now_s)
        self.tokens -= count

    def _fill(self, now_s: float) -> None:
        passed_s = max(now_s - self.now_s, 0.0)
        self.tokens = min(self.tokens + passed_s * self.rate, self.most)
        self.now_s = max(self.now_s, now_s)


@dataclass(slots=True)
class _Pair:
    """The buckets of one tenant, or of all; None where there is no limit."""

    requests: Bucket | None
    rows: Bucket | None


class Rates:
    """The buckets of all tenants. Thread-safe; O(1) a request; as many buckets as tenants, which the settings bound.

    Args:
        config: the rates.
        clock_s: a monotonic clock, seconds.

    Example:
        >>> once = RatesConfig.model_validate({"tenant": {"requests": 1}, "burst": "1s"})
        >>> rates = Rates(once, clock_s=lambda: 0.0)
        >>> rates.admit("default")
        >>> rates.admit("default")
        Traceback (most recent call last):
        ...
        calidris.receive.rates.RateOfRequests: more than 1 requests a second of one tenant (receiver.rates)
    """

    def __init__(self, config: RatesConfig, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._pairs: dict[str, _Pair] = {}
        self._free = config.free

    def admit(self, tenant: str) -> None:
        """Take one request's token, before anything of the request is looked at.

        Raises:
            RetryableError: too many requests, or rows still to be paid for; says when there will be room. Nothing was taken.
        """
        if self._free:
            return
        with self._lock:
            now_s = self._clock_s()
            pairs = list(self._of(tenant, now_s))
            for pair, whose in pairs:
                self._check(pair, whose, now_s)
            for pair, _ in pairs:
                if pair.requests is not None:
                    pair.requests.take(1.0, now_s)

    def charge(self, tenant: str, rows: int) -> None:
        """Take the rows of an admitted request, once they are known; never refuses."""
        if self._free or not rows:
            return
        with self._lock:
            now_s = self._clock_s()
            for pair, _ in self._of(tenant, now_s):
                if pair.rows is not None:
                    pair.rows.take(float(rows), now_s)

    def _of(self, tenant: str, now_s: float) -> Iterator[tuple[_Pair, str]]:
        for key, limits, whose in ((tenant, self._config.tenant, "of one tenant"), (ALL, self._config.total, "in all")):
            if key not in self._pairs:
                self._pairs[key] = _pair(limits, self._config.burst, now_s)
            yield self._pairs[key], whose

    @staticmethod
    def _check(pair: _Pair, whose: str, now_s: float) -> None:
        if pair.requests is not None and (wait_s := pair.requests.wait_s(1.0, now_s)):
            raise RateOfRequests(f"more than {pair.requests.rate:g} requests a second {whose} (receiver.rates)", wait_s)
        if pair.rows is not None and (wait_s := pair.rows.wait_s(1.0, now_s)):
            raise RateOfRows(f"more than {pair.rows.rate:g} rows a second {whose} (receiver.rates)", wait_s)


def _pair(limits: RateConfig, burst_s: float, now_s: float) -> _Pair:
    requests, rows = (None if rate is None else Bucket(rate, burst_s, now_s) for rate in (limits.requests, limits.rows))
    return _Pair(requests, rows)
