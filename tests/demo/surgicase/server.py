"""Sessions on the server that the demo database lives on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

Flavour = Literal["mariadb", "mysql"]
Connect = Callable[[], "Connection[Cursor]"]
"""Opens a new connection of an account that may create databases, accounts and definers."""


def connector(
    socket: str | None = None, host: str = "127.0.0.1", port: int = 3306, user: str = "root", password: str = ""
) -> Connect:
    """Connections over the socket, if there is one, else over TCP."""

    def connect() -> Connection[Cursor]:
        return pymysql.connect(unix_socket=socket, host=host, port=port, user=user, password=password)

    return connect


def flavour_of(connect: Connect) -> Flavour:
    connection = connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            [[version]] = cursor.fetchall()
        return "mariadb" if "mariadb" in str(version).lower() else "mysql"
    finally:
        connection.close()


@contextmanager
def session(connect: Connect, database: str, at: datetime | None = None) -> Iterator[Cursor]:
    """An autocommitting session in which every value of the demo database is allowed.

    UTF-8, UTC, zero dates, zeros in AUTO_INCREMENT columns; foreign keys are not checked.

    :param at: what the session takes for the current time (UTC).
    """
    connection = connect()
    try:
        connection.set_character_set("utf8mb4", "utf8mb4_unicode_ci")
        connection.autocommit(True)
        connection.select_db(database)
        with connection.cursor() as cursor:
            cursor.execute(
                "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,STRICT_TRANS_TABLES', time_zone = '+00:00', "
                "foreign_key_checks = 0, unique_checks = 0"
            )
            if at:
                cursor.execute("SET SESSION timestamp = UNIX_TIMESTAMP(%s)", (at,))
            yield cursor
    finally:
        connection.close()
