"""Where the journal and the state are, and how long what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import model_validator

from calidris.config.frozen import Config
from calidris.config.units import Bytes, Seconds

_MIB = 2**20


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
