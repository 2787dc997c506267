"""Telling the story of a run: stages, progress lines, one summary line.

The engine reports through a :class:`Reporter`; who runs it decides where that goes (a log, a terminal, the
folded groups and metrics of Airflow). Texts hold names, sizes and times, never data.
"""

from __future__ import annotations

import logging
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO, TypeVar

PROGRESS_SECONDS = 5.0
_BAR = 20
_ERASE_TO_END = "\x1b[K"  # ECMA-48, EL
_Item = TypeVar("_Item")


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


@dataclass
class Progress:
    """How far something is.

    :param total: bytes or things in all; None: unknown.
    :param done: bytes or things that have passed.
    """

    what: str
    total: int | None
    things: bool = False
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        """For a log."""
        seconds = time.monotonic() - self.started
        if self.things:
            return f"{self.what}: {self.done} of {self.total} in {seconds:.0f} s"
        return f"{self.what}: {megabytes(self.done)} in {seconds:.0f} s, {rate(self.done, seconds)}"

    def bar(self) -> str:
        """For a terminal: a bar when the total is known, done of all, the rate, and the time that is left."""
        seconds = max(time.monotonic() - self.started, 1e-6)
        amount: Callable[[float], str] = (lambda count: f"{count:.0f}") if self.things else megabytes
        speed = f"{amount(self.done / seconds)}/s"
        if not self.total:
            return f"{self.what}  {amount(self.done)}  {speed}"
        share = min(self.done / self.total, 1.0)
        full = "#" * round(share * _BAR)
        left = max(self.total - self.done, 0) / self.done * seconds if self.done else 0
        return (
            f"{self.what}  [{full:.<{_BAR}}] {share:4.0%}  {amount(self.done)} of {amount(self.total)}"
            f"  {speed}  {left // 60:.0f}:{left % 60:02.0f} left"
        )


class Reporter:
    """Reports to a standard logger. Subclasses send the same events elsewhere."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("backup_engine")
        self.seconds: dict[str, float] = {}
        """Wall time of each finished stage."""
        self.progress_seconds = PROGRESS_SECONDS

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

    def watch(self, chunks: Iterable[bytes], what: str, total: int | None = None) -> Iterator[bytes]:
        """Pass ``chunks`` on, and tell of it now and then.

        :param total: bytes in all, when that is known.
        """
        for chunk in self._told(chunks, progress := Progress(what, total)):
            progress.done += len(chunk)
            yield chunk

    def count(self, items: Iterable[_Item], what: str, total: int) -> Iterator[_Item]:
        """The same for things, of which there are ``total``."""
        for item in self._told(items, progress := Progress(what, total, things=True)):
            progress.done += 1
            yield item

    def show(self, progress: Progress) -> None:
        """Something goes on; called every few seconds."""
        self.line(str(progress))

    def hide(self) -> None:
        """It has ended, well or badly."""

    def _told(self, items: Iterable[_Item], progress: Progress) -> Iterator[_Item]:
        last = time.monotonic()
        try:
            for item in items:
                yield item
                now = time.monotonic()
                if now - last >= self.progress_seconds:
                    last = now
                    self.show(progress)
        finally:
            self.hide()


class TerminalReporter(Reporter):
    """Reports to a terminal: one line at its bottom, written again several times a second, tells how far it is.

    :param terminal: where the logger writes, too.
    """

    def __init__(self, logger: logging.Logger, terminal: TextIO) -> None:
        super().__init__(logger)
        self.progress_seconds = 0.2
        self._terminal = terminal

    def line(self, text: str, **fields: object) -> None:
        """One line of the story, above the progress."""
        self.hide()
        super().line(text, **fields)

    def warn(self, text: str, **fields: object) -> None:
        """The same for a warning."""
        self.hide()
        super().warn(text, **fields)

    def show(self, progress: Progress) -> None:
        """Write the line again."""
        columns = shutil.get_terminal_size().columns - 1  # a full line would wrap
        self._terminal.write(f"\r{progress.bar()[:columns]}{_ERASE_TO_END}")
        self._terminal.flush()

    def hide(self) -> None:
        """Erase the line."""
        self._terminal.write(f"\r{_ERASE_TO_END}")
        self._terminal.flush()
