"""A serverless handler: it flushes at the end of each invocation, and may be frozen for ever after it."""

from __future__ import annotations

import signal

INVOKED = {signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, INVOKED)

import ledger  # noqa: E402

import calidris  # noqa: E402

EACH = 50


def handle() -> bool:
    """One invocation."""
    ledger.predict(EACH)
    return calidris.flush(5)


if __name__ == "__main__":
    for number in range(2):
        print(f"invocation {number}: {handle()}")
        signal.sigwait(INVOKED)
