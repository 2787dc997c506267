"""Compression of the dump, cut into independent members so that a reader can start at a table.

A ``.sql.gz`` of several gzip members is one valid gzip file (RFC 1952, section 2.2), and so is a ``.sql.zst``
of several frames (RFC 8878, section 3): ``gunzip`` and ``zstd -d`` read them whole. gzip is written by ISA-L,
fourteen times as fast as zlib at its default level for 4 % more bytes.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Protocol

import zstandard
from isal import isal_zlib

from include.backup_engine.errors import ContentIncomplete
from include.backup_engine.names import Compression

_GZIP_LEVEL = 1  # 3 takes 40 % longer for 1 % fewer bytes
_ZSTD_LEVEL = 3
_GZIP_WBITS = 31  # zlib's way to ask for a gzip header and trailer
_READ = 1 << 20
_Decompressor: Any = isal_zlib.decompressobj  # untyped upstream
_GzipError: Any = isal_zlib.error  # untyped upstream


class _Stream(Protocol):
    def compress(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


class Compressor:
    """Compresses a stream; :meth:`cut` ends a member, and the next byte starts a new one."""

    def __init__(self, compression: Compression) -> None:
        self._compression = compression
        self._stream = self._new()
        self.bytes_in = 0
        self.bytes_out = 0
        self.member_in = 0
        """Offset in the input at which the current member starts."""
        self.member_out = 0
        """Offset in the output at which the current member starts."""

    def _new(self) -> _Stream:
        stream: Any
        if self._compression == "gzip":
            stream = isal_zlib.compressobj(level=_GZIP_LEVEL, wbits=_GZIP_WBITS)
        else:
            stream = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()
        checked: _Stream = stream
        return checked

    def compress(self, data: bytes | memoryview) -> bytes:
        """Compress; returns what is ready, perhaps nothing."""
        out = self._stream.compress(bytes(data) if isinstance(data, memoryview) else data)
        self.bytes_in += len(data)
        self.bytes_out += len(out)
        return out

    def finish(self) -> bytes:
        """End the last member and return the rest."""
        out = self._stream.flush()
        self.bytes_out += len(out)
        return out

    def cut(self) -> bytes:
        """End the current member and start another."""
        out = self.finish()
        self._stream = self._new()
        self.member_in, self.member_out = self.bytes_in, self.bytes_out
        return out


class _ChunkReader(io.RawIOBase):
    """A file object over chunks, which is what zstd's decompressor reads from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def decompress(chunks: Iterable[bytes], compression: Compression) -> Generator[bytes, None, None]:
    """The original stream, in chunks of at most 1 MiB whatever the ratio. No chunk is taken before it is needed.

    A zstd stream that is cut off ends early without an error, so callers compare the length with the sidecar's.

    :raises ContentIncomplete: the stream is damaged, or not of this compression.
    """
    blocks = _gunzip(chunks) if compression == "gzip" else _unzstd(chunks)
    while True:
        try:
            block = next(blocks, None)
        except (EOFError, zlib.error, _GzipError, zstandard.ZstdError):
            problem = f"The {compression} stream inside the backup is damaged or cut off."
            raise ContentIncomplete(problem, "Use another backup, and report this one: it was stored so.") from None
        if block is None:
            return
        yield block


def _gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    member = _Decompressor(wbits=_GZIP_WBITS)
    begun = False
    for chunk in chunks:
        data = chunk
        while True:
            begun = begun or bool(data)
            block: bytes = member.decompress(data, _READ)
            if block:
                yield block
            if member.eof:
                data, begun = member.unused_data, False
                member = _Decompressor(wbits=_GZIP_WBITS)
            else:
                data = member.unconsumed_tail
            if not data and len(block) < _READ:
                break
    if begun:
        raise EOFError


def _unzstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    reader: Any = _ChunkReader(chunks)  # all of a file that the decompressor needs
    stream: Any = zstandard.ZstdDecompressor().stream_reader(reader, read_size=_READ, read_across_frames=True)
    while block := stream.read1(_READ):
        yield block
