"""How rows come: one by one as they are asked for, or in jobs that bring a night at once; and with which slices."""

from calidris.engine.arrival.jobs import Jobs
from calidris.engine.arrival.sent_slices import SentSlices

__all__ = ["Jobs", "SentSlices"]
