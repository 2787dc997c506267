"""Out of one server and into another: everything arrives, and what does not is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from include.backup_engine.compare import Comparison
from include.backup_engine.compression import decompress
from include.backup_engine.errors import LoadFailed, PreflightError
from include.backup_engine.mysql.load import Loader
from include.backup_engine.mysql.server import Endpoint, identify, rows
from include.backup_engine.mysql.statements import split_statements
from include.backup_engine.names import Compression
from tests.integration.mysql.conftest import MARIADB, Pair
from tests.integration.mysql.copies import Taken, compare, restore_into, source_policy, take

COPY = "mirror_copy"


@pytest.fixture(scope="module", params=["gzip", "zstd"])
def taken(request: pytest.FixtureRequest, source: Endpoint, demo: str) -> Taken:
    compression: Compression = request.param
    return take(source, source_policy(demo, compression=compression))


@pytest.mark.servers("mariadb-upgrade")
def test_a_newer_server_takes_all_but_history(taken: Taken, scratch: Endpoint) -> None:
    """To MariaDB 11.5 and later the end of time is another: rows that were current are history there."""
    restore_into(scratch, COPY, taken)
    comparison = compare(taken, scratch, COPY)
    assert comparison.findings == ["table case_status_audit has the right number of rows but another content"]
    assert comparison.not_compared == []


def test_the_copy_is_equal(taken: Taken, scratch: Endpoint, pair: Pair) -> None:
    loaded = restore_into(scratch, COPY, taken)
    comparison = compare(taken, scratch, COPY)
    assert comparison.equal, comparison.summary()
    assert comparison.not_compared == []
    counts = (comparison.tables, comparison.objects, comparison.views_run, comparison.foreign_keys_checked)
    # MySQL has no sequences, and so no function that uses one.
    assert counts == ((46, 25, 7, 46) if pair.flavour == "mariadb" else (45, 24, 7, 46))
    assert comparison.rows > 20_000
    assert (loaded.definers_mapped, loaded.events_disabled) == (comparison.objects, 3)


def test_what_the_stream_showed_is_recorded(taken: Taken, pair: Pair) -> None:
    facts, sql = taken.facts, taken.sql
    stream, census = facts.stream, facts.census
    assert stream.sql_bytes == len(sql)
    assert stream.compressed_bytes == sum(map(len, taken.chunks))
    assert sorted(stream.views) == sorted(item.name for item in census.objects if item.kind == "view")
    assert (stream.routines, stream.triggers, stream.events) == (8 if pair.flavour == "mariadb" else 7, 7, 3)
    counted = {section.name: section.rows for section in stream.sections if section.kind == "table"}
    assert counted == {table.name: table.rows for table in census.tables if table.kind == "table"}
    hashes = [section.rows_hash for section in stream.sections if section.rows]
    assert len(set(hashes)) == len(hashes) > 30


def test_the_table_index_leads_to_each_table(taken: Taken) -> None:
    sql, compressed = taken.sql, b"".join(taken.chunks)
    position = 0
    for section in taken.facts.stream.sections:
        assert section.sql_offset == position
        position += section.sql_length
        rest = b"".join(decompress([compressed[section.compressed_offset :]], taken.compression))
        start = section.sql_offset - section.member_sql_offset
        part = rest[start : start + section.sql_length]
        assert part == sql[section.sql_offset : position]
        if section.kind == "table":
            name = section.name.replace("`", "``").encode()
            assert part.startswith(b"-- Table structure for table `" + name + b"`\n")
            assert any(b"CREATE TABLE `" + name + b"`" in statement for statement in split_statements([part]))
    assert position == len(sql)


HARD = [
    "CREATE TABLE t (id int {counter} PRIMARY KEY, a varchar(9), `b``c` blob COMMENT 'FROM other.t; -- x')",
    "INSERT INTO t (a, `b``c`) VALUES ('it''s', x'00ff27225c0a'), (NULL, '')",
    "CREATE TABLE {name} (id int PRIMARY KEY) COMMENT='called like its schema; DEFINER=`root`@`%`'",
    "CREATE VIEW v AS SELECT {name}.id AS id FROM {name}",
    "CREATE TRIGGER {name}.one BEFORE INSERT ON {name}.t FOR EACH ROW SET NEW.a = CONCAT(NEW.a, '1')",
    "CREATE TRIGGER IF NOT EXISTS `{name}`.`two` BEFORE INSERT ON t FOR EACH ROW FOLLOWS one SET NEW.a = ''",
    "CREATE PROCEDURE documented() COMMENT 'use\nDELIMITER ;\n-- Table structure for table `nope`\nhere'\nBEGIN\n"
    "/* Made so:\nDELIMITER ;;\nCREATE ... ;;\nDELIMITER ;\n-- Dumping data for table `nope`\n*/\n"
    "SELECT 'USE `other`; FROM {name}.t'; -- from {name}.t\nEND",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE ENABLE DO CREATE TABLE never (a int)",
    "SET SESSION sql_mode = 'ANSI_QUOTES'",
    'CREATE FUNCTION "ends in \\"("p" int) RETURNS int DETERMINISTIC RETURN "p"',
    "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",
    "CREATE FUNCTION path() RETURNS varchar(20) DETERMINISTIC RETURN 'C:\\'",
    "SET SESSION sql_mode = ''",
    "ALTER DATABASE {name} CHARACTER SET latin1 COLLATE latin1_german1_ci",
    "CREATE FUNCTION later() RETURNS varchar(20) DETERMINISTIC RETURN 'x'",
]
HARD_FOR = {
    "mariadb": [
        "CREATE SEQUENCE s START WITH 7",
        *HARD,
        "CREATE TABLE kept (a int PRIMARY KEY, s timestamp(6) GENERATED ALWAYS AS ROW START INVISIBLE,"
        " e timestamp(6) GENERATED ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
        "INSERT INTO kept VALUES (1), (2)",
        "UPDATE kept SET a = 3 WHERE a = 2",
    ],
    "mysql": HARD,
}


@pytest.fixture
def hard(source: Endpoint, database: str, pair: Pair) -> Taken:
    """A database of what misleads: names, comments and bodies that look like something else."""
    counter = "DEFAULT nextval(s)" if pair.flavour == "mariadb" else "AUTO_INCREMENT"
    with closing(source.connect(database)) as connection:
        for statement in HARD_FOR[pair.flavour]:
            rows(connection, statement.format(name=database, counter=counter))
    return take(source, source_policy(database))


def test_what_looks_like_something_else_arrives(hard: Taken, source: Endpoint, scratch: Endpoint, pair: Pair) -> None:
    for endpoint, copy in ((scratch, COPY), (source, "mirror_beside")):  # also beside its source
        loaded = restore_into(endpoint, copy, hard)
        comparison = compare(hard, endpoint, copy)
        assert comparison.equal, comparison.summary()
        assert loaded.events_disabled == 1
        with closing(endpoint.connect(copy)) as connection:
            if pair.flavour == "mariadb":
                assert rows(connection, "SELECT COUNT(*) FROM kept FOR SYSTEM_TIME ALL")[0][0] == 3
            # The restored sequence and trigger serve the restored table:
            rows(connection, "INSERT INTO t (a) VALUES ('x')")
            assert rows(connection, "SELECT a FROM t ORDER BY id DESC LIMIT 1")[0][0] == ""
    with closing(source.connect(hard.facts.database)) as connection:
        assert rows(connection, "SELECT COUNT(*) FROM t")[0][0] == 2
        rows(connection, "DROP DATABASE mirror_beside")


STRICT = ("sql_require_primary_key", "sql_generate_invisible_primary_key", "restrict_fk_on_non_standard_key")


@pytest.mark.servers("mysql")
def test_a_stricter_target_takes_what_its_source_took(
    source: Endpoint, database: str, scratch: Endpoint, pair: Pair
) -> None:
    with closing(source.connect(database)) as connection:
        for statement in (
            "CREATE TABLE keyless (a int, b varchar(9), KEY (a))",
            "INSERT INTO keyless VALUES (1, 'x'), (1, 'x')",
            "SET restrict_fk_on_non_standard_key = OFF",
            "CREATE TABLE child (id int PRIMARY KEY, a int, FOREIGN KEY (a) REFERENCES keyless (a))",
            "INSERT INTO child VALUES (1, 1)",
            "SET sql_generate_invisible_primary_key = ON",
            "CREATE TABLE numbered (a int)",
            "INSERT INTO numbered VALUES (1), (1)",
        ):
            rows(connection, statement)
    taken = take(source, source_policy(database))
    before = pair.scratch.sql("SELECT " + ", ".join(f"@@GLOBAL.{name}" for name in STRICT))[0]
    for name in STRICT:
        pair.scratch.sql(f"SET GLOBAL {name} = ON")
    try:
        restore_into(scratch, COPY, taken)
        comparison = compare(taken, scratch, COPY)
        assert comparison.equal, comparison.summary()
    finally:
        for name, value in zip(STRICT, before, strict=True):
            pair.scratch.sql(f"SET GLOBAL {name} = {value}")


@MARIADB
@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (
            [
                "SET sql_mode = ORACLE",
                "CREATE PACKAGE pack AS PROCEDURE p; END",
                "CREATE PACKAGE BODY pack AS PROCEDURE p AS BEGIN SELECT 1; END; END",
            ],
            "package pack",
        ),
        (
            [
                "CREATE TABLE t (a int, s bigint unsigned GENERATED ALWAYS AS ROW START, e bigint unsigned GENERATED"
                " ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING"
            ],
            "history of table t",
        ),
    ],
)
def test_what_cannot_be_backed_up_is_named(source: Endpoint, database: str, statements: list[str], named: str) -> None:
    with closing(source.connect(database)) as connection:
        for statement in statements:
            rows(connection, statement)
    with pytest.raises(PreflightError, match=named):
        take(source, source_policy(database))


KINDS = {
    "mysql": [
        "CREATE TABLE f (id int PRIMARY KEY, a varchar(20), j json, d int DEFAULT (abs(-3)), KEY ((upper(a))),"
        " KEY mv ((CAST(j->'$.x' AS UNSIGNED ARRAY))), g int AS (id * 2) STORED, v varchar(40) AS (concat(a, 'x')),"
        " CONSTRAINT ck CHECK (id > 0), CONSTRAINT ck2 CHECK (d < 9) NOT ENFORCED, KEY (a DESC), KEY h (d) INVISIBLE)",
        "INSERT INTO f (id, a, j) VALUES (1, 'é', '{{\"x\": [1, 2]}}'), (2, NULL, NULL)",
        "CREATE TABLE s (id int PRIMARY KEY, p point NOT NULL SRID 4326, SPATIAL KEY (p), v vector(2))",
        "INSERT INTO s VALUES (1, ST_GeomFromText('POINT(10 20)', 4326), TO_VECTOR('[1,2]'))",
        "CREATE TABLE c (a varchar(9) COLLATE utf8mb4_0900_ai_ci, b varchar(9) CHARACTER SET gb18030, d varchar(9)"
        " CHARACTER SET utf16, e varchar(9) COLLATE utf8mb4_0900_bin) COLLATE utf8mb4_unicode_520_ci",
        "INSERT INTO c VALUES ('🩺', '中', '𝄞', 'x')",
        "CREATE ROLE IF NOT EXISTS surgeon",
        "GRANT SELECT, EXECUTE ON *.* TO surgeon",
        "CREATE DEFINER=surgeon VIEW of_a_role AS SELECT a FROM f",
        "CREATE VIEW literals AS SELECT _utf8mb4'é' COLLATE utf8mb4_bin AS x, _latin1 x'e9' AS y",
        "CREATE VIEW modern AS WITH RECURSIVE x AS (SELECT 1 n UNION ALL SELECT n + 1 FROM x WHERE n < 3)"
        " SELECT n, ROW_NUMBER() OVER w FROM x WINDOW w AS (ORDER BY n)",
        "CREATE VIEW lateral_view AS SELECT f.id, q.z FROM f, LATERAL (SELECT f.id + 1 AS z) AS q",
        "SET time_zone = '+05:30'",
        "CREATE EVENT later ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE ON REPLICA DO SELECT 1",
    ],
    "mariadb": [
        "CREATE TABLE u (a uuid, b inet4, c inet6)",
        "INSERT INTO u VALUES (uuid(), '1.2.3.4', '::1')",
        "CREATE TABLE p (id int, s date, e date, PERIOD FOR app (s, e), UNIQUE (id, app WITHOUT OVERLAPS))",
        "INSERT INTO p VALUES (1, '2020-01-01', '2021-01-01')",
        "CREATE TABLE v (a int PRIMARY KEY) WITH SYSTEM VERSIONING"
        " PARTITION BY SYSTEM_TIME (PARTITION h HISTORY, PARTITION c CURRENT)",
        "INSERT INTO v VALUES (1), (2)",
        "DELETE FROM v WHERE a = 1",
        "CREATE TABLE c (a varchar(9) COLLATE utf8mb4_uca1400_ai_ci, b text COMPRESSED, c int DEFAULT 3 INVISIBLE)",
        "INSERT INTO c (a, b, c) VALUES ('é', REPEAT('a', 9999), 7)",
        "CREATE SEQUENCE q START WITH 10 INCREMENT BY -5 MINVALUE -1000 MAXVALUE 100 CYCLE",
        "CREATE TABLE ar (a int CHECK (a > 0)) ENGINE=Aria",
        "CREATE AGGREGATE FUNCTION total(x int) RETURNS int DETERMINISTIC BEGIN DECLARE s int DEFAULT 0;"
        " DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s; LOOP FETCH GROUP NEXT ROW; SET s = s + x; END LOOP; END",
    ],
}


def test_what_only_this_flavour_has_arrives(source: Endpoint, database: str, scratch: Endpoint, pair: Pair) -> None:
    with closing(source.connect(database)) as connection:
        for statement in KINDS[pair.flavour]:
            rows(connection, statement.format())
    taken = take(source, source_policy(database))
    restore_into(scratch, COPY, taken)
    comparison = compare(taken, scratch, COPY)
    assert comparison.equal, comparison.summary()
    assert comparison.not_compared == []


@pytest.mark.servers("mysql")
@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE LIBRARY `l 1` LANGUAGE JAVASCRIPT AS 'export function f(n) { return n }'", "library l 1 cannot be"),
        (
            "CREATE FUNCTION f() RETURNS int DETERMINISTIC NO SQL LANGUAGE JAVASCRIPT AS $$ return 1 $$",
            "JAVASCRIPT function f cannot be",
        ),
        ("CREATE TABLE `a\nb` (a int)", r"name of base table 'a\\nb' has a line break"),
        ("CREATE VIEW `a\nb` AS SELECT 1 AS a", r"name of view 'a\\nb' has a line break"),
    ],
)
def test_what_cannot_be_restored_is_named(source: Endpoint, database: str, statement: str, named: str) -> None:
    with closing(source.connect(database)) as connection:
        rows(connection, statement)
    with pytest.raises(PreflightError, match=named):
        take(source, source_policy(database))


def test_code_that_came_with_other_statements_is_the_same(
    source: Endpoint, database: str, scratch: Endpoint, pair: Pair
) -> None:
    """MySQL keeps the ";" between them in the text of a trigger, and drops it when the trigger is made anew."""
    pair.source.sql(
        "CREATE TABLE t (a int); CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1 ;\n"
        "CREATE TRIGGER y AFTER INSERT ON t FOR EACH ROW BEGIN SET @y = 1; END; CREATE PROCEDURE p() SELECT 1;"
        "CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1 ; CREATE VIEW v AS SELECT 1 AS a;"
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SET @e = 1; DO 0",
        database=database,
    )
    taken = take(source, source_policy(database))
    restore_into(scratch, COPY, taken)
    comparison = compare(taken, scratch, COPY)
    assert comparison.equal, comparison.summary()


def test_a_copy_of_the_copy_is_the_same(hard: Taken, scratch: Endpoint) -> None:
    restore_into(scratch, COPY, hard)
    again = take(scratch, source_policy(COPY))
    restore_into(scratch, "mirror_again", again)
    assert compare(hard, scratch, "mirror_again").equal


DAMAGE = {
    "UPDATE cases SET priority = IF(priority = 5, 4, 5) WHERE id = 1":
        "table cases has the right number of rows but another content",
    "DELETE FROM alarm_events LIMIT 1": "table alarm_events has ",
    "ALTER TABLE patients DROP INDEX ix_patient_name": "table patients has another definition",
    "ALTER TABLE staff DROP CONSTRAINT ck_staff_rate": "table staff has another definition",
    "DROP TABLE waiting_list_2031": "table waiting_list_2031 is missing",
    "CREATE TABLE extra (a int)": "table extra was not in the source",
    "DROP VIEW v_tricky_text": "view v_tricky_text is missing",
    "ALTER VIEW v_urgent_cases AS SELECT id FROM cases": "view v_urgent_cases has another definition",
    "DROP TRIGGER patients_no_delete": "trigger patients_no_delete is missing",
    "DROP PROCEDURE close_case": "procedure close_case is missing",
    "DROP FUNCTION age_on": "function age_on is missing",
    "ALTER FUNCTION plate_of COMMENT 'another'": "function plate_of has another definition",
    "DROP EVENT one_shot": "event one_shot is missing",
    "ALTER EVENT purge_sessions ENABLE": "event purge_sessions is enabled in the copy",
    "ALTER EVENT monthly_rollup ON SCHEDULE EVERY 2 DAY": "event monthly_rollup has another definition",
    "SET foreign_key_checks = 0; DELETE FROM insurers WHERE id = 1": "foreign key fk_policy_insurer of table ",
    "ALTER DATABASE mirror_copy CHARACTER SET latin1": "the schema's character set is latin1",
}  # fmt: skip
DAMAGE_TO_MARIADB = {
    "DELETE HISTORY FROM case_status_audit": "table case_status_audit has ",
    "ALTER SEQUENCE mrn_seq RESTART 1": "sequence mrn_seq would repeat values",
}


@pytest.fixture(scope="module")
def damaged(source: Endpoint, demo: str, scratch: Endpoint, pair: Pair) -> Iterator[Comparison]:
    """A copy to which all of that has been done."""
    taken = take(source, source_policy(demo))
    restore_into(scratch, COPY, taken)
    for statement in DAMAGE | (DAMAGE_TO_MARIADB if pair.flavour == "mariadb" else {}):
        pair.scratch.sql(f"SET sql_mode = ''; {statement}", database=COPY)  # a table may have zero dates
    yield compare(taken, scratch, COPY)


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_damage_is_noticed(damaged: Comparison, damage: str) -> None:
    assert any(finding.startswith(DAMAGE[damage]) for finding in damaged.findings), damaged.findings


def test_rows_that_an_index_built_afterwards_refuses_fail_the_load(scratch: Endpoint) -> None:
    dump = (
        b"CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `x` int DEFAULT NULL,\n  PRIMARY KEY (`id`),\n"
        b"  UNIQUE KEY `x` (`x`)\n) ENGINE=InnoDB;\nINSERT INTO `t` VALUES (1,1),(2,1);\n"
        b"CREATE TABLE `u` (\n  `id` int NOT NULL\n) ENGINE=InnoDB;\nINSERT INTO `u` VALUES (1);\n"
    )
    with closing(scratch.connect()) as connection:
        rows(connection, "CREATE DATABASE mirror_unique")
    with ExitStack() as opened:
        connections = [opened.enter_context(closing(scratch.connect("mirror_unique"))) for _ in range(3)]
        loader = Loader(
            connections,
            "mirror_unique",
            server=identify(connections[0]),
            source_database="s",
            other_schemas=[],
            powerful=True,
            large_tables=["t"],
        )
        with pytest.raises(LoadFailed, match=r"\(ALTER TABLE `t`\) with error 1062"):
            loader.load([dump])


@MARIADB
@pytest.mark.parametrize("damage", DAMAGE_TO_MARIADB)
def test_damage_to_what_only_mariadb_has(damaged: Comparison, damage: str) -> None:
    assert any(finding.startswith(DAMAGE_TO_MARIADB[damage]) for finding in damaged.findings), damaged.findings
