"""What every server does with one request, whatever brought it: gRPC, HTTP, or the journal at the next start.

::

    reserve bytes ─► model telemetry? ─ no ─► check it parses ─────────────────────────────────► answer
                          │ yes
                          ├─► journal.append ─► (committer writes and syncs) ─┐
                          └─► decode, meanwhile, in this thread ──────────────┴─► inbox ─► answer
                                                                                   engine ─► release bytes

The answer goes out when both are done, so that it is true of both: durable, and which spans were refused.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import xxhash

from calidris.batch import DEFAULT_TENANT, ModelKey
from calidris.config import RatesConfig
from calidris.engine.commands import BadCommand, Command
from calidris.engine.inbox import Inbox, Received
from calidris.errors import MalformedRequest
from calidris.journal.journal import Journal
from calidris.journal.segment_format import Kind, Record, seal_payload
from calidris.receive.admission import Admission, ReceiverCounters, RequestTooLarge, UndecodableRequest
from calidris.receive.rates import Rates
from calidris.wire.otlp.size import LEAST_LARGE_BYTES, MAX_PARTS, has_too_many_parts

if TYPE_CHECKING:
    from calidris.wire import Decoded

_logger = logging.getLogger(__name__)


class Decode(Protocol):
    """``calidris.wire.decode``: a pure function, so that replay decodes as the first time."""

    def __call__(self, raw: bytes, *, tenant: str, arrival_ns: int) -> Decoded:
        """The request as columns; raises MalformedRequest."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What an acknowledged request is told: how many of its spans were refused, and why."""

    rejected: int = 0
    message: str = ""


class Intake:
    """Takes requests in. Thread-safe: every server thread calls ``accept``.

    Args:
        admission: bounds what is on its way to the engine.
        journal: makes it durable.
        inbox: hands it to the engine.
        holds: ``calidris.wire.holds_model_telemetry``: a cheap look that may say yes for nothing, never no.
        decode: ``calidris.wire.decode``.
        clock_ns: the time of arrival, ns since the epoch.
        counters: counts what is answered.
        rates: bounds requests and rows a second; no limit by default.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        journal: Journal,
        inbox: Inbox,
        holds: Callable[[bytes], bool],
        decode: Decode,
        clock_ns: Callable[[], int],
        counters: ReceiverCounters,
        rates: Rates | None = None,
    ) -> None:
        self._admission = admission
        self._rates = rates or Rates(RatesConfig())
        self._journal = journal
        self._inbox = inbox
        self._holds = holds
        self._decode = decode
        self._clock_ns = clock_ns
        self.counters = counters
        # Decoding holds the interpreter lock nearly all the time. Threads that fight for it while they decode cost 40 %
        # more processor time for packed requests, 15 % for one-row ones, than threads that queue here.
        self._decoding = threading.Lock()

    @property
    def failed(self) -> bool:
        """True once nothing can be acknowledged any more and the process should exit."""
        return self._journal.failed

    def accept(self, raw: bytes, tenant: str = DEFAULT_TENANT) -> Answer:
        """Take in one request; returns when it is durable and on its way to the engine.

        It waits for the disk for as long as it takes: a record that becomes durable after its sender gave up must reach
        the engine all the same, or every later one would wait for its number.

        Raises:
            RetryableError: too fast, full, failing or closing; nothing of it goes to the engine.
            MalformedRequest: not OTLP.
            RequestTooLarge: small in bytes, but too large for memory.
            UndecodableRequest: a fault of the decoder.
        """
        self.counters.add("bytes", "", len(raw))
        self._rates.admit(tenant)
        self._admission.reserve(len(raw), tenant)
        release = partial(self._admission.release, len(raw), tenant)
        if len(raw) > LEAST_LARGE_BYTES:
            self._check_size(raw, release)
        if not self._holds(raw):
            try:
                return self._pass(raw, tenant)
            finally:
                release()
        outcome = self._keep(raw, tenant, release)
        if isinstance(outcome, Exception):
            raise outcome
        return self._acknowledge(outcome, "ok")

    def _check_size(self, raw: bytes, release: Callable[[], None]) -> None:
        """Refuse what would take gigabytes and minutes to decode, before it is in the journal."""
        try:
            with self._decoding:
                too_many = has_too_many_parts(raw)
            if too_many:
                raise RequestTooLarge(f"more than {MAX_PARTS} spans, attributes and values; send fewer per request")
        except BaseException:
            release()
            raise

    def seal(self, seal_ns: int, tenant: str = DEFAULT_TENANT) -> None:
        """Close windows by a record of the journal, so that a replay closes them at the same place.

        Raises:
            RetryableError: the journal is full or failing; try again at the next tick.
        """
        arrival_ns = self._clock_ns()
        seq = self._journal.append(Kind.SEAL, arrival_ns, tenant, seal_payload(seal_ns)).wait()
        self._inbox.put(Received(seq, arrival_ns, tenant, b"", 0, None, seal_ns, _nothing))

    def seal_model(self, seal_ns: int, model: ModelKey) -> None:
        """The same for one model alone, whose rows come in jobs.

        Raises:
            RetryableError: as of ``seal``.
        """
        arrival_ns, payload = self._clock_ns(), seal_payload(seal_ns, model)
        seq = self._journal.append(Kind.MODEL_SEAL, arrival_ns, model.tenant, payload).wait()
        self._inbox.put(Received(seq, arrival_ns, model.tenant, b"", 0, None, seal_ns, _nothing, seal_model=model))

    def _pass(self, raw: bytes, tenant: str) -> Answer:
        """Check that foreign telemetry parses, and forget it."""
        with self._decoding:
            outcome = _decode_or_error(self._decode, raw, tenant, self._clock_ns())
        if isinstance(outcome, Exception):
            raise outcome
        return self._acknowledge(outcome, "no_model")

    def accept_command(self, command: Command, tenant: str = DEFAULT_TENANT) -> None:
        """Make a person's decision durable and hand it to the engine.

        Raises:
            RetryableError: the journal is full or failing; nothing was kept.
        """
        arrival_ns = self._clock_ns()
        seq = self._journal.append(Kind.COMMAND, arrival_ns, tenant, command.to_bytes()).wait()
        self._inbox.put(Received(seq, arrival_ns, tenant, b"", 0, None, None, _nothing, command))

    def _keep(self, raw: bytes, tenant: str, release: Callable[[], None]) -> Decoded | Exception:
        """Make it durable and decode it at the same time, then hand it on, whatever the decoder said."""
        try:
            arrival_ns = self._clock_ns()
            ticket = self._journal.append(Kind.REQUEST, arrival_ns, tenant, raw)
            digest = digest_of(raw)
            with self._decoding:
                outcome = _decode_or_error(self._decode, raw, tenant, arrival_ns)
            seq = ticket.wait()
        except BaseException:
            release()
            raise
        decoded = None if isinstance(outcome, Exception) else outcome
        # First of all: the record has its number, and without it no later one would ever be applied.
        self._inbox.put(Received(seq, arrival_ns, tenant, digest, len(raw), decoded, None, release))
        self._rates.charge(tenant, decoded.rows + decoded.labels if decoded else 0)
        return outcome

    def _acknowledge(self, decoded: Decoded, reason: str) -> Answer:
        for why, count in decoded.rejected.items():
            self.counters.add("spans_rejected", why, count)
        rejected = sum(decoded.rejected.values())
        self.counters.add("spans", "received", decoded.spans)
        self.counters.add("spans", "accepted", decoded.spans - decoded.ignored - rejected)
        self.counters.add("spans_ignored", "no_model", decoded.ignored)
        self.counters.add("rows", "accepted", decoded.rows + decoded.labels)
        self.counters.add("requests", "partial" if rejected else reason)
        return Answer(rejected, decoded.message)


def received_again(record: Record, decode: Decode) -> Received:
    """What the inbox was given for this record the first time: for the replay at the start, which needs no inbox."""
    if record.kind != Kind.REQUEST:
        command = _read_command(record) if record.kind == Kind.COMMAND else None
        model = None if record.seal_model is None else ModelKey(*record.seal_model)
        return Received(
            record.seq, record.arrival_ns, record.tenant, b"", 0, None, record.seal_ns, _nothing, command, model
        )
    outcome = _decode_or_error(decode, record.payload, record.tenant, record.arrival_ns)
    decoded = None if isinstance(outcome, Exception) else outcome
    digest = digest_of(record.payload)
    return Received(record.seq, record.arrival_ns, record.tenant, digest, 0, decoded, None, _nothing)


def _read_command(record: Record) -> Command | None:
    """None where a later release wrote it, which was taken back since: it must not keep this one from starting."""
    try:
        return Command.from_bytes(record.payload)
    except (BadCommand, AttributeError, TypeError, ValueError, LookupError) as error:
        _logger.error(
            "journal: record %d is a command that this release does not know, left out: %s", record.seq, error
        )
        return None


def digest_of(raw: bytes) -> bytes:
    """16 bytes that tell a retry from another request: 128-bit XXH3.

    It guards against chance, not against a sender who looks for collisions: such a one loses requests of its own, no others,
    because the engine keeps tenants apart. 7 µs for 500 kB, where SHA-256 takes 260: one in twenty of a packed request's time.
    """
    return xxhash.xxh3_128_digest(raw)


def _decode_or_error(decode: Decode, raw: bytes, tenant: str, arrival_ns: int) -> Decoded | Exception:
    """Never raises: the record has a number, or will have one, and the engine waits for it."""
    try:
        return decode(raw, tenant=tenant, arrival_ns=arrival_ns)
    except MalformedRequest as error:
        return error
    except Exception as error:
        _logger.exception("receiver: the decoder failed on a request of %d bytes", len(raw))
        return UndecodableRequest(f"the receiver cannot decode this request ({type(error).__name__})")


def _nothing() -> None:
    """Release of an item that reserved nothing."""
