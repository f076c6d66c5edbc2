"""When to speak: evidence that accumulates over windows, with a false-alarm budget. No I/O, no clock, no threads."""

from calidris.detect.bets import Bets
from calidris.detect.calibration import calibration_bets
from calidris.detect.drift_recovery import drift_recovery
from calidris.detect.edetector import Detector
from calidris.detect.freezing import SLOWER, freeze
from calidris.detect.game import Game
from calidris.detect.group_bets import group_bets
from calidris.detect.layout import Layout
from calidris.detect.learner import DesignLearner
from calidris.detect.loss_bets import loss_bets
from calidris.detect.losses import Loss
from calidris.detect.recovery import Recovery
from calidris.detect.references import References
from calidris.detect.reliability_bets import reliability_bets
from calidris.detect.rules import ThresholdRule
from calidris.detect.seasonal import SeasonalBets
from calidris.detect.suite import SHARES, Alert, Budget, Slot
from calidris.detect.verdict import Change, Verdict
from calidris.detect.versions import version_bets, version_counts
from calidris.detect.window_scores import window_score_bets
from calidris.detect.windows import MINIMUM_ROWS

__all__ = [
    "MINIMUM_ROWS",
    "SHARES",
    "SLOWER",
    "Alert",
    "Bets",
    "Budget",
    "Change",
    "DesignLearner",
    "Detector",
    "Game",
    "Layout",
    "Loss",
    "Recovery",
    "References",
    "SeasonalBets",
    "Slot",
    "ThresholdRule",
    "Verdict",
    "calibration_bets",
    "drift_recovery",
    "freeze",
    "group_bets",
    "loss_bets",
    "reliability_bets",
    "version_bets",
    "version_counts",
    "window_score_bets",
]
