"""The loader's fence, on statements alone: what is let through, what is refused, and what is changed on the way.

In place of a server stands a list of what would have been sent to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pymysql
import pytest
from pymysql.connections import Connection

from include.backup_engine.errors import LoadFailed, RestoreRefused
from include.backup_engine.mysql.load import Loader
from include.backup_engine.records import ServerIdentity
from tests.unit.mysql.dumps import MARIADB, MYSQL

SCHEMAS = ["mysql", "other", "a`b", 'a"b', "abü", "oth$", "Über Schema"]


MARIADB_10_11 = ServerIdentity(flavour="mariadb", version="10.11.19-MariaDB", instance_id="")
MYSQL_8_0 = ServerIdentity(flavour="mysql", version="8.0.36", instance_id="")
MODE = re.compile(rb"SQL_MODE\s*=\s*'([^']*)'", re.IGNORECASE)


class Target:
    """Takes statements, and may refuse them. Tells its SQL mode, as far as it was set to a constant."""

    def __init__(self, error: Exception | None = None) -> None:
        self.statements: list[bytes] = []
        self._error = error
        self._mode = b""

    def query(self, statement: bytes) -> int:
        if self._error:
            raise self._error
        self.statements.append(statement)
        if found := MODE.search(statement):
            self._mode = found[1]
        return 0

    @contextmanager
    def cursor(self) -> Iterator[Target]:
        yield self

    def execute(self, statement: str, parameters: None) -> None:
        assert "@@sql_mode" in statement

    def fetchall(self) -> list[tuple[int, int, int]]:
        return [(b"NO_BACKSLASH_ESCAPES" not in self._mode, b"ANSI_QUOTES" in self._mode, 0)]


def loader(target: Target, database: str = "drill_x", source: str = "surgicase", **options: Any) -> Loader:
    connection = cast("Connection[Any]", target)
    given: dict[str, Any] = {"server": MARIADB_10_11, "powerful": True} | options
    return Loader([connection], database, source_database=source, other_schemas=SCHEMAS, **given)


def load(text: str | bytes, **options: Any) -> list[bytes]:
    """What reaches the server."""
    target = Target()
    loader(target, **options).load([text.encode() if isinstance(text, str) else text])
    return target.statements


def code(text: str) -> str:
    """A routine, trigger or event as it stands in a dump."""
    return f"DELIMITER ;;\n{text} ;;\nDELIMITER ;\n"


@pytest.mark.parametrize(("dump", "server"), [(MARIADB, MARIADB_10_11), (MYSQL, MYSQL_8_0)], ids=["mariadb", "mysql"])
def test_whole_dumps_are_let_through(dump: bytes, server: ServerIdentity) -> None:
    target = Target()
    facts = loader(target, server=server).load([dump])
    assert sum(facts.statements.values()) == len(target.statements)
    assert facts.sql_bytes == sum(map(len, target.statements))
    assert not any(b"surgicase" in statement for statement in target.statements if b"COMMENT" not in statement)
    assert not any(b"LOCK TABLES" in statement for statement in target.statements)


@pytest.mark.parametrize(
    "statement",
    [
        "USE `other`",
        "use other",
        "CREATE DATABASE `other`",
        "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `other` /*!40100 DEFAULT CHARACTER SET utf8mb4 */",
        "CREATE SCHEMA other",
        "DROP DATABASE `other`",
        "/*!40000 DROP DATABASE IF EXISTS `other`*/",
        "ALTER DATABASE other READ ONLY = 1",
        "SET GLOBAL max_connections = 1",
        "SET @a = 1, GLOBAL max_connections = 1",
        "SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'b148c0c6-f31b-11f0-b1b4-1cfa94f50f6a:1-9'",
        "SET @@global.gtid_slave_pos='0-1-2'",
        "SET PERSIST max_connections = 1",
        "SET @@PERSIST_ONLY.max_connections = 1",
        "SET PASSWORD = 'x'",
        "SET password='x'",
        "SET PASSWORD FOR root@localhost = 'x'",
        "SET ROLE admin",
        "SET DEFAULT ROLE admin",
        "SET STATEMENT max_statement_time=1 FOR DROP DATABASE other",
        "SET @a = (SELECT ssn FROM other.patients)",
        "SET @a = sleep(100)",
        "GRANT ALL ON *.* TO x@y",
        "REVOKE ALL ON *.* FROM x@y",
        "CREATE USER x@y",
        "DROP USER x@y",
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
        "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "SELECT SETVAL(`other`.`s`, 1, 0)",
        "DO SETVAL(`other`.`s`, 1, 0)",
        "DO sleep(100)",
        "CALL p()",
        "INSTALL PLUGIN x SONAME 'x.so'",
        "CREATE FUNCTION f RETURNS STRING SONAME 'x.so'",
        "CREATE AGGREGATE FUNCTION f RETURNS INTEGER SONAME 'x.so'",
        "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'h')",
        "CHANGE MASTER TO MASTER_HOST='h'",
        "SHUTDOWN",
        "KILL 1",
        "FLUSH PRIVILEGES",
        "RESET MASTER",
        "DELETE FROM t",
        "UPDATE t SET a = 1",
        "REPLACE INTO t VALUES (1)",
        "INSERT INTO `t` SELECT * FROM `u`",
        "INSERT IGNORE INTO `t` VALUES (1)",
        "INSERT INTO other.t VALUES (1)",
        "INSERT INTO `other`.`t` VALUES (1)",
        "INSERT INTO `a``b`.`t` VALUES (1)",
        "CREATE TABLE `other`.`t` (a int)",
        "CREATE TABLE `other` . `t` (a int)",
        "CREATE TABLE `a``b`.`t` (a int)",
        "CREATE TEMPORARY TABLE `t` (a int)",
        "DROP TABLE IF EXISTS `other`.`t`",
        "DROP TABLE IF EXISTS `t`, `other`.`t`",
        "DROP TABLE `t`",
        "ALTER TABLE `other`.`t` DISABLE KEYS",
        "ALTER TABLE `t` ADD COLUMN x int",
        "LOCK TABLES `t` WRITE, `other`.`t` READ",
        "RENAME TABLE `t` TO `other`.`t`",
        "TRUNCATE TABLE t",
        "CREATE VIEW `other`.`v` AS SELECT 1",
        "CREATE VIEW other.v AS SELECT 1",
        "CREATE VIEW oth$.v AS SELECT 1",
        "CREATE VIEW abü.v AS SELECT 1",
        "CREATE VIEW `a``b`.`v` AS SELECT 1",
        "CREATE TRIGGER IF NOT EXISTS other.t BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
        "CREATE EVENT other.e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
        "CREATE PROCEDURE other.p() SELECT 1",
        "CREATE PACKAGE p AS END",
        "PREPARE s FROM 'DROP DATABASE other'",
        "/* a comment */ DROP DATABASE other",
        "/*!50001 SET @a = 1 */ /*!50001 , GLOBAL max_connections = 1 */",
        "\\! touch /tmp/x",
        "source /tmp/x",
    ],
)
def test_p05_p08_statements_that_no_dump_of_one_schema_needs_are_refused(statement: str) -> None:
    for text in (f"{statement};\n", f"DELIMITER ;;\n{statement} ;;\nDELIMITER ;\n"):
        target = Target()
        with pytest.raises(RestoreRefused, match="Statement 2 of the dump is not one"):
            loader(target).load([b"SET @first=1;\n", text.encode(), b"SET @never=1;\n"])
        assert target.statements == [b"SET @first=1"]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE `t` (`a` int, CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `other`.`p` (`id`))",
        "CREATE TABLE `t` AS SELECT * FROM other.t",
        "CREATE TABLE `t` (`a` int DEFAULT nextval(`other`.`s`))",
        "CREATE VIEW `v` AS SELECT * FROM other.t",
        "CREATE VIEW `v` AS SELECT * FROM OTHER.t",
        "CREATE VIEW `v` AS SELECT * FROM /* here */ other.t",
        "CREATE VIEW `v` AS SELECT * FROM -- there\n other.t",
        "CREATE VIEW `v` AS SELECT * FROM `other` . `t`",
        "CREATE VIEW `v` AS SELECT * FROM `a``b`.`t`",
        "CREATE VIEW `v` AS SELECT * FROM abü.t",
        "CREATE VIEW `v` AS SELECT * FROM oth$.t",
        "CREATE VIEW `v` AS SELECT * FROM `Über Schema`.`t`",
        "CREATE VIEW `v` AS SELECT 1 FROM (`a` JOIN `other`.`t`)",
        "CREATE VIEW `v` AS SELECT 1 FROM ((`other`.`t` JOIN `a`))",
        "CREATE VIEW `v` AS SELECT `other`.`f`(1)",
        "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`a`@`%` SQL SECURITY DEFINER */\n"
        "/*!50001 VIEW `v` AS select `other`.`t`.`a` AS `a` from `other`.`t` */",
        "CREATE TRIGGER `x` BEFORE INSERT ON `other`.`t` FOR EACH ROW SET NEW.a = 1",
        "CREATE TRIGGER `x` AFTER DELETE ON t FOR EACH ROW INSERT INTO other.log VALUES (1)",
        "CREATE TRIGGER `x` AFTER UPDATE ON t FOR EACH ROW UPDATE other.log SET a = 1",
        "CREATE DEFINER=`a`@`%` EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE ENABLE DO CALL other.p()",
        "CREATE DEFINER=`a`@`%` PROCEDURE `p`() BEGIN DELETE FROM other.t; END",
        "CREATE PROCEDURE `p`() BEGIN TRUNCATE TABLE other.t; TRUNCATE mysql.user; END",
        "CREATE PROCEDURE `p`() DROP TABLE IF EXISTS other.t",
        "CREATE FUNCTION `f`() RETURNS int RETURN other.g(1)",
        "CREATE FUNCTION `f`() RETURNS int RETURN NEXT VALUE FOR other.s",
        "CREATE FUNCTION `f`() RETURNS int RETURN (SELECT 1 FROM mysql.user)",
    ],
)
def test_p08_p09_code_that_reaches_into_another_schema_is_refused(statement: str) -> None:
    target = Target()
    with pytest.raises(RestoreRefused, match=r"reaches into the schema (?i:other|mysql|a`b|abü|oth\$|Über Schema), "):
        loader(target).load([code(statement).encode()])
    assert target.statements == []


@pytest.mark.parametrize("verb", ["FUNCTION `f`() RETURNS int", "PROCEDURE `p`()"])
def test_code_of_another_language_is_refused(verb: str) -> None:
    """Its text is no SQL; what it runs cannot be told."""
    routine = f"CREATE DEFINER=`a`@`%` {verb}\n    LANGUAGE JAVASCRIPT\nAS $$ session.runSql('DROP TABLE other.t') $$"
    with pytest.raises(RestoreRefused, match=r"not written in SQL, and cannot be judged \(LANGUAGE JAVASCRIPT\)"):
        load(code(routine), server=MYSQL_8_0)
    assert load(code(f"CREATE {verb} LANGUAGE SQL COMMENT 'LANGUAGE JAVA' RETURN 1"))


def test_json_duality_views_are_views() -> None:
    view = (
        "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`a`@`%` SQL SECURITY DEFINER */\n/*!50001 JSON"
        " RELATIONAL DUALITY VIEW `v` AS select json_duality_object('_id':`{}`.`id`) AS `o` from {} */;\n"
    )
    [sent] = load(view.format("t", "`t`"), server=MYSQL_8_0)
    assert b"DEFINER=CURRENT_USER SQL SECURITY" in sent
    with pytest.raises(RestoreRefused, match="reaches into the schema other"):
        load(view.format("t", "`other`.`t`"), server=MYSQL_8_0)


def test_ansi_quoted_schemas_are_seen_too() -> None:
    routine = code('CREATE FUNCTION "f"() RETURNS int RETURN (SELECT 1 FROM "other"."t")')
    with pytest.raises(RestoreRefused, match="schema other"):
        load("SET sql_mode = 'ANSI_QUOTES';\n" + routine)
    with pytest.raises(RestoreRefused, match='schema a"b'):
        load("SET sql_mode = 'ANSI_QUOTES';\n" + routine.replace("other", 'a""b'))
    assert load(code('CREATE FUNCTION `f`() RETURNS text RETURN "FROM other.t"'))


@pytest.mark.parametrize("name", ["*/", "/*", "/*!50001 x", "/*!99999 */", "-- x", "it's"])
def test_a_name_may_look_like_a_comment(name: str) -> None:
    target, comment = Target(), name.replace("'", "''")
    statement = f"CREATE TABLE `a{name}` (\n  `{name}` int(11) DEFAULT NULL COMMENT '{comment}'\n)"
    loader(target).load([statement.encode() + b" ENGINE=InnoDB;\n"])
    assert target.statements[-1].startswith(f"CREATE TABLE `a{name}`".encode())


def test_a_forbidden_schema_is_known_by_its_whole_name() -> None:
    connection = cast("Connection[Any]", Target())
    guard = Loader(
        [connection], "drill_x", source_database="s", other_schemas=["o*/h"], server=MARIADB_10_11, powerful=True
    )
    with pytest.raises(RestoreRefused, match="reaches into the schema"):
        guard.load([b"CREATE VIEW `v` AS select 1 from `o*/h`.`t`;\n"])


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE `t` (`a` int COMMENT 'taken FROM other.t') COMMENT='REFERENCES `other`.`t`'",
        "CREATE VIEW `v` AS SELECT `other`.`a` AS `a` FROM `t` `other`",
        "CREATE VIEW `v` AS SELECT 'INTO other.t' AS `x`",
        "CREATE PROCEDURE `p`() BEGIN /* FROM other.t */ SELECT 1; -- FROM other.t\n# FROM other.t\n END",
        "CREATE PROCEDURE `p`() SELECT o.a FROM t o JOIN u ON o.a = u.a",
        "CREATE PROCEDURE `p`() SELECT * FROM unknown_schema.t",  # none of this server
    ],
)
def test_what_only_looks_like_another_schema_is_let_through(statement: str) -> None:
    assert load(code(statement)) == [statement.encode()]


@pytest.mark.parametrize(
    ("dumped", "sent"),
    [
        ("TRIGGER surgicase.x BEFORE INSERT ON surgicase.t", "TRIGGER x BEFORE INSERT ON t"),
        ("TRIGGER `surgicase`.`x` AFTER DELETE ON `t`", "TRIGGER `x` AFTER DELETE ON `t`"),
        ("TRIGGER IF NOT EXISTS `surgicase` . `x` AFTER UPDATE ON `surgicase` . `t`",
         "TRIGGER IF NOT EXISTS `x` AFTER UPDATE ON `t`"),
        ("TRIGGER SurgiCase.x BEFORE INSERT ON t", "TRIGGER x BEFORE INSERT ON t"),
    ],
)  # fmt: skip
def test_a_trigger_that_was_created_with_its_schema_is_made_in_the_target(dumped: str, sent: str) -> None:
    head, rest = "/*!50003 CREATE*/ /*!50003 ", " FOR EACH ROW SET NEW.a = 1 */"
    assert load(code(head + dumped + rest)) == [(head + sent + rest).encode()]


def test_a_default_takes_its_numbers_from_the_restored_sequence() -> None:
    [statement] = load("CREATE TABLE `t` (`a` int DEFAULT nextval(`surgicase`.`s`), `b` int DEFAULT (nextval(`s`)));\n")
    assert statement == b"CREATE TABLE `t` (`a` int DEFAULT nextval(`s`), `b` int DEFAULT (nextval(`s`)))"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE PROCEDURE `p`() DELETE FROM surgicase.t",
        "CREATE VIEW `v` AS SELECT `surgicase`.`f`(1) AS `a`",
        "CREATE TABLE `t` (`a` int, CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `surgicase`.`p` (`id`))",
    ],
)
def test_code_that_names_its_own_schema_only_fits_under_that_name(statement: str) -> None:
    with pytest.raises(RestoreRefused, match="names the schema surgicase that it was taken from"):
        load(code(statement))
    assert load(code(statement), database="surgicase") == [statement.encode()]


TRIGGER = "TRIGGER `x` BEFORE INSERT ON `t` FOR EACH ROW BEGIN END"
VIEW = "/*!50001 VIEW `v` AS select 1 AS `a` */"


@pytest.mark.parametrize(
    ("dumped", "sent"),
    [
        ("CREATE DEFINER=`root`@`localhost` PROCEDURE `p`() SELECT 1",
         "CREATE DEFINER=CURRENT_USER PROCEDURE `p`() SELECT 1"),
        ("CREATE DEFINER=`ro``ot`@`10.%` FUNCTION `f`() RETURNS int RETURN 1",
         "CREATE DEFINER=CURRENT_USER FUNCTION `f`() RETURNS int RETURN 1"),
        ("CREATE DEFINER=`a_role` PROCEDURE `p`() SELECT 1", "CREATE DEFINER=CURRENT_USER PROCEDURE `p`() SELECT 1"),
        (f"/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`%`*/ /*!50003 {TRIGGER} */",
         f"/*!50003 CREATE*/ /*!50017 DEFINER=CURRENT_USER*/ /*!50003 {TRIGGER} */"),
        (f"/*!50001 CREATE */\n/*!50013 DEFINER=`a`@`%` SQL SECURITY DEFINER */\n{VIEW}",
         f"/*!50001 CREATE */\n/*!50013 DEFINER=CURRENT_USER SQL SECURITY DEFINER */\n{VIEW}"),
    ],
)  # fmt: skip
def test_p06_definers_are_mapped_to_the_loading_account_and_counted(dumped: str, sent: str) -> None:
    target = Target()
    facts = loader(target).load([code(dumped).encode()])
    assert target.statements == [sent.encode()]
    assert facts.definers_mapped == 1
    assert load(code(dumped), definers="keep") == [dumped.encode()]


def test_definers_are_mapped_under_ansi_quotes() -> None:
    routine = 'CREATE DEFINER="root"@"localhost" FUNCTION "f"() RETURNS int RETURN 1'
    assert load("SET sql_mode='ANSI_QUOTES';\n" + code(routine))[1] == (
        b'CREATE DEFINER=CURRENT_USER FUNCTION "f"() RETURNS int RETURN 1'
    )


def test_a_definer_that_a_body_mentions_stays() -> None:
    body = "CREATE PROCEDURE `p`() SELECT 'DEFINER=`root`@`%`' -- DEFINER=`root`@`%`"
    assert load(code(body + "\n")) == [body.encode()]


EVENT = "/*!50106 CREATE*/ /*!50117 DEFINER=`a`@`%`*/ /*!50106 EVENT `e` ON SCHEDULE {} DO DELETE FROM t */"


@pytest.mark.parametrize(
    ("dumped", "sent"),
    [
        ("EVERY 1 DAY STARTS '2037-01-01 00:00:00' ON COMPLETION PRESERVE ENABLE COMMENT 'ENABLE'",
         "EVERY 1 DAY STARTS '2037-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE COMMENT 'ENABLE'"),
        ("AT '2037-01-01' ON COMPLETION NOT PRESERVE ENABLE", "AT '2037-01-01' ON COMPLETION NOT PRESERVE DISABLE"),
        ("EVERY 1 DAY ON COMPLETION PRESERVE DISABLE", "EVERY 1 DAY ON COMPLETION PRESERVE DISABLE"),
        ("EVERY 1 DAY ON COMPLETION PRESERVE DISABLE ON SLAVE", "EVERY 1 DAY ON COMPLETION PRESERVE DISABLE"),
        ("EVERY 1 DAY ON COMPLETION PRESERVE DISABLE ON REPLICA", "EVERY 1 DAY ON COMPLETION PRESERVE DISABLE"),
    ],
)  # fmt: skip
def test_events_are_created_disabled_and_counted(dumped: str, sent: str) -> None:
    target = Target()
    facts = loader(target, definers="keep").load([code(EVENT.format(dumped)).encode()])
    assert target.statements == [EVENT.format(sent).encode()]
    assert facts.events_disabled == facts.statements["event"] == 1
    assert load(code(EVENT.format(dumped)), definers="keep", events="keep") == [EVENT.format(dumped).encode()]


def test_p10_an_event_that_cannot_be_disabled_is_refused() -> None:
    with pytest.raises(RestoreRefused, match="event that cannot be recognised"):
        load(code("CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY DO DELETE FROM t"))
    assert load(code("CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY DO DELETE FROM t"), events="keep")


def test_a_procedure_that_makes_an_event_is_none() -> None:
    body = "CREATE PROCEDURE `p`() DO 'CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY DO DELETE FROM t'"
    assert load(code(body)) == [body.encode()]


@pytest.mark.parametrize("database", ["drill_x", "a`b", r"back\slash \1 \g<0>"])
def test_alter_database_is_turned_to_the_target(database: str) -> None:
    text = "ALTER DATABASE `surgicase` CHARACTER SET latin1 COLLATE latin1_swedish_ci ;\n"
    quoted = database.replace("`", "``")
    assert load(text, database=database) == [
        f"ALTER DATABASE `{quoted}` CHARACTER SET latin1 COLLATE latin1_swedish_ci".encode()
    ]


@pytest.mark.parametrize(
    ("error", "code", "remedy"),
    [
        (pymysql.err.IntegrityError(1062, "Duplicate entry '900-12-3456' for key 'ssn'"), 1062, "the server's manual"),
        (pymysql.err.OperationalError("900-12-3456"), 0, "the server's manual"),
        (ConnectionResetError(104, "900-12-3456"), 2013, "See that the target server runs"),
        (pymysql.err.OperationalError(1114, "The table '900-12-3456' is full"), 1114, "Make room on the target's disk"),
        (pymysql.err.OperationalError(1153, "Got a packet bigger"), 1153, "Raise max_allowed_packet"),
    ],
)
def test_a_refusal_says_which_statement_and_no_data(error: Exception, code: int, remedy: str) -> None:
    with pytest.raises(LoadFailed) as caught:
        loader(Target(error)).load([b"INSERT INTO `patients` VALUES (1,'900-12-3456');\n"])
    assert caught.value.cause == f"The target server refused statement 1 (INSERT INTO `patients`) with error {code}."
    assert remedy in caught.value.remedy
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert "900" not in repr(caught.value)


def test_p22_a_connection_lost_over_a_long_statement_may_be_the_statement_s_length() -> None:
    lost = Target(pymysql.err.OperationalError(2006, "MySQL server has gone away"))
    with pytest.raises(LoadFailed, match="error 2006") as caught:
        loader(lost).load([b"INSERT INTO `scans` VALUES (1,'" + b"x" * 2_000_000 + b"');\n"])
    assert "max_allowed_packet is above the 2.0 MB" in caught.value.remedy


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE TABLE `t` (a int)", "CREATE TABLE `t`"),
        ("CREATE DEFINER=`a`@`%` PROCEDURE `p`() SELECT 1", "CREATE PROCEDURE `p`"),
        (f"/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`%`*/ /*!50003 {TRIGGER} */", "CREATE TRIGGER `x`"),
        (f"/*!50001 CREATE ALGORITHM=MERGE */\n/*!50013 DEFINER=`a`@`%` SQL SECURITY DEFINER */\n{VIEW}",
         "CREATE VIEW `v`"),
        ("/*!40000 ALTER TABLE `t` DISABLE KEYS */", "ALTER TABLE `t`"),
        ("SET @a='900-12-3456'", "SET"),
    ],
)  # fmt: skip
def test_the_refused_object_is_named(statement: str, named: str) -> None:
    for definers in ("map", "keep"):
        with pytest.raises(LoadFailed, match=r"refused statement 1 \(") as caught:
            loader(Target(pymysql.err.OperationalError(1146, "x")), definers=definers).load([code(statement).encode()])
        assert f"({named}) with error 1146" in caught.value.cause


def test_only_what_was_created_is_dropped() -> None:
    """An old dump makes a table in place of each view, and drops it again."""
    dropped, created = "/*!50001 DROP TABLE IF EXISTS `v`*/", "/*!50001 CREATE TABLE `v` (\n  `a` int\n)*/"
    statements = load(f"DROP TABLE IF EXISTS `v`;\n{dropped};\n{created};\n{dropped};\nDROP VIEW IF EXISTS `v`;\n")
    assert statements == [created.encode(), dropped.encode(), b"DROP VIEW IF EXISTS `v`"]


def test_keys_are_built_after_the_last_row_and_the_triggers_where_rows_of_tables_alternate() -> None:
    create = "CREATE TABLE `{}` (\n  `id` int NOT NULL,\n  PRIMARY KEY (`id`),\n  KEY `k` (`id`)\n) ENGINE=InnoDB;\n"
    enable, trigger = (
        "/*!40000 ALTER TABLE `{}` ENABLE KEYS */;\n",
        "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET @x = 1;\n",
    )
    insert = "INSERT INTO `{}` VALUES (1);\n"
    text = "".join([
        create.format("a"), insert.format("a"), create.format("b"), insert.format("b"), insert.format("a"),
        enable.format("a"), trigger, insert.format("b"), enable.format("b"),
    ])  # fmt: skip
    target = Target()
    loader(target, large_tables=["a", "b"]).load([text.encode()])
    ran = [statement.split()[:3] for statement in target.statements]
    assert [b" ".join(words) for words in ran] == [
        b"CREATE TABLE `a`", b"INSERT INTO `a`", b"CREATE TABLE `b`", b"INSERT INTO `b`", b"INSERT INTO `a`",
        b"CREATE TRIGGER t", b"ALTER TABLE `a`", b"INSERT INTO `b`", b"ALTER TABLE `b`",
    ]  # fmt: skip
