"""The hostile database: every type, every kind of object, and whatever has broken dumps before.

What tells a story is written in hostile/*.sql; what goes through all of something (columns, bits, character sets, SQL
modes, kinds of views, triggers and events) is made here. test_hostile_coverage.py holds it to what each server knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.errors import BackupError
from include.backup_engine.mysql.server import Endpoint, identify, quote, rows, scalar
from include.backup_engine.mysql.target import set_options
from include.backup_engine.records import Flavour

COLUMNS = 1017
"""InnoDB's limit (MySQL manual, "InnoDB Limits")."""
UNITS = (
    "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "YEAR_MONTH", "DAY_HOUR", "DAY_MINUTE",
    "DAY_SECOND", "HOUR_MINUTE", "HOUR_SECOND", "MINUTE_SECOND",
)  # fmt: skip


def files_of(flavour: Flavour) -> tuple[str, ...]:
    """What every server of a flavour takes."""
    return ("values.sql", "tables.sql", "code.sql", f"{flavour}.sql")


def create(server: Endpoint, database: str, *files: str, without: str = "nothing", everything: bool = True) -> None:
    """Create the database with these files in it, and with all that is made here beside the first of them.

    :param without: what the statements begin with that are left out.
    :param everything: whether to go through all of something here; else there is only the table of many columns.
    """
    with closing(server.connect()) as connection:
        rows(connection, f"DROP DATABASE IF EXISTS {quote(database)}")
        rows(connection, "SET GLOBAL log_bin_trust_function_creators = 1")
        mariadb = identify(connection).flavour == "mariadb"
        comment = 'it\'s `a`; -- "\\" ☎ 100%' if mariadb else None
        set_options(connection, "CREATE", database, "utf8mb4", "utf8mb4_unicode_520_ci", comment)
        connection.select_db(database)
        for statement in statements(*files):
            if not statement.startswith(without):
                rows(connection, statement)
        if "values.sql" in files:
            for statement in made_here(connection) if everything else _wide():
                rows(connection, statement)
        rows(connection, "SET sql_mode = ''")


def statements(*files: str) -> Iterator[str]:
    """The blocks of these files without comment lines before them."""
    for file in files:
        blocks = (Path(__file__).parent / "hostile" / file).read_text().split("\n\n")
        yield from (block.rstrip() for block in blocks if not block.startswith("-- "))


def made_here(connection: Connection[Any]) -> Iterator[str]:
    """Statements that go through all of something."""
    yield from _wide()
    yield from _bits()
    yield from _charsets(connection)
    yield from _views()
    yield from _triggers()
    yield from _routines()
    yield from _events(identify(connection).flavour)
    for mode in sql_modes(connection):
        if mode != "ORACLE":  # another grammar
            yield f"SET sql_mode = '{mode}'"
            yield rf"""CREATE PROCEDURE `under {mode}`() SELECT NOT 1 BETWEEN -5 AND 5, 'a' || 'b', "x", 'c:\\'"""


def sql_modes(connection: Connection[Any]) -> Iterator[str]:
    """All modes that the server knows, those that stand for several among them. Each of them is a bit."""
    for bit in range(64):
        try:
            rows(connection, f"SET sql_mode = {1 << bit}")
        except BackupError:
            continue
        meant = str(scalar(connection, "SELECT @@sql_mode"))
        for name in filter(None, meant.split(",")):
            rows(connection, f"SET sql_mode = '{name}'")
            if scalar(connection, "SELECT @@sql_mode") == meant:
                yield name
                break
    rows(connection, "SET sql_mode = ''")


def _wide() -> Iterator[str]:
    yield "CREATE TABLE wide (" + ", ".join(f"`c {n}` tinyint" for n in range(1, COLUMNS + 1)) + ")"
    yield f"INSERT INTO wide (`c 1`, `c {COLUMNS}`) VALUES (1, -128), (NULL, NULL)"


def _bits() -> Iterator[str]:
    yield "CREATE TABLE `every bit` (" + ", ".join(f"b{n} bit({n})" for n in range(1, 65)) + ")"
    for values in (
        ["0"] * 64,
        [f"b'{'1' * n}'" for n in range(1, 65)],
        [f"b'{'01' * n}'" for n in range(1, 33) for _ in "ab"],
        ["NULL"] * 64,
    ):
        yield f"INSERT INTO `every bit` VALUES ({', '.join(values)})"


def _charsets(connection: Connection[Any]) -> Iterator[str]:
    """What a character set lacks is another character from the start."""
    names = [
        str(name) for (name,) in rows(connection, "SELECT character_set_name FROM information_schema.character_sets")
    ]
    columns = ", ".join(f"`{name}` varchar(20) CHARACTER SET {name}" for name in names)
    yield f"CREATE TABLE `every character set` (id int PRIMARY KEY, {columns})"
    for number, value in enumerate((r"'it''s \\ ~'", "'é中я☎ß'", r"'\0\r\n\Z\t'", "NULL")):
        yield f"INSERT INTO `every character set` VALUES ({', '.join([str(number), *[value] * len(names)])})"


def _views() -> Iterator[str]:
    algorithms, checks = ("UNDEFINED", "MERGE", "TEMPTABLE"), ("", "LOCAL", "CASCADED")
    for algorithm, security, check in product(algorithms, ("DEFINER", "INVOKER"), checks):
        if check and algorithm == "TEMPTABLE":
            continue  # through which nothing is written
        option = f"WITH {check} CHECK OPTION" if check else ""
        yield (
            f"CREATE ALGORITHM={algorithm} SQL SECURITY {security} VIEW `{algorithm} {security} {check}.`"
            f" AS SELECT id, n FROM watched WHERE id > 0 {option}"
        )


def _triggers() -> Iterator[str]:
    for timing, event in product(("BEFORE", "AFTER"), ("INSERT", "UPDATE", "DELETE")):
        head = f"{timing} {event} ON watched FOR EACH ROW"
        yield f"CREATE TRIGGER `{timing} {event}, z` {head} SET @z = 1"
        yield f"CREATE TRIGGER `{timing} {event}, b` {head} FOLLOWS `{timing} {event}, z` SET @b = 1"
        yield f"CREATE TRIGGER `{timing} {event}, a` {head} PRECEDES `{timing} {event}, z` SET @a = 1"


def _routines() -> Iterator[str]:
    access = ("CONTAINS SQL", "NO SQL", "READS SQL DATA", "MODIFIES SQL DATA")
    for security, what, sure in product(("DEFINER", "INVOKER"), access, ("", "NOT ")):
        traits = f"{sure}DETERMINISTIC {what} SQL SECURITY {security}"
        yield f"CREATE PROCEDURE `{traits}`() {traits} BEGIN END"
        yield f"CREATE FUNCTION `{traits}`() RETURNS int {traits} RETURN 1"


def _events(flavour: Flavour) -> Iterator[str]:
    """None is due before 2037: some servers of the tests run events."""
    states = ("ENABLE", "DISABLE", "DISABLE ON SLAVE" if flavour == "mariadb" else "DISABLE ON REPLICA")
    ends = ("", "ENDS '2038-01-01 00:00:00'")
    moments = [f"AT '2037-03-29 02:30:00' + INTERVAL {number} DAY" for number in range(6)]
    moments += [
        f"EVERY {'1' if '_' not in unit else repr('1:1')} {unit} STARTS '2037-03-29 02:30:00' {ends[number % 2]}"
        for number, unit in enumerate(UNITS)
    ]
    for number, moment in enumerate(moments):
        kept = "" if number % 2 else "NOT "
        yield (
            f"CREATE EVENT `event {number}` ON SCHEDULE {moment} ON COMPLETION {kept}PRESERVE"
            f" {states[number % 3]} COMMENT 'it''s {number}; ENABLE' DO SET @x = {number}"
        )
