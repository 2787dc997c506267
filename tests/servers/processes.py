"""What the private servers share: a free port, a start with a time limit, a stop that leaves nothing."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""

_LEASH = Path(__file__).with_name("leash.py")
_taken: set[int] = set()
_random = random.SystemRandom()  # Hypothesis seeds the module's own generator, the same in every process


class ServerFailed(Exception):
    """A server did not start or stop as it should; the text ends with the last lines of its log."""


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on, and that this process was not given before.

    From below the range that the kernel gives to outgoing connections (ip(7), ip_local_port_range), so that none
    of those takes it in the meantime.
    """
    while True:
        port = _random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in _taken:
                _taken.add(port)
                return port


def find_program(name: str) -> str:
    """The path of an installed program; Debian keeps servers in a folder that users do not have on their PATH."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"]))
    if path is None:
        raise ServerFailed(f"The program {name} is not installed. Run `make setup`.")
    return path


def wait_until(
    ready: Callable[[], bool],
    seconds: float,
    what: str,
    *,
    every: float = 0.05,
    gone: Callable[[], bool] = lambda: False,
) -> None:
    """Ask ``ready`` every few seconds until it says yes.

    :param what: for the error: what has not happened.
    :raises ServerFailed: after ``seconds``, or as soon as ``gone`` says that waiting is pointless.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if gone():
            raise ServerFailed(f"{what}: the program has ended.")
        if time.monotonic() > deadline:
            raise ServerFailed(f"{what}: not within {seconds:.0f} s.")
        time.sleep(every)


class Server(ABC):
    """One server program. ``with`` starts and stops it.

    :param folder: receives data and log; created if missing, and never removed here.
    """

    start_seconds: float = 180
    stop_seconds: float = 30
    stop_signal: signal.Signals = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.log = self.folder / f"{type(self).__name__.lower()}.log"
        self._leash: subprocess.Popen[str] | None = None
        self._pid = 0

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it serves. :raises ServerFailed: when it does not."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the program or anything that it started still runs."""
        return self._leash is not None and self._leash.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the program."""
        return self._pid

    def stop(self) -> None:
        """Ask it to end, and kill what has not ended in time. Nothing of it runs afterwards."""
        if self.running:
            self.signal(self.stop_signal)
        self._let_go(self.stop_seconds)

    def kill9(self) -> None:
        """SIGKILL the program, as the kernel does when memory runs out. Nothing of it runs afterwards."""
        if self.running:
            self.signal(signal.SIGKILL)
        self._let_go(self.stop_seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program, not to its children."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def log_tail(self, lines: int = 30) -> str:
        """The last lines of the log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _launch(
        self,
        argv: Sequence[str],
        ready: Callable[[], bool],
        *,
        env: Mapping[str, str] | None = None,
        scratch: Path | None = None,
    ) -> None:
        """Start ``argv`` with its output going to the log, and wait for ``ready``.

        :param scratch: a folder that is removed when nothing of the program runs any more.
        """
        if self.running:
            raise ServerFailed(f"{type(self).__name__} in {self.folder} runs already.")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            leash = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LEASH), str(scratch or ""), *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=None if env is None else dict(env),
                cwd=self.folder,
                start_new_session=True,
                text=True,
            )
        assert leash.stdin is not None and leash.stdout is not None
        leash_end = leash.stdin
        # Otherwise a forked child that outlives this process (a task of Airflow) would hold the leash too.
        os.register_at_fork(after_in_child=leash_end.close)
        self._leash = leash
        with leash.stdout as answer:
            self._pid = int(answer.readline() or -1)
        try:
            wait_until(
                lambda: self.running and ready(),
                self.start_seconds,
                f"{type(self).__name__} in {self.folder} did not start",
                gone=lambda: not self.running,
            )
        except BaseException as error:
            self._let_go(0)
            if isinstance(error, ServerFailed):
                raise ServerFailed(f"{error} Its log, {self.log}, ends with:\n{self.log_tail()}") from None
            raise

    def _let_go(self, seconds: float) -> None:
        leash, self._leash = self._leash, None
        if leash is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            leash.wait(seconds)
        assert leash.stdin is not None
        leash.stdin.close()
        leash.wait()
