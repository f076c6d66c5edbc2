"""Composition root and lifecycle of ``calidris serve``."""

from calidris.app.baselines import check_baselines
from calidris.app.server import Server

__all__ = ["Server", "check_baselines"]
