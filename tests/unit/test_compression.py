"""Compressing in members that a reader can start at, and decompressing in bounded memory."""

from __future__ import annotations

import gzip
import random
import subprocess
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from include.backup_engine.compression import Compressor, decompress
from include.backup_engine.errors import ContentIncomplete
from include.backup_engine.names import Compression

BOTH: list[Compression] = ["gzip", "zstd"]
MIB = 1 << 20
MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


def compress(members: list[bytes], compression: Compression) -> tuple[bytes, list[tuple[int, int]]]:
    """All members, and where each starts: offset in the input, offset in the output."""
    compressor = Compressor(compression)
    out, starts = b"", [(0, 0)]
    for number, member in enumerate(members):
        if number:
            out += compressor.cut()
            starts.append((compressor.member_in, compressor.member_out))
        out += compressor.compress(member)
    out += compressor.finish()
    assert (compressor.bytes_in, compressor.bytes_out) == (sum(map(len, members)), len(out))
    return out, starts


def text(size: int, seed: int = 1) -> bytes:
    """Compressible, but not too much."""
    dice = random.Random(seed)
    return b" ".join(b"%d" % dice.randrange(10_000) for _ in range(size // 2 + 1))[:size]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


MEMBERS = [text(300_000), b"", text(5, 2), text(2 * MIB, 3)]


def test_gunzip_and_python_read_all_members_as_one() -> None:
    out, _ = compress(MEMBERS, "gzip")
    assert gzip.decompress(out) == b"".join(MEMBERS)
    assert subprocess.run(["gunzip", "-c"], input=out, capture_output=True, check=True).stdout == b"".join(MEMBERS)


def test_libzstd_reads_frame_after_frame() -> None:
    rest, _ = compress(MEMBERS, "zstd")
    for member in MEMBERS:
        frame = zstandard.ZstdDecompressor().decompressobj()
        assert zstandard.get_frame_parameters(rest).has_checksum
        assert frame.decompress(rest) == member
        rest = frame.unused_data
    assert rest == b""


@pytest.mark.parametrize("compression", BOTH)
def test_a_reader_can_start_at_any_member(compression: Compression) -> None:
    members = [text(300_000), text(10, 2), text(MIB, 3)]
    out, starts = compress(members, compression)
    whole = b"".join(members)
    assert [start for start, _ in starts] == [0, 300_000, 300_010]
    for plain_start, start in starts:
        assert out[start:].startswith(MAGIC[compression])
        assert b"".join(decompress([out[start:]], compression)) == whole[plain_start:]
    for (_, start), (_, end), member in zip(starts, [*starts[1:], (0, len(out))], members, strict=True):
        assert b"".join(decompress([out[start:end]], compression)) == member


@pytest.mark.parametrize("compression", BOTH)
@given(members=st.lists(st.binary(max_size=2000), min_size=1, max_size=4), size=st.integers(1, 700))
def test_what_goes_in_comes_out(compression: Compression, members: list[bytes], size: int) -> None:
    out, _ = compress(members, compression)
    assert b"".join(decompress(pieces(out, size), compression)) == b"".join(members)


@pytest.mark.parametrize("compression", BOTH)
def test_memoryviews_are_taken(compression: Compression) -> None:
    compressor = Compressor(compression)
    out = compressor.compress(memoryview(b"abc")) + compressor.finish()
    assert b"".join(decompress([out], compression)) == b"abc"
    assert compressor.bytes_in == 3


@pytest.mark.parametrize("compression", BOTH)
def test_empty_chunks_do_not_matter(compression: Compression) -> None:
    out, _ = compress([b"abc", b"def"], compression)
    assert b"".join(decompress([b"", out[:1], b"", out[1:], b""], compression)) == b"abcdef"
    assert list(decompress([], compression)) == []


@pytest.mark.parametrize("compression", BOTH)
def test_a_bomb_comes_out_in_small_blocks(compression: Compression) -> None:
    """A thousand MiB from one, never more than a few at a time."""
    if compression == "gzip":
        member = gzip.compress(bytes(50 * MIB), 9)
    else:
        member = zstandard.ZstdCompressor(level=19).compress(bytes(50 * MIB))
    assert len(member) < 60_000
    bomb = member * 20
    tracemalloc.start()
    try:
        sizes = [len(block) for block in decompress(pieces(bomb, MIB), compression)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(sizes) == 1000 * MIB
    assert max(sizes) <= MIB
    assert peak < 16 * MIB


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.9999])
def test_a_cut_gzip_stream_is_an_error(share: float) -> None:
    out, _ = compress([text(MIB)], "gzip")
    with pytest.raises(ContentIncomplete, match="gzip stream inside the backup is damaged or cut off"):
        list(decompress([out[: int(len(out) * share)]], "gzip"))


@pytest.mark.parametrize("compression", BOTH)
def test_a_stream_cut_between_members_is_shorter(compression: Compression) -> None:
    """That is no error here; callers compare the length with the sidecar's."""
    out, [_, (length, start)] = compress([text(MIB), text(10)], compression)
    assert b"".join(decompress([out[:start]], compression)) == text(MIB)[:length]


def test_a_cut_zstd_stream_never_yields_what_was_not_in_it() -> None:
    data = text(MIB)
    out, _ = compress([data], "zstd")
    for share in (0.1, 0.5, 0.9):
        found = b"".join(decompress([out[: int(len(out) * share)]], "zstd"))
        assert len(found) < len(data)
        assert data.startswith(found)


@pytest.mark.parametrize("compression", BOTH)
@pytest.mark.parametrize("damage", ["first", "middle", "last", "trailing"])
def test_damage_is_an_error(compression: Compression, damage: str) -> None:
    out, _ = compress([text(300_000)], compression)
    position = {"first": 0, "middle": len(out) // 2, "last": len(out) - 1}.get(damage)
    damaged = (
        out + b"garbage" if position is None else out[:position] + bytes([out[position] ^ 1]) + out[position + 1 :]
    )
    with pytest.raises(ContentIncomplete) as caught:
        list(decompress([damaged], compression))
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("compression", BOTH)
def test_another_format_is_an_error(compression: Compression) -> None:
    other: Compression = "zstd" if compression == "gzip" else "gzip"
    for data in (b"-- MySQL dump", compress([b"abc"], other)[0], zlib.compress(b"abc")):
        with pytest.raises(ContentIncomplete):
            list(decompress([data], compression))
