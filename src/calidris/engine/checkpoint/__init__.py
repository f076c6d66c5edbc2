"""All that the engine remembers in one SQLite file, written in one transaction and brought back at the next start."""

from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store

__all__ = ["Checkpoint", "Store"]
