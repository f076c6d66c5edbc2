"""Evidence on the page: of small windows too, and of the detector that is nearest to an alarm."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.report.snapshots import HOUR_NS, NOW_NS, credit_model

from calidris import semconv
from calidris.engine.snapshot import WindowPoint
from calidris.metrics import reading
from calidris.report import charts
from calidris.report.tables import tiles


def test_windows_that_stand_alone_between_merged_ones_are_dots() -> None:
    """Every second hour has too few rows and counts with the next: a line of one point would be none."""
    points = [
        WindowPoint("1h", NOW_NS + i * HOUR_NS, 17, 0.4 if i % 2 else None, None, False)
        for i in range(10)
    ]  # fmt: skip
    drawn = str(charts.evidence("1h", points))
    assert len(re.findall(r'<circle [^>]*class="now-dot"', drawn)) == 5
    joined = [replace(point, evidence=0.4) for point in points]
    assert "now-dot" not in str(charts.evidence("1h", joined))


def test_the_first_tile_is_of_the_detector_that_is_nearest_to_an_alarm() -> None:
    model = credit_model()
    found = [
        reading(
            semconv.METRIC_ML_DETECTION_EVIDENCE,
            value,
            37,
            window="1h",
            attributes={semconv.ML_DETECTION_KIND: kind},
        )
        for kind, value in (("labels", 0.06), ("drift", 0.7), ("errors", 0.1))
    ]
    others = [r for r in model.readings if r.metric is not semconv.METRIC_ML_DETECTION_EVIDENCE]
    model = replace(model, readings=(*found, *others))
    (title, shown), *_ = tiles(model, ["1h"])
    assert (title, shown.text) == ("Evidence of a change", "0.70")
