"""Which settings and which program raised an alarm: with the baseline's id, all that it takes to raise it again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from calidris import __version__
from calidris.config import ModelConfig
from calidris.engine.snapshot import Alarm

_BYTES = 6


def hash_settings(config: ModelConfig) -> str:
    """Twelve hexadecimal digits, equal for models whose settings have the same effect.

    Defaults are spelled out, so it does not matter whether one was written. Where the baseline's file lies is left out: an alarm has
    the id of what the file holds.

    >>> hash_settings(ModelConfig(name="a")) == hash_settings(ModelConfig(name="a", threshold=0.5))
    True
    >>> hash_settings(ModelConfig(name="a")) == hash_settings(ModelConfig(name="a", threshold=0.4))
    False
    """
    effective = config.model_dump(mode="json", exclude={"baseline"})
    text = json.dumps(effective, sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=_BYTES)
    return digest.hexdigest()


def stamp(alarm: Alarm, config: ModelConfig) -> Alarm:
    """The alarm with the id of its model's settings and the version of this program."""
    return replace(
        alarm,
        settings=hash_settings(config),
        program=__version__,
    )
