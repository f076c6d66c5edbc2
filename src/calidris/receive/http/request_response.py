"""What a request over HTTP is, and what is answered: plain values between the connection and the routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from google.protobuf import json_format

from calidris.receive.admission import Refusal
from calidris.receive.http.decompression import JSON, PROTOBUF


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body.

    Attributes:
        method: upper case, as sent.
        path: without the query.
        headers: lower-case name to value; several of one name are joined by commas, as HTTP says.
    """

    method: str
    path: str
    headers: Mapping[str, str]

    def header(self, name: str) -> str:
        """A header's value, empty where there is none."""
        return self.headers.get(name, "")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, its body, and headers besides its type and length."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """A request whose head was accepted.

    Attributes:
        tenant: who sends it.
        max_bytes: how much body it may have as sent.
        run: answers, given the parts of the body and what reserves memory. It blocks: it belongs in a worker thread.
    """

    tenant: str
    max_bytes: int
    run: Callable[[list[bytes | bytearray], Callable[[int], None]], Reply]


def json_reply(status: int, content: Mapping[str, Any]) -> Reply:
    """An answer in JSON."""
    return Reply(status, orjson.dumps(content))


def message_reply(status: int, message: Any, content_type: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """A protobuf message in the content type of the request."""
    if content_type == PROTOBUF:
        return Reply(status, message.SerializeToString(), PROTOBUF, headers)
    return Reply(status, json_format.MessageToJson(message, indent=None).encode(), JSON, headers)


def refusal_reply(refusal: Refusal, content_type: str) -> Reply:
    """A refusal as a ``google.rpc.Status``.

    Retry-After is in whole seconds, so it is rounded up; the Status says the time exactly.
    """
    headers: tuple[tuple[str, str], ...] = ()
    if refusal.retry_after_s is not None:
        headers = (("Retry-After", str(max(1, -int(-refusal.retry_after_s // 1)))),)
    if refusal.http_status == 401:
        headers = (("WWW-Authenticate", "Bearer"),)
    return message_reply(refusal.http_status, refusal.status, content_type, headers)
