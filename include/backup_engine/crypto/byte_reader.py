"""Cutting a stream of chunks of any size into pieces of the size that a format prescribes."""

from __future__ import annotations

from collections.abc import Iterable

from include.backup_engine.errors import MessageTruncated


class ByteReader:
    """Reads exact numbers of bytes from chunks of arbitrary sizes; at most one chunk is held back."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer only at the end of the stream."""
        pieces: list[memoryview] = []
        missing = size
        while missing and not self.at_end():
            piece = self._rest[:missing]
            self._rest = self._rest[len(piece) :]
            missing -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes.

        :raises MessageTruncated: when the stream ends before.
        """
        data = self.read(size)
        if len(data) < size:
            raise MessageTruncated(
                f"The encrypted message ends {size - len(data)} bytes too early.",
                "Fetch the object again; if its stored size is the same, use another backup.",
            )
        return data

    def at_end(self) -> bool:
        """Whether no byte is left; waits for the next chunk if it must."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return True
            self._rest = memoryview(chunk)
        return False
