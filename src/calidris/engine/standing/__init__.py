"""Where the monitoring of a model stands, in words: why its status is what it is, and which configured models never came."""

from calidris.engine.standing.absent import Absent, Expected, find_absent, find_unconfigured

__all__ = ["Absent", "Expected", "find_absent", "find_unconfigured"]
