"""Ground truth that comes late: predictions wait, compactly and bounded, until their label names them."""

from calidris.labels.early import EarlyLabels
from calidris.labels.held import REVISED, Held, Verdicts, held_dtype, judge, newest
from calidris.labels.id_hashes import NO_ID, hash_ids, hash_text
from calidris.labels.pending import Chunk, Match, PendingPredictions, pending_dtype, row_bytes

__all__ = [
    "NO_ID",
    "REVISED",
    "Chunk",
    "EarlyLabels",
    "Held",
    "Match",
    "PendingPredictions",
    "Verdicts",
    "hash_ids",
    "hash_text",
    "held_dtype",
    "judge",
    "newest",
    "pending_dtype",
    "row_bytes",
]  # fmt: skip
