"""Which detectors a model may have, and how its one false-alarm budget is shared over them: a function of the settings alone."""

from __future__ import annotations

from calidris import semconv
from calidris.config import CalidrisConfig, ModelConfig
from calidris.detect import Alert, Budget, Slot
from calidris.errors import ConfigError

DELAYS, COVERAGE = "delays", "coverage"
"""What is watched of labels: how late those of each outcome are, and how many rows have one in time."""
PART_OF_PERFORMANCE = 0.2
"""The part of what ``performance`` has that goes to the kind ``labels``, which was added later: no other budget moves for it."""

_HOUR_S = 3600.0


def slots_of(config: ModelConfig) -> list[Slot]:
    """Every detector that the settings allow, whether or not data will ever fill it.

    Fairness and calibration need many labels, so only the longest scored window watches them. Seasonal references are laid
    hour by hour, so the longest scored window of at most an hour has them. What watches the labels comes first: of each window it
    must have spoken before what holds while labels move.
    """
    lengths = sorted(config.detect_windows_s)
    slots = [Slot(Alert.LABELS, w, what) for w in lengths for what in (DELAYS, COVERAGE)]
    kinds = [Alert.DRIFT, Alert.PERFORMANCE, Alert.ERRORS, Alert.LATENCY]
    if config.detect.replaced:
        kinds.remove(Alert.DRIFT)
    slots += [Slot(kind, w) for kind in kinds for w in lengths]
    if config.task != semconv.ML_MODEL_TASK_REGRESSION:
        slots.append(Slot(Alert.CALIBRATION, lengths[-1]))
    if config.fairness is not None and config.task == semconv.ML_MODEL_TASK_BINARY:
        slots += [Slot(Alert.FAIRNESS, lengths[-1], measure) for measure in config.fairness.measures]
    if config.canary is not None:
        slots += [Slot(Alert.VERSIONS, lengths[-1], what) for what in config.canary.on]
    hourly = [w for w in lengths if w <= _HOUR_S]
    slots += [Slot(Alert.DRIFT, hourly[-1], name) for name in config.detect.moving if hourly]
    shares = shares_of(config, slots)
    return [slot for slot in slots if shares.get(slot.kind, 0.0) > 0.0]


def shares_of(config: ModelConfig, slots: list[Slot]) -> dict[Alert, float]:
    """The part of the budget of each kind that has a slot; adds up to 1."""
    kinds = {slot.kind for slot in slots}
    wanted = _read_shares(config)
    total = sum(share for kind, share in wanted.items() if kind in kinds)
    return {kind: share / total for kind, share in wanted.items() if kind in kinds} if total else {}


def _read_shares(config: ModelConfig) -> dict[Alert, float]:
    """The shares of all kinds as they were stated; a kind that was added later takes its own from its parent's."""
    stated = config.detect.shares.model_dump()
    shares = {Alert(name): share for name, share in stated.items() if share is not None}
    if Alert.LABELS not in shares:
        given = PART_OF_PERFORMANCE * shares[Alert.PERFORMANCE]
        shares[Alert.LABELS] = given
        shares[Alert.PERFORMANCE] -= given
    return shares


def budget_of(config: ModelConfig) -> Budget:
    """The thresholds of all slots of a model.

    Raises:
        ValueError: its windows are too long for its false-alarm budget.
    """
    slots = slots_of(config)
    return Budget(config.budget_s, slots, shares_of(config, slots))


def check_budgets(config: CalidrisConfig) -> None:
    """Refuse what no detector can keep, at the start rather than at a model's first row.

    Raises:
        ConfigError: a model's windows are too long for its false-alarm budget, or for a reference.
    """
    for i, stated in enumerate(config.models):
        model = config.model(stated.name, stated.tenant)
        try:
            budget_of(model)
        except ValueError as error:
            raise ConfigError(f"models.{i}.detect.false_alarms: {error}") from error
        if model.detect.moving and min(model.detect_windows_s) > _HOUR_S:
            raise ConfigError(
                f"models.{i}.detect.references: {model.detect.moving[0]} needs a scored window of at most 1h; "
                "add one to detect.windows, or leave the reference out"
            )
