"""Ground truth that comes late: predictions wait, compactly and bounded, until their label names them."""

from calidris.labels.early import EarlyLabels
from calidris.labels.id_hashes import NO_ID, hash_ids, hash_text
from calidris.labels.pending import Chunk, PendingPredictions, pending_dtype

__all__ = ["NO_ID", "Chunk", "EarlyLabels", "PendingPredictions", "hash_ids", "hash_text", "pending_dtype"]
