"""The baseline file: a zip of JSON and little-endian integers, so that anybody can look inside. No pickle.

::

    credit.calidris
    ├── manifest.json    name, spec, window length, rows, id
    ├── counts.bin       state M of all rows
    ├── scores.bin       state C of the labelled rows
    └── windows.bin      begin of each window, then its counts: int64, deflated

The id is a hash of the content: two baselines with the same id are the same baseline. ``write`` is atomic, and the same
baseline always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from calidris.batch import Ints
from calidris.errors import CalidrisError, CorruptState
from calidris.state import CountsState, ScoresState, Spec

FORMAT = 1
MIN_WINDOWS = 30
"""Fewer windows than these say too little about their own spread."""


@dataclass(frozen=True)
class Baseline:
    """What a model saw and said while all was well.

    Attributes:
        name: the model's name.
        spec: how rows are counted; windows are counted in the same way.
        counts: every row.
        scores: the labelled rows.
        window_starts: begin of each window, ns since the epoch, int64[W]; empty where times were unknown.
        windows: counts of each window, int64[W, cells].
        window_s: length of those windows in seconds.
        provisional: learned from live traffic because nobody gave one: it never raises an alarm.
    """

    name: str
    spec: Spec
    counts: CountsState
    scores: ScoresState
    window_starts: Ints
    windows: Ints
    window_s: float
    provisional: bool = field(default=False)

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits of a hash of the content."""
        digest = hashlib.blake2b(digest_size=6)
        for part in (
            self.counts.to_bytes(),
            self.scores.to_bytes(),
            self.window_starts.tobytes(),
            self.windows.tobytes(),
        ):
            digest.update(part)
        digest.update(b"provisional" if self.provisional else b"")
        return digest.hexdigest()

    @property
    def rows(self) -> int:
        """Rows that it was built from."""
        return self.counts.count

    def windows_of(self, window_s: float) -> Ints | None:
        """Counts of its windows regrouped to a length, int64[W, cells]; None where they are fewer than ``MIN_WINDOWS``.

        Only windows of a whole multiple of the stored length can be had. Rows at both ends may fill a window only in part.
        """
        ratio = window_s / self.window_s
        if abs(ratio - round(ratio)) > 1e-9 or round(ratio) < 1:
            return None
        step = round(window_s * 1e9)
        starts, group = np.unique(self.window_starts // step, return_inverse=True)
        if len(starts) < MIN_WINDOWS:
            return None
        out = np.zeros((len(starts), self.spec.cells), dtype=np.int64)
        np.add.at(out, group, self.windows)
        return out

    def to_bytes(self) -> bytes:
        """The file's bytes; the same baseline always gives the same ones."""
        manifest = {
            "format": FORMAT,
            "id": self.id,
            "name": self.name,
            "rows": self.rows,
            "labels": self.scores.count,
            "windows": len(self.window_starts),
            "window_s": self.window_s,
            "provisional": self.provisional,
            "spec": self.spec.to_json(),
        }
        windows = np.concatenate([self.window_starts, self.windows.ravel()]).astype("<i8").tobytes()
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
            _put(bundle, "manifest.json", json.dumps(manifest, indent=1).encode())
            _put(bundle, "counts.bin", self.counts.to_bytes())
            _put(bundle, "scores.bin", self.scores.to_bytes())
            _put(bundle, "windows.bin", windows)
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
            if manifest["format"] != FORMAT:
                raise CorruptState(f"format {manifest['format']}, this version reads {FORMAT}")
            spec = Spec.from_json(manifest["spec"])
            counts = CountsState.from_bytes(spec, bundle.read("counts.bin"))
            scores = ScoresState.from_bytes(spec, bundle.read("scores.bin"))
            numbers = np.frombuffer(bundle.read("windows.bin"), dtype="<i8").astype(np.int64)
        w = int(manifest["windows"])
        starts, windows = numbers[:w], numbers[w:].reshape(w, spec.cells)
        made = cls(
            manifest["name"], spec, counts, scores, starts, windows, manifest["window_s"], manifest["provisional"]
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
