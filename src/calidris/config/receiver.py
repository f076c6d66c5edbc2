"""What is received, where, how fast, and how much of it may wait."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from calidris.config.frozen import Config
from calidris.config.listener_tls import Exposed, MutualTlsConfig
from calidris.config.units import Address, Bytes, Seconds

_MIB = 2**20


class GrpcConfig(Config):
    """Where OTLP over gRPC is received. 4317 belongs to a Collector, so ours is 4327.

    Attributes:
        tls: certificate and key; in clear without.
        exposed: "no TLS", "no login" or "no TLS, no login", where other machines may reach it like that.
    """

    endpoint: Address = "127.0.0.1:4327"
    max_message_bytes: Bytes = 64 * _MIB
    tls: MutualTlsConfig | None = None
    exposed: Exposed | None = None


class HttpConfig(Config):
    """Where OTLP over HTTP is received, in protobuf and JSON. 4318 belongs to a Collector, so ours is 4328."""

    endpoint: Address = "127.0.0.1:4328"
    max_message_bytes: Bytes = 64 * _MIB
    tls: MutualTlsConfig | None = None
    exposed: Exposed | None = None


class RateConfig(Config):
    """Requests and rows a second; none means no limit."""

    requests: float | None = Field(default=None, gt=0)
    rows: float | None = Field(default=None, gt=0)


class RatesConfig(Config):
    """How fast telemetry is taken; beyond it senders are asked to try again. No limit by default: memory is bounded anyway.

    Attributes:
        tenant: of each tenant.
        total: of all tenants together.
        burst: how long twice the rate, after a silence as long, is still taken.
    """

    tenant: RateConfig = RateConfig()
    total: RateConfig = RateConfig()
    burst: Seconds = "5s"  # type: ignore[assignment]  # parsed as written

    @property
    def free(self) -> bool:
        """Whether nothing is limited."""
        return self.tenant == self.total == RateConfig()


class ReceiverConfig(Config):
    """What is received, and how much may wait in memory.

    Attributes:
        http: null does without OTLP/HTTP.
        rates: requests and rows a second.
        queue_bytes: requests admitted and not yet applied; beyond it senders are asked to try again. Where several tenants
            send, each may fill three times of what is left free, so that there is always room for another one.
        lateness: how long after its end a window stays open for rows that are on their way.
        max_age: how old a row may be when it arrives; the time of an older one is moved to that bound, and counted.
        dedup_horizon: how long a request or a span that comes again is recognised, counted from when it last came.
        dedup_spans: spans that are remembered for it, 10 bytes each; where more come within the horizon it is shorter, as
            ``calidris.dedup.horizon`` tells. The default lasts for 10 000 spans a second.
        tokens: file of bearer tokens; with it nobody sends, reads or decides without one. `calidris token` makes a line of it.
        drain: how long, once it was asked to stop, requests under way are finished and applied; the rest waits in the journal.
    """

    grpc: GrpcConfig = GrpcConfig()
    http: HttpConfig | None = HttpConfig()
    rates: RatesConfig = RatesConfig()
    queue_bytes: Bytes = 256 * _MIB
    lateness: Seconds = "10s"  # type: ignore[assignment]  # parsed as written
    max_age: Seconds = "30d"  # type: ignore[assignment]
    dedup_horizon: Seconds = "15m"  # type: ignore[assignment]
    dedup_spans: int = Field(default=12_000_000, ge=1000)
    drain: Seconds = "10s"  # type: ignore[assignment]
    tokens: Path | None = None

    @property
    def largest_messages(self) -> dict[str, int]:
        """The keys that bound a request, and their bytes."""
        servers = {"grpc": self.grpc, "http": self.http}
        return {f"receiver.{name}.max_message_bytes": of.max_message_bytes for name, of in servers.items() if of}
