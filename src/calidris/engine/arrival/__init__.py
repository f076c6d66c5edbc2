"""How rows come: one by one as they are asked for, or in jobs that bring a night at once."""

from calidris.engine.arrival.jobs import Jobs

__all__ = ["Jobs"]
