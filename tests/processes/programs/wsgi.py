"""A WSGI application as small as one can be: each request is a prediction. With WARM_UP one is made when it is loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import ledger

if os.environ.get("WARM_UP"):
    ledger.predict()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Predict; the answer is the process that did it."""
    ledger.predict()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
