"""The whole of ``calidris.yaml``: one frozen class a sub-system, each with defaults that work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from calidris.config.base import Config
from calidris.config.budget import FalseAlarmBudget
from calidris.config.detection import SharedBudgetsConfig
from calidris.config.doors import Exposed, MutualTlsConfig, TlsConfig
from calidris.config.logs import LogConfig
from calidris.config.models import ModelConfig, duplicated
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
    dedup_horizon: Seconds = "15m"  # type: ignore[assignment]
    dedup_spans: int = Field(default=12_000_000, ge=1000)
    drain: Seconds = "10s"  # type: ignore[assignment]
    tokens: Path | None = None

    @property
    def largest_messages(self) -> dict[str, int]:
        """The keys that bound a request, and their bytes."""
        servers = {"grpc": self.grpc, "http": self.http}
        return {f"receiver.{name}.max_message_bytes": of.max_message_bytes for name, of in servers.items() if of}


class JournalConfig(Config):
    """The write-ahead log of requests.

    Attributes:
        segment_bytes: size of one file.
        max_bytes: beyond it senders are asked to try again until a checkpoint frees space.
        keep: keep what a checkpoint made unnecessary, for replays.
    """

    segment_bytes: Bytes = 64 * _MIB
    max_bytes: Bytes = 4096 * _MIB
    keep: bool = False


class RetentionConfig(Config):
    """How long counts are kept, and how finely; what windows need is kept longer by itself.

    Attributes:
        steps: in panes of the model's shortest window.
        hours: in panes of an hour.
        days: in panes of a day; older ones are deleted and counted.
    """

    steps: Seconds = "2d"  # type: ignore[assignment]  # parsed as written
    hours: Seconds = "35d"  # type: ignore[assignment]
    days: Seconds = "1826d"  # type: ignore[assignment]

    @model_validator(mode="after")
    def _coarser_is_longer(self) -> Self:
        if not self.steps <= self.hours <= self.days:
            raise ValueError(
                "steps become hours and hours days: keep hours no shorter than steps, days no shorter than hours"
            )
        return self


class StorageConfig(Config):
    """Where the state is kept.

    Attributes:
        path: a directory of ours alone; relative to the config file.
        checkpoint_interval: longest time between checkpoints.
        retention: how long counts are kept, and how finely.
    """

    path: Path = Path("calidris-data")
    journal: JournalConfig = JournalConfig()
    checkpoint_interval: Seconds = "10s"  # type: ignore[assignment]  # parsed as written
    retention: RetentionConfig = RetentionConfig()


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


class ApiConfig(Config):
    """The read API: status, readings, alarms, report. It asks for the tokens of ``receiver.tokens``."""

    endpoint: Address = "127.0.0.1:4329"
    tls: TlsConfig | None = None
    exposed: Exposed | None = None


class LimitsConfig(Config):
    """Caps that bound memory, whatever arrives. What a cap leaves out is counted by the cap's name.

    Attributes:
        models: models of one tenant that nobody configured; a configured one always has room.
        versions: versions of one model. One that has been silent for ``silent_after`` makes room for a new one.
        watched: model versions of all models of all tenants together.
        silent_after: rows must have stopped for so long before a version is forgotten for a new one's sake; its alarms stay.
        features: features that are watched of a model nobody configured.
        pending_labels: predictions of one model version that wait for their label.
        early_labels: labels of one tenant that wait for their prediction.
        label_horizon: how long a prediction waits for its label.
        pane_bytes: past steps, hours and days that all models together hold in memory; others are read from the disk again.
    """

    models: int = Field(default=100, ge=1)
    versions: int = Field(default=20, ge=1)
    watched: int = Field(default=200, ge=1)
    silent_after: Seconds = "1d"  # type: ignore[assignment]  # parsed as written
    features: int = Field(default=500, ge=1)
    pending_labels: int = Field(default=1_000_000, ge=1000)
    early_labels: int = Field(default=200_000, ge=1000)
    label_horizon: Seconds = "30d"  # type: ignore[assignment]
    pane_bytes: Bytes = 32 * _MIB


class CalidrisConfig(Config):
    """All of ``calidris.yaml``; an empty file is a working configuration.

    Attributes:
        false_alarms: one budget over many models.
        models: models with settings of their own; any other model is watched with the defaults of ``ModelConfig``.
    """

    receiver: ReceiverConfig = ReceiverConfig()
    storage: StorageConfig = StorageConfig()
    export: ExportConfig = ExportConfig()
    api: ApiConfig = ApiConfig()
    limits: LimitsConfig = LimitsConfig()
    log: LogConfig = LogConfig()
    false_alarms: SharedBudgetsConfig = SharedBudgetsConfig()
    models: tuple[ModelConfig, ...] = ()

    @field_validator("storage")
    @classmethod
    def _journal_takes_the_largest_request(cls, storage: StorageConfig, info: ValidationInfo) -> StorageConfig:
        receiver = info.data.get("receiver")
        largest = receiver.largest_messages if receiver else {}  # none: the receiver has an error of its own
        too_large = [key for key, size in largest.items() if 8 * size > storage.journal.max_bytes]
        if too_large:
            keys = " and ".join(too_large)
            raise ValueError(
                f"storage.journal.max_bytes ({storage.journal.max_bytes}) is less than 8 times {keys}, so that a large "
                f"request might be refused for ever; set it to {8 * max(largest.values())} or more, or {keys} lower"
            )
        return storage

    @model_validator(mode="after")
    def _labels_find_their_day(self) -> Self:
        if self.storage.retention.days < self.limits.label_horizon:
            raise ValueError(
                "storage.retention.days is shorter than limits.label_horizon, so that labels would come for days that "
                "are deleted; make one longer or the other shorter"
            )
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        twice = duplicated(tuple(m.series_name for m in self.models))
        if twice is not None:
            raise ValueError(f"model {twice!r} is listed twice")
        return self

    @model_validator(mode="after")
    def _teams_have_models(self) -> Self:
        owners = {m.owner for m in self.models}
        unknown = [team for team in self.false_alarms.teams if team not in owners]
        if unknown:
            raise ValueError(f"false_alarms.teams: no model has the owner {unknown[0]!r}")
        return self

    def model(self, name: str, tenant: str = "default") -> ModelConfig:
        """The settings of a tenant's model, configured or not, with its part of a shared budget."""
        found = next((m for m in self.models if (m.tenant, m.name) == (tenant, name)), None)
        if found is None:
            return ModelConfig(name=name, tenant=tenant)
        part = self._part(found)
        if part is None:
            return found
        return found.model_copy(update={"detect": found.detect.model_copy(update={"false_alarms": part})})

    def _part(self, model: ModelConfig) -> str | None:
        """What a model that states no budget has of its team's, else of the fleet's."""
        if model.detect.false_alarms is not None:
            return None
        sharing = [m for m in self.models if m.detect.false_alarms is None]
        team = self.false_alarms.teams.get(model.owner or "")
        if team is not None:
            return FalseAlarmBudget.shared(team, sum(m.owner == model.owner for m in sharing))
        if self.false_alarms.fleet is None:
            return None
        rest = [m for m in sharing if (m.owner or "") not in self.false_alarms.teams]
        return FalseAlarmBudget.shared(self.false_alarms.fleet, len(rest))
