"""Rows that are sent as data: what the server takes is what INSERTs would have given it, or they are run as INSERTs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymysql.connections import Connection

from include.backup_engine.errors import LoadFailed
from include.backup_engine.mysql.load import Loader
from include.backup_engine.mysql.row_data import RowData, takes_data
from include.backup_engine.mysql.server import Endpoint, identify, quote, rows, scalar
from tests.integration.mysql.conftest import Pair
from tests.integration.mysql.copies import compare, restore_into, source_policy, take
from tests.servers.database import Database

COPY = "mirror_row_data"
TABLES = [
    "CREATE TABLE `we``ird, (name)` (`a, ``b` INT PRIMARY KEY, `c)` VARCHAR(99), `d` VARBINARY(9), `e` BIT(9))",
    r"INSERT INTO `we``ird, (name)` VALUES (1, '),(', x'00', b'1'), (2, '\\', '', b'0'), (3, '\\N', NULL, NULL),"
    r" (4, 'NULL', x'27', b'101010101'), (5, NULL, x'5C', b'1'), (6, '\'),\n(\0\r\Z\t\b', x'0A', NULL),"
    r" (7, '', '0x', b'1'),"
    r" (8, '''', x'FF', b'1'), (9, 'a\\''b', x'2C', b'1'), (10, ',', x'29', b'1'), (11, '(', x'28', b'1')",
    "CREATE TABLE numbers (i BIGINT UNSIGNED PRIMARY KEY, d DECIMAL(65, 30), f FLOAT, g DOUBLE, y YEAR)",
    "INSERT INTO numbers VALUES (0, -0.000000000000000000000000000001, 1e-30, -1.7976931348623157e308, 0),"
    " (18446744073709551615, 99999999999999999999999999999999999.5, 3.25, 2.2250738585072014e-308, 2155)",
    "CREATE TABLE moments (id INT PRIMARY KEY, a DATE, b DATETIME(6), c TIME(3), e ENUM('x', 'y,z'), s SET('p', 'q'))",
    "INSERT INTO moments VALUES (1, '0000-00-00', '9999-12-31 23:59:59.999999', '-838:59:59', 'y,z', 'p,q'),"
    " (2, '2026-02-00', '0001-01-01', '00:00:00.001', 'x', ''), (3, NULL, NULL, NULL, NULL, NULL)",
    "CREATE TABLE made (id INT PRIMARY KEY, a INT, b INT AS (a + 1) STORED, c INT AS (a + 2) VIRTUAL, UNIQUE (b))",
    "INSERT INTO made (id, a) VALUES (1, 5), (2, NULL), (3, -9)",
    "CREATE TABLE old (id INT PRIMARY KEY, a VARCHAR(20) CHARACTER SET latin1, b CHAR(9) CHARACTER SET utf16,"
    " c TEXT CHARACTER SET utf8mb4)",
    "INSERT INTO old VALUES (1, 'Grüße', 'ä\U0001f3e5', '\U0001f3e5'), (2, '€', '', REPEAT('é),(', 9000))",
    "CREATE TABLE counted (id INT AUTO_INCREMENT PRIMARY KEY, n INT)",
    "INSERT INTO counted VALUES (7, 1), (0, 2), (9, 3)",
    "CREATE TABLE counted_bytes (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, b VARBINARY(9), n INT)",
    "INSERT INTO counted_bytes VALUES (0, 'a', 1), (18446744073709551614, 'b', 2), (3, NULL, 3)",
]
IN_HEX = [
    "CREATE TABLE t (id INT PRIMARY KEY, e ENUM('a', '0x61') CHARACTER SET binary)",
    "INSERT INTO t VALUES (1, 'a'), (2, '0x61'), (3, 'a')",
]
WITH_A_WARNING = [
    "CREATE TABLE t (id INT PRIMARY KEY, e ENUM('a', 'b'), s VARCHAR(2000), KEY (e))",
    *(
        rf"INSERT INTO t SELECT i + {first}, 'a', CONCAT('it\'s ü', REPEAT('x', 1900)) FROM (WITH RECURSIVE n (i) AS"
        " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800) SELECT i FROM n) AS numbers"
        for first in (0, 800)
    ),
    "INSERT INTO t VALUES (9999, '', 'no member of the ENUM')",
]
"""Several batches of data: the last is refused with a warning, and goes as statements."""


@contextmanager
def made(source: Endpoint, name: str, *statements: str) -> Iterator[str]:
    with closing(source.connect()) as connection:
        rows(connection, f"DROP DATABASE IF EXISTS {name}")
        rows(connection, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        rows(connection, f"USE {name}")
        rows(connection, "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0")
        for statement in statements:
            rows(connection, statement)
        yield name
        rows(connection, f"DROP DATABASE {name}")


@contextmanager
def changed(server: Database, variable: str, value: str) -> Iterator[None]:
    """A variable of the whole server has another value for new connections."""
    [(before,)] = server.sql(f"SELECT @@GLOBAL.{variable}")
    server.sql(f"SET GLOBAL {variable} = {value}")
    try:
        yield
    finally:
        server.sql(f"SET GLOBAL {variable} = %s", before)


@pytest.fixture
def database(source: Endpoint) -> Iterator[str]:
    with made(source, "row_data", *TABLES) as name:
        yield name


def test_every_kind_of_value_arrives_as_it_was(source: Endpoint, database: str, scratch: Endpoint) -> None:
    taken = take(source, source_policy(database))
    facts = restore_into(scratch, COPY, taken)
    assert facts.rows_as_data == sum(table.rows or 0 for table in taken.facts.census.tables) == 27
    comparison = compare(taken, scratch, COPY)
    assert comparison.equal, comparison.summary()


def test_tables_that_refer_to_each_other_are_created_side_by_side(source: Endpoint, scratch: Endpoint) -> None:
    statements: list[str] = []
    for ring in range(8):
        for number in range(3):
            table, other = f"r{ring}_{number}", f"r{ring}_{(number + 1) % 3}"
            statements += [
                f"CREATE TABLE {table} (id INT PRIMARY KEY, o INT, KEY (o),"
                f" CONSTRAINT {table}_fk FOREIGN KEY (o) REFERENCES {other} (id)) ENGINE=InnoDB",
                f"INSERT INTO {table} VALUES (1, 1)",
            ]
    with made(source, "rings", *statements) as name:
        taken = take(source, source_policy(name))
    for _ in range(3):
        restore_into(scratch, COPY, taken)
    comparison = compare(taken, scratch, COPY)
    assert comparison.equal, comparison.summary()


def test_a_server_that_takes_no_data_gets_statements(
    source: Endpoint, database: str, scratch: Endpoint, pair: Pair
) -> None:
    taken = take(source, source_policy(database))
    with changed(pair.scratch, "local_infile", "OFF"), closing(scratch.connect()) as connection:
        assert not takes_data(connection)
        facts = restore_into(scratch, COPY, taken)  # as if nobody had asked
    assert facts.rows_as_data == 0
    assert compare(taken, scratch, COPY).equal


def test_an_enum_in_hexadecimal_is_not_read_as_text(source: Endpoint, scratch: Endpoint) -> None:
    with made(source, "in_hex", *IN_HEX) as name:
        taken = take(source, source_policy(name))
    assert restore_into(scratch, COPY, taken).rows_as_data == 0
    assert compare(taken, scratch, COPY).equal


@pytest.mark.parametrize("completion", ["NO_CHAIN", "CHAIN"])
def test_a_batch_with_a_warning_goes_as_statements(
    source: Endpoint, scratch: Endpoint, pair: Pair, completion: str
) -> None:
    """Whatever the server makes of a COMMIT by itself: CHAIN would leave what follows in a transaction of its own."""
    with made(source, "with_a_warning", *WITH_A_WARNING) as name:
        taken = take(source, source_policy(name))
    with changed(pair.scratch, "completion_type", completion):
        facts = restore_into(scratch, COPY, taken)
    assert 0 < facts.rows_as_data < 1601
    comparison = compare(taken, scratch, COPY)
    assert comparison.equal, comparison.summary()


@pytest.mark.parametrize("session", ["sql_mode = 'NO_BACKSLASH_ESCAPES'", "NAMES gbk"])
def test_rows_are_judged_as_the_session_read_when_they_came(source: Endpoint, scratch: Endpoint, session: str) -> None:
    """Not as it reads at the trigger behind them."""
    trigger = "CREATE TRIGGER stamp BEFORE INSERT ON t FOR EACH ROW SET NEW.s = CONCAT(NEW.s, '!')"
    with made(source, "with_a_trigger", *WITH_A_WARNING, f"SET {session}", trigger, "SET NAMES utf8mb4") as name:
        taken = take(source, source_policy(name))
    restore_into(scratch, COPY, taken)
    comparison = compare(taken, scratch, COPY)
    assert comparison.equal, comparison.summary()


@pytest.mark.servers("mariadb", "mariadb-11")
def test_an_engine_that_takes_nothing_back_gets_statements(source: Endpoint, scratch: Endpoint, pair: Pair) -> None:
    with made(source, "with_a_warning", *WITH_A_WARNING) as name:
        taken = take(source, source_policy(name))
    with changed(pair.scratch, "enforce_storage_engine", "Aria"):
        assert restore_into(scratch, COPY, taken).rows_as_data == 0
    with closing(scratch.connect(COPY)) as connection:
        assert scalar(connection, "SELECT COUNT(*) FROM t") == 1601


def test_what_the_server_would_take_with_a_warning_is_taken_back(scratch: Endpoint, pair: Pair) -> None:
    with closing(scratch.connect(sends_data=True)) as connection:
        rows(connection, f"DROP DATABASE IF EXISTS {quote(COPY)}")
        rows(connection, f"CREATE DATABASE {quote(COPY)} CHARACTER SET utf8mb4")
        connection.select_db(COPY)
        rows(connection, "CREATE TABLE t (id INT PRIMARY KEY, n TINYINT, c VARCHAR(3)) ENGINE=InnoDB")
        data = RowData.of(connection, pair.flavour, b"INSERT INTO `t` VALUES (1,1,'a')")
        assert data is not None
        for bad in (b"(1,1,'a'),(1,2,'b')", b"(1,300,'a')", b"(1,1,'abcd')", b"(1,1)", b"(1,1,'a',2)", b"(1,'x','a')"):
            rows(connection, "START TRANSACTION")
            assert data.send(connection, [b"INSERT INTO `t` VALUES " + bad]) is None, bad
            rows(connection, "ROLLBACK")
        rows(connection, "START TRANSACTION")
        assert data.send(connection, [b"INSERT INTO `t` VALUES (1,1,'a'),(2,2,'b')"]) == 2
        rows(connection, "COMMIT")
        assert rows(connection, "SELECT * FROM t") == [(1, 1, "a"), (2, 2, "b")]
        for statement in (b"INSERT INTO `t` VALUES (3,DEFAULT,'a')", b"INSERT INTO `u` VALUES (3,1,'a')"):
            assert not data.fits(statement)


@pytest.mark.parametrize("columns", ["id INT, g POINT", "id INT, h INT INVISIBLE"])
def test_columns_that_are_read_otherwise_go_as_statements(scratch: Endpoint, pair: Pair, columns: str) -> None:
    with closing(scratch.connect(sends_data=True)) as connection:
        rows(connection, f"DROP DATABASE IF EXISTS {quote(COPY)}")
        rows(connection, f"CREATE DATABASE {quote(COPY)}")
        connection.select_db(COPY)
        rows(connection, f"CREATE TABLE t ({columns})")
        assert RowData.of(connection, pair.flavour, b"INSERT INTO `t` VALUES (1,1)") is None
        assert RowData.of(connection, pair.flavour, b"INSERT INTO `t` (`id`, `nobody`) VALUES (1,1)") is None
        assert RowData.of(connection, pair.flavour, b"INSERT INTO `t` (`id`) VALUES (1)") is not None


class _Thief(threading.Thread):
    """Stands between a client and its server, and answers the client's next query with a request for a file."""

    def __init__(self, server: str, wanted: Path) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._wanted = str(wanted).encode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.ask = False
        self.got = b""

    def run(self) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
        while data := self._next(client):
            if self.ask:
                self.got += data
                if data[3] == 0:  # a query
                    request = b"\xfb" + self._wanted
                    client.sendall(len(request).to_bytes(3, "little") + b"\x01" + request)
            else:
                server.sendall(data)

    @staticmethod
    def _next(client: socket.socket) -> bytes:
        try:
            return client.recv(1 << 16)
        except ConnectionError:  # it has given up in the middle of an answer
            return b""

    @staticmethod
    def _answers(server: socket.socket, client: socket.socket) -> None:
        while data := server.recv(1 << 16):
            client.sendall(data)


@pytest.fixture
def thief(pair: Pair, tmp_path: Path) -> _Thief:
    secret = tmp_path / "secret"
    secret.write_text("the data key")
    thief = _Thief(str(pair.scratch.endpoint.socket), secret)
    thief.start()
    return thief


@contextmanager
def robbed(thief: _Thief) -> Iterator[Connection[Any]]:
    """A connection that may send data, to a server that asks for a file."""
    endpoint = Endpoint(host="127.0.0.1", port=thief.port, user="root")
    connection = endpoint.connect(sends_data=True, read_timeout=1)
    thief.ask = True
    try:
        yield connection
    finally:
        if connection.open:
            connection.close()
    assert b"the data key" not in thief.got


def test_a_restore_sends_no_file_to_a_server_that_asks_for_one_and_ends(thief: _Thief, scratch: Endpoint) -> None:
    with closing(scratch.connect()) as connection:
        server = identify(connection)
    with robbed(thief) as connection, pytest.raises(LoadFailed, match=r"statement 1 .*error 2027"):
        loader = Loader([connection], "t", server=server, source_database="t", other_schemas=[], powerful=True)
        loader.load([b"CREATE TABLE `t` (`id` int);\n"])


def test_whatever_file_a_server_asks_for_it_gets_the_rows(thief: _Thief) -> None:
    data = RowData(b"INSERT INTO `t` VALUES ", b"LOAD DATA")
    with robbed(thief) as connection:
        assert data.send(connection, [b"INSERT INTO `t` VALUES (1)"]) is None  # it never says that it has taken them
    assert b"(1)" in thief.got
