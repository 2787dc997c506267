"""Which processes descend from another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def descendants(ancestor: int) -> Iterator[int]:
    """The processes below ``ancestor``, its children first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # it may end between listing and reading
            if entry.name.isdecimal():
                parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(entry.name))
    found = children.get(ancestor, [])
    while found:
        yield from found
        found = [child for parent in found for child in children.get(parent, [])]


def dump_programs(ancestor: int) -> list[int]:
    """The descendants that are a dump program of any flavour; the unpacked ones run under the name of their loader."""
    return [pid for pid in descendants(ancestor) if b"--single-transaction" in _arguments(pid)]


def _arguments(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
