"""What counts as a probability, wherever scores come in: in the SDK, on the wire and in the file of a baseline."""

from __future__ import annotations

from typing import Final

TOLERANCE: Final = 1e-4
"""So far outside of [0, 1] a score is taken for a rounding error, cut off there and counted: single precision
rounds by 6e-8, and sums of a thousand such values by up to this. What lies further outside is no probability."""
