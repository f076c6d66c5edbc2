"""The single writer: applies journal records in order, feeds the detectors, and freezes what readers see."""

from calidris.engine.commands import BadCommand, Command
from calidris.engine.core import Engine
from calidris.engine.inbox import Inbox, Received
from calidris.engine.snapshot import Alarm, ModelSnapshot, Snapshot

__all__ = ["Alarm", "BadCommand", "Command", "Engine", "Inbox", "ModelSnapshot", "Received", "Snapshot"]
