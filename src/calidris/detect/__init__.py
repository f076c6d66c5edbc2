"""When to speak: evidence that accumulates over windows, with a false-alarm budget. No I/O, no clock, no threads."""

from calidris.detect.bets import Bets
from calidris.detect.budget import thresholds
from calidris.detect.edetector import Detector
from calidris.detect.freezing import SLOWER, freeze
from calidris.detect.learner import DesignLearner
from calidris.detect.verdict import Change, Verdict
from calidris.detect.windows import MINIMUM_ROWS

__all__ = [
    "MINIMUM_ROWS",
    "SLOWER",
    "Bets",
    "Change",
    "DesignLearner",
    "Detector",
    "Verdict",
    "freeze",
    "thresholds",
]
