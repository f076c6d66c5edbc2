"""One connection of OTLP/HTTP: requests one after another, each within bounds of time and memory.

h11 speaks HTTP/1.1; here is what it leaves to us: how long we wait, how much we hold, and how a request that is refused
before its body was read still learns why.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import h11

from calidris.errors import MalformedRequest
from calidris.receive.admission import Admission, TooSlow
from calidris.receive.http.decompression import too_large
from calidris.receive.http.otlp_routes import Routes
from calidris.receive.http.request_response import Head, Job, Reply
from calidris.receive.http.sender_limits import READ_BYTES, Hold, Patience
from calidris.receive.http.stray_grpc import refuse_calls

Work = Callable[[Callable[[], Reply]], Awaitable[Reply]]
"""Runs something that blocks in a worker thread."""


class Connection:
    """Serves one connection; everything of it runs on the event loop, except the jobs.

    Attributes:
        busy: true from a request's head to the end of its answer.
        waiting_since: when its sender was last heard of, in the loop's seconds; None while a request is worked on.

    Args:
        reader: the connection.
        writer: the connection.
        routes: answer the requests.
        memory: bounds the bodies of all connections together.
        work: runs a job.
        patience: how long to wait.
        count_stray: told how many gRPC calls arrived here by mistake.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, routes: Routes, memory: Admission,
        work: Work, patience: Patience, count_stray: Callable[[int], None],
    ) -> None:  # fmt: skip
        self.busy = False
        self.waiting_since: float | None = asyncio.get_running_loop().time()
        self._closing = False
        self._reader = reader
        self._writer = writer
        self._routes = routes
        self._memory = memory
        self._work = work
        self._patience = patience
        self._count_stray = count_stray
        self._http = h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        """Answer requests until either side has had enough."""
        try:
            wait_s = self._patience.head_s
            while not self._closing and await self._exchange(wait_s):
                wait_s = self._patience.idle_s
        except OSError:  # it left, or does not read its answers; what it sent was counted where it failed
            self._writer.transport.abort()
        finally:
            self._writer.close()

    def finish(self) -> None:
        """Close after the answer that is under way; an idle connection must be cancelled instead."""
        self._closing = True

    async def _exchange(self, wait_s: float) -> bool:
        """One request and its answer; false if there will be no other."""
        try:
            request = await self._request(wait_s)
        except h11.RemoteProtocolError as error:
            await self._send(self._routes.refuse(MalformedRequest(f"not HTTP/1.1: {error}"), _NO_HEAD), close=True)
            await self._linger()
            return False
        if request is None:
            return False
        if request.method == b"PRI" and request.http_version == b"2.0":
            async with asyncio.timeout(self._patience.head_s):
                self._count_stray(await refuse_calls(self._reader, self._writer, self._http.trailing_data[0]))
            return False
        self.busy = True
        try:
            return await self._answer(_head(request))
        finally:
            self.busy = False

    async def _request(self, wait_s: float) -> h11.Request | None:
        """The next head; None if the sender left, or did not send it in time."""
        try:
            async with asyncio.timeout(wait_s) as limit:
                while True:
                    event = self._http.next_event()
                    if isinstance(event, h11.Request):
                        return event
                    if event is not h11.NEED_DATA:
                        return None
                    data = await self._read()
                    if data and self._http.trailing_data == (b"", False):  # its first bytes
                        limit.reschedule(asyncio.get_running_loop().time() + self._patience.head_s)
                    self._http.receive_data(data)
        except TimeoutError:
            return None

    async def _answer(self, head: Head) -> bool:
        reply = await self._reply(head)
        unread = not self._read_to_the_end()
        await self._send(reply, close=unread or self._closing, body=head.method != "HEAD")
        if unread:
            await self._linger()
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _reply(self, head: Head) -> Reply:
        """The answer, whatever happens."""
        try:
            job = self._routes.open(head)
            if isinstance(job, Reply):
                return job
            with Hold(self._memory, job.tenant) as hold:
                parts = await self._body(job, hold)
                self.waiting_since = None
                return await self._work(lambda: job.run(parts, hold.take))
        except Exception as error:
            return self._routes.refuse(error, head)
        finally:
            self.waiting_since = asyncio.get_running_loop().time()

    async def _body(self, job: Job, hold: Hold) -> list[bytes | bytearray]:
        """The body's parts as they arrived.

        Raises:
            RequestTooLarge: more than the job takes.
            RetryableError: no memory for it.
            TooSlow: not in time.
            MalformedRequest: cut off, or no HTTP.
        """
        if self._http.they_are_waiting_for_100_continue:
            self._write(h11.InformationalResponse(status_code=100, headers=[]))
        parts: list[bytes | bytearray] = []
        size = 0
        deadline = asyncio.get_running_loop().time() + self._patience.body_s
        try:
            async with asyncio.timeout_at(deadline) as limit:
                while (data := await self._data()) is not None:
                    size += len(data)
                    if size > job.max_bytes:
                        raise too_large(job.max_bytes)
                    hold.take(len(data))
                    parts.append(data)
                    limit.reschedule(deadline + size / self._patience.body_bytes_s)
        except TimeoutError:
            raise TooSlow("the body did not arrive in time") from None
        except (h11.RemoteProtocolError, OSError):
            raise MalformedRequest("the body is cut off, or its length is wrong") from None
        return parts

    async def _data(self) -> bytes | bytearray | None:
        """The next piece of the body, None at its end."""
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                return event.data
            if event is not h11.NEED_DATA:
                return None
            self._http.receive_data(await self._read())

    async def _read(self) -> bytes:
        data = await self._reader.read(READ_BYTES)
        self.waiting_since = asyncio.get_running_loop().time()
        return data

    async def _send(self, reply: Reply, *, close: bool, body: bool = True) -> None:
        headers = [
            ("Content-Type", reply.content_type),
            ("Content-Length", str(len(reply.body))),
            ("Date", formatdate(usegmt=True)),
            *reply.headers,
            *([("Connection", "close")] if close else []),
        ]
        reason = HTTPStatus(reply.status).phrase
        self._write(
            h11.Response(status_code=reply.status, headers=headers, reason=reason),
            *([h11.Data(data=reply.body)] if body and reply.body else []),
            h11.EndOfMessage(),
        )
        async with asyncio.timeout(self._patience.head_s):  # a sender that does not read keeps no worker and no memory
            await self._writer.drain()

    def _read_to_the_end(self) -> bool:
        """Whether nothing more of this request is to come; skips what is here already."""
        with contextlib.suppress(h11.RemoteProtocolError):
            while self._http.their_state is h11.SEND_BODY and self._http.next_event() is not h11.NEED_DATA:
                pass
        return self._http.their_state in (h11.DONE, h11.MUST_CLOSE)

    def _write(self, *events: h11.Event) -> None:
        self._writer.write(b"".join(self._http.send(event) or b"" for event in events))

    async def _linger(self) -> None:
        """Read on for a while: closing on unread bytes resets the connection, and the answer may be lost with it."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience.linger_s):
                while await self._reader.read(READ_BYTES):
                    pass


_NO_HEAD: Final = Head("", "", {})


def _head(request: h11.Request) -> Head:
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path = request.target.decode("latin-1").partition("?")[0]
    return Head(request.method.decode("latin-1"), path, headers)
