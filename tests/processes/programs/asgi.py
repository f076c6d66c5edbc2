"""An ASGI application as small as one can be: each request is a prediction. With WARM_UP one is made when it is loaded."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import ledger

if os.environ.get("WARM_UP"):
    ledger.predict()


async def app(
    scope: dict[str, Any], receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[Any]]
) -> None:
    """Predict; the answer is the process that did it."""
    if scope["type"] == "lifespan":
        return await live(receive, send)
    ledger.predict()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})


async def live(receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[Any]]) -> None:
    """Say yes to start and end."""
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
