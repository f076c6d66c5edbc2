"""Senders that keep a ledger: what was sent, how often, and how often it was acknowledged."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from running import EXPORT, Running, labels, rows, until

from calidris.batch import PredictionBatch
from calidris.wire import encode_labels, encode_predictions

JOIN_S = 60.0
PAUSE_S = 0.005
REST_S = 0.02
FORMS = ("packed", "json", "attributes")


@dataclass(slots=True)
class Request:
    """One request, its rows or labels, and what became of it."""

    raw: bytes
    rows: int = 0
    labels: int = 0
    sent: int = 0
    acknowledged: int = 0


def identified(raw: bytes, random_: random.Random) -> bytes:
    """The same request with a trace and a span id for each span, as every SDK sends them."""
    message = ExportTraceServiceRequest.FromString(raw)
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                span.trace_id, span.span_id = random_.randbytes(16), random_.randbytes(8)
    return message.SerializeToString()


def predictions(batch: PredictionBatch, form: str, random_: random.Random) -> Request:
    """Rows in one packed span, or a span each."""
    raw = encode_predictions(batch, form=form, one_span_per_row=form != "packed")  # type: ignore[arg-type]
    return Request(identified(raw, random_), rows=len(batch))


def feedback(batch: PredictionBatch, random_: random.Random) -> Request:
    """A label for every row."""
    return Request(identified(encode_labels(labels(batch)), random_), labels=len(batch))


@dataclass
class Sender(threading.Thread):
    """Sends predictions, then their labels, until it is told to end.

    Attributes:
        copies: how often each request must be acknowledged before it is done with; repeats come later, mixed with others.
            0: each request is sent once, whatever the answer, and labels follow where there was a good one.
        size: rows of the largest request.
        ledger: every request that was ever sent.
        refusals: every other answer.
    """

    receiver: Running
    number: int
    copies: int
    ending: threading.Event
    seed: int = 0
    size: int = 300
    ledger: list[Request] = field(default_factory=list)
    refusals: list[grpc.RpcError] = field(default_factory=list)

    __hash__ = threading.Thread.__hash__

    def __post_init__(self) -> None:
        super().__init__(name=f"sender-{self.number}", daemon=True)
        self._random = random.Random(f"{self.seed} {self.number}")
        self._open: list[Request] = []
        self._channel: grpc.Channel | None = None
        self._address = ""
        self.abandoned = False

    def run(self) -> None:
        try:
            until(lambda: self.receiver.grpc)
            while not self.ending.wait(PAUSE_S * self._random.random()):
                if (len(self._open) < 2 * self.copies and self._random.random() < 0.3) or not self._open:
                    self._new()
                else:
                    self._step(self._random.choice(self._open))
            while self._open and not self.abandoned:
                self._step(self._random.choice(self._open))
        finally:
            if self._channel:
                self._channel.close()

    def _new(self) -> None:
        """Predictions and their labels; whoever sends but once sends labels of what was acknowledged only."""
        form = self._random.choice(FORMS)
        seed = (self.seed * 100 + self.number) * 100_000 + len(self.ledger)
        size = self._random.randint(self.size // 6, self.size) if form == "packed" else self._random.randint(1, 12)
        batch = rows(size, seed=seed, version=str(self.number % 2))
        made = [predictions(batch, form, self._random), feedback(batch, self._random)]
        if self.copies:
            self._open += made
            self.ledger += made
            return
        for request in made:
            self.ledger.append(request)
            if not self._send(request):
                return

    def _step(self, request: Request) -> None:
        if self._send(request) and request.acknowledged >= self.copies:
            self._open.remove(request)

    def _send(self, request: Request) -> bool:
        request.sent += 1
        try:
            self._call()(request.raw, timeout=5)
        except grpc.RpcError as error:
            self.refusals.append(error)
            self.ending.wait(REST_S)
            return False
        request.acknowledged += 1
        return True

    def _call(self) -> Callable[..., bytes]:
        """The method of whoever listens now."""
        if self._channel is None or self._address != self.receiver.grpc:
            if self._channel is not None:
                self._channel.close()
            self._address = self.receiver.grpc
            options = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 20)]
            self._channel = grpc.insecure_channel(self._address, options=options)
        return self._channel.unary_unary(EXPORT)


class Rebatching(Sender):
    """Sends up to three open requests as one, others each time, as a Collector does that batches anew what it retries."""

    def _step(self, request: Request) -> None:
        others = self._random.sample(self._open, min(2, len(self._open)))
        parts = [part for part in (request, *others) if part is request or self._random.random() < 0.7]
        together = Request(
            b"".join({part.raw: None for part in parts})
        )  # messages one behind the other are their union
        self._random.shuffle(parts)
        acknowledged = self._send(together)
        for part in {id(part): part for part in parts}.values():
            part.sent += 1
            part.acknowledged += acknowledged
            if part.acknowledged >= self.copies:
                self._open.remove(part)


@dataclass(frozen=True)
class Load:
    """Senders under way."""

    senders: list[Sender]
    ending: threading.Event

    @property
    def acknowledged(self) -> int:
        """Good answers so far."""
        return sum(request.acknowledged for request in self.ledger)

    def grown(self, by: int) -> Callable[[], bool]:
        """Whether there are so many more good answers than now."""
        before = self.acknowledged
        return lambda: self.acknowledged >= before + by

    def finish(self) -> list[Request]:
        """Every request of all senders, once they have ended."""
        self.ending.set()
        for sender in self.senders:
            sender.join(JOIN_S)
            assert not sender.is_alive(), "a sender does not get through"
        return self.ledger

    @property
    def ledger(self) -> list[Request]:
        return [request for sender in self.senders for request in list(sender.ledger)]

    @property
    def refusals(self) -> list[grpc.RpcError]:
        return [error for sender in self.senders for error in list(sender.refusals)]


@contextmanager
def load(
    receiver: Running, *, copies: int, senders: int = 4, seed: int = 0, size: int = 300, kind: type[Sender] = Sender
) -> Iterator[Load]:
    """Senders that have ended when it is left."""
    ending = threading.Event()
    started = Load([kind(receiver, n, copies, ending, seed, size) for n in range(senders)], ending)
    for sender in started.senders:
        sender.start()
    try:
        yield started
    finally:
        for sender in started.senders:
            sender.abandoned = True  # after a failure nobody waits until all has arrived
        ending.set()
        for sender in started.senders:
            sender.join(JOIN_S)
