"""How a stream is cut into parts: arithmetic that no test server has the disk for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.backup_engine.store import multipart
from include.backup_engine.store.multipart import MAX_PARTS, composite_checksum, cut, part_size

MIB = 1024**2
GIB = 1024**3
TIB = 1024**4


def test_p17_the_schedule_stays_within_the_limits_of_s3() -> None:
    sizes = [part_size(number) for number in range(1, MAX_PARTS + 1)]
    assert sizes[0] == 8 * MIB
    assert min(sizes) >= 5 * MIB  # S3's least size of a part that is not the last
    assert max(sizes) == 4 * GIB < 5 * GIB  # S3's largest part
    assert 7.8 * TIB < sum(sizes) < 48.8 * TIB  # S3's largest object


@pytest.mark.parametrize(("number", "mib"), [(1, 8), (1_000, 8), (1_001, 16), (2_000, 16), (2_001, 32), (9_001, 4096)])
def test_a_part_doubles_every_thousand(number: int, mib: int) -> None:
    assert part_size(number) == mib * MIB


def test_memory_grows_slower_than_what_was_sent() -> None:
    sent = 0
    for number in range(1, MAX_PARTS + 1):
        assert part_size(number) <= max(8 * MIB, sent / 500)
        sent += part_size(number)


def test_p17_a_backup_of_a_terabyte_takes_fewer_than_ten_thousand_parts_of_a_gibibyte() -> None:
    sent = number = 0
    while sent < TIB:
        number += 1
        sent += part_size(number)
    assert number < MAX_PARTS
    assert part_size(number) <= GIB


@given(st.lists(st.binary(max_size=50)), st.integers(1, 40))
def test_cutting_loses_and_reorders_nothing(chunks: list[bytes], first: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multipart, "FIRST_PART_BYTES", first)
        patch.setattr(multipart, "PARTS_PER_SIZE", 3)
        parts = [part.getvalue() for part in cut(chunks)]
        sizes = [part_size(number) for number in range(1, len(parts) + 1)]
    assert b"".join(parts) == b"".join(chunks)
    assert [len(part) for part in parts[:-1]] == sizes[:-1]
    assert len(parts[-1]) <= sizes[-1]
    assert len(parts) == 1 or parts[-1]  # only an empty stream has an empty part


def test_a_part_is_given_as_soon_as_it_is_full() -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += MIB
            yield bytes(MIB)

    next(cut(chunks()))
    assert taken == 8 * MIB


def test_the_composite_checksum_is_that_of_s3() -> None:
    # The three part checksums and the composite are S3's own answers (eu-west-1), from a public bug report.
    parts = [
        "lcKa6Boe7a167tUCN5C4OaFygGSYD8MBnBARTrdL+1w=",
        "gHjhbUT4oo2tSCtSZJdlKi+jeNXJT+VImqdPXsXvkOc=",
        "4l9PQ3zOPZ0oGFvknFX+J4zZwE4WMzO+l3r8XrbWOeM=",
    ]
    digests = [base64.b64decode(part) for part in parts]
    assert composite_checksum(digests) == "rVWtNbadtsaKXJAcgWPWjifHzJaXde/iV4jaJAOdivc=-3"


def test_the_composite_of_one_part_is_not_the_checksum_of_that_part() -> None:
    digest = hashlib.sha256(b"").digest()
    assert composite_checksum([digest]) == base64.b64encode(hashlib.sha256(digest).digest()).decode() + "-1"
