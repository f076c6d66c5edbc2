"""What is bet on: one file for each kind of change, with what its bets are fed with."""

from calidris.detect.bets.calibration import calibration_bets
from calidris.detect.bets.drift_recovery import drift_recovery
from calidris.detect.bets.features import Bets
from calidris.detect.bets.freezing import SLOWER, freeze
from calidris.detect.bets.groups import group_bets
from calidris.detect.bets.losses import Loss, loss_bets
from calidris.detect.bets.reliability import reliability_bets
from calidris.detect.bets.seasonal import SeasonalBets, Which
from calidris.detect.bets.versions import version_bets, version_counts
from calidris.detect.bets.window_scores import window_score_bets

__all__ = [
    "SLOWER",
    "Bets",
    "Loss",
    "SeasonalBets",
    "Which",
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
