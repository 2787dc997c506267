"""Whether a restored schema works: its views run, and no row has lost its parent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from include.backup_engine.errors import LoadFailed, RestoreRefused
from include.backup_engine.mysql.health import Health, bound_code, check_health
from include.backup_engine.mysql.obstacles import tables_elsewhere
from include.backup_engine.mysql.server import Endpoint, quote, rows
from tests.integration.mysql.conftest import MARIADB, Pair
from tests.integration.mysql.copies import compare, restore_into, source_policy, take

Check = Callable[..., Health]
PARENT = "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)) ENGINE=InnoDB"


@pytest.fixture
def check(source: Endpoint, database: str) -> Iterator[Check]:
    """Runs statements without any checking of foreign keys, then checks the schema."""
    with closing(source.connect(database)) as connection:

        def check(*statements: str) -> Health:
            rows(connection, "SET SESSION foreign_key_checks = 0")
            for statement in statements:
                rows(connection, statement)
            return check_health([connection], database)

        yield check


def test_an_empty_schema(check: Check) -> None:
    assert check() == Health(views=0, foreign_keys=0, findings=[])


def test_a_sound_schema(source: Endpoint, demo: str) -> None:
    with closing(source.connect(demo)) as connection:
        assert check_health([connection], demo) == Health(views=7, foreign_keys=46, findings=[])


def test_orphans_are_counted_per_foreign_key(check: Check) -> None:
    found = check(
        PARENT,
        "CREATE TABLE c (id int PRIMARY KEY, a int, b int, x int, y int,"
        " CONSTRAINT `fk one` FOREIGN KEY (a, b) REFERENCES p (a, b),"
        " CONSTRAINT `fk``two` FOREIGN KEY (x, y) REFERENCES p (a, b))",
        "INSERT INTO p VALUES (1, 1), (2, 2)",
        "INSERT INTO c VALUES (1, 1, 1, 2, 2), (2, 1, 2, 2, 2), (3, 9, 9, 1, 1), (4, 1, 1, 7, 7)",
    )
    assert found.foreign_keys == 2
    assert sorted(found.findings) == [
        "foreign key fk one of table c has 2 rows without a parent",
        "foreign key fk`two of table c has 1 rows without a parent",
    ]


def test_a_key_with_a_null_in_it_refers_to_nothing(check: Check) -> None:
    found = check(
        PARENT,
        "CREATE TABLE c (a int, b int, CONSTRAINT f FOREIGN KEY (a, b) REFERENCES p (a, b))",
        "INSERT INTO c VALUES (NULL, NULL), (9, NULL), (NULL, 9)",
    )
    assert found == Health(views=0, foreign_keys=1, findings=[])


def test_a_table_may_refer_to_itself(check: Check) -> None:
    found = check(
        "CREATE TABLE t (id int PRIMARY KEY, up int, CONSTRAINT f FOREIGN KEY (up) REFERENCES t (id))",
        "INSERT INTO t VALUES (1, 2), (2, 1), (3, NULL), (4, 99)",
    )
    assert found.findings == ["foreign key f of table t has 1 rows without a parent"]


def test_a_parent_table_that_is_missing(check: Check) -> None:
    found = check(
        PARENT, "CREATE TABLE c (a int, b int, CONSTRAINT f FOREIGN KEY (a, b) REFERENCES p (a, b))", "DROP TABLE p"
    )
    assert found.findings == ["foreign key f of table c refers to the table p, which is missing"]


def test_the_parent_s_names_may_be_odd(check: Check) -> None:
    found = check(
        "CREATE TABLE `p``a r` (`k``ey` int PRIMARY KEY)",
        "CREATE TABLE `%` (`--` int, CONSTRAINT f FOREIGN KEY (`--`) REFERENCES `p``a r` (`k``ey`))",
        "INSERT INTO `%` VALUES (1)",
    )
    assert found.findings == ["foreign key f of table % has 1 rows without a parent"]


def test_every_view_is_run(check: Check, pair: Pair) -> None:
    pair.source.sql("CREATE USER gone@'%'; GRANT SELECT ON mirror_test.* TO gone@'%'")
    found = check(
        "CREATE TABLE t (a int, b int)",
        "INSERT INTO t VALUES (1, 1)",
        "CREATE TABLE u (a int)",
        "CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1",
        "CREATE VIEW good AS SELECT a FROM t",
        "CREATE VIEW `lost column` AS SELECT b FROM t",
        "CREATE VIEW lost_table AS SELECT a FROM u",
        "CREATE VIEW lost_function AS SELECT f() AS x FROM t",
        "CREATE VIEW of_a_lost_view AS SELECT * FROM lost_table",
        "CREATE DEFINER=gone@'%' VIEW lost_definer AS SELECT a FROM t",
        "ALTER TABLE t DROP COLUMN b",
        "DROP TABLE u",
        "DROP FUNCTION f",
        "DROP USER gone@'%'",
    )
    assert found.views == 6
    assert sorted(found.findings) == [
        f"view {name} cannot be selected from"
        for name in ("lost column", "lost_definer", "lost_function", "lost_table", "of_a_lost_view")
    ]


def test_tables_whose_content_lies_elsewhere_are_named(source: Endpoint, database: str, scratch: Endpoint) -> None:
    with closing(source.connect(database)) as connection:
        for statement in [
            "CREATE TABLE `one; UNION=(x)` (a int COMMENT 'ENGINE=FEDERATED') ENGINE=MyISAM COMMENT='DATA DIRECTORY=x'",
            "CREATE TABLE many (a int) ENGINE=MERGE UNION=(`one; UNION=(x)`)",
            "CREATE VIEW v AS SELECT a FROM many",
        ]:
            rows(connection, statement)
        [told] = tables_elsewhere(connection, database, [])
        assert told.startswith("The content of the table many lies elsewhere (UNION): a restore refuses this backup")
        assert tables_elsewhere(connection, database, ["many"]) == []
    with pytest.raises(RestoreRefused, match=r"creates a table whose content lies elsewhere \(UNION\)"):
        restore_into(scratch, "mirror_copy", take(source, source_policy(database)))


@pytest.mark.servers("mysql")
def test_tables_in_a_tablespace_of_their_own_are_named(
    source: Endpoint, database: str, scratch: Endpoint, pair: Pair
) -> None:
    space = "mirror `space`"
    pair.source.sql(f"CREATE TABLESPACE {quote(space)} ADD DATAFILE 'mirror_space.ibd'")
    try:
        pair.source.sql(
            f"CREATE TABLE within (a int) TABLESPACE {quote(space)};"
            "CREATE TABLE alone (a int) TABLESPACE innodb_file_per_table;"
            "CREATE TABLE `with all` (a int) TABLESPACE innodb_system",
            database=database,
        )
        with closing(source.connect(database)) as connection:
            assert tables_elsewhere(connection, database, []) == [
                f"The table within lies in the tablespace {space}: only a server that has one takes this backup"
            ]
            assert tables_elsewhere(connection, database, ["within"]) == []
        taken = take(source, source_policy(database))
        with pytest.raises(LoadFailed, match="with error 3510"):  # ER_TABLESPACE_MISSING_WITH_NAME
            restore_into(scratch, "mirror_copy", taken)
        restore_into(source, "mirror_copy", taken)
        assert compare(taken, source, "mirror_copy").equal
        restore_into(scratch, "mirror_copy", take(source, source_policy(database, exclude_tables=("within",))))
    finally:
        pair.source.sql(f"DROP DATABASE IF EXISTS mirror_copy; DROP TABLE {database}.within")
        pair.source.sql(f"DROP TABLESPACE {quote(space)}")


@MARIADB
def test_code_that_names_a_schema_is_named(source: Endpoint, database: str, pair: Pair) -> None:
    pair.source.sql("CREATE DATABASE IF NOT EXISTS mirror_other; CREATE TABLE IF NOT EXISTS mirror_other.t (a int)")
    with closing(source.connect(database)) as connection:
        for statement in [
            "CREATE TABLE t (a int)",
            "CREATE TABLE mirror_test (a int)",
            "CREATE VIEW fine AS SELECT mirror_test.a FROM mirror_test.mirror_test, mirror_test.t",
            "CREATE VIEW joined AS SELECT t.a FROM t, mirror_other.t o",
            "CREATE PROCEDURE p() DELETE FROM mirror_test.t",
            "CREATE FUNCTION f() RETURNS int READS SQL DATA RETURN (SELECT 1 FROM information_schema.tables)",
            "CREATE TRIGGER x BEFORE INSERT ON mirror_test.t FOR EACH ROW SET NEW.a = 1",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO UPDATE t, mirror_test.mirror_test SET t.a = '-'",
        ]:
            rows(connection, statement)
        found = bound_code(connection, database)
    assert [line.partition(":")[0] for line in found] == [
        "The procedure p names its own schema mirror_test",
        "The view joined reaches into the schema mirror_other",
        "The event e names its own schema mirror_test",
    ]
