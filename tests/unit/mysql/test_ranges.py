"""Ranges of keys: bounds are arithmetic, every key is in exactly one, and eight samples in a row hold all of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.backup_engine.mysql.extent import SHARE, Extent
from include.backup_engine.mysql.ranges import condition, cut, differing
from include.backup_engine.records import KeyRanges

keys = st.integers(-(2**63), 2**64 - 1)


def holds(ranges: KeyRanges, number: int, key: int) -> bool:
    """Whether the range's condition is true for a key."""
    sql = condition(ranges, number)
    assert re.fullmatch(r"(?:`k` >= -?\d+)?(?: AND )?(?:`k` < -?\d+)?", sql)
    compare = {">=": key.__ge__, "<": key.__lt__}
    return all(compare[operator](int(bound)) for operator, bound in re.findall(r"(>=|<) (-?\d+)", sql))


@given(keys, keys, keys)
def test_every_key_is_in_exactly_one_range_also_one_that_the_source_did_not_have(a: int, b: int, key: int) -> None:
    ranges = cut("k", min(a, b), max(a, b))
    assert 1 <= len(ranges.hashes) <= 64
    assert len(ranges.hashes) >= 25 or ranges.width == 1
    if len(ranges.hashes) > 1:
        assert sum(holds(ranges, number, key) for number in range(len(ranges.hashes))) == 1


@given(keys, keys)
def test_bounds_are_round_and_no_constant_leaves_the_type_of_the_key(a: int, b: int) -> None:
    ranges = cut("k", min(a, b), max(a, b))
    assert re.fullmatch("[125]0*", str(ranges.width))
    for number in range(len(ranges.hashes)):
        for bound in map(int, re.findall(r"-?\d+", condition(ranges, number))):
            assert min(a, b) < bound <= max(a, b)
            assert bound % ranges.width == 0


@given(keys, keys, st.integers(0, 10_000))
def test_eight_backups_in_a_row_sample_every_range_once(a: int, b: int, turn: int) -> None:
    ranges = cut("k", min(a, b), max(a, b))
    taken = [number for n in range(SHARE) for number in Extent(True, turn + n).takes(ranges)]
    assert sorted(taken) == list(range(len(ranges.hashes)))
    assert Extent(False, turn).takes(ranges) == sorted(taken)


def test_a_range_keeps_its_turn_while_the_table_grows() -> None:
    before, after = cut("k", 1, 400_000), cut("k", 1, 600_000)
    assert (before.width, after.width) == (10_000, 10_000)
    for turn in range(SHARE):
        sample = Extent(True, turn)
        assert sample.takes(after)[: len(sample.takes(before))] == sample.takes(before)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ([], ""),
        ([4], "note_id 40000 to 49999"),
        ([4, 5, 6], "note_id 40000 to 69999"),
        ([4, 7], "note_id 40000 to 49999 (and 1 more range)"),
        ([4, 7, 8, 12], "note_id 40000 to 49999 (and 2 more ranges)"),
        ([0], "note_id up to 9999"),
        ([59], "note_id from 590000 on"),
        (list(range(60)), "note_id anywhere"),
    ],
)
def test_differences_are_told_by_their_ranges(changed: list[int], said: str) -> None:
    ranges = cut("note_id", 1, 595_000)
    expected = ranges.model_copy(update={"hashes": [f"2710:2:{n}" for n in range(60)]})
    found = ranges.model_copy(update={"hashes": ["x" if n in changed else f"2710:2:{n}" for n in range(60)]})
    assert differing(expected, found) == said


def test_what_only_one_side_has_hashed_is_no_difference() -> None:
    ranges = cut("k", 0, 2)
    one, other = (ranges.model_copy(update={"hashes": hashes}) for hashes in (["a", "", "c"], ["a", "b", ""]))
    assert differing(one, other) == ""
