"""What a user says about one model."""

from __future__ import annotations

import itertools
import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from calidris.config.budget import FalseAlarmBudget
from calidris.config.class_names import class_text
from calidris.config.detection import CanaryConfig, DetectConfig, FairnessConfig
from calidris.config.frozen import Config
from calidris.config.input_schema import InputSchema
from calidris.config.units import Seconds, Timezone, window_name


class RatioObjective(Config):
    """Share of predictions that must be good."""

    objective: float = Field(gt=0.0, lt=1.0)


class LatencyObjective(RatioObjective):
    """Share of predictions that must be answered in time."""

    under: Seconds


class ObjectivesConfig(Config):
    """Service level objectives, burnt down with multi-window burn-rate alerts."""

    latency: LatencyObjective | None = None
    errors: RatioObjective | None = None


class ModelConfig(Config):
    """One model.

    Attributes:
        name: value of ``ml.model.name``.
        tenant: whose model it is; a model of the same name that another tenant sends has nothing to do with it.
        task: what it predicts.
        positive: the label that counts as 1 (binary).
        threshold: a score at or above it is a positive decision.
        arrival: ``batch`` for a model whose rows come in jobs, a night at once: its windows close when a job is over, by
            the rows' own times. ``live`` for one that never is such. Unset, a version is one whose first rows carry
            ``ml.prediction.batch_id``.
        batch_idle: a job is over once no row of the model has come for so long.
        timezone: IANA name of the zone whose clock its users live by: hours of the week and days of detection are read off it.
        baseline: file of the baseline; ``{version}`` is replaced by the model's version.
        windows: lengths of the windows that are shown.
        detect: when to speak.
        bins: edges of a number's bins, fixed by the user instead of learned by ``baseline build``.
        types: what features hold, where the values alone do not say it: codes of digits are `text`.
        missing: values that stand for a gap, by feature: -999 for an age that nobody knew. They are missing in the baseline and live.
        stated_schema: `schema` in the file: what the inputs must be: type, range, levels and gaps, checked on every row, with a baseline or without.
        slices: names of the attributes to cut labelled rows by.
        embeddings: names of vectors whose columns `baseline build` reads; the guest declares its own.
        intersections: pairs of slices to cut by together.
        fairness: groups that must fare alike.
        canary: a version that is compared with another one.
        slo: service level objectives.
        owner: label ``owner`` of its alerts.
        tier: label ``tier`` of its alerts.
    """

    name: str = Field(min_length=1)
    tenant: str = Field(default="default", min_length=1)
    task: Literal["binary", "multiclass", "regression"] = "binary"
    positive: str | int | float = 1
    threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    arrival: Literal["live", "batch"] | None = None
    batch_idle: Seconds = "20s"  # type: ignore[assignment]  # parsed as written
    timezone: Timezone = "UTC"
    baseline: str | None = None
    windows: tuple[Seconds, ...] = ("5m", "1h", "1d")  # type: ignore[assignment]
    detect: DetectConfig = DetectConfig()
    bins: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    types: dict[str, Literal["number", "text", "boolean"]] = Field(default_factory=dict)
    missing: dict[str, tuple[float | str, ...]] = Field(default_factory=dict)
    # `schema` is a method of pydantic's own.
    stated_schema: InputSchema | None = Field(default=None, alias="schema")
    slices: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()
    intersections: tuple[tuple[str, str], ...] = ()
    fairness: FairnessConfig | None = None
    canary: CanaryConfig | None = None
    slo: ObjectivesConfig = ObjectivesConfig()
    owner: str | None = None
    tier: Literal["low", "medium", "high"] | None = None

    @model_validator(mode="after")
    def _windows_nest(self) -> Self:
        step = min(self.all_windows_s)
        for window in self.all_windows_s:
            ratio = window / step
            if abs(ratio - round(ratio)) > 1e-9:
                raise ValueError(
                    f"window {window_name(window)} is not a whole number of the shortest window "
                    f"{window_name(step)}; windows are merges of the shortest one"
                )
        return self

    @field_validator("bins")
    @classmethod
    def _edges_ascend(cls, bins: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        for name, edges in bins.items():
            if len(edges) < 2 or any(not a < b for a, b in itertools.pairwise(edges)):
                raise ValueError(f"{name!r} needs at least two edges, each above the one before it, got {list(edges)}")
        return bins

    @field_validator("missing")
    @classmethod
    def _gaps_are_values(cls, missing: dict[str, tuple[float | str, ...]]) -> dict[str, tuple[float | str, ...]]:
        for name, gaps in missing.items():
            if not gaps:
                raise ValueError(
                    f"{name!r} lists no value that stands for a gap: [-999] for one, or leave the feature out"
                )
            if any(gap in ("", math.inf, -math.inf) or gap != gap for gap in gaps):
                raise ValueError(f"{name!r}: empty text, NaN and infinity are missing anyway: leave them out")
        return missing

    @model_validator(mode="after")
    def _limits_have_windows(self) -> Self:
        for limit in self.detect.thresholds:
            if limit.window is not None and limit.window not in self.all_windows_s:
                known = ", ".join(map(window_name, self.all_windows_s))
                raise ValueError(f"a threshold on windows of {window_name(limit.window)}; this model has {known}")
        return self

    @model_validator(mode="after")
    def _types_agree(self) -> Self:
        if self.stated_schema is not None:
            self.stated_schema.check_types(self.types)
        return self

    @model_validator(mode="after")
    def _slices_are_known(self) -> Self:
        named = {name for pair in self.intersections for name in pair}
        unknown = sorted(named - set(self.slices))
        if unknown:
            raise ValueError(f"intersections of {', '.join(unknown)}, which `slices` does not list")
        return self

    @property
    def series_name(self) -> str:
        """Its name on series, dashboards and alerts: with the tenant in front unless it is the default one."""
        return self.name if self.tenant == "default" else f"{self.tenant}/{self.name}"

    @property
    def cuts(self) -> tuple[str, ...]:
        """What labelled rows are cut by: the slices, and the attribute of fairness."""
        attribute = (self.fairness.attribute,) if self.fairness else ()
        return tuple(dict.fromkeys((*self.slices, *attribute)))

    @property
    def detect_windows_s(self) -> tuple[float, ...]:
        """Windows that are scored: ``detect.windows``, else the shortest two of ``windows``."""
        return self.detect.windows or tuple(sorted(self.windows))[:2]

    @property
    def budget_s(self) -> float:
        """Mean seconds between false alarms that the budget allows this model version."""
        return FalseAlarmBudget.parse(self.detect.budget).mean_seconds(self.detect_windows_s)

    @property
    def all_windows_s(self) -> tuple[float, ...]:
        """Every window of the model once, shortest first."""
        return tuple(sorted({*self.windows, *self.detect_windows_s}))

    @property
    def step_ns(self) -> int:
        """Length of a pane in nanoseconds: the shortest window."""
        return round(min(self.all_windows_s) * 1e9)

    @property
    def positive_text(self) -> str:
        """The positive label as the text that labels are compared with."""
        return class_text(self.positive)


def duplicated(names: tuple[str, ...]) -> str | None:
    """The first name that is listed twice, or None."""
    return next((a for a, b in itertools.pairwise(sorted(names)) if a == b), None)
