"""A service that knows nothing of Calidris: a scikit-learn model behind ASGI. Its account is its own."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

account = os.open(os.environ["ACCOUNT"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
clf = LogisticRegression().fit(np.arange(20.0).reshape(10, 2), [0, 1] * 5)
row = np.array([[1.0, 2.0]])


async def app(
    scope: dict[str, Any], receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[Any]]
) -> None:
    """Predict; the answer is the probability."""
    if scope["type"] != "http":
        return
    os.write(account, b"b")
    score = clf.predict_proba(row)[0, 1]
    os.write(account, b"e")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(score).encode()})
