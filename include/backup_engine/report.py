"""Telling the story of a run: stages, progress lines, one summary line.

The engine reports through a :class:`Reporter`; who runs it decides where that goes (a log, a terminal, the
folded groups and metrics of Airflow). Texts hold names, sizes and times, never data.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRESS_SECONDS = 5.0


def megabytes(size: float) -> str:
    """Bytes as people read them, in powers of ten: ``12.3 MB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size:.0f} B"


def rate(size: float, seconds: float) -> str:
    """Bytes per second as people read them."""
    return f"{megabytes(size / seconds) if seconds > 0 else '-'}/s"


def forget_peak_memory() -> None:
    """Start the memory high-water mark anew: a forked worker inherits its parent's (proc(5), clear_refs)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # not Linux, or not allowed: the figure then includes what came before
        return


def peak_memory() -> int:
    """The process's memory high-water mark in bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Reporter:
    """Reports to a standard logger. Subclasses send the same events elsewhere."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("backup_engine")
        self.seconds: dict[str, float] = {}
        """Wall time of each finished stage."""

    def line(self, text: str, **fields: object) -> None:
        """One line of the story; ``fields`` are appended as ``name=value``."""
        self._logger.info("%s", " ".join([text, *(f"{k}={v}" for k, v in fields.items() if v is not None)]))

    def warn(self, text: str, **fields: object) -> None:
        """A line that someone should act on."""
        self._logger.warning("%s", " ".join([text, *(f"{k}={v}" for k, v in fields.items() if v is not None)]))

    def open_group(self, title: str) -> None:
        """A stage begins."""
        self.line(title)

    def close_group(self) -> None:
        """A stage has ended."""

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Group what happens inside, and keep how long it took in :attr:`seconds`."""
        self.open_group(title)
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[title] = round(time.monotonic() - started, 3)
            self.close_group()

    def watch(self, chunks: Iterable[bytes], what: str) -> Iterator[bytes]:
        """Pass ``chunks`` on, with a progress line every few seconds."""
        started = last = time.monotonic()
        done = 0
        for chunk in chunks:
            done += len(chunk)
            yield chunk
            now = time.monotonic()
            if now - last >= PROGRESS_SECONDS:
                last = now
                self.line(f"{what}: {megabytes(done)} in {now - started:.0f} s, {rate(done, now - started)}")
