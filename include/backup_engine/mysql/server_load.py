"""How much a server has to do: what it says of itself in a few cheap statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from include.backup_engine.errors import PreflightError
from include.backup_engine.mysql.server import row, server_errors
from include.backup_engine.mysql.snapshot import history_list_length
from include.backup_engine.records import ServerIdentity


@dataclass(frozen=True)
class ServerLoad:
    """What was asked for; ``None``: that was not, or there is no such thing.

    :param threads_running: connections that run a statement, the backup's own among them (``Threads_running``).
    :param history_list_length: transactions whose old rows InnoDB has not purged.
    :param replication_lag_seconds: of the replica that this server is, the largest of several; a replication that
        somebody has stopped has none.
    """

    threads_running: int | None = None
    history_list_length: int | None = None
    replication_lag_seconds: int | None = None


def look_at(
    connection: Connection[Any], server: ServerIdentity, *, threads: bool, history: bool, lag: bool
) -> ServerLoad:
    """Ask the server.

    :raises PreflightError: the account may not see it; naming the grant.
    :raises SourceUnavailable: the server does not answer.
    """
    running = row(connection, "SHOW GLOBAL STATUS LIKE 'Threads_running'") if threads else None
    length = history_list_length(connection, server) if history else None
    if history and length is None:
        raise PreflightError(
            "The account may not see the server's history list, by which the policy throttles the backup.",
            "GRANT PROCESS ON *.* TO the account, or take throttle.history_list_length off the policy.",
        )
    return ServerLoad(int(running[1]) if running else None, length, _lag(connection, server) if lag else None)


def _lag(connection: Connection[Any], server: ServerIdentity) -> int | None:
    mariadb = server.flavour == "mariadb"
    statement = "SHOW ALL SLAVES STATUS" if mariadb else "SHOW REPLICA STATUS"
    column = "Seconds_Behind_Master" if mariadb else "Seconds_Behind_Source"
    try:
        with server_errors(f"running {statement!r}"), connection.cursor(DictCursor) as cursor:
            cursor.execute(statement)
            lags = [channel[column] for channel in cursor.fetchall()]
    except PreflightError:
        raise PreflightError(
            "The account may not see the server's replication lag, by which the policy throttles the backup.",
            f"GRANT {'SLAVE MONITOR' if mariadb else 'REPLICATION CLIENT'} ON *.* TO the account, or take"
            " throttle.replication_lag_seconds off the policy.",
        ) from None
    return max((int(lag) for lag in lags if lag is not None), default=None)
