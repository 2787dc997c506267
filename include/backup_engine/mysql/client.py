"""The server's own dump program: found by flavour, started so that it dies with us and shows no secret.

Credentials go through an anonymous in-memory file that the child inherits (memfd_create(2)): they never touch
a disk, an argument list or an environment, and the file is gone when the last descriptor closes.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import IO

from include.backup_engine.errors import PreflightError
from include.backup_engine.mysql.server import LOCK_WAIT_SECONDS, Endpoint
from include.backup_engine.records import Flavour

_PROGRAMS: dict[Flavour, tuple[str, ...]] = {"mariadb": ("mariadb-dump", "mysqldump"), "mysql": ("mysqldump",)}
_REMEDY: dict[Flavour, str] = {
    "mariadb": "Install the package mariadb-client on every worker.",
    "mysql": "Install Oracle's own client on every worker: the package mysql-community-client of MySQL's APT"
    " repository, or mysql-client where the distribution has it (Debian's default-mysql-client is MariaDB's).",
}
_ERROR_CODE = re.compile(r"(?:[Ee]rror:? |\()(\d{4})\b")
_WARNING = re.compile(r"(?:\S+: )?\[?(?:-- )?warning", re.IGNORECASE)
_SESSION = (
    "SET SESSION wait_timeout = 86400, net_read_timeout = 86400, net_write_timeout = 86400,"
    f" lock_wait_timeout = {LOCK_WAIT_SECONDS}"
)
"""A day: the server ends the connection of a dump that nobody reads for longer. Its defaults are 8 hours between two
statements, and a minute within one (``net_write_timeout``), which a store that stands still easily exceeds. For a lock
it would wait for a day, too, or a year."""
_NOWHERE = "/dev/null/nowhere"
_PLAIN_HOST = re.compile(r"[\w.:%-]+")
_STDERR_LIMIT = 64 * 1024
_PIPE_BYTES = 1 << 20
"""What the program may write before it waits for us; the default of 64 KiB has the two take turns (pipe(7))."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class DumpProgram:
    """A dump program on this machine.

    :param options: the option names that its ``--help`` lists.
    :param connection_strings: whether what it takes for a host may be a connection string of MariaDB's Connector/C
        (its manual, "mariadb_connect": 3.3 and later), the only way to give its session settings.
    """

    path: str
    flavour: Flavour
    version: str
    options: frozenset[str]
    connection_strings: bool = False

    @property
    def series(self) -> tuple[int, ...]:
        """Its release series, such as (10, 11)."""
        return release_series(self.version)


def release_series(version: str) -> tuple[int, ...]:
    """The first two numbers of the first ``x.y.z`` in a version, of a server or a program; empty if there is none."""
    found = re.search(r"(\d+)\.(\d+)\.\d+", version)
    return (int(found[1]), int(found[2])) if found else ()


@cache
def find_dump_program(flavour: Flavour, server_version: str = "") -> DumpProgram:
    """The dump program that belongs to the server: of its flavour, and of its release series or else the newest.

    Another flavour's program is no substitute: ``mariadb-dump`` against MySQL exits 0 and writes a dump that
    MySQL cannot load (error 3105). Programs are looked for in every folder of PATH, because one of the other flavour
    may stand in front under the same name.

    :raises PreflightError: naming what to install.
    """
    found: list[DumpProgram] = []
    for name in _PROGRAMS[flavour]:
        for folder in os.get_exec_path():
            path = shutil.which(name, path=folder)
            if not path:
                continue
            version = _output(path, "--no-defaults", "--version")
            if release_series(version) and ("MariaDB" in version) == (flavour == "mariadb"):  # else it cannot even run
                options = re.findall(r"--([a-z][a-z-]+)", _output(path, "--no-defaults", "--help"))
                strings = flavour == "mariadb" and _takes_connection_strings(path)
                found.append(DumpProgram(path, flavour, version.strip(), frozenset(options), strings))
    if not found:
        raise PreflightError(
            f"No dump program for {flavour} servers is installed ({' or '.join(_PROGRAMS[flavour])}).",
            _REMEDY[flavour],
        )
    wanted = release_series(server_version)
    return max(found, key=lambda program: (program.series == wanted, program.series))  # of equals, the first on PATH


def _output(*argv: str) -> str:
    return _run(*argv).stdout


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, env=_environment())


def _takes_connection_strings(path: str) -> bool:
    """Try it: which socket is missing shows whether the string was understood, or taken for the name of a host."""
    tried = _run(path, "--no-defaults", f"--host=host=localhost;socket={_NOWHERE}", "--protocol=socket", "nothing")
    return f"'{_NOWHERE}'" in tried.stderr


def _environment() -> dict[str, str]:
    """Just enough for a client: nothing of the task's environment, which holds connections, goes along."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _option_file(endpoint: Endpoint, program: DumpProgram) -> int:
    """The descriptor of an in-memory option file (MySQL manual, "Using Option Files")."""
    flavour = program.flavour
    options = {"user": endpoint.user, "password": endpoint.password}
    if endpoint.unix_socket:
        options["socket"] = endpoint.unix_socket
    else:
        options |= {"host": endpoint.host, "port": str(endpoint.port), "protocol": "tcp"}
    host = options.get("host", "localhost")
    if "init-command" in program.options:
        options["init-command"] = _SESSION
    elif program.connection_strings and _PLAIN_HOST.fullmatch(host):
        options["host"] = f"host={host};init-command={{{_SESSION}}}"
    mode = endpoint.tls_mode
    tls = {"ssl-ca": endpoint.ca, "ssl-cert": endpoint.cert, "ssl-key": endpoint.key}
    flags: list[str] = []
    if mode == "DISABLED":
        tls = {}
        # Without TLS, caching_sha2_password (MySQL's default) sends the password under the server's public key.
        flags = ["skip-ssl"] if flavour == "mariadb" else ["ssl-mode=DISABLED", "loose-get-server-public-key"]
    elif flavour == "mysql":
        flags = [f"ssl-mode={mode}"]
    else:  # MariaDB's client has one degree of verification, and it includes the host name
        flags = ["ssl", "ssl-verify-server-cert"]
    options |= {name: value for name, value in tls.items() if value}
    lines = ["[client]", *flags]
    for name, value in options.items():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'{name}="{escaped}"')
    descriptor = os.memfd_create("client-options", 0)
    os.fchmod(descriptor, 0o600)  # a memfd starts as 0777, and clients ignore world-writable option files
    os.write(descriptor, "\n".join([*lines, ""]).encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def die_with_parent() -> None:
    """For a child process, before its program starts: have the kernel kill it when the thread that made it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ClientProcess:
    """One running client program: its output, its exit code, and what may be said about its errors."""

    def __init__(self, program: DumpProgram, endpoint: Endpoint, arguments: list[str]) -> None:
        descriptor = _option_file(endpoint, program)
        try:
            self._process = subprocess.Popen(
                [program.path, f"--defaults-file=/proc/self/fd/{descriptor}", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(descriptor,),
                env=_environment(),
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        finally:
            os.close(descriptor)
        stdout, stderr = self._process.stdout, self._process.stderr
        if stdout is None or stderr is None:  # pragma: no cover - both are PIPE
            raise AssertionError
        self.stdout: IO[bytes] = stdout
        with suppress(OSError):  # a user has so much memory for pipes, and can do with less
            fcntl.fcntl(stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._stderr = b""
        self._drain = threading.Thread(target=self._keep_stderr, args=(stderr,), daemon=True)
        self._drain.start()

    @property
    def pid(self) -> int:
        """Process id, which is also its process group."""
        return self._process.pid

    def _keep_stderr(self, stream: IO[bytes]) -> None:
        for line in stream:
            if len(self._stderr) < _STDERR_LIMIT:
                self._stderr += line

    def wait(self) -> int:
        """The exit code, once the program has ended and its output is read."""
        code = self._process.wait()
        self._drain.join(timeout=5)
        return code

    @property
    def error_codes(self) -> set[int]:
        """Server error numbers in the program's complaints."""
        return {int(code) for code in _ERROR_CODE.findall(self._stderr.decode("utf-8", "replace"))}

    def failure(self, known_names: frozenset[str]) -> str:
        """What the program complained about, safe to log: error numbers, and names that we know are objects.

        Everything else is withheld, because clients quote rows and definitions on stderr.
        """
        text = self._stderr.decode("utf-8", "replace")
        codes = [str(code) for code in sorted(self.error_codes)]
        named = sorted(name for name in known_names if re.search(rf"[`'.]{re.escape(name)}[`']", text))
        # MariaDB's program ends in silence when its connection was killed between two answers.
        parts = [f"error {', '.join(codes)}" if codes else "no error number" if text.strip() else "it said nothing"]
        if named:
            parts.append(f"at {', '.join(named)}")
        return ", ".join(parts)

    @property
    def complained(self) -> bool:
        """Whether anything but warnings was written to stderr."""
        lines = self._stderr.decode("utf-8", "replace").splitlines()
        return any(line.strip() and not _WARNING.match(line) for line in lines)

    def kill(self) -> None:
        """End the program and everything it started, now. Harmless when it has already ended."""
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
        self._process.wait()
