"""The baseline file: a zip of JSON and little-endian integers, so that anybody can look inside. No pickle.

::

    credit.calidris
    ├── manifest.json    name, spec, window length, rows, id, what a replay of its days said
    ├── counts.bin       state M of all rows
    ├── moments.bin      their exact moments, and their sums in each cell
    ├── labels.bin       states C, L, G, residuals and wide errors of the labelled rows
    ├── windows.bin      begin of each window, then its counts: int64, deflated
    └── window_labels/N  the labelled rows of window N

The id is a hash of the content: two baselines with the same id are the same baseline. ``write`` is atomic, and the same
baseline always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from calidris import semconv
from calidris.baseline.learn import DISCRETE_LEVELS
from calidris.baseline.replayed import Replayed
from calidris.batch import Ints, Mask
from calidris.errors import CalidrisError, CorruptState
from calidris.state import CountsState, Field, Kind, MomentsState, Role, ScoresState, SparseTable, Spec
from calidris.state.blocks.labelled import EARLIER, KINDS, LabelStates, LabelTables
from calidris.state.coding.fields import OTHER, RARE
from calidris.state.related import count_candidates

FORMAT = 4
"""3: rows that pick levels are set apart. 4: it says whether it has label times, and may count pairs of columns. Files of formats 2 and 3 are read: `same_rows` and
`label_times` say what they lack."""
READABLE = (2, 3, 4)
MIN_WINDOWS = 30
"""Fewer windows than these say too little about their own spread."""


@dataclass(frozen=True)
class Baseline:
    """What a model saw and said while all was well.

    Attributes:
        name: the model's name.
        spec: how rows are counted; windows are counted in the same way.
        counts: every row.
        moments: of every row.
        labels: the labelled rows.
        window_starts: begin of each window, ns since the epoch, int64[W]; empty where times were unknown.
        windows: counts of each window, [W, cells], in the smallest signed integers that hold them; ``windows_of`` gives int64.
        window_labels: the labelled rows of each window, W tables; empty where there are no labels or no times.
        window_s: length of those windows in seconds.
        provisional: learned from live traffic because nobody gave one: it never raises an alarm.
        set_apart: rows that placed centroids and picked levels, in none of the histograms; None in a file of an earlier version.
        stated_label_times: whether its labels came with the times at which they did; None without labels, and in a file of an earlier
            version.
        weighed: rows with weights that it was made of: it counts as many as those are worth, Kish's number. None where each counts once.
        wanted_pairs: how many pairs of columns were to be counted together at the most; None in a file of an earlier version, which knew
            none. Not part of its id: the pairs are part of the spec.
        left_out: what detectors said of its own days, each left out of it; empty where none was replayed. Not part of its id: it is
            said of the content.
    """

    name: str
    spec: Spec
    counts: CountsState
    moments: MomentsState
    labels: LabelStates
    window_starts: Ints
    windows: Ints
    window_labels: tuple[LabelTables, ...]
    window_s: float
    provisional: bool = field(default=False)
    set_apart: int | None = None
    stated_label_times: bool | None = None
    weighed: int | None = None
    wanted_pairs: int | None = None
    left_out: tuple[Replayed, ...] = ()

    def __post_init__(self) -> None:
        # A week of five-minute windows of a hundred features is 25 MB as int64, and a receiver holds it for good.
        object.__setattr__(self, "windows", self.windows.astype(np.min_scalar_type(-1 - self.windows.max(initial=0))))

    @property
    def positive_share(self) -> float | None:
        """Share of positive outcomes among the labelled rows of a binary task; None without any."""
        if self.spec.task != semconv.ML_MODEL_TASK_BINARY or not self.labels.count:
            return None
        outcomes = self.labels.groups.array[0].sum(axis=(0, 2))
        return float(outcomes[1] / outcomes.sum())

    @cached_property
    def label_times(self) -> bool | None:
        """Whether the age of its labels is known: only then can live labels of one age be compared with those of the same age.

        Files of earlier versions do not say. One that has a label of another age than the shortest had times; of any other one nobody
        knows.
        """
        if self.stated_label_times is not None:
            return self.stated_label_times
        by_delay = (self.labels.groups, self.labels.losses, self.labels.residuals)
        later = any(table.array[:, 1:].any() for table in by_delay)
        return True if later else None

    @property
    def lacks_pairs(self) -> bool:
        """Whether it has two numbers or more, and nobody looked for those that belong together: an earlier version built it."""
        return self.wanted_pairs is None and count_candidates(self.spec) > 0

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits of a hash of the content."""
        digest = hashlib.blake2b(digest_size=6)
        # Not the bytes of the file: another deflate library would give the same baseline another id.
        digest.update(self.spec.hash.encode())
        for array in self._arrays():
            digest.update(array.astype("<i8").tobytes())
        digest.update(b"provisional" if self.provisional else b"")
        if self.set_apart:
            digest.update(f"{self.set_apart} rows set apart".encode())
        if self.stated_label_times is not None:
            digest.update(f"label times: {self.stated_label_times}".encode())
        if self.weighed is not None:
            digest.update(f"{self.weighed} rows by weight".encode())
        return digest.hexdigest()

    @cached_property
    def same_rows(self) -> frozenset[str]:
        """Columns whose levels were picked and counted by the same rows, as earlier versions did: too many of them to trust.

        A level that was not kept had four rows at the most, so that rows of other levels say how many there may have been.
        """
        if self.set_apart is not None:
            return frozenset()
        made = {f.name for book in self.spec.codebooks for f in book.fields}
        fields = enumerate(self.spec.fields)
        wide = (f.name for i, f in fields if f.name not in made and self._levels_met(i, f) > DISCRETE_LEVELS)
        return frozenset(wide)

    @cached_property
    def untold_rare(self) -> frozenset[str]:
        """Features with levels beyond those that are kept of which nobody knows the names: of files of earlier versions."""
        spec = self.spec
        fields = [(i, f) for i, f in enumerate(spec.fields) if f.role is Role.FEATURE and f.kind is Kind.CATEGORICAL]
        lacking = (f.name for i, f in fields if f.known is None and self.counts.field(i)[f.ordered + OTHER])
        return frozenset(lacking)

    def _levels_met(self, i: int, f: Field) -> int:
        """The most levels that a column can have had; 0 of a number."""
        if f.kind is not Kind.CATEGORICAL or f.role is Role.ERROR:
            return 0
        cells = self.counts.field(i)[f.ordered :]
        return f.ordered + int(cells[OTHER] + cells[RARE])

    def _arrays(self) -> Iterator[Ints]:
        yield from (self.counts.array, self.moments.array, self.window_starts, self.windows)
        yield from (state.array for state in self.labels.all[:EARLIER])
        more = self._added_since()
        yield from more
        kinds = len(KINDS) if more else EARLIER
        tables = (table for w in self.window_labels for table in w.tables[:kinds])
        yield from (part for table in tables for part in (table.cells, table.sums))

    def _added_since(self) -> list[Ints]:
        """What earlier versions did not keep, as far as there is any: it is not in the id of what they wrote.

        Nor in that of one that was learned: a replay of its rows by this version gives the id that evidence was gathered under.
        """
        kept = [self.moments.in_cells, *self.labels.all[EARLIER:]]
        return [] if self.provisional else [state.array for state in kept if state.array.any()]

    def _states(self) -> dict[str, bytes]:
        """What the file holds beside its manifest."""
        labels = LabelTables(self.spec, tuple(map(SparseTable.of, self.labels.all)))
        windows = np.concatenate([self.window_starts, self.windows.ravel()]).astype("<i8").tobytes()
        out = {"counts.bin": self.counts.to_bytes(), "moments.bin": self.moments.to_bytes()}
        out |= {"labels.bin": labels.to_bytes(), "windows.bin": windows}
        return out | {f"window_labels/{i}": tables.to_bytes() for i, tables in enumerate(self.window_labels)}

    @property
    def scores(self) -> ScoresState:
        """State C of the labelled rows."""
        return self.labels.scores

    @property
    def given_rows(self) -> int:
        """Rows that it was made of, those included that are in no histogram."""
        return (self.weighed or self.rows) + (self.set_apart or 0)

    @property
    def rows(self) -> int:
        """Rows that it was built from."""
        return self.counts.count

    def windows_of(self, window_s: float) -> Ints | None:
        """Counts of its windows regrouped to a length, int64[W, cells]; None where they are fewer than ``MIN_WINDOWS``.

        Only windows of a whole multiple of the stored length can be had. Rows at both ends may fill a window only in part.
        """
        grouped = self._grouped(window_s)
        if grouped is None:
            return None
        starts, group = grouped
        out = np.zeros((len(starts), self.spec.cells), dtype=np.int64)
        np.add.at(out, group, self.windows)
        return out

    def starts_of(self, window_s: float) -> Ints:
        """Begins of the windows of ``windows_of``, ns since the epoch."""
        grouped = self._grouped(window_s)
        return np.empty(0, dtype=np.int64) if grouped is None else grouped[0] * round(window_s * 1e9)

    def labels_of(self, window_s: float) -> list[LabelTables] | None:
        """The labelled rows of the same windows; None where windows or labels are too few."""
        grouped = self._grouped(window_s)
        if grouped is None or not self.window_labels:
            return None
        starts, group = grouped
        out = [LabelTables(self.spec) for _ in starts]
        for place, tables in zip(group.tolist(), self.window_labels):
            out[place].merge(tables)
        return out

    def leave_out(self, gone: Mask) -> Baseline:
        """The same without the rows of some windows, bool[W]; rows without a time stay, and so does the scale of its numbers."""
        counts, labels = CountsState(self.spec), LabelStates.empty(self.spec)
        counts.array[...] = self.counts.array - self.windows[gone].sum(axis=0, dtype=np.int64)
        # Whichever of all tables is not of a window that goes.
        paired = list(zip(self.window_labels, gone.tolist()))
        for tables in (tables for tables, out in paired if out):
            labels.add(tables)
        for left, whole in zip(labels.all, self.labels.all):
            left.array[...] = whole.array - left.array
        return replace(
            self, counts=counts, labels=labels, window_starts=self.window_starts[~gone], windows=self.windows[~gone],
            window_labels=tuple(tables for tables, out in paired if not out), left_out=(),
        )  # fmt: skip

    def _grouped(self, window_s: float) -> tuple[Ints, Ints] | None:
        """Number of each longer window since the epoch, and which of them each window falls into."""
        ratio = window_s / self.window_s
        if abs(ratio - round(ratio)) > 1e-9 or round(ratio) < 1:
            return None
        starts, group = np.unique(self.window_starts // round(window_s * 1e9), return_inverse=True)
        return (starts, group) if len(starts) >= MIN_WINDOWS else None

    @property
    def _format(self) -> int:
        """The earliest that holds what it knows: a file of an earlier version is written as it was."""
        if self.stated_label_times is not None or self.spec.pairs:
            return FORMAT
        return 2 if self.set_apart is None else 3

    def to_bytes(self) -> bytes:
        """The file's bytes; the same baseline always gives the same ones."""
        manifest = {
            "format": self._format,
            "id": self.id,
            "name": self.name,
            "rows": self.rows,
            "labels": self.labels.count,
            "windows": len(self.window_starts),
            "window_labels": len(self.window_labels),
            "window_s": self.window_s,
            "provisional": self.provisional,
            "spec": self.spec.to_json(),
        }
        if self.set_apart is not None:
            manifest["set_apart"] = self.set_apart
        if self.stated_label_times is not None:
            manifest["label_times"] = self.stated_label_times
        if self.weighed is not None:
            manifest["weighed"] = self.weighed
        if self.wanted_pairs is not None:
            manifest["pairs"] = self.wanted_pairs
        if self.left_out:
            manifest["left_out_days"] = [one.to_json() for one in self.left_out]
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
            _put(bundle, "manifest.json", json.dumps(manifest, indent=1).encode())
            for name, data in self._states().items():
                _put(bundle, name, data)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Baseline:
        """The baseline that ``to_bytes`` wrote.

        Raises:
            CorruptState: not such bytes, or changed since they were written.
        """
        try:
            baseline, expected = cls._parse(data)
        except (zipfile.BadZipFile, KeyError, ValueError, TypeError, CalidrisError) as error:
            raise CorruptState(f"not a baseline file: {error}") from error
        if baseline.id != expected:
            raise CorruptState(f"its content does not match its id {expected}: it was changed after it was built")
        return baseline

    @classmethod
    def _parse(cls, data: bytes) -> tuple[Baseline, str]:
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            manifest = json.loads(bundle.read("manifest.json"))
            if manifest["format"] not in READABLE:
                raise CorruptState(f"format {manifest['format']}, this version reads {FORMAT}: build it again")
            spec = Spec.from_json(manifest["spec"])
            numbers = np.frombuffer(bundle.read("windows.bin"), dtype="<i8").astype(np.int64)
            w, labelled = int(manifest["windows"]), range(int(manifest["window_labels"]))
            made = cls(
                name=manifest["name"],
                spec=spec,
                counts=CountsState.from_bytes(spec, bundle.read("counts.bin")),
                moments=MomentsState.from_bytes(spec, bundle.read("moments.bin")),
                labels=LabelStates.of(LabelTables.from_bytes(spec, bundle.read("labels.bin"))),
                window_starts=numbers[:w].copy(),  # not a view: it would keep all of them
                windows=numbers[w:].reshape(w, spec.cells),
                window_labels=tuple(LabelTables.from_bytes(spec, bundle.read(f"window_labels/{i}")) for i in labelled),
                window_s=manifest["window_s"],
                provisional=manifest["provisional"],
                set_apart=manifest.get("set_apart"),
                stated_label_times=manifest.get("label_times"),
                weighed=manifest.get("weighed"),
                wanted_pairs=manifest.get("pairs"),
                left_out=tuple(map(Replayed.from_json, manifest.get("left_out_days", ()))),
            )
        return made, str(manifest["id"])


def _put(bundle: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # no clock in the bytes
    entry.compress_type = zipfile.ZIP_DEFLATED
    bundle.writestr(entry, data)


def write(baseline: Baseline, path: Path) -> None:
    """Write the file in one step: a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(baseline.to_bytes())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read(path: Path) -> Baseline:
    """The baseline in a file.

    Raises:
        CorruptState: it is not a baseline file, or was changed; the message names the path.
        OSError: it cannot be read.
    """
    try:
        return Baseline.from_bytes(path.read_bytes())
    except CorruptState as error:
        raise CorruptState(f"{path}: {error}") from error
