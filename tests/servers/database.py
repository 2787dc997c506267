"""What the private database servers share: data, a socket, an administrator, and where their programs are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pymysql
from pymysql.constants import CLIENT

from tests.servers.certificates import Certificate
from tests.servers.processes import ROOT, Server, ServerFailed, find_program, free_port

_MIB = 1024 * 1024
_LONGEST_TEMPORARY_FOLDER = 60  # bytes; the path of a socket must be shorter than 108 (unix(7))


@dataclass(frozen=True)
class Endpoint:
    """Where the server listens."""

    host: str
    port: int
    socket: Path


@dataclass(frozen=True)
class Tree:
    """Programs that tests/servers/flavours.sh has unpacked."""

    folder: Path

    @classmethod
    def of(cls, name: str) -> Tree:
        """The newest of that name, such as ``mysql`` or ``mariadb``.

        :raises ServerFailed: there is none.
        """

        def version(folder: Path) -> list[int]:
            return [int(part) for part in re.findall(r"\d+", folder.name)]

        found = sorted((ROOT / ".tools" / "servers").glob(f"{name}-*"), key=version)
        if not found:
            raise ServerFailed(f"The server {name} is not in .tools/servers. Run `make test-servers`.")
        return cls(found[-1])

    @property
    def clients(self) -> Path:
        """The folder of its client programs."""
        return self.folder / "usr" / "bin"

    def program(self, name: str) -> str:
        """The path of a program. :raises ServerFailed: it is not there."""
        for folder in (self.folder / "usr" / "sbin", self.clients):
            if (folder / name).exists():
                return str(folder / name)
        raise ServerFailed(
            f"The program {name} is not in {self.folder}. Remove that folder and run `make test-servers`."
        )


class Database(Server):
    """A database server on 127.0.0.1, with its own data, the binary log on, and small settings.

    ``root`` has no password but can only enter by the socket, which lies in a folder of mode 0700. Host names are
    not resolved, so create accounts for host ``'%'``: those for ``'localhost'`` do not match a TCP connection.

    :param folder: keeps the data; a server opened on the same folder later finds it.
    :param port: 0 takes a free one.
    :param options: more options of the server; the last one of a kind counts.
    :param buffer_pool: bytes of InnoDB buffer pool; the redo log is half of it.
    :param events: whether the event scheduler runs.
    :param tls: whether the server offers TLS; clients trust :attr:`certificate`'s ``authority``.
    :param binary_log: whether it writes one.
    :param tree: whose programs; ``None`` takes the system's.
    """

    executable: ClassVar[str]

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        options: Sequence[str] = (),
        *,
        buffer_pool: int = 64 * _MIB,
        events: bool = False,
        tls: bool = False,
        binary_log: bool = True,
        tree: Tree | None = None,
    ) -> None:
        super().__init__(folder)
        self.certificate = Certificate.made_in(self.folder / "tls") if tls else None
        self.tree = tree
        self._data = self.folder / "data"
        self._port = port or free_port()
        self._sockets: Path | None = None
        self._options = [
            f"--server-id={self._port}",
            f"--log-bin={self._data / 'binlog'}" if binary_log else "--skip-log-bin",
            "--character-set-server=utf8mb4",
            f"--event-scheduler={'ON' if events else 'OFF'}",
            "--max-allowed-packet=256M",
            f"--innodb-buffer-pool-size={buffer_pool}",
            "--innodb-flush-log-at-trx-commit=2",  # commits survive the process, not the machine
            *self._own_options(buffer_pool // 2),
            *options,
        ]
        if self.certificate:
            self._options += [
                f"--ssl-ca={self.certificate.authority}",
                f"--ssl-cert={self.certificate.chain}",
                f"--ssl-key={self.certificate.key}",
            ]

    @abstractmethod
    def _own_options(self, redo_log: int) -> list[str]:
        """Options that only this flavour knows. ``redo_log``: bytes."""

    @abstractmethod
    def _install(self, unfinished: Path) -> subprocess.CompletedProcess[str]:
        """Create the data in a folder that does not exist yet."""

    @abstractmethod
    def _after_install(self) -> None:
        """Finish a new server that runs."""

    @property
    def endpoint(self) -> Endpoint:
        """Where the server listens, once started."""
        if self._sockets is None:
            raise ServerFailed(f"The server in {self.folder} was not started.")
        return Endpoint("127.0.0.1", self._port, self._sockets / "s")

    def start(self) -> None:
        """Create the data if there are none, start, and wait until the server answers."""
        new = not self._data.exists()
        if new:
            # Under another name first: an interrupted installation is not mistaken for data.
            unfinished = self.folder / "data.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            self.folder.mkdir(parents=True, exist_ok=True)
            done = self._install(unfinished)
            if done.returncode:
                raise ServerFailed(f"The data could not be created in {self.folder}:\n{done.stdout}")
            unfinished.rename(self._data)
        temporary = tempfile.gettempdir()
        self._sockets = Path(
            tempfile.mkdtemp(
                prefix="database-", dir=temporary if len(temporary) <= _LONGEST_TEMPORARY_FOLDER else "/tmp"
            )
        )
        where = self.endpoint
        self._launch(
            [
                *self._program(self.executable),
                *(f"--datadir={self._data}", f"--socket={where.socket}", f"--pid-file={self._sockets / 'pid'}"),
                *(f"--bind-address={where.host}", f"--port={where.port}", "--skip-name-resolve"),
                # Its own: a MariaDB that starts removes the temporary tables that it finds, another server's as well.
                f"--tmpdir={self._sockets}",
                *self._options,
            ],
            self._answers,
            scratch=self._sockets,
        )
        if new:
            self._after_install()

    def sql(self, statements: str, *arguments: object, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run ``statements`` (separated by ``;``) as root, and return the rows of the last one."""
        with closing(self._connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statements, arguments or None)
            while cursor.nextset():
                pass
            return list(cursor.fetchall())

    def airflow_connection(self, login: str, password: str, schema: str = "", **extra: object) -> str:
        """An Airflow connection to this server, as the value of an ``AIRFLOW_CONN_...`` variable."""
        return json.dumps(
            {
                "conn_type": "mysql",
                "host": self.endpoint.host,
                "port": self.endpoint.port,
                "login": login,
                "password": password,
                "schema": schema,
                "extra": extra,
            }
        )

    def _connect(self, database: str | None = None) -> pymysql.Connection[pymysql.cursors.Cursor]:
        return pymysql.connect(
            unix_socket=str(self.endpoint.socket),
            user="root",
            database=database,
            charset="utf8mb4",
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
        )

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except pymysql.OperationalError:
            return False
        return True

    def _program(self, name: str) -> list[str]:
        path = self.tree.program(name) if self.tree else find_program(name)
        # Servers refuse to run as root unless told to; anybody else need not, and could not, name another user.
        return [path, "--no-defaults", *(["--user=root"] if os.geteuid() == 0 else [])]


def run_installer(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program that creates a server's data; its output comes back as one text."""
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
