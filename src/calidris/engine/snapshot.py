"""Snapshot: everything a reader may ask for, frozen. The engine swaps in a new one; readers never take a lock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from threading import Lock

from calidris import semconv
from calidris.baseline.replayed import Replayed
from calidris.batch import ModelKey
from calidris.detect import Onset
from calidris.engine.commands import Command
from calidris.engine.panes.days import DayPoint
from calidris.engine.panes.pane import Window
from calidris.engine.senders import LeftOut
from calidris.metrics.base import Reading, Status
from calidris.metrics.input_faults import FaultCount
from calidris.metrics.quality import is_new
from calidris.state import CountsState, MomentsState, ScoresState, Spec


@dataclass(frozen=True, slots=True)
class NamedFeature:
    """A feature that an alarm names: which way it went and its own share of the evidence."""

    name: str
    direction: str
    evidence: float


@dataclass(frozen=True, slots=True)
class Moved:
    """One figure of two versions side by side, in their rows since a change began.

    Attributes:
        figure: what, in words.
        unit: ``1`` for a share, ``s`` for seconds, empty where it is the column's own.
        version: the one that the alarm names.
        against: the one that it is compared with.
        before: the figure of ``against``; None where no row defines it.
        before_n: rows behind that.
        after: the figure of ``version``; likewise.
        after_n: rows behind that.
    """

    figure: str
    unit: str
    version: str
    against: str
    before: float | None
    before_n: int
    after: float | None
    after_n: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm, latched until somebody clears it.

    Attributes:
        id: number, from 1, in the order in which they were raised.
        model: which model version.
        kind: what was watched: ``drift``, ``performance``, ``calibration``, ``errors``, ``latency`` or ``fairness``; or
            ``threshold`` for a fixed limit, ``schema`` for inputs that are not what the settings state.
        window: length of the windows that were scored; of a stated schema the word row: each is looked at by itself.
        raised_ns: end of the sealed window that raised it, ns since the epoch.
        since_ns: when the change began: the onset, and where that is not known the begin of the run of evidence.
        windows: windows scored from that begin until the alarm.
        n: rows in those windows.
        evidence: share of the budget's evidence, at least 1.
        features: what changed, strongest first.
        baseline: id of the baseline it was compared with.
        budget: the false-alarm budget in the user's words.
        trace_ids: examples from the window that raised it.
        reference: what tells detectors of a kind apart: what drift was measured against, or the measure of fairness.
        recovered_ns: since when everything that it named has come back; 0 where it has not, or where nobody can tell.
        budgeted: whether the false-alarm budget speaks for it; fixed limits have none.
        onset: when the change began, with an interval; None where it is not known: of fixed limits, and of evidence that an
            earlier version had gathered.
        settings: id of the settings of its model by which it was raised, from ``provenance.hash_settings``; empty where an earlier
            version raised it.
        program: version of the program that raised it; likewise.
        renews: number of the standing alarm that this one renews, by things which that one does not name; 0 where it is the first.
        silent: whether the rows of the model had stopped for half an hour when it was raised, as where labels come later.
        level: of how large a change the evidence is: ``strong`` or ``early``; empty where a fixed rule raised it.
        severity: ``page`` or ``ticket``.
        strong_ns: when an early alarm rose to a strong one; 0 where it has not.
        shared: whether it is about the features of all versions that serve; ``model`` is the one that led when it was raised.
        moved: of one version against another, what moved from what to what; none of other kinds, and of alarms that an earlier
            version raised.
    """

    id: int
    model: ModelKey
    kind: str
    window: str
    raised_ns: int
    since_ns: int
    windows: int
    n: int
    evidence: float
    features: tuple[NamedFeature, ...]
    baseline: str
    budget: str
    trace_ids: tuple[str, ...] = ()
    reference: str = "frozen"
    recovered_ns: int = 0
    budgeted: bool = True
    silent: bool = False
    level: str = ""
    severity: str = "ticket"
    strong_ns: int = 0
    onset: Onset | None = None
    renews: int = 0
    settings: str = ""
    program: str = ""
    shared: bool = False
    moved: tuple[Moved, ...] = ()

    def is_of(self, kind: str, window: str, reference: str) -> bool:
        """Whether this detector raised it."""
        return (self.kind, self.window, self.reference) == (kind, window, reference)

    def ends_with(self, forgetting: Command, staying: Collection[ModelKey]) -> bool:
        """Whether it ends when versions are forgotten and some stay: what all of them share does with the last one alone."""
        others = any(key[:2] == self.model[:2] for key in staying)
        return forgetting.matches(self.model) and not (self.shared and others)


@dataclass(frozen=True, slots=True)
class WindowPoint:
    """One sealed window in a model's recent history, for lines in reports and terminals.

    ``evidence`` is None where the window was not scored; ``top`` is the feature with most evidence.
    """

    window: str
    end_ns: int
    rows: int
    evidence: float | None
    top: str | None
    alarm: bool


@dataclass(frozen=True, slots=True)
class SeasonStanding:
    """How far the reference of the hour of the week is.

    Attributes:
        reference: its name in the settings.
        window: length of the windows that it judges.
        state: "sleeping" while no hour can be judged, "learning" while some cannot, then "ready".
        ready: hours of the week that can be judged.
        hours: of those that ever had rows.
        replaces: whether it stands in place of the frozen baseline: then drift has no proven bound.
        lacks: why there can be no such detector; nothing where there is one.
        measured: what it said of the baseline's own days, each left out of it; None where it was not replayed.
    """

    reference: str
    window: str
    state: str
    ready: int
    hours: int
    replaces: bool
    lacks: str
    measured: Replayed | None = None


class MadeOnce:
    """Figures that are made when somebody asks first, and kept for whoever asks again; for any threads.

    They are kept with what they were made of: of another source they are made anew, and the older ones go.

    >>> kept = MadeOnce()
    >>> source = object()
    >>> kept.get(source, lambda: ()) is kept.get(source, lambda: ())
    True
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._source: object = None
        self._readings: tuple[Reading, ...] = ()

    def get(self, source: object, make: Callable[[], tuple[Reading, ...]]) -> tuple[Reading, ...]:
        """The figures of an immutable source. Who asks while they are made waits for them: nobody makes them twice."""
        with self._lock:
            if self._source is not source:
                self._readings = make()
                self._source = source
            return self._readings


@dataclass(frozen=True, slots=True)
class WindowState:
    """The newest sealed window of one length, for pictures: its counts and labelled scores, and all it is made of.

    ``merged`` has the moments, unseen levels, confusion and features too; None where they are not known. ``status`` says
    whether the window is full and of one spec. ``detail`` are measures of its labelled rows that are made when somebody asks: a
    window whose labels did not change since the previous snapshot shares them, and its labels, with that one's.
    """

    window: str
    start_ns: int
    end_ns: int
    counts: CountsState
    scores: ScoresState
    merged: Window | None = None
    status: Status = Status.OK
    detail: MadeOnce = field(default_factory=MadeOnce, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """One model version at one moment.

    Attributes:
        key: which model version.
        task: what it predicts.
        status: of the monitoring of this model version, with ``status_detail`` as one sentence for people.
        baseline: id of the baseline, or None.
        baseline_counts: counts of the baseline, or None.
        baseline_scores: labelled scores of the baseline, or None.
        rows: predictions counted since the state began.
        labels: labels joined since the state began.
        last_event_ns: newest event time seen.
        readings: all figures, of every window and of the baseline.
        windows: newest sealed window of each length.
        history: recent sealed windows, oldest first.
        slo_events: (objective, outcome) to predictions since the state began.
        owner: who is responsible, from the configuration.
        tier: how much it matters, from the configuration.
        baseline_moments: means and spreads of the baseline's numbers, or None.
        fairness_tolerance: difference of rates that is no news, from the configuration.
        days: headline figures of past days, oldest first.
        late: predictions among ``rows`` that came after their window was closed: shown, never scored.
        moved: predictions among ``rows`` whose time lay too far from their arrival and was moved.
        batch: its rows come in jobs.
        role: what it does beside other versions, by its newest rows.
        weighted: a row came with another weight than one: figures are by weight, their n is Kish's, and detection is approximate.
        notes: what people should know beside the status: a baseline that is another version's, slices that never came.
        checks: what every row is looked at for, by feature and kind of fault.
        faults: rows that were not what the settings state of the model's inputs, by feature and kind.
        seasons: how far its references of the hour of the week are; none where the settings have none.
    """

    key: ModelKey
    task: str
    status: Status
    status_detail: str
    baseline: str | None
    baseline_counts: CountsState | None
    baseline_scores: ScoresState | None
    rows: int
    labels: int
    last_event_ns: int
    readings: tuple[Reading, ...]
    windows: tuple[WindowState, ...]
    history: tuple[WindowPoint, ...]
    slo_events: Mapping[tuple[str, str], int]
    owner: str | None = None
    tier: str | None = None
    baseline_moments: MomentsState | None = None
    fairness_tolerance: float = 0.05
    days: tuple[DayPoint, ...] = ()
    late: int = 0
    moved: int = 0
    batch: bool = False
    role: str = semconv.ML_MODEL_ROLE_CHAMPION
    weighted: bool = False
    notes: tuple[str, ...] = ()
    checks: tuple[tuple[str, str], ...] = ()
    faults: tuple[FaultCount, ...] = ()
    seasons: tuple[SeasonStanding, ...] = ()

    def names_new(self, spec: Spec, at: int) -> bool:
        """Whether other levels of field ``at`` of a spec were in no row of the baseline, or nobody can tell them from rare ones."""
        base = self.baseline_counts
        cells = None if base is None or base.spec.hash != spec.hash else base.field(at)
        return is_new(spec.fields[at], cells)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole receiver at one moment.

    Attributes:
        taken_ns: when, ns since the epoch.
        models: every watched model version.
        alarms: every alarm, newest last, latched ones and cleared ones.
        latched: ids of the alarms that are latched now.
        counters: the engine's own counters: metric name to (reason or "") to count.
        sequence: number of the last journal record that was applied.
        commands: what people decided about alarms, oldest first: the audit trail.
        configured: which settings of a model held from when on, oldest first; the audit trail too.
        began_ns: since when the totals count, ns since the epoch; 0 before the first record.
        early: labels that came before their prediction and wait for it, by tenant and name of their model.
        dedup_horizon_s: how far back ``requests`` and ``spans`` are all remembered, to recognise those that come again.
        senders: what senders say that they left out, by model.
        silent: versions without rows for ``limits.silent_after``.
    """

    taken_ns: int
    models: tuple[ModelSnapshot, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    latched: frozenset[int] = frozenset()
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    sequence: int = 0
    began_ns: int = 0
    commands: tuple[Command, ...] = ()
    configured: tuple[Command, ...] = field(default=(), kw_only=True)
    early: Mapping[tuple[str, str], int] = field(default_factory=dict)
    dedup_horizon_s: Mapping[str, float] = field(default_factory=dict)
    senders: tuple[LeftOut, ...] = ()
    silent: frozenset[ModelKey] = frozenset()

    @property
    def succeeded(self) -> frozenset[ModelKey]:
        """Silent versions of models of which another version is live: their gauges leave.

        A model that fell silent as a whole keeps them: nobody took its place, and what is shown of it is still the newest.
        """
        live = {model.key[:2] for model in self.models if model.key not in self.silent}
        return frozenset(key for key in self.silent if key[:2] in live)
