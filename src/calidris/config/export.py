"""How results leave."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from calidris.config.frozen import Config
from calidris.config.listener_tls import Exposed
from calidris.config.units import Address, Seconds


class PrometheusConfig(Config):
    """Where Prometheus scrapes: figures of all tenants, in clear, for whoever reaches it."""

    endpoint: Address = "127.0.0.1:9464"
    exposed: Exposed | None = None


class OtlpConfig(Config):
    """Where metrics are pushed by OTLP over gRPC.

    Attributes:
        headers: of each push, such as a token of the target; lower case.
    """

    endpoint: str = Field(min_length=1)
    interval: Seconds = "15s"  # type: ignore[assignment]  # parsed as written
    headers: dict[str, str] = Field(default_factory=dict)
    insecure: bool | None = None

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        """GRPC would refuse them at each push, and quote them in its error."""
        for name, value in headers.items():
            if not (re.fullmatch(r"[a-z0-9_.-]+", name) and value.isascii() and value.isprintable()):
                raise ValueError(
                    f"the header {name!r} cannot be sent: names are of a-z, 0-9, - and _; values are one line of ASCII"
                )
        return headers


class ExportConfig(Config):
    """How results leave.

    Attributes:
        series: ``minimal`` has headline figures only, ``standard`` one drift measure a feature, ``full`` every measure.
        max_series_per_model: of one model version; beyond it the least important series are left out and counted.
        max_series_per_tenant: of all model versions of a tenant; likewise.
        max_series: of all tenants; likewise. The receiver's own health comes on top.
    """

    prometheus: PrometheusConfig | None = PrometheusConfig()
    otlp: OtlpConfig | None = None
    series: Literal["minimal", "standard", "full"] = "standard"
    max_series_per_model: int = Field(default=2000, ge=10)
    max_series_per_tenant: int = Field(default=100_000, ge=10)
    max_series: int = Field(default=200_000, ge=10)
