"""What a run of some programs takes: time, processor, memory; from the kernel's own accounts (Linux only)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE_SECONDS = 0.05
_QUIET_SHARE = 0.05
_QUIET_SECONDS = 0.2
_LONGEST_SETTLING = 20.0


@dataclass(frozen=True)
class Usage:
    """What one run took.

    :param client_cpu: processor seconds of the processes that were started, all of them (wait4(2)).
    :param server_cpu: processor seconds of the database server meanwhile.
    :param sink_cpu: processor seconds of the S3 server meanwhile.
    :param server_written: bytes that the database server wrote to its disk meanwhile.
    :param memory: bytes: the high-water marks of all processes that were started, summed.
    """

    exit_code: int
    wall: float
    client_cpu: float
    server_cpu: float
    sink_cpu: float
    server_written: int
    memory: int


def run(argv: Sequence[str], env: Mapping[str, str], log: Path, *, server: int, sink: int, cwd: Path) -> Usage:
    """Run a program to its end and say what it took.

    :param log: receives what it prints.
    :param server: process id of the database server.
    :param sink: process id of the S3 server.
    """
    before = cpu_seconds(server), cpu_seconds(sink), written_bytes(server)
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(argv, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            with _Memory(process.pid) as memory:
                _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # Ctrl-C: nothing of it goes on by itself
            for pid in list(descendants(process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
            raise
        wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for here, not by Popen
    return Usage(
        exit_code=process.returncode,
        wall=wall,
        client_cpu=usage.ru_utime + usage.ru_stime,
        server_cpu=cpu_seconds(server) - before[0],
        sink_cpu=cpu_seconds(sink) - before[1],
        server_written=written_bytes(server) - before[2],
        memory=memory.total,
    )


class _Memory:
    """Watches a process and its descendants; :attr:`total` is the sum of their high-water marks, in bytes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._marks: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def total(self) -> int:
        return sum(self._marks.values())

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            for pid in descendants(self._pid):
                # The last mark, not the highest: before exec(2), a forked process has its parent's.
                self._marks[pid] = _high_water_mark(pid) or self._marks.get(pid, 0)


def descendants(pid: int) -> Iterator[int]:
    """A process and all that descend from it (proc(5), task/*/children)."""
    yield pid
    with contextlib.suppress(OSError):  # it may end while we read
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from descendants(int(child))


def _high_water_mark(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """Processor seconds that a process has used so far, with its descendants that run (proc_pid_stat(5))."""
    total = 0
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def written_bytes(pid: int) -> int:
    """Bytes that a process has had written to storage so far (proc_pid_io(5), ``write_bytes``)."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


def settle(*pids: int) -> None:
    """Wait until servers have done what the run before has left them to do, such as flushing and purging."""
    deadline = time.monotonic() + _LONGEST_SETTLING
    while time.monotonic() < deadline:
        before = sum(map(cpu_seconds, pids))
        time.sleep(_QUIET_SECONDS)
        if sum(map(cpu_seconds, pids)) - before <= _QUIET_SHARE * _QUIET_SECONDS * len(pids):
            return
