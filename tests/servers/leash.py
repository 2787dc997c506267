"""Run one program so that nothing of it outlives the process that asked for it.

``python leash.py FOLDER PROGRAM ARGUMENT...`` prints the program's process id, and ends when the program has ended
and no descendant of it is left; then it removes FOLDER, unless that is empty text. It becomes the parent of orphaned
descendants (``PR_SET_CHILD_SUBREAPER``, prctl(2)), so that a process which left its group or session is found too.
When standard input ends, all of them are killed: the asking process holds the other end, and the kernel closes that
however the process dies.

Only the standard library, so that it starts in milliseconds (``python -I -S``).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def kill_children() -> None:
    """SIGKILL to every process whose parent is this one."""
    for process in Path("/proc").iterdir():
        # The process may end between listing and reading; proc_pid_stat(5): the 2nd field may contain anything.
        with contextlib.suppress(OSError):
            if process.name.isdecimal() and _parent(process) == os.getpid():
                os.kill(int(process.name), signal.SIGKILL)


def _parent(process: Path) -> int:
    return int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])


def main(folder: str, *argv: str) -> int:
    """Run ``argv`` to its end and return its exit status, 128 + N for a death by signal N."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    abandoned = threading.Event()

    def abandon(*_: object) -> None:
        abandoned.set()
        kill_children()

    def wait_for_the_asker() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1024):
                pass
        abandon()

    # A handler also undoes an ignored SIGINT, which background jobs of a shell inherit: Airflow is stopped by SIGINT.
    signal.signal(signal.SIGINT, abandon)
    signal.signal(signal.SIGTERM, abandon)
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.close()
    threading.Thread(target=wait_for_the_asker, daemon=True).start()
    status: int | None = None
    while True:
        try:
            pid, wait_status = os.wait()
        except ChildProcessError:
            break
        if pid == child.pid:
            status = os.waitstatus_to_exitcode(wait_status)
        # A killed process hands its children to us before it can be waited for, so each round sees all that is left.
        if status is not None or abandoned.is_set():
            kill_children()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    return status if status is not None and status >= 0 else 128 - (status or 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
