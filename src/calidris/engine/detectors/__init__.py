"""Which detectors a model has, what each is made of, and each at work."""

from calidris.engine.detectors.budgets import budget_of, check_budgets
from calidris.engine.detectors.slot import SlotWatch
from calidris.engine.detectors.watcher import Watcher

__all__ = ["SlotWatch", "Watcher", "budget_of", "check_budgets"]
