"""Baseline: a frozen, named, hashed bundle of states, with its own windows' spread."""

from calidris.baseline.build import BaselineColumns, Wanted, build
from calidris.baseline.bundle import Baseline, read, write
from calidris.baseline.learn import learn_spec

__all__ = ["Baseline", "BaselineColumns", "Wanted", "build", "learn_spec", "read", "write"]
