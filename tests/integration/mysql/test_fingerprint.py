"""A fingerprint changes with every value, and with nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from pymysql.connections import Connection

from include.backup_engine.mysql.fingerprint import VERSION, fingerprint_table
from include.backup_engine.mysql.server import Endpoint, rows
from tests.integration.mysql.conftest import MARIADB, Pair

# type -> values that differ as little as values of that type can, as SQL
TYPES: dict[str, list[str]] = {
    "tinyint": ["0", "1", "-1"],
    "smallint": ["0", "-32768"],
    "mediumint": ["0", "8388607"],
    "int": ["0", "2147483647", "2147483646"],
    "bigint": ["0", "9223372036854775807", "9223372036854775806"],
    "bigint unsigned": ["18446744073709551615", "18446744073709551614"],
    "tinyint(1)": ["0", "1"],
    "decimal(20,10)": ["0", "0.0000000001", "-0.0000000001", "9999999999.9999999999"],
    "double": ["0", "0.1", "0.1e0 + 0.2e0", "0.3", "1.7976931348623157e308", "5e-324", "-0.1", "1e22"],
    "float": ["0", "16777200", "16777300", "0.1", "0.100001", "-0.1", "3.40282e38", "1.17549e-38"],
    "bit(1)": ["b'0'", "b'1'"],
    "bit(64)": ["b'0'", "0x8000000000000000", "0x8000000000000001"],
    "year": ["0", "1901", "2155"],
    "date": ["'0000-00-00'", "'1951-00-00'", "'1951-01-00'", "'9999-12-31'"],
    "time": ["'00:00:00'", "'-838:59:59'", "'838:59:59'"],
    "time(6)": ["'00:00:00'", "'00:00:00.000001'", "'-00:00:00.000001'"],
    "datetime": ["'0000-00-00'", "'2026-01-02 03:04:05'"],
    "datetime(6)": ["'2026-01-02 03:04:05'", "'2026-01-02 03:04:05.000001'"],
    "timestamp": ["'0000-00-00'", "'2026-01-02 03:04:05'", "'2026-01-02 03:04:06'"],
    "timestamp(6)": ["'2026-01-02 03:04:05'", "'2026-01-02 03:04:05.000001'"],
    "char(10)": ["''", "'a'", "'A'", "'á'", "'~'", "'1:a'"],
    "varchar(100)": ["''", "'a'", "'A'", "'á'", "'a '", "' a'", "'a\\\\0'", "'~'", "'NULL'", "'🩺'", "'1:a|1:b'"],
    "varchar(100) character set latin1": ["''", "'é'", "'e'", "'ÿ'", "'?'"],
    "varchar(100) character set ascii collate ascii_bin": ["''", "'a'", "'A'"],
    "enum('', 'a', 'A ', 'b|c')": ["''", "'a'", "'b|c'"],
    "set('a', 'b', 'c')": ["''", "'a'", "'a,b'", "'b'"],
    "tinytext": ["''", "'a'", "'A'", "'a '"],
    "text": ["''", "'a'", "'A'", "'a '", "'~'"],
    "mediumtext": ["''", "'a'", "REPEAT('a', 70000)", "CONCAT(REPEAT('a', 69999), 'b')"],
    "longtext": ["''", "'a'"],
    "binary(4)": ["''", "'a'", "'a '", "'A'", "x'ffffffff'"],
    "varbinary(4)": ["''", "'a'", "'a '", "x'00'", "x'0000'"],
    "tinyblob": ["''", "x'00'"],
    "blob": ["''", "x'00'", "x'0000'", "'a'", "'A'"],
    "mediumblob": ["''", "x'00'"],
    "longblob": ["''", "REPEAT(x'00', 70000)", "REPEAT(x'00', 70001)"],
    "point": ["POINT(0, 0)", "POINT(0, 1)", "POINT(1, 0)"],
    "polygon": [
        "ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))')",
        "ST_GeomFromText('POLYGON((0 0, 1 0, 1 2, 0 0))')",
    ],
    "geometry": ["POINT(0, 0)", "ST_GeomFromText('LINESTRING(0 0, 1 1)')"],
    "geometrycollection": [
        "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')",
        "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2))')",
    ],
}
TYPES_OF_MARIADB: dict[str, list[str]] = {
    "json": ["'{}'", "'[]'", "'{\\\"a\\\": 1}'", "'{\\\"a\\\":1}'", "'null'"],
    "inet4": ["'0.0.0.0'", "'10.0.0.1'"],
    "inet6": ["'::'", "'::1'", "'::ffff:10.0.0.1'"],
    "uuid": ["'00000000-0000-0000-0000-000000000000'", "'00000000-0000-0000-0000-000000000001'"],
}


@pytest.fixture
def connection(source: Endpoint, database: str) -> Iterator[Connection[Any]]:
    with closing(source.connect(database)) as connection:
        yield connection


def fingerprint(connection: Connection[Any], table: str = "t", **options: bool) -> str:
    _, found, note = fingerprint_table(connection, "mirror_test", table, **options)
    assert found is not None, note
    return found


MYSQL = pytest.mark.servers("mysql")
TYPES_OF_MYSQL: dict[str, list[str]] = {
    "json": [
        *("'{}'", "'[]'", "'null'", "'true'", "'\\\"true\\\"'", "'1'", "'1.5'", "'-0.0'", "'18446744073709551615'"),
        *("'{\\\"a\\\": 1}'", '\'{\\"a\\": \\"1\\"}\'', "'[1, 2]'", "'[2, 1]'", "'\\\"\\\"'"),
    ],
    "point SRID 4326": ["ST_GeomFromText('POINT(1 2)', 4326)", "ST_GeomFromText('POINT(2 1)', 4326)"],
    "vector(2)": ["TO_VECTOR('[1,2]')", "TO_VECTOR('[2,1]')"],
    "varchar(9) collate utf8mb4_0900_ai_ci": ["''", "'a'", "'A'", "'a '"],
}


def create(connection: Connection[Any], definition: str, *values: str) -> None:
    rows(connection, "DROP TABLE IF EXISTS t")
    rows(connection, f"CREATE TABLE t ({definition})")
    for value in values:
        rows(connection, f"INSERT INTO t VALUES ({value})")


def test_every_type_of_the_demo_database_is_tested(pair: Pair, demo: str) -> None:
    used = pair.source.sql("SELECT DISTINCT data_type FROM information_schema.columns WHERE table_schema = %s", demo)
    tested = {name.partition("(")[0].partition(" ")[0] for name in TYPES | TYPES_OF_MARIADB | TYPES_OF_MYSQL} | {
        "longtext"
    }
    assert {name for (name,) in used} <= tested


@pytest.mark.parametrize("data_type", TYPES)
def test_every_value_of_a_type_has_its_own_fingerprint(connection: Connection[Any], data_type: str) -> None:
    each_has_its_own(connection, data_type, TYPES[data_type])


@MARIADB
@pytest.mark.parametrize("data_type", TYPES_OF_MARIADB)
def test_every_value_of_mariadb_s_own_types(connection: Connection[Any], data_type: str) -> None:
    each_has_its_own(connection, data_type, TYPES_OF_MARIADB[data_type])


@MYSQL
@pytest.mark.parametrize("data_type", TYPES_OF_MYSQL)
def test_every_value_of_mysql_s_own_types(connection: Connection[Any], data_type: str) -> None:
    each_has_its_own(connection, data_type, TYPES_OF_MYSQL[data_type])


def each_has_its_own(connection: Connection[Any], data_type: str, values: list[str]) -> None:
    create(connection, f"id int PRIMARY KEY, a {data_type} NULL", "1, NULL")
    found = {"NULL": fingerprint(connection)}
    for value in values:
        rows(connection, f"UPDATE t SET a = {value}")
        found[value] = fingerprint(connection)
    assert len(set(found.values())) == len(values) + 1
    rows(connection, "UPDATE t SET a = NULL")
    assert fingerprint(connection) == found["NULL"]


FLOATS = {"0.1": 0, "16777200": 0, "16777216": 1, "0.10000001": 1, "1.23456789e-10": 1, "NULL": 0}


def test_floats_that_a_dump_does_not_write_exactly_are_counted(connection: Connection[Any]) -> None:
    create(connection, "a float, `b``c` float, d double", *(f"{value}, 16777216, 1/3e0" for value in FLOATS))
    count, found, note = fingerprint_table(connection, "mirror_test", "t")
    assert found
    assert count == len(FLOATS)
    assert note == "a dump does not write these values exactly: 3 of column a, 6 of column b`c"


@MYSQL
def test_what_a_dump_of_mysql_does_not_write_exactly(connection: Connection[Any]) -> None:
    create(
        connection, "a double, b json", "-0e0, '1.5'", "0, JSON_ARRAY(1.10)", "1, JSON_OBJECT('d', DATE'2026-01-01')"
    )
    _, found, note = fingerprint_table(connection, "mirror_test", "t")
    assert found
    assert note == "a dump does not write these values exactly: 1 of column a, 2 of column b"


INEXACT_JSON = [
    *(
        "1.10",
        "0.5000000000",
        "100000000000000000000.0",
        "12345678901234567.5",
        "123456789012345678901",
        "0.00",
        "1.00",
    ),
    *("DATE'2026-01-01'", "TIME'-838:59:59'", "TIME'12:00:00.5'", "TIMESTAMP'2026-01-01 12:00:00'", "x'00'", "b'1'"),
    "CAST('x' AS BINARY)",
]
EXACT_JSON = [
    *("1", "-9223372036854775808", "18446744073709551615", "1.5"),
    *("1e0", "-0e0", "1e-15", "1e300", "123456789012345678e0"),
    *("0.1e0 + 0.2e0", "'2026-01-01'", "'12:00:00.000000'", "'2026-01-01 12:00:00.000000'", "'base64:type16:AQ=='"),
    *("'1.10'", "NULL", "TRUE", "'é 🩺'", "5e0", "CAST(5 AS UNSIGNED)", "CAST(5 AS DECIMAL)", "CAST(2026 AS YEAR)"),
]


@MYSQL
@pytest.mark.parametrize("value", INEXACT_JSON)
def test_each_of_json_s_own_types_is_counted_wherever_it_stands(connection: Connection[Any], value: str) -> None:
    create(connection, "id int PRIMARY KEY, `0` json", f"1, JSON_ARRAY({value})", f"2, JSON_OBJECT('a', {value})")
    rows(connection, f"INSERT INTO t VALUES (3, JSON_OBJECT('b', JSON_ARRAY({value}, 1), 'c', 'd')), (4, '[1]')")
    _, found, note = fingerprint_table(connection, "mirror_test", "t")
    assert note == "a dump does not write these values exactly: 3 of column 0"
    rows(connection, "ALTER TABLE t RENAME COLUMN `0` TO a, ADD COLUMN `0` json")
    rows(connection, "UPDATE t SET `0` = CAST(a AS CHAR)")
    rows(connection, "ALTER TABLE t DROP COLUMN a")
    assert fingerprint_table(connection, "mirror_test", "t") == (4, found, None)


@MYSQL
@pytest.mark.parametrize("value", EXACT_JSON)
def test_what_json_keeps_is_not_counted(connection: Connection[Any], value: str) -> None:
    create(connection, "id int PRIMARY KEY, a json", f"1, JSON_ARRAY({value})", f"2, JSON_OBJECT('a', {value})")
    assert fingerprint_table(connection, "mirror_test", "t")[2] is None


@pytest.mark.parametrize("definition", ["a int", "a int, UNIQUE KEY (b), b int", "a int NOT NULL, KEY (a)"])
def test_equal_rows_do_not_cancel_each_other_out(connection: Connection[Any], definition: str) -> None:
    found = set()
    for number in (1, 2):
        create(connection, definition)
        rows(connection, f"INSERT INTO t (a) VALUES ({number}), ({number})")
        found.add(fingerprint(connection))
    assert len(found) == 2


def test_one_value_in_any_column_of_a_wide_table_counts(connection: Connection[Any]) -> None:
    columns = ", ".join(f"c{number} {data_type} NULL" for number, data_type in enumerate(TYPES))
    values = ", ".join(values[0] for values in TYPES.values())
    create(connection, f"id int PRIMARY KEY, {columns}", *(f"{number}, {values}" for number in range(3)))
    found = {fingerprint(connection)}
    for number, differing in enumerate(TYPES.values()):
        rows(connection, f"UPDATE t SET c{number} = {differing[1]} WHERE id = 1")
        found.add(fingerprint(connection))
    assert len(found) == len(TYPES) + 1


@pytest.mark.parametrize(
    ("definition", "one", "other"),
    [
        ("a varchar(9), b varchar(9)", "'ab', 'c'", "'a', 'bc'"),
        ("a varchar(9), b varchar(9)", "'a|1:b', ''", "'a', '1:b|'"),
        ("a varchar(9), b varchar(9)", "NULL, ''", "'', NULL"),
        ("a varchar(9), b varchar(9)", "'~', 'a'", "NULL, 'a'"),
        ("a varchar(9), b varchar(9)", "'a', 'b'", "'b', 'a'"),
        ("a text, b text", "'ab', 'c'", "'a', 'bc'"),
        ("a text, b text", "NULL, ''", "'', NULL"),
        ("a blob, b int", "'1', 23", "'12', 3"),
        ("a int, b int", "1, 23", "12, 3"),
        ("a int, b int", "NULL, 0", "0, NULL"),
        ("a int, b time", "1, '23:00:00'", "12, '03:00:00'"),
        ("a enum('x','1:x'), b set('x','y')", "'x', 'y'", "'1:x', 'y'"),
    ],
)
def test_values_do_not_run_into_each_other(connection: Connection[Any], definition: str, one: str, other: str) -> None:
    create(connection, definition, one)
    before = fingerprint(connection)
    create(connection, definition, other)
    assert fingerprint(connection) != before


@MARIADB
@pytest.mark.parametrize(
    ("definition", "one", "other"),
    [
        ("a inet6, b inet6", "NULL, '::1'", "'::1', NULL"),
        ("a uuid, b inet4", "NULL, NULL", "NULL, '0.0.0.0'"),
    ],
)
def test_addresses_do_not_run_into_each_other(
    connection: Connection[Any], definition: str, one: str, other: str
) -> None:
    test_values_do_not_run_into_each_other(connection, definition, one, other)


@pytest.mark.parametrize("key", ["", ", PRIMARY KEY (a)", ", KEY (b)"])
def test_the_order_of_rows_does_not_matter(connection: Connection[Any], key: str) -> None:
    values = [f"{number}, 'x{number % 7}'" for number in range(50)]
    create(connection, f"a int, b varchar(9){key}", *values)
    before = fingerprint(connection)
    create(connection, f"a int, b varchar(9){key}", *reversed(values))
    assert fingerprint(connection) == before
    create(connection, f"a int, b varchar(9){key}", *values[25:], *values[:25])
    rows(connection, "ALTER TABLE t PARTITION BY HASH (a) PARTITIONS 4")
    assert fingerprint(connection) == before


def test_rows_that_are_there_several_times_are_counted(connection: Connection[Any]) -> None:
    found = []
    for values in ([], ["1"], ["1", "1"], ["1", "1", "1"], ["1", "1", "2"], ["1", "2", "2"], ["2", "2"]):
        create(connection, "a int", *values)
        count, sums, _ = fingerprint_table(connection, "mirror_test", "t")
        assert count == len(values)
        found.append(sums)
    assert len(set(found)) == len(found)
    assert found[0] == f"{VERSION}:0"


def test_columns_that_select_star_does_not_show(connection: Connection[Any]) -> None:
    create(connection, "a int, b int DEFAULT 1 INVISIBLE", "7")
    before = fingerprint(connection)
    rows(connection, "UPDATE t SET b = 2")
    assert fingerprint(connection) != before


def test_names_that_must_be_quoted(connection: Connection[Any]) -> None:
    rows(connection, 'CREATE TABLE `a``b %s "x"` (`tick``ed` int, `% d` varchar(9), `-- c` text, `größe` bit)')
    rows(connection, "INSERT INTO `a``b %s \"x\"` VALUES (1, '', '', 1)")
    before = fingerprint(connection, 'a`b %s "x"')
    for column in ("`tick``ed` = 2", "`% d` = 'x'", "`-- c` = 'x'", "`größe` = 0"):
        rows(connection, f'UPDATE `a``b %s "x"` SET {column}')
        assert fingerprint(connection, 'a`b %s "x"') != before


def test_p35_the_session_s_time_zone_does_not_matter(
    connection: Connection[Any], source: Endpoint, database: str
) -> None:
    """Every connection is set to UTC."""
    create(connection, "a timestamp", "'2026-07-01 12:00:00'")
    rows(connection, "SET GLOBAL time_zone = '+05:30'")
    try:
        with closing(source.connect(database)) as other:
            assert fingerprint(other) == fingerprint(connection)
    finally:
        rows(connection, "SET GLOBAL time_zone = SYSTEM")


@MARIADB
@pytest.mark.parametrize(
    "period", ["", ", s timestamp(6) GENERATED ALWAYS AS ROW START INVISIBLE, "
                   "e timestamp(6) GENERATED ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (s, e)"]
)  # fmt: skip
def test_p34_history_counts(connection: Connection[Any], period: str) -> None:
    rows(connection, f"CREATE TABLE t (a int PRIMARY KEY{period}) WITH SYSTEM VERSIONING")
    rows(connection, "SET SESSION timestamp = 1000000000")
    rows(connection, "INSERT INTO t VALUES (1), (2)")
    first = fingerprint_table(connection, "mirror_test", "t", versioned=True)
    rows(connection, "SET SESSION timestamp = 1000000001")
    rows(connection, "UPDATE t SET a = 3 WHERE a = 2")
    rows(connection, "SET SESSION timestamp = 1000000002")
    rows(connection, "UPDATE t SET a = 2 WHERE a = 3")
    second = fingerprint_table(connection, "mirror_test", "t", versioned=True)
    assert (first[0], second[0]) == (2, 4)
    rows(connection, "DELETE HISTORY FROM t")
    third = fingerprint_table(connection, "mirror_test", "t", versioned=True)
    # The same current rows, but the one that was changed is younger now:
    assert third[0] == 2
    assert len({first[1], second[1], third[1]}) == 3
    assert fingerprint_table(connection, "mirror_test", "t")[0] == 2


@pytest.mark.parametrize(
    ("definition", "long"),
    [
        ("id int, a varchar(16000)", "2, REPEAT('x', 16000)"),
        ("id int, a varchar(6000), b varchar(6000)", "2, REPEAT('x', 6000), REPEAT('y', 6000)"),
    ],
)
def test_rows_that_the_server_cannot_hash_are_said_to_be_so(
    connection: Connection[Any], source: Endpoint, database: str, definition: str, long: str
) -> None:
    create(connection, definition, long.replace("000", ""), long)
    whole = fingerprint(connection)
    [(before,)] = rows(connection, "SELECT @@GLOBAL.max_allowed_packet")
    rows(connection, "SET GLOBAL max_allowed_packet = 8192")
    try:
        with closing(source.connect(database)) as other:
            found = fingerprint_table(other, database, "t")
    finally:
        rows(connection, f"SET GLOBAL max_allowed_packet = {before}")
    assert found == (2, None, "1 rows are too long to be hashed by the server (max_allowed_packet)")
    assert fingerprint(connection) == whole


def test_long_values_can_be_hashed(connection: Connection[Any]) -> None:
    """Each is hashed apart, so only the row of their hashes has to fit."""
    create(connection, "a longtext, b longblob", "REPEAT('x', 20000000), REPEAT(x'00', 20000000)")
    before = fingerprint(connection)
    rows(connection, "UPDATE t SET a = CONCAT(REPEAT('x', 19999999), 'y')")
    assert fingerprint(connection) != before
