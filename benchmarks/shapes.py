"""The databases that are backed up: a hospital's, and three that are hard in one way each. All are deterministic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from pymysql.cursors import Cursor

from tests.demo.surgicase import Connect, Flavour, flavour_of, generate
from tests.demo.surgicase.server import session

SMALL_TABLES = 5_000
_SMALL_BYTES = 20_000
_ROW_BYTES = 130
_BATCH = 200_000
_BLOB_BYTES = 1_000_000


def surgicase(connect: Connect, database: str, size_mb: int) -> None:
    """45 tables with everything that makes dumps difficult: the database of `make demo`."""
    generate(connect, database, size_mb)


def huge(connect: Connect, database: str, size_mb: int) -> None:
    """One table of narrow rows with two secondary indexes."""
    _create(connect, database)
    flavour = flavour_of(connect)
    rows = max(1, size_mb * 1_000_000 // _ROW_BYTES)
    with session(connect, database) as cursor:
        _count_far(cursor, flavour)
        cursor.execute(
            "CREATE TABLE readings (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, patient INT NOT NULL, "
            "taken DATETIME NOT NULL, kind VARCHAR(16) NOT NULL, value DECIMAL(9,3), note VARCHAR(80), "
            "KEY by_patient (patient, taken), KEY by_kind (kind, value)) ENGINE=InnoDB"
        )
        for first in range(1, rows + 1, _BATCH):
            cursor.execute(
                "INSERT INTO readings (id, patient, taken, kind, value, note) "
                "SELECT seq, CRC32(seq) MOD 100000, '2024-01-01' + INTERVAL seq SECOND, "
                "ELT(1 + seq MOD 4, 'pulse', 'pressure', 'saturation', 'temperature'), "
                "(CRC32(CONCAT('v', seq)) MOD 300000) / 1000, CONCAT(SHA1(seq), ' measured at rest') "
                f"FROM {_numbers(flavour, first, min(first + _BATCH - 1, rows))}"
            )


def small(connect: Connect, database: str, size_mb: int) -> None:
    """5,000 tables of at most 20 kB each: what a table costs, rather than what a byte does."""
    _create(connect, database)
    flavour = flavour_of(connect)
    rows = max(1, min(size_mb * 1_000_000 // SMALL_TABLES, _SMALL_BYTES) // _ROW_BYTES)
    with session(connect, database) as cursor:
        for number in range(1, SMALL_TABLES + 1):
            cursor.execute(
                f"CREATE TABLE t{number:04} (id INT NOT NULL PRIMARY KEY, name VARCHAR(80) NOT NULL, changed DATETIME, "
                "KEY by_name (name)) ENGINE=InnoDB"
            )
            cursor.execute(
                f"INSERT INTO t{number:04} SELECT seq, CONCAT(SHA2(seq, 256), '{number}'), "
                f"'2024-01-01' + INTERVAL seq MINUTE FROM {_numbers(flavour, 1, rows)}"
            )


def blobs(connect: Connect, database: str, size_mb: int) -> None:
    """Images of 1 MB that no compressor makes smaller."""
    _create(connect, database)
    random = Random(1)
    with session(connect, database) as cursor:
        cursor.execute(
            "CREATE TABLE images (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL, "
            "content MEDIUMBLOB NOT NULL, UNIQUE KEY by_name (name)) ENGINE=InnoDB"
        )
        for number in range(1, size_mb * 1_000_000 // _BLOB_BYTES + 1):
            content = random.randbytes(_BLOB_BYTES).hex()
            cursor.execute(f"INSERT INTO images (name, content) VALUES ('image {number}', x'{content}')")


def _count_far(cursor: Cursor, flavour: Flavour) -> None:
    """Let this session's :func:`_numbers` be as many as are inserted at once."""
    if flavour == "mysql":
        cursor.execute(f"SET SESSION cte_max_recursion_depth = {_BATCH}")


def _numbers(flavour: Flavour, first: int, last: int) -> str:
    """A table of the numbers from ``first`` to ``last``, as ``seq``."""
    if flavour == "mariadb":
        return f"seq_{first}_to_{last}"
    return (
        f"(WITH RECURSIVE numbers (seq) AS (SELECT {first} UNION ALL SELECT seq + 1 FROM numbers WHERE seq < {last}) "
        "SELECT seq FROM numbers) AS numbers"
    )


def _create(connect: Connect, database: str) -> None:
    with session(connect, "mysql") as cursor:
        cursor.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")


SHAPES: Mapping[str, Callable[[Connect, str, int], None]] = {
    "surgicase": surgicase,
    "huge": huge,
    "small": small,
    "blobs": blobs,
}
