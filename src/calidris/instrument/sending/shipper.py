"""What the flush thread works with: encoder, channel and meters in one. Loading it loads grpc and the SDK."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from calidris.instrument.columns import Note
from calidris.instrument.items import Item
from calidris.instrument.sending.encoder import Channel, Encoder
from calidris.instrument.sending.meters import Meters
from calidris.instrument.sending.outbox import Drop, Outcome, Request
from calidris.instrument.settings import GuestSettings


class GrpcShipper:
    """Implements `calidris.instrument.sending.buffer.Shipper`."""

    def __init__(self, encoder: Encoder, channel: Channel) -> None:
        self._encoder = encoder
        self._channel = channel
        self._meters = Meters()

    def encode(self, items: list[Item]) -> list[Request]:
        """Items as requests."""
        return self._encoder.encode(items)

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """One attempt."""
        return self._channel.send(payload, timeout_s)

    def observe(self, items: list[Item], drops: dict[tuple[str, str], int]) -> None:
        """Metrics of the items and drops."""
        self._meters.observe(items, drops)

    def close(self) -> None:
        """Free the connection."""
        self._channel.close()


def connect(settings: GuestSettings, note: Note, drop: Drop) -> GrpcShipper:
    """A shipper to the settings' endpoint; opens no connection yet."""
    return GrpcShipper(Encoder(resource(), settings.policy, note, drop), Channel(settings))


def resource() -> Resource:
    """Who the service is: what its own tracer provider says, else the OTel environment."""
    own = getattr(trace.get_tracer_provider(), "resource", None)
    if isinstance(own, Resource):
        return own
    try:
        return Resource.create()
    except RuntimeError:  # detectors run in a thread pool, which an ending interpreter refuses
        return OTELResourceDetector().detect()
