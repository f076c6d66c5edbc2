"""What a model's inputs must be, stated by people: type, range, levels and gaps of each feature, checked on every row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Literal, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from calidris.config.class_names import class_text
from calidris.config.frozen import Config

InputType = Literal["number", "integer", "text", "boolean"]

Level = str | bool | int | float


class KnownLevels(NamedTuple):
    """Levels as columns have them.

    Attributes:
        texts: spellings. A level of digits may be written as a number in the settings.
        numbers: those that are numbers.
    """

    texts: frozenset[str]
    numbers: tuple[float, ...]


def _spellings(levels: Iterable[Level]) -> Iterator[str]:
    for level in levels:
        yield str(level)
        if not isinstance(level, str):
            yield class_text(level)


def _numbers(levels: Iterable[Level]) -> Iterator[float]:
    for level in levels:
        with suppress(ValueError):
            yield float(level)


class FeatureSchema(Config):
    """What one feature must be. What is not stated is not checked.

    Attributes:
        type: a ``boolean`` may come as 0 and 1 too, which is how the SDK sends truth values.
        min: the smallest number that is right.
        max: the largest one.
        levels: the only values that are right.
        nulls: false where every row must have a value. Which rows may go without is not told apart.
    """

    type: InputType | None = None
    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)
    levels: tuple[Level, ...] | None = None
    nulls: bool = True

    @cached_property
    def known_levels(self) -> KnownLevels:
        """The levels, read once: each row is laid against them."""
        levels = self.levels or ()
        texts = frozenset(_spellings(levels))
        numbers = tuple(_numbers(levels))
        return KnownLevels(texts, numbers)

    @property
    def is_bounded(self) -> bool:
        """Whether it has a range."""
        bounds = {self.min, self.max}
        return bounds != {None}

    @model_validator(mode="after")
    def _has_a_range_of_numbers(self) -> Self:
        if self.is_bounded and self.type in ("text", "boolean"):
            raise ValueError(f"`min` and `max` are for numbers, and this is {self.type}: leave them out")
        return self

    @model_validator(mode="after")
    def _has_room_between(self) -> Self:
        if self.min is None or self.max is None:
            return self
        if self.min > self.max:
            raise ValueError(f"`min` ({self.min:g}) is above `max` ({self.max:g}): no number is right")
        return self

    @model_validator(mode="after")
    def _has_levels_to_meet(self) -> Self:
        levels = self.levels
        if levels == ():
            raise ValueError("`levels` is empty: no value is right. Leave it out where any is")
        if self.type in ("number", "integer"):
            for level in levels or ():
                if isinstance(level, str):
                    raise ValueError(f"level {level!r} is no number, and the type is {self.type}")
        return self


class InputSchema(Config):
    """The inputs of a model.

    Attributes:
        mlflow: an ``MLmodel`` file, or the folder of a model that MLflow has saved: its signature says types and gaps.
        features: what each feature must be, by name. Of one that the signature has too, each key that stands here wins.
    """

    mlflow: str | None = None
    features: dict[str, FeatureSchema] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.mlflow is None and not self.features:
            raise ValueError("it says nothing: list `features`, or name the model's `mlflow` signature")
        return self

    def over(self, signature: Mapping[str, FeatureSchema], place: str) -> Self:
        """The same with what a signature says of features, or keys of them, that are not stated here; ``place`` is its path.

        Raises:
            ValueError: both together leave no value that is right.
        """
        merged = dict(signature)
        for name, stated in self.features.items():
            told = signature.get(name, FeatureSchema())
            merged[name] = _merge(name, told, stated)
        changes = {"features": merged, "mlflow": place}
        return self.model_copy(update=changes)

    def check_types(self, counted: Mapping[str, str]) -> None:
        """Refuse a feature that is said to be one thing here and is counted as another.

        Args:
            counted: the model's `types`.

        Raises:
            ValueError: there is one.
        """
        for name, feature in self.features.items():
            stated = feature.type
            same = "number" if stated == "integer" else stated
            other = counted.get(name, same)
            if stated is not None and other != same:
                raise ValueError(f"{name!r} is {other} in `types` and {stated} in `schema`: they must agree")


def _merge(
    name: str,
    told: FeatureSchema,
    stated: FeatureSchema,
) -> FeatureSchema:
    """What a signature tells of a feature, with each key that people stated in its place."""
    keys = told.model_dump()
    for key in stated.model_fields_set:
        keys[key] = getattr(stated, key)
    try:
        return FeatureSchema.model_validate(keys)
    except ValidationError as error:
        first = error.errors()[0]
        why = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"feature {name!r}: {why}") from None
