"""How rows come: one by one or in jobs that bring a night at once, with which slices, and whether they are what was stated."""

from calidris.engine.arrival.jobs import Jobs
from calidris.engine.arrival.sent_slices import SentSlices
from calidris.engine.arrival.stated_inputs import StatedInputs

__all__ = ["Jobs", "SentSlices", "StatedInputs"]
