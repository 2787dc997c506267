"""The hostile database holds everything that a server knows. What that is, the server says itself: what it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from itertools import product

import pytest
from pymysql.err import MySQLError

from include.backup_engine.mysql.server import quote, shown
from include.backup_engine.mysql.target import SPATIAL
from tests.integration.mysql.conftest import root_of
from tests.integration.mysql.hostile_database import UNITS, create, files_of, sql_modes
from tests.servers.database import Database
from tests.servers.mysql import MySQL

DATABASE, PROBE = "mirror_everything", "mirror_probe"
NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double")


@dataclass(frozen=True)
class Loaded:
    """A server with the hostile database, and an empty one to try things in."""

    server: Database

    @property
    def is_mysql(self) -> bool:
        return isinstance(self.server, MySQL)

    def all(self, query: str) -> set[object]:
        """Rows; those of one column as values. ``{}``: the database's name."""
        found = self.server.sql(query.replace("{}", repr(DATABASE)))
        return {row[0] if len(row) == 1 else row for row in found}

    def words(self) -> list[str]:
        """Every keyword of the server, and every type of its plugins."""
        words = {str(word) for word in self.all("SELECT word FROM information_schema.keywords")}
        words |= {name.upper() for name in SPATIAL}
        words |= {str(name) for name in self.all("SELECT plugin_name FROM information_schema.plugins"
                                                 " WHERE plugin_type = 'DATA TYPE'")}  # fmt: skip
        return sorted(word for word in words if re.fullmatch(r"\w+", word))

    def takes(
        self, candidates: Iterable[str], statement: str, then: str = "DO 0", undo: str = "DO 0"
    ) -> dict[str, tuple[object, ...]]:
        """Those that the server takes in the place of ``{}``, and the first row that a query answers after that."""
        taken = {}
        with closing(self.server._connect(PROBE)) as connection, connection.cursor() as cursor:
            for candidate in candidates:
                with suppress(MySQLError):
                    cursor.execute(statement.replace("{}", candidate))
                    cursor.execute(then)
                    taken[candidate] = cursor.fetchone() or ()
                    cursor.execute(undo)
        return taken


@pytest.fixture(scope="module")
def loaded_of(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Loaded]]:
    loaded: list[Loaded] = []

    @cache
    def loaded_of(name: str) -> Loaded:
        server: Database = request.getfixturevalue(name)
        files = files_of("mysql" if isinstance(server, MySQL) else "mariadb")
        if not isinstance(server, MySQL):
            files += ("history.sql", *(["mariadb_11.sql"] if name == "mariadb_11" else []))
        create(root_of(server), DATABASE, *files, without="INSERT INTO `16 MB`")
        server.sql(f"CREATE DATABASE {PROBE}")
        loaded.append(Loaded(server))
        return loaded[-1]

    yield loaded_of
    for each in loaded:
        each.server.sql(f"DROP DATABASE {DATABASE}; DROP DATABASE {PROBE}")


@pytest.fixture(params=["mariadb_source", "mariadb_11", "mysql_source"])
def loaded(request: pytest.FixtureRequest, loaded_of: Callable[[str], Loaded]) -> Loaded:
    return loaded_of(request.param)


def test_every_data_type(loaded: Loaded) -> None:
    """Whatever word of the server makes a column, alone or with a length or a list of values."""
    known = set()
    for shape in ("{}", "{}(1)", "{}('a')"):
        made = loaded.takes(
            loaded.words(), f"CREATE TEMPORARY TABLE probe (c {shape})", "SHOW COLUMNS FROM probe",
            "DROP TEMPORARY TABLE probe",
        )  # fmt: skip
        known |= {re.split(r"\W", str(kind))[0] for _, kind, *_ in made.values()}
    assert len(known) > 30
    assert known == loaded.all("SELECT DISTINCT data_type FROM information_schema.columns WHERE table_schema = {}")


def test_every_number_at_both_its_ends(loaded: Loaded) -> None:
    """The ends are what the server makes of numbers that are too large; of double precision, there are none."""
    found = set()
    for table in ("numbers", "unsigned and zerofill", *([] if loaded.is_mysql else ["own numbers"])):
        listed = loaded.all(
            "SELECT column_name, data_type, column_type LIKE '%%unsigned%%' FROM information_schema.columns"
            f" WHERE table_schema = {{}} AND table_name = '{table}' AND column_name <> 'id'"
        )
        columns = [column for column in sorted(listed) if column[1] in NUMBERS]
        names = ", ".join(quote(name) for name, _, _ in columns)
        ends = ", ".join(f"CONCAT(MIN({quote(name)})), CONCAT(MAX({quote(name)}))" for name, _, _ in columns)
        most = "1.7976931348623157e308"
        [clamped, held] = loaded.server.sql(
            f"CREATE TEMPORARY TABLE probe LIKE {DATABASE}.{quote(table)};"
            f"INSERT IGNORE INTO probe (id, {names}) VALUES (1, {', '.join([f'-{most}'] * len(columns))});"
            f"INSERT IGNORE INTO probe (id, {names}) VALUES (2, {', '.join([most] * len(columns))});"
            f"SELECT {ends} FROM probe UNION ALL SELECT {ends} FROM {DATABASE}.{quote(table)}",
            database=PROBE,
        )
        found |= {
            (kind, bool(unsigned))
            for n, (_, kind, unsigned) in enumerate(columns)
            if all(
                had == end or (kind == "float" and f"{float(had):.5g}" == f"{float(end):.5g}")  # as a dump writes it
                for had, end in zip(held[2 * n : 2 * n + 2], clamped[2 * n : 2 * n + 2], strict=True)
            )
        }
    assert found == set(product(NUMBERS, (False, True)))


def test_null_in_every_column_that_may_be(loaded: Loaded) -> None:
    columns = loaded.all(
        "SELECT c.table_name, c.column_name FROM information_schema.columns AS c JOIN information_schema.tables AS t"
        " USING (table_schema, table_name) WHERE table_schema = {} AND is_nullable = 'YES' AND engine IS NOT NULL"
        " AND engine <> 'BLACKHOLE' AND COALESCE(generation_expression, '') = '' AND table_type <> 'SEQUENCE'"
        " AND table_name <> '16 MB'"
    )
    without = []
    for table in {table for table, _ in columns}:
        names = sorted(column for of, column in columns if of == table)
        sums = ", ".join(f"SUM({quote(name)} IS NULL)".replace("%", "%%") for name in names)
        [found] = loaded.server.sql(f"SELECT {sums} FROM {DATABASE}.{quote(table)}".replace("%%", "%"))
        without += [(table, name) for name, number in zip(names, found, strict=True) if not number]
    assert not without, "; ".join(sorted(f"{table}.{name}" for table, name in without))


UNLISTED = {
    "applicable_roles", "role_column_grants", "role_routine_grants", "role_table_grants", "column_privileges",
    "schema_privileges", "table_privileges", "schema_table_privileges",  # accounts: test_accounts.py
    "processlist", "profiling", "optimizer_trace", "user_statistics", "client_statistics", "index_statistics",
    "table_statistics", "innodb_lock_waits",  # what runs
    "files", "column_statistics", "tablespaces", "tablespaces_extensions", "schemata_extensions", "keycaches",
    "innodb_cmp_per_index", "innodb_cmp_per_index_reset",  # how it is kept
    "libraries", "routine_libraries",  # refused by name: test_roundtrip.py
}  # fmt: skip
"""Tables of information_schema that name schemas, and describe nothing that a schema holds."""


def test_every_kind_of_object(loaded: Loaded) -> None:
    """Whatever table of information_schema has a column for a schema says something about this one."""
    listed = loaded.all(
        "SELECT LOWER(table_name), MIN(column_name) FROM information_schema.columns WHERE table_schema ="
        " 'information_schema' AND (column_name LIKE '%%schema' OR column_name = 'schema_name')"
        " AND column_name NOT LIKE 'referenced%%' GROUP BY table_name"
    )
    empty = {
        table
        for table, column in listed
        if table not in UNLISTED
        and not loaded.all(f"SELECT 1 FROM information_schema.{table} WHERE {column} = {{}} LIMIT 1")
    }
    assert empty == set()


INDEXES = {
    "KEY (a)", "KEY (a DESC)", "KEY (t(3))", "UNIQUE KEY (a)", "UNIQUE KEY (t)", "PRIMARY KEY (a)", "FULLTEXT KEY (t)",
    "SPATIAL KEY (g)", "VECTOR KEY (v)", "KEY (a) INVISIBLE", "KEY (a) IGNORED", "KEY ((a + 1))",
    "KEY ((CAST(j AS UNSIGNED ARRAY)))", "KEY (a) COMMENT 'x'", "FULLTEXT KEY (t) WITH PARSER ngram",
    "KEY (a) USING HASH",
}  # fmt: skip
"""MySQL and MariaDB manuals, CREATE TABLE and CREATE INDEX."""
LOOKS = (
    "index_type, non_unique, COALESCE(sub_part, 0) > 0, COALESCE(collation, '') = 'D', index_comment <> '',"
    " index_name = 'PRIMARY'"
)


def test_every_kind_of_index(loaded: Loaded) -> None:
    looks = LOOKS + (", is_visible, expression IS NOT NULL" if loaded.is_mysql else ", ignored")
    columns = "a int NOT NULL, t longtext, g point NOT NULL, j json"
    columns += "" if loaded.is_mysql or "VECTOR" not in loaded.words() else ", v vector(2) NOT NULL"
    taken: dict[str, tuple[object, ...]] = {}
    for engine, candidates in (("InnoDB", INDEXES), ("MEMORY", {"KEY (a) USING HASH"})):
        taken |= loaded.takes(
            candidates,
            f"CREATE TABLE probe ({columns if engine == 'InnoDB' else 'a int NOT NULL'}, {{}}) ENGINE={engine}",
            f"SELECT {looks} FROM information_schema.statistics WHERE table_schema = '{PROBE}'", "DROP TABLE probe",
        )  # fmt: skip
    assert len(taken) > 10
    assert set(taken.values()) <= loaded.all(
        f"SELECT DISTINCT {looks} FROM information_schema.statistics WHERE table_schema = {{}}"
    )


PARTITIONS = {
    *("HASH (a)", "LINEAR HASH (a)", "KEY (a)", "LINEAR KEY (a)"),
    "RANGE (a) (PARTITION p VALUES LESS THAN (1))", "RANGE COLUMNS (a) (PARTITION p VALUES LESS THAN (1))",
    "LIST (a) (PARTITION p VALUES IN (1))", "LIST COLUMNS (a) (PARTITION p VALUES IN (1))",
    "SYSTEM_TIME (PARTITION h HISTORY, PARTITION c CURRENT)",
}  # fmt: skip
"""MySQL manual, "Partitioning Types"; MariaDB manual, "Partitioning Types"."""


def test_every_way_to_part_a_table(loaded: Loaded) -> None:
    look = f"SELECT partition_method FROM information_schema.partitions WHERE table_schema = '{PROBE}'"
    methods = {
        str(method)
        for of_table in ("", "WITH SYSTEM VERSIONING")
        for (method,) in loaded.takes(
            PARTITIONS, f"CREATE TABLE probe (a int) {of_table} PARTITION BY {{}}", look, "DROP TABLE probe"
        ).values()
    }
    found = "FROM information_schema.partitions WHERE table_schema = {}"
    assert loaded.all(f"SELECT DISTINCT partition_method {found} AND partition_method IS NOT NULL") == methods
    below = {method for method in methods if "HASH" in method or "KEY" in method}
    assert loaded.all(f"SELECT DISTINCT subpartition_method {found} AND subpartition_method IS NOT NULL") == below


def test_every_engine_that_keeps_rows_here_and_every_format(loaded: Loaded) -> None:
    elsewhere = {"MRG_MyISAM", "MRG_MYISAM", "FEDERATED", "PERFORMANCE_SCHEMA", "SEQUENCE"}
    of_server = loaded.all("SELECT engine FROM information_schema.engines WHERE support IN ('YES', 'DEFAULT')")
    tables = "FROM information_schema.tables WHERE table_schema = {} AND engine IS NOT NULL"
    assert loaded.all(f"SELECT DISTINCT engine {tables}") == of_server - elsewhere
    formats: set[object] = set()
    for engine in of_server - elsewhere:
        made = loaded.takes(
            ("DEFAULT", "DYNAMIC", "FIXED", "COMPRESSED", "REDUNDANT", "COMPACT", "PAGE"),
            f"CREATE TABLE probe (a int NOT NULL) ENGINE={engine} ROW_FORMAT={{}}",
            f"SELECT engine, row_format FROM information_schema.tables WHERE table_schema = '{PROBE}'",
            "DROP TABLE probe",
        )  # fmt: skip
        formats |= {row_format for name, row_format in made.values() if name == engine}
    assert loaded.all(f"SELECT DISTINCT row_format {tables}") >= formats - {None}


def test_every_character_set(loaded: Loaded) -> None:
    assert loaded.all(
        "SELECT DISTINCT character_set_name FROM information_schema.columns WHERE table_schema = {}"
        " AND character_set_name IS NOT NULL"
    ) == loaded.all("SELECT character_set_name FROM information_schema.character_sets") - {"binary"}


def test_every_rule_of_a_foreign_key(loaded: Loaded) -> None:
    made = loaded.takes(
        ("RESTRICT", "CASCADE", "SET NULL", "NO ACTION", "SET DEFAULT"),
        "CREATE TABLE probe (a int PRIMARY KEY, b int DEFAULT 1,"
        " FOREIGN KEY (b) REFERENCES probe (a) ON DELETE {} ON UPDATE {})",
        f"SELECT delete_rule FROM information_schema.referential_constraints WHERE constraint_schema = '{PROBE}'",
        "DROP TABLE probe",
    )  # fmt: skip
    rules = "FROM information_schema.referential_constraints WHERE constraint_schema = {}"
    for when in ("delete_rule", "update_rule"):
        assert loaded.all(f"SELECT DISTINCT {when} {rules}") == {rule for (rule,) in made.values()}


def test_every_kind_of_view(loaded: Loaded) -> None:
    views = loaded.all(
        "SELECT table_name, security_type, check_option FROM information_schema.views WHERE table_schema = {}"
    )
    found = set()
    for name, security, check in views:
        with closing(root_of(loaded.server).connect()) as connection:
            text = (shown(connection, f"SHOW CREATE VIEW {DATABASE}.{quote(name)}") or ())[1]
        [algorithm] = re.findall(r"\ACREATE ALGORITHM=(\w+)", text)
        found.add((algorithm, security, check))
    checks, securities = ("NONE", "LOCAL", "CASCADED"), ("DEFINER", "INVOKER")
    assert found == {
        *product(("UNDEFINED", "MERGE"), securities, checks), *product(("TEMPTABLE",), securities, ("NONE",))
    }  # fmt: skip


def test_every_kind_of_trigger_several_of_each(loaded: Loaded) -> None:
    found = loaded.all(
        "SELECT action_timing, event_manipulation FROM information_schema.triggers WHERE trigger_schema = {}"
        " AND action_order = 3"
    )
    assert found == set(product(("BEFORE", "AFTER"), ("INSERT", "UPDATE", "DELETE")))


def test_every_trait_of_a_routine(loaded: Loaded) -> None:
    routines = "FROM information_schema.routines WHERE routine_schema = {}"
    traits = "routine_type, security_type, sql_data_access, is_deterministic"
    access = ("CONTAINS SQL", "NO SQL", "READS SQL DATA", "MODIFIES SQL DATA")
    assert loaded.all(f"SELECT DISTINCT {traits} {routines}") == set(
        product(("PROCEDURE", "FUNCTION"), ("DEFINER", "INVOKER"), access, ("YES", "NO"))
    )
    with closing(root_of(loaded.server).connect()) as connection:
        known = set(sql_modes(connection))
    assert len(known) > 15
    # MariaDB's table calls ALLOW_INVALID_DATES by an older name.
    used = {mode for modes in loaded.all(f"SELECT sql_mode {routines}") for mode in str(modes).split(",")}
    assert {mode.removeprefix("ALLOW_") for mode in used} >= {mode.removeprefix("ALLOW_") for mode in known}
    modes_of_parameters = "SELECT DISTINCT parameter_mode FROM information_schema.parameters WHERE specific_schema = {}"
    assert loaded.all(modes_of_parameters) >= {"IN", "OUT", "INOUT"}


def test_every_schedule_and_status_of_an_event(loaded: Loaded) -> None:
    events = "FROM information_schema.events WHERE event_schema = {}"
    units = loaded.takes(
        loaded.words(), "CREATE EVENT probe ON SCHEDULE EVERY '1:1' {} STARTS '2037-01-01 00:00:00' DO SET @x = 1",
        undo="DROP EVENT probe",
    )  # fmt: skip
    assert {unit for unit in units if not unit.startswith("SQL_TSI")} == set(UNITS)
    assert loaded.all(f"SELECT DISTINCT interval_field {events} AND interval_field IS NOT NULL") == set(UNITS)
    replica = "REPLICA_SIDE_DISABLED" if loaded.is_mysql else "SLAVESIDE_DISABLED"
    assert loaded.all(f"SELECT DISTINCT event_type, status, on_completion {events}") == set(
        product(("ONE TIME", "RECURRING"), ("ENABLED", "DISABLED", replica), ("PRESERVE", "NOT PRESERVE"))
    )
    assert len(loaded.all(f"SELECT DISTINCT ends IS NULL, time_zone {events}")) > 2


NAMED = {
    "tables": ("table_schema", "table_name"),
    "columns": ("table_schema", "column_name"),
    "statistics": ("table_schema", "index_name"),
    "table_constraints": ("table_schema", "constraint_name"),
    "partitions": ("table_schema", "partition_name"),
    "views": ("table_schema", "table_name"),
    "triggers": ("trigger_schema", "trigger_name"),
    "routines": ("routine_schema", "routine_name"),
    "parameters": ("specific_schema", "parameter_name"),
    "events": ("event_schema", "event_name"),
}


@pytest.mark.parametrize("table", NAMED)
def test_names_that_mislead(table: str, loaded: Loaded) -> None:
    schema, name = NAMED[table]
    names = loaded.all(f"SELECT DISTINCT {name} FROM information_schema.{table} WHERE {schema} = {{}}")
    for mark in "`. ☎":
        assert any(mark in str(name) for name in names), mark
    words = {str(name) for name in names if re.fullmatch("[a-z]+", str(name))}
    assert words - loaded.takes(words, "SELECT 1 AS {}").keys(), "no reserved word"
