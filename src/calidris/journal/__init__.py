"""An append-only log on disk: what is acknowledged is here first. It knows no OTLP and no engine."""

from calidris.journal.disk import lock_directory
from calidris.journal.journal import Journal
from calidris.journal.segment_format import Kind, Record, seal_payload
from calidris.journal.timing import Timing

__all__ = [
    "Journal",
    "Kind",
    "Record",
    "Timing",
    "lock_directory",
    "seal_payload",
]
