"""The list of alarms with its latches, what mends the two where they differ, and what a seal's failed parts leave behind."""

from calidris.engine.alarms.book import AlarmBook
from calidris.engine.alarms.failures import Failures

__all__ = ["AlarmBook", "Failures"]
