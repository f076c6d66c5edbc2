"""How rows come: one by one as they are asked for, or in jobs that bring a night at once; and whether they are what was stated."""

from calidris.engine.arrival.jobs import Jobs
from calidris.engine.arrival.stated_inputs import StatedInputs

__all__ = ["Jobs", "StatedInputs"]
