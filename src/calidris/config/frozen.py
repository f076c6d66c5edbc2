"""The common behaviour of every config class: frozen, and unknown keys are refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen part of ``calidris.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
