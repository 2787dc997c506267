"""Connecting to a server, and recognising it: flavour, version, identity."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT

from include.backup_engine.errors import (
    BackupError,
    ConnectionMissing,
    PreflightError,
    SchemaChanged,
    SourceBusy,
    SourceUnavailable,
)
from include.backup_engine.records import Flavour, ServerIdentity

Row = Sequence[Any]
TlsMode = Literal["DISABLED", "VERIFY_CA", "VERIFY_IDENTITY"]
# MySQL Server Error Message Reference
ACCESS_DENIED = {1044, 1045, 1142, 1143, 1227, 1370, 1698}
TABLE_CHANGED = {1146, 1305, 1360, 1412, 1539}
"""A table, routine, trigger or event that was listed a moment ago is gone or another."""
LOCK_TIMEOUT = {1205, 1213}
LOCK_WAIT_SECONDS = 20
"""How long a backup waits for a lock: for a table that somebody alters, too, and everybody else behind that."""
_CONNECT_SECONDS = 30
_SESSION = "SET time_zone = '+00:00', wait_timeout = 86400, net_write_timeout = 3600, completion_type = NO_CHAIN"
_GONE = {2003, 2006, 2013, 1040, 1053, 1158, 1159, 1160, 1161, 1927}


@dataclass(frozen=True)
class Endpoint:
    """Where a server is and who we are there.

    TLS is never "encrypted but unverified": either off, which is accepted for this machine only unless asked
    for by name, or verified against a CA (``VERIFY_CA``) and the host name (``VERIFY_IDENTITY``).
    """

    host: str = "localhost"
    port: int = 3306
    user: str = ""
    password: str = field(default="", repr=False)
    unix_socket: str | None = None
    tls: TlsMode | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    name: str = ""

    @property
    def tls_mode(self) -> TlsMode:
        """The mode in force: as given, else ``VERIFY_IDENTITY`` when there is a CA, else off for this machine.

        :raises ConnectionMissing: for another machine without a CA and without an explicit ``DISABLED``.
        """
        if self.tls:
            return self.tls
        if self.ca:
            return "VERIFY_IDENTITY"
        if self.unix_socket or self.host == "localhost":
            return "DISABLED"
        try:
            if ipaddress.ip_address(self.host).is_loopback:
                return "DISABLED"
        except ValueError:
            pass
        raise ConnectionMissing(
            f"The connection {self.name or self.host} to another machine has no TLS settings.",
            'Add {"ssl": {"ca": "/path/ca.pem"}} to its extra, or {"ssl_mode": "DISABLED"} to accept clear text.',
        )

    def connect(
        self, database: str | None = None, *, read_timeout: int | None = None, sends_data: bool = False
    ) -> Connection[Any]:
        """Open a connection: UTC, utf8mb4, no SQL mode, autocommit.

        :param sends_data: whether LOAD DATA LOCAL may be asked for. The driver itself sends no file in any case.
        :raises SourceUnavailable: the server does not answer.
        :raises PreflightError: the server refuses the account or the database.
        """
        mode = self.tls_mode
        tls: dict[str, Any] = {"ssl_disabled": True}
        if mode != "DISABLED":
            tls = {
                "ssl_ca": self.ca,
                "ssl_cert": self.cert,
                "ssl_key": self.key,
                "ssl_verify_cert": True,
                "ssl_verify_identity": mode == "VERIFY_IDENTITY",
            }
        with server_errors(f"connecting to {self.name or self.host}"):
            connection: Connection[Any] = pymysql.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                unix_socket=self.unix_socket,
                database=database,
                charset="utf8mb4",
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_CONNECT_SECONDS,  # the one above ends where the server's greeting begins
                max_allowed_packet=1 << 30,
                sql_mode="",
                client_flag=CLIENT.LOCAL_FILES if sends_data else 0,
                init_command=_SESSION,
                **tls,
            )
        driver: Any = connection  # it has no public way to set this afterwards
        driver._read_timeout = read_timeout
        return connection


def error_number(error: Exception) -> int:
    """The number of a driver's error (MySQL Server Error Message Reference); 0 if it has none.

    What a connection says that is closed already has none, but is 2013: the server was lost.
    """
    if isinstance(error, OSError | pymysql.err.InterfaceError):
        return 2013
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


@contextmanager
def server_errors(doing: str) -> Iterator[None]:
    """Turn driver errors into ours. The server's text is dropped: it may quote row data (error 1062 does)."""
    failure: BackupError
    try:
        yield
        return
    except pymysql.err.MySQLError as error:
        code = error_number(error)
        if code in ACCESS_DENIED:
            failure = PreflightError(
                f"The server denied access (error {code}) while {doing}.",
                "Check the account's password and grants; include/sql has the grants each account needs.",
            )
        elif code in LOCK_TIMEOUT:
            failure = SourceBusy(
                f"A lock could not be had in time (error {code}) while {doing}.",
                "Find the long-running statement in SHOW PROCESSLIST, or let the retry try later.",
            )
        elif code in TABLE_CHANGED:
            failure = SchemaChanged(
                f"An object was altered or dropped (error {code}) while {doing}.",
                "Keep schema changes out of the backup window; the retry tries again.",
            )
        elif code in _GONE:
            failure = SourceUnavailable(
                f"The server was lost or could not be reached (error {code}) while {doing}.",
                "Check that it runs and that this worker may reach it.",
            )
        else:
            failure = SourceUnavailable(
                f"The server answered with error {code} while {doing}.",
                "Look the number up in the server's manual; its text is withheld because it may quote rows.",
            )
    except OSError as error:
        failure = SourceUnavailable(
            f"The network failed while {doing}: {error.strerror or type(error).__name__}.",
            "Check that the server runs and that this worker may reach it.",
        )
    # The driver's exception quotes rows, so no traceback may show it; it would, even outside of the handlers above,
    # because the caller's `with` still handles it.
    raise failure from None


def rows(connection: Connection[Any], sql: str, parameters: Sequence[object] | None = None) -> list[Row]:
    """All rows of a query.

    :raises SourceUnavailable, PreflightError: see :func:`server_errors`.
    """
    with server_errors(f"running {_excerpt(sql)!r}"), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _excerpt(sql: str) -> str:
    """A query's beginning and end: the latter names the table. Values are parameters, and so not in it."""
    text = " ".join(sql.split())
    return text if len(text) <= 100 else f"{text[:40]} … {text[-60:]}"


def _escaped(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")


def shown(connection: Connection[Any], statement: str, decode: Callable[[bytes], str] = _escaped) -> Row | None:
    """The row of a SHOW statement that quotes code, which need not be UTF-8 (MySQL: literals of other character sets
    in views).

    :param decode: how its bytes become text; by default bytes that are not UTF-8 come as backslash escapes: such a
        text can be compared, not executed.
    :raises SourceUnavailable, PreflightError: see :func:`server_errors`.
    """
    connection.use_unicode = False  # the driver would fail in the middle of the answer
    try:
        found = row(connection, statement)
    finally:
        connection.use_unicode = True
    return found and [decode(value) if isinstance(value, bytes) else value for value in found]


def row(connection: Connection[Any], sql: str, parameters: Sequence[object] | None = None) -> Row | None:
    """The first row of a query, or ``None``."""
    found = rows(connection, sql, parameters)
    return found[0] if found else None


def scalar(connection: Connection[Any], sql: str, parameters: Sequence[object] | None = None) -> Any:
    """The first column of the first row, or ``None``."""
    first = row(connection, sql, parameters)
    return first[0] if first else None


def quote(identifier: str) -> str:
    """An identifier in backticks (MySQL manual, "Schema Object Names")."""
    return "`" + identifier.replace("`", "``") + "`"


def variable(connection: Connection[Any], name: str) -> str | None:
    """A system variable as text, ``None`` when this server has no such variable."""
    found = row(connection, "SHOW VARIABLES WHERE Variable_name = %s", (name,))
    return str(found[1]) if found else None


def identify(connection: Connection[Any]) -> ServerIdentity:
    """What server this is."""
    version = str(scalar(connection, "SELECT VERSION()"))
    comment = variable(connection, "version_comment") or ""
    flavour: Flavour = "mariadb" if "mariadb" in (version + comment).lower() else "mysql"
    instance = variable(connection, "server_uuid")
    if not instance:  # MariaDB has none: what makes an instance there is its machine, port and data directory
        parts = [variable(connection, name) or "" for name in ("hostname", "port", "datadir", "server_id")]
        instance = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    return ServerIdentity(
        flavour=flavour,
        version=version,
        instance_id=instance,
        sql_mode=str(scalar(connection, "SELECT @@GLOBAL.sql_mode")),
        time_zone=str(scalar(connection, "SELECT @@GLOBAL.time_zone")),
    )


def database_exists(connection: Connection[Any], database: str) -> bool:
    """Whether a schema of that name is visible to this account."""
    found = scalar(connection, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s", (database,))
    return bool(found)


def kill_connection(endpoint: Endpoint, connection_id: int) -> bool:
    """End another connection of the same account, and the statement that it is running there.

    :return: whether the server was told; ``False`` when it cannot be reached or knows the connection no more.
    """
    try:
        with endpoint.connect() as connection:
            rows(connection, f"KILL {connection_id}")
    except BackupError:
        return False
    return True


def own_id(connection: Connection[Any]) -> int:
    """The connection's id on the server."""
    return int(scalar(connection, "SELECT CONNECTION_ID()"))
