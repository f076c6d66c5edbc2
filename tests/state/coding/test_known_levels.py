"""Rare levels by hash: none of those that were there is ever called new, and the stated error is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calidris.batch import CodedColumn
from calidris.state import Field, Kind, Role, Spec
from calidris.state.coding import known_levels
from calidris.state.coding.fields import OTHER, RARE
from calidris.state.coding.known_levels import FILTER_BYTES, KnownLevels


def names(begin: int, n: int) -> list[str]:
    return [f"level {i}" for i in range(begin, begin + n)]


@pytest.mark.parametrize("n", [1, 2, 1000, 20_000])
def test_hashes_know_all_that_were_there_and_nothing_else(n: int) -> None:
    known = KnownLevels.of(names(0, n))
    assert known is not None and len(known.hashes) == 8 * n
    assert known.find(names(0, n)).all()
    assert not known.find(names(n, 5000)).any()
    assert known.error_rate < 1e-14


def test_order_and_repeats_do_not_matter_and_bytes_come_back() -> None:
    known = KnownLevels.of(["b", "a", "", "ü", "\ud800", "b"])
    assert known == KnownLevels.of(["ü", "\ud800", "a", "b", ""])
    assert known is not None and KnownLevels.from_json(json.loads(json.dumps(known.to_json()))) == known
    assert known.find(["", "ü", "\ud800", "u"]).tolist() == [True, True, True, False]


def test_nothing_known_and_nothing_asked() -> None:
    known = KnownLevels.of([])
    assert known is not None and not known.find(["a"]).any() and known.find([]).tolist() == []


def test_hashes_of_two_sets_have_nothing_in_common() -> None:
    one, two = KnownLevels.of(names(0, 100)), KnownLevels.of(names(0, 101))
    assert one is not None and two is not None and one.salt != two.salt
    sets = [set(np.frombuffer(known.hashes, dtype="<u8").tolist()) for known in (one, two)]
    assert not sets[0] & sets[1]


def test_a_filter_keeps_its_error_and_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_levels, "FILTER_BYTES", 1 << 12)
    monkeypatch.setattr(known_levels, "MOST_HASHES", 1000)
    for n in (1001, 3000, 5000):
        known = KnownLevels.of(names(0, n))
        assert known is not None and not known.hashes and len(known.bits) == 1 << 12
        assert known.find(names(0, n)).all(), "what was there is never new"
        wrong = float(known.find(names(n, 40_000)).mean())
        assert wrong == pytest.approx(known.error_rate, abs=4 * np.sqrt(known.error_rate / 40_000) + 1e-3)
        assert KnownLevels.from_json(known.to_json()) == known
    assert KnownLevels.of(names(0, 50_000)) is None, "a filter that is wrong more often than it may be is none"


def test_the_stated_error_of_a_million_levels() -> None:
    assert KnownLevels(b"s" * 8, bits=bytes(FILTER_BYTES), levels=1_000_000).error_rate < 0.02
    assert KnownLevels(b"s" * 8, bits=bytes(FILTER_BYTES), levels=100_001).error_rate < 1e-6


@pytest.mark.parametrize(
    "data",
    [
        {"levels": 0},
        {"salt": "AAAA", "levels": 0},
        {"salt": "AAAAAAAAAAA=", "hashes": "AAAA", "levels": 0},
        {"salt": "AAAAAAAAAAA=", "bits": "AAAA", "levels": 0},
        {"salt": "!", "levels": 0},
        {"salt": "AAAAAAAAAAA=", "levels": -1},
        {"salt": "AAAAAAAAAAA=", "hashes": "AAAAAAAAAAA=", "levels": 3},
    ],
)
def test_bytes_that_no_levels_make_are_refused(data: dict[str, str | int]) -> None:
    with pytest.raises(ValueError, match="known levels"):
        KnownLevels.from_json(data)


def test_a_field_counts_rare_levels_apart_from_new_ones() -> None:
    field = Field("c", Role.FEATURE, Kind.CATEGORICAL, levels=("a", "b"), known=KnownLevels.of(["x", "y"]))
    cells = field.encode(CodedColumn.of(["a", "x", "new", None, "b", "y", "x"]), 7)
    assert cells.tolist() == [0, 2 + RARE, 2 + OTHER, 2, 1, 2 + RARE, 2 + RARE]
    assert Field.from_json(json.loads(json.dumps(field.to_json()))) == field
    with pytest.raises(ValueError, match="only a categorical field"):
        Field("c", Role.FEATURE, Kind.PRESENCE, known=field.known)


def test_a_field_of_an_earlier_version_counts_as_it_did_and_keeps_its_hash() -> None:
    old = Field("c", Role.FEATURE, Kind.CATEGORICAL, levels=("a", "b"))
    new = Field("c", Role.FEATURE, Kind.CATEGORICAL, levels=("a", "b"), known=KnownLevels.of(["x"]))
    column = CodedColumn.of(["a", "x", "new"])
    assert old.encode(column, 3).tolist() == [0, 2 + OTHER, 2 + OTHER]
    assert "known" not in old.to_json() and old.width == new.width
    assert Spec(fields=(old,)).hash != Spec(fields=(new,)).hash


def test_joined_counts_are_those_of_a_field_that_does_not_know() -> None:
    rng = np.random.default_rng(7)
    column = CodedColumn.of([f"l{i}" for i in rng.zipf(1.5, 3000).clip(1, 400).tolist()])
    levels = tuple(f"l{i}" for i in range(1, 20))
    old = Spec(fields=(Field("c", Role.FEATURE, Kind.CATEGORICAL, levels=levels),))
    known = KnownLevels.of([f"l{i}" for i in range(20, 200)])
    new = Spec(fields=(Field("c", Role.FEATURE, Kind.CATEGORICAL, levels=levels, known=known),))
    at = new.index(Role.FEATURE, "c")
    assert at is not None
    counts = [
        np.bincount(spec.fields[at].encode(column, len(column)) + int(spec.offsets[at]), minlength=spec.cells)
        for spec in (old, new)
    ]
    assert not np.array_equal(*counts)
    assert np.array_equal(counts[0], new.join_rare(counts[1]))
    assert new.join_rare(np.stack(counts))[1].tolist() == counts[0].tolist()
    assert old.join_rare(counts[0]) is counts[0]
