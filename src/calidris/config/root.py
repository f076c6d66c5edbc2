"""The whole of ``calidris.yaml``: one frozen class a sub-system, each with defaults that work."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from calidris.config.budget import FalseAlarmBudget
from calidris.config.detection import SharedBudgetsConfig
from calidris.config.export import ExportConfig
from calidris.config.frozen import Config
from calidris.config.listener_tls import Exposed, TlsConfig
from calidris.config.models import ModelConfig, duplicated
from calidris.config.receiver import ReceiverConfig
from calidris.config.storage import StorageConfig
from calidris.config.units import Address, Bytes, Seconds


class LogConfig(Config):
    """What ``calidris serve`` writes to stderr.

    Attributes:
        format: ``text`` for people, ``json`` for one object a line; ``auto`` is text on a terminal and json elsewhere.
        level: what is less important is left out.
    """

    format: Literal["auto", "text", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


_MIB = 2**20


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
        silent_after: rows must have stopped for so long before a version is forgotten for a new one's sake, and before its gauges
            leave where another version of its model is live; its alarms stay.
        features: features that are watched of a model nobody configured.
        pending_labels: predictions of one model version that wait for their label, or have it and may see it corrected; these go first.
        early_labels: labels of one tenant that wait for their prediction.
        label_horizon: how long a prediction waits for its label, and for corrections of it.
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
    def _old_rows_find_their_day(self) -> Self:
        stated = "max_age" in self.receiver.model_fields_set  # who keeps days for less than the default meant to
        if stated and self.storage.retention.days < self.receiver.max_age:
            raise ValueError(
                "storage.retention.days is shorter than receiver.max_age, so that rows would come for days that are deleted; "
                "make one longer or the other shorter"
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
