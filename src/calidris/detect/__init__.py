"""When to speak: evidence that accumulates over windows, with a false-alarm budget. No I/O, no clock, no threads."""

from calidris.detect.bets.calibration import calibration_bets
from calidris.detect.bets.drift_recovery import drift_recovery
from calidris.detect.bets.features import Bets
from calidris.detect.bets.freezing import SLOWER, freeze
from calidris.detect.bets.groups import group_bets
from calidris.detect.bets.losses import Loss, loss_bets
from calidris.detect.bets.reliability import reliability_bets
from calidris.detect.bets.seasonal import SeasonalBets
from calidris.detect.bets.versions import version_bets, version_counts
from calidris.detect.bets.window_scores import window_score_bets
from calidris.detect.budget import SHARES, Alert, Budget, Slot
from calidris.detect.evidence.design_learner import DesignLearner
from calidris.detect.evidence.detector import Detector
from calidris.detect.evidence.onset import Onset
from calidris.detect.evidence.recovery import Recovery
from calidris.detect.evidence.verdict import Change, Verdict
from calidris.detect.evidence.windows import MINIMUM_ROWS
from calidris.detect.game import Game
from calidris.detect.layout import Layout
from calidris.detect.references import References
from calidris.detect.rules import ThresholdRule

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
    "Onset",
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
