from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.errors import MessageTruncated


@given(chunks=st.lists(st.binary(max_size=20)), sizes=st.lists(st.integers(0, 30)))
def test_reads_what_the_chunks_hold_however_they_are_cut(chunks: list[bytes], sizes: list[int]) -> None:
    whole, stream, position = b"".join(chunks), ByteReader(chunks), 0
    for size in sizes:
        assert stream.read(size) == whole[position : position + size]
        position = min(position + size, len(whole))
        assert stream.at_end() == (position == len(whole))


def test_a_short_stream_is_an_error_only_where_the_length_is_prescribed() -> None:
    assert ByteReader([b"ab", b"", b"c"]).exactly(3) == b"abc"
    with pytest.raises(MessageTruncated, match="1 bytes too early"):
        ByteReader([b"ab", b"", b"c"]).exactly(4)


def test_takes_no_chunk_before_it_is_needed() -> None:
    chunks = iter([b"a", b"b", b"c"])
    assert ByteReader(chunks).read(2) == b"ab"
    assert next(chunks) == b"c"
