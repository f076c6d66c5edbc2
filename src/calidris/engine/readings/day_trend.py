"""When a day's figures are taken, and how fast they move."""

from __future__ import annotations

from calidris.config.detection import LABEL_AGES_S
from calidris.engine.model import WatchedModel
from calidris.engine.panes.days import DAY_NS, Days
from calidris.engine.panes.label_totals import whole_labels
from calidris.metrics.base import Reading
from calidris.metrics.day_figures import OF_BASELINE, day_figures
from calidris.metrics.trend import Point, trend_readings

MOST_DAYS = 2
"""Days that are taken anew at one seal: their panes are read from the disk, and labels of all days may be revised at once."""


def day_age_s(model: WatchedModel, until_ns: int) -> float:
    """The age at which a day's labels are counted: ``detect.label_age``, or less where memory does not hold panes so long."""
    newest = model.newest_sealed_ns or until_ns
    held_s = (newest - model.needed_since_ns(newest) - model.config.step_ns) / 1e9
    return max((age for age in LABEL_AGES_S if age <= min(held_s, model.config.detect.label_age)), default=0.0)


def note_day(days: Days, model: WatchedModel, after_ns: int, until_ns: int) -> None:
    """Add the panes whose labels came of age in ``(after_ns, until_ns]`` to their day, and close days that are over.

    To be called once a seal, after its windows, with the seal's own bounds. A function of the journal.
    """
    if not model.labels:
        return
    age_s, step = day_age_s(model, until_ns), model.config.step_ns
    age, delay = round(age_s * 1e9), LABEL_AGES_S.index(age_s) if age_s else 0
    panes = model.panes_in(after_ns - age - step + 1, until_ns - age - step + 1)
    for day in sorted({key.start_ns // DAY_NS for key, _ in panes}):
        days.close(model.spec, day)
        own = [p.labels for k, p in panes if k.start_ns // DAY_NS == day and model.specs[k.spec] == model.spec]
        days.add(model.spec, day, whole_labels(model.spec, own), delay)
    days.close(model.spec, (until_ns - age) // DAY_NS)
    _retake_revised(days, model, until_ns - age - step + 1, delay)
    model.unsaved = True


def _retake_revised(days: Days, model: WatchedModel, before_ns: int, delay: int) -> None:
    """Take days anew whose labels were revised since; the trend tells of what is true, not of what was told first."""
    for day, number in days.take_revised(MOST_DAYS):
        spec = model.specs[number]
        panes = model.panes_in(day * DAY_NS, min((day + 1) * DAY_NS, before_ns))
        newest = max((key.spec for key, _ in panes), default=0)
        # Where another spec came that day, its rows are the day's.
        if model.specs[newest] == spec:
            own = [pane.labels for key, pane in panes if model.specs[key.spec] == spec]
            days.retake(spec, day, whole_labels(spec, own), delay)


def note_traffic(model: WatchedModel, after_ns: int, until_ns: int) -> None:
    """Add the windows that a seal closes to their day, and take the figures of one that is over.

    To be called once a seal, after its windows, with the seal's own bounds. A function of the journal.
    """
    step = model.config.step_ns
    panes = model.panes_in(after_ns - step + 1, until_ns - step + 1)
    sealed = [(key.start_ns // DAY_NS, pane) for key, pane in panes if model.specs[key.spec] == model.spec]
    for day in sorted({day for day, _ in sealed}):
        _end_day(model, day)
        model.traffic_day.add(day, model.spec, [pane for its_day, pane in sealed if its_day == day])
    _end_day(model, until_ns // DAY_NS)
    model.unsaved = True


def _end_day(model: WatchedModel, day: int) -> None:
    """Turn the rows of a day before ``day`` into points of that day."""
    number = model.traffic_day.number
    counts = model.traffic_day.take_finished(day)
    if counts is None:
        return
    baseline = model.baseline
    of_same_cells = baseline.counts if baseline is not None and baseline.spec == counts.spec else None
    if baseline is not None and not model.traffic_day.compare_with(baseline.id):
        model.days.forget(OF_BASELINE)
    for figure in day_figures(counts, of_same_cells):
        model.days.note(number, *figure)


def day_trend_readings(days: Days, now_ns: int) -> list[Reading]:
    """``ml.performance.trend`` over 7 and 28 days of each headline figure that has a past day."""
    measures = dict.fromkeys(p.measure for p in days.points)
    return [
        r
        for measure in measures
        for r in trend_readings(
            [Point(p.time_s, p.value, p.error) for p in days.points if p.measure == measure], measure, now_ns / 1e9
        )
    ]
