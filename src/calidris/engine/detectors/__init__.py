"""Which detectors a model has, what each is made of, and each at work."""

from calidris.engine.detectors.budgets import budget_of, check_budgets
from calidris.engine.detectors.slot import SlotWatcher
from calidris.engine.detectors.watcher import Watcher

__all__ = ["SlotWatcher", "Watcher", "budget_of", "check_budgets"]
