"""What a user says about alarms: the budget, what it is spent on, and what is no news."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from calidris import semconv
from calidris.config.budget import FalseAlarmBudget
from calidris.config.frozen import Config
from calidris.config.units import Seconds, window_name

YEARLY = "1 per year"
LABEL_AGES_S = (3600.0, 21600.0, 86400.0, 259200.0, 604800.0, 2592000.0)
"""Ages at which labelled windows can be scored: the ends of the delay buckets of the states."""

PAGES = "performance"
"""The kind of alarm that may wake somebody: harm that true outcomes confirm. Others may where ``detect.page`` says so."""

AlarmKind = Literal["drift", "calibration", "errors", "latency", "fairness", "versions"]
Reference = Literal["frozen", "hour_of_week", "decayed"]
FairnessMeasure = Literal["demographic_parity", "equal_opportunity", "false_positive_rate", "accuracy"]


class SharesConfig(Config):
    """How a model's budget is spent: shares of the kinds of alarms. A kind with share 0 is not watched.

    The shares of the kinds that a model can have are scaled to add up to 1 when the file is read, and never again. That of ``labels``
    is a fifth of what ``performance`` says, which keeps the rest, unless it is given: so budgets from before there was such a kind
    stay what they were.
    """

    drift: float = Field(default=0.3, ge=0.0)
    performance: float = Field(default=0.25, ge=0.0)
    calibration: float = Field(default=0.1, ge=0.0)
    errors: float = Field(default=0.1, ge=0.0)
    latency: float = Field(default=0.1, ge=0.0)
    fairness: float = Field(default=0.1, ge=0.0)
    versions: float = Field(default=0.05, ge=0.0)
    # No share of its own by default: beside a stated `performance` it would move the budgets of all other kinds.
    labels: float | None = Field(default=None, ge=0.0)


class ThresholdConfig(Config):
    """A fixed limit on a figure, for people who must have one. It is outside of the budget, and says so in its alarm.

    Attributes:
        figure: name of a metric, such as ``ml.drift.score``.
        attributes: what else the figure must carry, such as ``{ml.feature.name: age, ml.drift.measure: psi}``.
        above: alarm above this.
        below: alarm below this.
        window: which window; the model's shortest one unless said.
        windows: so many windows in a row.
    """

    figure: str = Field(min_length=1)
    attributes: dict[str, str] = Field(default_factory=dict)
    above: float | None = Field(default=None, allow_inf_nan=False)
    below: float | None = Field(default=None, allow_inf_nan=False)
    window: Seconds | None = None
    windows: int = Field(default=1, ge=1)

    @field_validator("figure")
    @classmethod
    def _known_figure(cls, figure: str) -> str:
        known = sorted(m.name for m in semconv.METRICS if m.name.startswith("ml.") and m.instrument == "gauge")
        if figure not in known:
            raise ValueError(f"there is no figure {figure!r}; there are {', '.join(known)}")
        return figure

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("give either `above` or `below`")
        return self


class DetectConfig(Config):
    """When to speak.

    Attributes:
        windows: window lengths that are scored, each a detector of its own; they share the budget evenly.
        false_alarms: the budget for one version of this model, all kinds, windows and features together; by default the
            model's part of its team's or the fleet's budget (top level ``false_alarms``), else "1 per year".
        shares: what the budget is spent on.
        references: what drift is measured against: the frozen baseline, the same hour of earlier weeks, the last day. Only
            the first has a proven budget; they share drift's part evenly. The hour of the week may stand in place of the
            baseline; then drift has no proven budget.
        label_age: how old a window is when its labels are scored; labels that come later do not count for alarms.
        learn: how long live windows are looked at before they are believed to show the ordinary spread.
        tolerance: shifts smaller than this (in units of chi, about standard deviations) are not news.
        early_tolerance: likewise at the early level, whose alarms are tickets. At ``tolerance`` and above there is no such level.
        loss_tolerance: rises of the mean of a loss of predictions up to this are not news, in parts of its range: 0.005 is half a
            percentage point of accuracy.
        early_loss_tolerance: likewise at the early level.
        calibration_tolerance: likewise for what a score means, in logits: 0.1 is 2.5 percentage points at one half.
        importance: weight of a feature or output by name, 1 where not listed: an important one needs less evidence, and
            the others a little more.
        minimum_rows: a window with fewer rows is merged with the next one before it is scored.
        delta: chance, over the draw of the baseline, that the budget does not hold.
        pairs: how many pairs of numbers are watched for a change of their relation, those that belong together most; `baseline build`
            picks them. 0 is off.
        page: kinds of alarms that wake somebody too, where their evidence is strong; losses on true outcomes always do.
        clear_recovered: clear an alarm by itself when all that it named has come back, instead of only saying so. One of labels that
            moved always ends so.
        thresholds: fixed limits, none by default.
    """

    windows: tuple[Seconds, ...] | None = None
    false_alarms: str | None = None
    shares: SharesConfig = SharesConfig()
    references: tuple[Reference, ...] = ("frozen",)
    label_age: Seconds = "1d"  # type: ignore[assignment]  # parsed as written
    learn: Seconds = "7d"  # type: ignore[assignment]
    tolerance: float = Field(default=0.05, ge=0.0, le=1.0)
    # Half of it and less costs little: independent rows hardly use the budget. At 0 every wobble of the data would be news.
    early_tolerance: float = Field(default=0.02, ge=0.0, le=1.0)
    loss_tolerance: float = Field(default=0.005, ge=0.0, lt=1.0)
    # A loss is harm at any size, and its bets allow for the baseline's own error anyway.
    early_loss_tolerance: float = Field(default=0.0, ge=0.0, lt=1.0)
    calibration_tolerance: float = Field(default=0.1, ge=0.0, lt=2.0)
    importance: dict[str, Annotated[float, Field(gt=0.0, le=1e6)]] = Field(default_factory=dict)
    minimum_rows: int = Field(default=30, ge=1)
    delta: float = Field(default=0.05, gt=0.0, lt=1.0)
    pairs: int = Field(default=10, ge=0, le=100)
    page: tuple[AlarmKind, ...] = ()
    clear_recovered: bool = False
    thresholds: tuple[ThresholdConfig, ...] = ()

    @field_validator("false_alarms")
    @classmethod
    def _budget(cls, text: str | None) -> str | None:
        if text is not None:
            FalseAlarmBudget.parse(text)
        return text

    @field_validator("label_age")
    @classmethod
    def _known_age(cls, age_s: float) -> float:
        # Labels are counted in buckets of delay: of an age inside of one nobody can tell which came in time.
        if age_s not in LABEL_AGES_S:
            raise ValueError(f"labels are scored at an age of {', '.join(map(window_name, LABEL_AGES_S))}")
        return age_s

    @field_validator("references")
    @classmethod
    def _frozen_first(cls, references: tuple[Reference, ...]) -> tuple[Reference, ...]:
        if len(set(references)) != len(references):
            raise ValueError("each of them at most once")
        if not {"frozen", "hour_of_week"} & set(references):
            raise ValueError(
                "the frozen baseline must be among them, or hour_of_week in its place: the last day absorbs whatever lasts for a day"
            )
        return references

    @property
    def moving(self) -> tuple[Reference, ...]:
        """References that windows build, beside the frozen baseline or in its place."""
        return tuple(name for name in self.references if name != "frozen")

    @property
    def replaced(self) -> bool:
        """Whether the hour of the week stands in place of the frozen baseline."""
        return "frozen" not in self.references

    @property
    def budget(self) -> str:
        """The budget in the user's words."""
        return self.false_alarms or YEARLY

    def severity(self, kind: str, level: str) -> str:
        """Whom an alarm of a kind is for, a value of ``ml.detection.severity``.

        >>> DetectConfig().severity("performance", "strong"), DetectConfig().severity("performance", "early")
        ('page', 'ticket')
        """
        # Changed data is no harm yet, and what a user calls no news may be behind an early alarm.
        may_page = kind == PAGES or kind in self.page
        wakes = may_page and level == semconv.ML_DETECTION_LEVEL_STRONG
        return semconv.ML_DETECTION_SEVERITY_PAGE if wakes else semconv.ML_DETECTION_SEVERITY_TICKET


class FairnessConfig(Config):
    """Groups that must fare alike.

    Attributes:
        attribute: the slice whose levels are the groups.
        tolerance: difference of rates that is no news: 0.05 is five percentage points.
        measures: which rates are watched: decided positive, true positive, false positive, right.
    """

    attribute: str = Field(min_length=1)
    tolerance: float = Field(default=0.05, ge=0.0, lt=0.5)
    measures: tuple[FairnessMeasure, ...] = ("demographic_parity", "equal_opportunity")


class CanaryConfig(Config):
    """One version compared with another that serves at the same time, by chance and not by row.

    Attributes:
        version: the new one, which alarms name.
        against: the one that it is compared with.
        on: what is compared: shares of errors, of right decisions, the distribution of an output or of the duration.
        tolerance: difference of rates, or total variation, that is no news.
    """

    version: str = Field(min_length=1)
    against: str = Field(min_length=1)
    on: tuple[Literal["errors", "accuracy", "score", "decision", "value", "duration"], ...] = ("errors", "accuracy")
    tolerance: float = Field(default=0.02, ge=0.0, lt=0.5)

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.version == self.against:
            raise ValueError(f"version {self.version!r} cannot be compared with itself")
        return self


class SharedBudgetsConfig(Config):
    """One budget over many models. Each of its models has an even part of it; models that state their own have no part.

    Attributes:
        fleet: all configured models together.
        teams: all models of one owner together; goes before ``fleet``.
    """

    fleet: str | None = None
    teams: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _budgets(self) -> Self:
        for text in (self.fleet, *self.teams.values()):
            if text is not None:
                FalseAlarmBudget.parse(text)
        return self
