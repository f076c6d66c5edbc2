"""Where monitoring stands, in one sentence for people: what is so, why it is so, and what changes it.

A sentence may name a command or a setting only where that is the cure of this very cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline
from calidris.baseline.bundle import MIN_WINDOWS
from calidris.config.units import window_name
from calidris.detect import Alert
from calidris.detect.calendar import DAY_NS, IN_UTC, Calendar
from calidris.detect.evidence.day_blocks import ENOUGH_DAYS, FEWEST_DAYS, Days
from calidris.engine.detectors.slot import SlotWatcher
from calidris.engine.detectors.watcher import COMPARED, Watcher
from calidris.engine.learning import MAX_BYTES, MIN_ROWS, Reservoir, learned_note
from calidris.engine.model import MISSED_JOBS, WatchedModel

STALE_WINDOWS = 3
"""A model is stale once its newest row is so many of its longest scored windows old."""


def without_baseline(model: WatchedModel) -> str:
    """Why there is none, and what is missing for a provisional one."""
    asked = f"{model.baseline_note}; " if model.baseline_note else ""
    kept = model.reservoir
    if kept is None:
        return f"{asked}no baseline"
    return f"{asked}no baseline; {_towards(kept, model.rows)}"


def _towards(kept: Reservoir, rows: int) -> str:
    if rows and not kept.rows:
        return f"none of its {rows:,} rows has a feature, score, class or value to learn a provisional one from"
    if kept.rows >= MIN_ROWS:
        return "a provisional one is learned when the next window closes"
    if kept.size_bytes >= MAX_BYTES:
        return (
            f"{kept.rows:,} rows fill the {MAX_BYTES >> 20} MiB that are kept to learn a provisional one, which needs "
            f"{MIN_ROWS}: send fewer or shorter features, or build one with `calidris baseline build`"
        )
    return f"{kept.rows:,} of {MIN_ROWS} rows towards a provisional one"


def provisional(model: WatchedModel, baseline: Baseline) -> str:
    """Who made it, what it cannot do, and why there is no other one."""
    note = learned_note(baseline)
    said = f"provisional baseline {note}: nothing alarms against it"
    return f"{model.baseline_note}; {said}" if model.baseline_note else said


def stale(model: WatchedModel, longest_ns: int, sealed_ns: int) -> str:
    """Whether rows stopped, or only their times did."""
    span = f"{STALE_WINDOWS} windows of {window_name(longest_ns / 1e9)}"
    newest = f"{datetime.fromtimestamp(model.last_event_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if model.is_batch:
        return f"{MISSED_JOBS} jobs or more are missing: the newest row is of {newest}; see whether the job runs and still sends"
    if sealed_ns - model.seen_ns > STALE_WINDOWS * longest_ns:
        return f"no predictions for {span}: the newest is of {newest}; see whether the service runs and still sends"
    return (
        f"predictions arrive, and the newest is of {newest}, more than {span} ago: windows of that time are closed. See the "
        "sender's clock, or its backlog"
    )


def unsealed(model: WatchedModel, sealed_ns: int) -> str:
    """Why no window of the model was scored or shown as closed yet."""
    step_ns = model.config.step_ns
    length = window_name(step_ns / 1e9)
    ends_ns = (model.last_event_ns // step_ns + 1) * step_ns
    if model.is_batch:
        idle = window_name(model.config.batch_idle)
        return f"rows of a job arrive: its windows close once none has come for {idle} (`batch_idle`)"
    if sealed_ns >= ends_ns:
        # A seal takes the windows that have rows by then: those that come later never are.
        return (
            f"its rows came after their {length} windows were closed, so none was scored; see what delays the sender, or raise "
            "`receiver.lateness`"
        )
    return f"the first window of {length} is not full yet"


def learning(baseline: Baseline, learning_ones: Sequence[SlotWatcher], drift: Iterable[SlotWatcher]) -> str:
    """What the baseline lacks, how far the learning is, what alarms meanwhile, and what would have made it unnecessary."""
    slowest = min(learning_ones, key=_share_learned)
    cause, cure = missing_spread(baseline, slowest.recipe.slot.window_s)
    lengths = _lengths(learning_ones)
    said = f"{cause}; the spread of live {lengths} windows is learned first: {_progress(slowest)}, no drift alarm on them before"
    working = _lengths(watch for watch in drift if watch.learner is None)
    others = f" ({working} windows alarm already)" if working else ""
    return f"{said}{others}. {cure} makes this unnecessary"


def missing_spread(baseline: Baseline, window_s: float) -> tuple[str, str]:
    """Why a baseline does not know how much windows of a length differ, and what would."""
    length = window_name(window_s)
    if not len(baseline.window_starts):
        return (
            "the baseline has no time order, as it was built without --time",
            "`calidris baseline build --time COLUMN`",
        )
    ratio = window_s / baseline.window_s
    if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-9:
        own = window_name(baseline.window_s)
        return (
            f"the baseline was built for windows of {own}, which make none of {length}",
            "Building it with these settings",
        )
    # Windows with rows, wherever they lie: a gap between them costs nothing.
    found = np.unique(baseline.window_starts // round(window_s * 1e9))
    cause = f"the baseline has {len(found)} windows of {length}, {MIN_WINDOWS} are needed to know their spread"
    return cause, f"A baseline of rows in at least {MIN_WINDOWS} windows of {length}"


def rebuild(baseline: Baseline, pairs: int = 0, corners: bool = True) -> str:
    """What a baseline of an earlier version lacks, and what is not watched for it; nothing where it lacks nothing.

    Args:
        baseline: the model's.
        pairs: how many pairs of columns the settings want to be watched.
        corners: whether they want corners of the space to be.
    """
    said = [_no_errors(baseline), _same_rows(baseline), _lacks_pairs(baseline, pairs)]
    if corners:
        said.append(_no_corners(baseline))
    return "; ".join(filter(None, said))


def _no_errors(baseline: Baseline) -> str:
    regression = baseline.spec.task == semconv.ML_MODEL_TASK_REGRESSION
    if not regression or not baseline.labels.count or baseline.spec.losses:
        return ""
    return (
        "rebuild its baseline: 99 in 100 of its labelled rows have no error at all, so that nothing says what is worse and performance is not "
        "watched; or set a limit on a figure under `thresholds`"
    )


def _no_corners(baseline: Baseline) -> str:
    if not baseline.lacks_corners:
        return ""
    return (
        "rebuild its baseline: it does not divide the space of features, so that losses are watched of all rows together and in no "
        "corner of it"
    )


def _lacks_pairs(baseline: Baseline, pairs: int) -> str:
    if not pairs:
        return ""
    if baseline.lacks_pairs:
        return "rebuild its baseline: it lacks `pairs`, as an earlier version built it, so that no relation of two columns is watched"
    if baseline.wanted_pairs == 0 and not baseline.provisional:
        return "rebuild its baseline: it lacks `pairs`, as it was built with `detect.pairs: 0`, so that no relation of two columns is watched"
    return ""


def _same_rows(baseline: Baseline) -> str:
    if not baseline.same_rows:
        return ""
    listed = ", ".join(map(repr, sorted(baseline.same_rows)))
    return (
        f"rebuild its baseline: an earlier version picked and counted the levels of {listed} by the same rows, so that only "
        "missing values of these are watched"
    )


def few_days(baseline: Baseline, window_s: float, calendar: Calendar = IN_UTC) -> str:
    """That a baseline's days are too few to know how much windows of one day depend on each other; nothing where they are not."""
    if window_s * 2e9 > DAY_NS or baseline.windows_of(window_s) is None:
        return ""
    whole = Days.of(baseline.starts_of(window_s), calendar=calendar).whole
    if whole >= ENOUGH_DAYS:
        return ""
    return (
        f"its baseline has {whole} whole days of {window_name(window_s)} windows, {ENOUGH_DAYS} are needed to know well how much "
        "windows of one day depend on each other: where they show that they do, the upper end of a 90 % interval is used"
    )


def missing_weekdays(baseline: Baseline, calendar: Calendar = IN_UTC) -> str:
    """That what is usual on some days of the week is unknown; nothing where every one of them was seen, or where there are no times."""
    starts = baseline.window_starts
    missing = calendar.find_missing_weekdays(starts)
    days = len(np.unique(calendar.days(starts)))
    # Of a day or two everybody knows that they are no week.
    if not missing or days < FEWEST_DAYS:
        return ""
    return (
        f"its baseline has no {' and no '.join(missing)}: what is usual then is unknown, and the first one raises an alarm if it differs "
        "from the other days; build it from whole weeks, two at least"
    )


def compared(model: WatchedModel, watcher: Watcher) -> str:
    """With what, and which kinds of alarm still learn."""
    said = model.baseline_note or "compared with its baseline"
    said = f"{said}{_tell_lacking(watcher)}{_tell_labels(watcher)}"
    waiting: dict[Alert, list[SlotWatcher]] = {}
    for slot, watch in watcher.slots.items():
        # How labels come is always learned live, and says nothing of the model.
        if watch.learner is not None and slot.kind is not Alert.LABELS:
            waiting.setdefault(slot.kind, []).append(watch)
    parts = [f"{kind.value} on {_lengths(found)} windows" for kind, found in waiting.items()]
    if not parts:
        return said
    slowest = min((watch for found in waiting.values() for watch in found), key=_share_learned)
    return (
        f"{said}; not yet alarming, as their spread is learned live: {', '.join(parts)} ({_progress(slowest)} at least)"
    )


def _tell_lacking(watcher: Watcher) -> str:
    """What the baseline should be built again for, if anything."""
    if watcher.baseline is None:
        return ""
    detect = watcher.config.detect
    lacking = rebuild(watcher.baseline, detect.pairs, detect.corners)
    return f"; {lacking}" if lacking else ""


def _tell_labels(watcher: Watcher) -> str:
    """That labels have moved, so that what they say is not judged; else that a baseline without their times has live windows learned."""
    held = [watch for slot, watch in watcher.slots.items() if watcher.holds(slot)]
    if held:
        kinds = list(dict.fromkeys(watch.recipe.slot.kind.value for watch in held))
        are = "is" if len(kinds) == 1 else "are"
        return f"; labels come at other times than they did: until that alarm is cleared or over, {', '.join(kinds)} {are} not judged"
    learns = any(slot.kind in COMPARED and watch.learner is not None for slot, watch in watcher.slots.items())
    return f"; {explain_no_label_times(watcher.baseline)}" if learns and watcher.baseline is not None else ""


def explain_no_label_times(baseline: Baseline) -> str:
    """That a baseline does not say when its labels came, and what that costs; nothing where it does, or has no labels."""
    if baseline.label_times or not baseline.labels.count:
        return ""
    cause = (
        "was built without --label-time"
        if baseline.label_times is False
        else "is of an earlier version and may have no label times"
    )
    return (
        f"its baseline {cause}: what labels of one age are like is learned live first, and neither performance nor calibration alarms "
        "before"
    )


def failing(watcher: Watcher) -> Iterator[str]:
    """Parts of its seals that failed since the process began: what they should have told is missing."""
    for part, failure in watcher.failures.found.items():
        often = "" if failure.times == 1 else f", {failure.times} times"
        yield f"{part} failed and was left out ({failure.error}{often} since the start; the log has all of it, once)"


def never_valued(watcher: Watcher) -> Iterator[str]:
    """Fixed limits on a figure that no closed window has given yet: they cannot fire."""
    for limit in watcher.limits:
        if limit.valueless:
            windows = f"{limit.valueless} windows of {window_name(limit.window_s)}"
            yield f"the threshold {limit.reference!r} has never had a value ({windows}), so it cannot fire"


def _learned(watch: SlotWatcher) -> int:
    return 0 if watch.learner is None else len(watch.learner.windows)


def _share_learned(watch: SlotWatcher) -> float:
    return _learned(watch) / _count_wanted(watch)


def _count_wanted(watch: SlotWatcher) -> int:
    return watch.wanted if watch.learner is None else watch.learner.wanted


def _progress(watch: SlotWatcher) -> str:
    every = "" if watch.stride == 1 else f" (one in {watch.stride})"
    return f"{_learned(watch)} of {_count_wanted(watch)}{every}"


def _lengths(watches: Iterable[SlotWatcher]) -> str:
    """Lengths of windows, shortest first."""
    found = sorted({watch.recipe.slot.window_s for watch in watches})
    return " and ".join(map(window_name, found))
