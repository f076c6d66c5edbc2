"""What the detectors are fed with agrees with the raw rows."""

import pytest

from calidris.detect.bets.groups import level_names
from calidris.detect.bets.losses import error_counts
from calidris.state import CountsState, Slice, Spec

SPEC = Spec(threshold=0.3, slices=(Slice("country", ("de",)), Slice("sex", ("f", "m"))))


def test_errors_agree_with_the_cells():
    state = CountsState(SPEC)
    state.field(0)[:] = [90, 2, 8, 0, 0]
    assert (error_counts(state) == [100, 10 * 2**30]).all()


def test_levels_of_a_slice_and_the_rest_of_it():
    assert level_names(SPEC, "sex") == ("f", "m", "(other)")
    with pytest.raises(ValueError, match="no slice"):
        level_names(SPEC, "age")
