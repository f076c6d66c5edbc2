"""How the receiver logs."""

from __future__ import annotations

from typing import Literal

from calidris.config.base import Config


class LogConfig(Config):
    """What ``calidris serve`` writes to stderr.

    Attributes:
        format: ``text`` for people, ``json`` for one object a line; ``auto`` is text on a terminal and json elsewhere.
        level: what is less important is left out.
    """

    format: Literal["auto", "text", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"
