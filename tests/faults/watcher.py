"""Searches, all the time, what the tasks of Airflow write anywhere, and what can be seen of the programs they start."""

from __future__ import annotations

import os
import re
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.faults.processes import descendants

_EVERY_SECONDS = 0.15
_PUBLIC = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
_MARIADB_DATA = "ibdata1"  # a folder that holds this file is a database server's: rows belong there
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"


class Watcher:
    """Looks for needles in files, and in arguments and environments of client programs, until the block ends.

    Files are those below ``folders``, new ones in the folders that everybody may write to, and every other one that
    a watched process has open for writing, or has open and deleted. A compressed file is a finding as well, since it
    cannot be searched.

    :param watched: processes that are watched, with their descendants.
    :ivar needles: what must not be found, by the name to report; may be added to.
    :ivar findings: what was found where.
    :ivar programs: the client programs that were seen.
    """

    def __init__(self, needles: dict[str, bytes], folders: Iterable[Path], watched: Iterable[int]) -> None:
        self.needles = dict(needles)
        self._watched = list(watched)
        self.findings: set[str] = set()
        self.programs: set[str] = set()
        self._folders = list(folders)
        self._prefixes = tuple(f"{folder}/" for folder in self._folders)
        self._known = {entry for folder in _PUBLIC for entry in _entries(folder)}
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        took = 0.0
        while not self._stop.wait(max(_EVERY_SECONDS, took)):  # else what it watches would starve beside it
            began = time.monotonic()
            self._look()
            took = time.monotonic() - began

    def _look(self) -> None:
        for pid in list(self._processes()):
            with suppress(OSError):  # it may end at any time
                self._look_at_process(pid)
        new = [entry for folder in _PUBLIC for entry in _entries(folder) if entry not in self._known]
        for path in _files([*self._folders, *new]):
            with suppress(OSError):
                self._look_at_file(path, str(path))

    def _processes(self) -> Iterator[int]:
        for pid in self._watched:
            yield pid
            yield from descendants(pid)

    def _look_at_process(self, pid: int) -> None:
        process = Path(f"/proc/{pid}")
        program = (process / "exe").readlink().name
        if not program.startswith("python"):
            self.programs.add(program)
            for what in ("cmdline", "environ"):
                self._search((process / what).read_bytes(), f"{what} of {program}")
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                target = str(descriptor.readlink())
                # A file in memory (memfd_create) is on no disk, and what can be seen in our folders is seen there.
                if not stat.S_ISREG(descriptor.stat().st_mode) or target.startswith("/memfd:"):
                    continue
                flags = re.search(r"^flags:\s*(\d+)", (process / "fdinfo" / descriptor.name).read_text(), re.MULTILINE)
                written = flags is not None and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY
                if target.endswith(" (deleted)") or (written and not self._is_ours(target)):
                    self._look_at_file(descriptor, target)

    def _is_ours(self, target: str) -> bool:
        return target.startswith(self._prefixes)

    def _look_at_file(self, path: Path, name: str) -> None:
        about = path.stat()
        state = (about.st_ino, about.st_size, about.st_mtime_ns)
        if self._seen.get(name) != state:
            self._seen[name] = state
            content = path.read_bytes()
            self._search(content, name)
            if content.startswith((_GZIP, _ZSTD)):
                self.findings.add(f"compressed data in {name}")

    def _search(self, content: bytes, where: str) -> None:
        self.findings |= {f"{name} in {where}" for name, needle in list(self.needles.items()) if needle in content}


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _files(roots: Iterable[Path]) -> Iterator[Path]:
    for root in roots:
        if root.is_file():
            yield root
        for folder, folders, names in os.walk(root):
            if _MARIADB_DATA in names:
                folders.clear()
                continue
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):
                    if stat.S_ISREG(path.lstat().st_mode):
                        yield path
