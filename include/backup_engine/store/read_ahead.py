"""A large object over several connections at once: ranges are fetched ahead of the reader, and given out in order.

One connection to S3 brings some 80 MB/s at best, less than a restore can take (AWS: Performance design patterns for
Amazon S3, "Horizontal scaling and request parallelization"). Each range is a download of its own, pinned to the
object's version and resumed after a cut connection (download.py).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

RANGE_BYTES = 2 << 20
CONNECTIONS = 3
"""Ranges that are fetched at the same time; with the one that is being read, 8 MiB of memory."""


def read_ahead(open_range: Callable[[int, int], Iterable[bytes]], offset: int, end: int) -> Iterator[bytes]:
    """The bytes from ``offset`` up to ``end``, in order, in chunks as ``open_range`` makes them.

    :param open_range: given an offset and a length, fetches exactly those bytes, or raises.
    :raises: what a range has raised, once all before it were given out.
    """
    given_up = threading.Event()

    def fetch(start: int) -> list[bytes]:
        chunks: list[bytes] = []
        for chunk in open_range(start, min(RANGE_BYTES, end - start)):
            if given_up.is_set():
                break
            chunks.append(chunk)
        return chunks

    if end - offset <= RANGE_BYTES:
        yield from open_range(offset, end - offset)
        return
    pool = ThreadPoolExecutor(CONNECTIONS, "download")
    ranges: deque[Future[list[bytes]]] = deque()
    try:
        for start in range(offset, end, RANGE_BYTES):
            ranges.append(pool.submit(fetch, start))
            if len(ranges) > CONNECTIONS:
                yield from _taken(ranges)
        while ranges:
            yield from _taken(ranges)
    finally:
        given_up.set()
        pool.shutdown(cancel_futures=True)


def _taken(ranges: deque[Future[list[bytes]]]) -> Iterator[bytes]:
    """The chunks of the first range; each is let go as it is given out."""
    chunks = ranges.popleft().result()
    chunks.reverse()
    while chunks:
        yield chunks.pop()
