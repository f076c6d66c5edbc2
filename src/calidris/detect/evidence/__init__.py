"""What bets add up to: evidence over windows, an alarm within the budget, and the way back from it."""

from calidris.detect.evidence.design_effect import Windows, at_size, upper
from calidris.detect.evidence.design_learner import DesignLearner
from calidris.detect.evidence.detector import Detector
from calidris.detect.evidence.recovery import Recovery
from calidris.detect.evidence.verdict import Change, Verdict
from calidris.detect.evidence.windows import MINIMUM_ROWS, Carry, merge_small

__all__ = [
    "MINIMUM_ROWS",
    "Carry",
    "Change",
    "DesignLearner",
    "Detector",
    "Recovery",
    "Verdict",
    "Windows",
    "at_size",
    "merge_small",
    "upper",
]
