"""What waits in the buffer: single rows as tuples, whole calls as blocks, and labels.

A row is a bare tuple because building one costs a tenth of any object; `Row` names its places. A block is one call with
many rows, or one call of an auto-instrumented library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias

from calidris.instrument.foreign import Refused, guarded, is_plain, name_of, names_of
from calidris.instrument.ids import Place
from calidris.instrument.privacy import Policy
from calidris.instrument.rows.input_table import Table
from calidris.instrument.rows.one_row import MAX_WIDTH, default_names, is_usual, read, usual_places
from calidris.instrument.rows.vectors import Vectors
from calidris.instrument.settings import ROLES

Row: TypeAlias = "tuple[Series, int, int, Place, object, Any, Any, Any, Any, Any, str | None, tuple[bytes, ...] | None]"
"""Series, start (ns since the epoch), duration (ns), place, given id, features, slices, score, class, value, error type,
embeddings."""

Captured: TypeAlias = "tuple[Any, Any]"
"""Features and slices of one row: a tuple in declared order, a dict where nothing was declared, or None.

With `FLAT` in the place of the slices, features and slices are one tuple: the usual row, a mapping with all declared names,
is copied by a single call into C.
"""

FLAT: Final = object()


class Series:
    """One model version as the guest knows it: what its rows have in common.

    Attributes:
        name: of the model.
        version: of the model.
        task: one of ``semconv.ML_MODEL_TASK_*``, or None where nobody said.
        features: names in order, or None where each call brings its own.
        slices: names to cut by.
        wanted: features and slices, or None where each call brings its own.
        classes: names of the classes, in the order of score columns.
        embeddings: names of the vectors that may leave.
        role: what the version does beside others, or None where nobody said.
        policy: what this model adds to the process' privacy rules.
        pick: a mapping to its flat tuple. Raises KeyError for a missing name, and always where none are declared.
        flatten: values of the features to their flat tuple; None where there are slices that are no features.
        unusable: arguments that could not be read. Of names that may leave none is taken then: no more gets out than was meant.
    """

    __slots__ = (
        "classes", "embeddings", "features", "flatten", "name", "pick", "policy", "role", "slices", "task", "unusable", "version", "wanted",
    )  # fmt: skip

    def __init__(
        self,
        name: object,
        version: object = "unknown",
        task: object = None,
        features: Sequence[str] | None = None,
        slices: Sequence[str] = (),
        classes: Sequence[object] | None = None,
        policy: Policy | None = None,
        embeddings: Sequence[str] = (),
        role: object = None,
    ) -> None:
        self.unusable: list[str] = []
        self.name = self._named("name", name) or "unnamed"
        self.version = self._named("version", version) or "unknown"
        self.task = None if task is None else self._named("task", task)
        self.role = None if role is None else self._known_role(role)
        self.features = None if features is None else self._names("features", features)
        self.slices = self._names("slices", slices)
        self.classes = None if classes is None else self._names("classes", classes)
        self.embeddings = self._names("embeddings", embeddings)
        self.policy = policy or Policy()
        self.wanted = None if self.features is None else (*self.features, *self.slices)
        wanted = self.wanted or ()
        self.pick: Callable[[Any], tuple[Any, ...]] = itemgetter(*wanted) if len(wanted) > 1 else _unpickable
        self.flatten = self._find_places()

    def _find_places(self) -> Callable[[tuple[Any, ...]], tuple[Any, ...]] | None:
        names = self.features or ()
        if not self.slices or not set(self.slices) <= set(names):
            return None
        places = map(names.index, self.slices)
        return itemgetter(*range(len(names)), *places)

    def _named(self, argument: str, given: object) -> str | None:
        try:
            return name_of(given)
        except Refused:
            self.unusable.append(argument)
            return None

    def _known_role(self, given: object) -> str | None:
        named = self._named("role", given)
        if named is None or named in ROLES:
            return named
        self.unusable.append("role")
        return None

    def _names(self, argument: str, given: Any) -> tuple[str, ...]:
        try:
            return names_of(given, MAX_WIDTH)
        except Refused:
            self.unusable.append(argument)
            return ()

    def capture(self, features: Any, slices: Mapping[str, object] | None) -> Captured:
        """Copy one row's features and slices; about 1 µs for a mapping of 25 declared features.

        Raises:
            Refused: it is no row, too wide, or has not as many values as features were declared.
        """
        usual: Any
        if self.features is None:
            usual = _name_usual(features)
        elif type(features) is dict:
            usual = self._get_usual(features)
        else:
            usual = usual_places(features)
            if usual is not None and len(usual) != len(self.features):
                usual = None
        if usual is None:
            return self._capture_other(features, slices)
        if slices is not None:
            return usual, cut_of(slices)
        return self._cut_usual(usual, features) if self.slices else (usual, None)

    def _cut_usual(self, usual: Any, features: Any) -> Captured:
        """The usual row with the slices that are declared and were not given apart."""
        named = usual if type(usual) is dict else features
        if type(named) is dict:
            return usual, _take(self.slices, named)
        if self.flatten is not None:
            return self.flatten(usual), FLAT
        return usual, _take(self.slices, dict(zip(self.features or (), usual)))

    def _capture_other(self, features: Any, slices: Mapping[str, object] | None) -> Captured:
        cut = None if slices is None else cut_of(slices)
        if features is None:
            return None, cut
        row = read(features, self.wanted)
        if isinstance(row, tuple):
            self._check_width(row)
            if row and self.features is not None and not self.slices:
                return row, cut
            row = self._name_places(row)
        if cut is None and self.slices:
            cut = {name: row.get(name) for name in self.slices}
        if self.features is None:
            return row, cut
        return tuple([row.get(name) for name in self.features]), cut

    @guarded
    def _get_usual(self, row: dict[Any, Any]) -> tuple[Any, ...] | None:
        """Declared features of a dictionary, None for one that is not there. As of any usual row only the first is looked at."""
        names = self.features or ()
        try:
            values = self.pick(row)[: len(names)]
        except KeyError:
            values = tuple(map(row.get, names))
        return values if values and is_plain(values[0]) else None

    def _check_width(self, row: tuple[Any, ...]) -> None:
        if self.features is not None and len(row) != len(self.features):
            raise Refused("features_not_copied")

    def _name_places(self, row: tuple[Any, ...]) -> dict[str, Any]:
        names = self.features
        if names is None:
            names = default_names(len(row), None)
        return dict(zip(names, row))


def _name_usual(row: Any) -> dict[Any, Any] | None:
    """The usual row where no names are declared: a dictionary as it is, values at their places with names for them."""
    if type(row) is dict:
        return dict(row) if is_usual(row) else None
    values = usual_places(row)
    return None if values is None else dict(zip(default_names(len(values), None), values))


@guarded
def _take(names: Sequence[str], row: dict[Any, Any]) -> dict[str, Any]:
    """Values by name; a key of the application's is compared with it, and may raise."""
    return {name: row.get(name) for name in names}


def cut_of(slices: Any) -> dict[str, object]:
    """The slices of one row, copied.

    Raises:
        Refused: it is no mapping.
    """
    if type(slices) is dict and is_usual(slices):
        return dict(slices)
    cut = read(slices)
    if isinstance(cut, tuple):
        raise Refused("no_row")
    return cut


class Block:
    """Rows of one call as columns. Mutable only until the flush thread takes it (`taken`)."""

    __slots__ = (
        "__weakref__", "batch_id", "begun_ns", "classes", "duration_s", "embeddings", "error", "features", "held_bytes", "ids", "place", "rows",
        "scores", "series", "slices", "taken", "times_ns", "values",
    )  # fmt: skip

    def __init__(self, series: Series, begun_ns: int, duration_s: float | None, place: Place, rows: int) -> None:
        self.series = series
        self.begun_ns = begun_ns
        self.duration_s = duration_s
        self.place = place
        self.rows = rows
        self.batch_id: str | None = None  # the job that made them
        self.ids: list[Any] | None = None  # texts or numbers, None where one is missing
        self.times_ns: list[int] | None = None  # of each row, where they were given: else all begun when the call did
        self.features: Table | None = None
        self.slices: Table | None = None
        self.scores: Any = None
        self.classes: Any = None
        self.values: Any = None
        self.error: str | None = None
        self.embeddings: dict[str, Vectors] = {}
        self.taken = False
        self.held_bytes = 0

    def hold(self, size: int) -> None:
        """Note the bytes that are counted for it, because it may still grow."""
        self.held_bytes = size

    def part(self, a: int, b: int) -> Block:
        """Rows a to b. Arrays are not copied."""
        trace_id, span_id, first = self.place
        part = Block(self.series, self.begun_ns, self.duration_s, (trace_id, span_id, first + a), b - a)
        part.batch_id = self.batch_id
        part.ids = part_of(self.ids, a, b)
        part.times_ns = part_of(self.times_ns, a, b)
        part.features = None if self.features is None else self.features.part(a, b)
        part.slices = None if self.slices is None else self.slices.part(a, b)
        part.scores = part_of(self.scores, a, b)
        part.classes = part_of(self.classes, a, b)
        part.values = part_of(self.values, a, b)
        part.error = self.error
        part.embeddings = {name: one.part(a, b) for name, one in self.embeddings.items()}
        return part

    @property
    def vector_bytes(self) -> int:
        """Bytes of the vectors of one row."""
        return sum(one.row_bytes for one in self.embeddings.values())


class Labels:
    """Outcomes of earlier predictions of one model.

    Attributes:
        ids: texts or numbers, as `ids.as_ids` gives them; none is missing.
    """

    __slots__ = ("held_bytes", "ids", "labels", "model", "times_ns")

    def __init__(self, model: str, ids: list[Any], labels: list[Any], times_ns: list[int]) -> None:
        self.model = model
        self.ids = ids
        self.labels = labels
        self.times_ns = times_ns
        self.held_bytes = 0

    def hold(self, size: int) -> None:
        """Note the bytes that are counted for it."""
        self.held_bytes = size

    def part(self, a: int, b: int) -> Labels:
        """Labels a to b."""
        return Labels(self.model, self.ids[a:b], self.labels[a:b], self.times_ns[a:b])

    @property
    def rows(self) -> int:
        """How many labels."""
        return len(self.ids)


Item: TypeAlias = "Row | Block | Labels"


def part_of(values: Any, a: int, b: int) -> Any:
    """Rows a to b of a column, of a mapping from name to column, or of nothing."""
    if isinstance(values, dict):
        return {name: column[a:b] for name, column in values.items()}
    return None if values is None else values[a:b]


def _unpickable(row: Any) -> tuple[Any, ...]:
    """Stands for a getter where one would not give a tuple of declared features."""
    raise KeyError
