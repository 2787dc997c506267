"""Whatever a dump says, nothing outside of the target changes. Real server; the account may do everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.backup_engine.errors import RestoreRefused
from tests.integration.mysql.hostile import TARGET, Prey, as_dump
from tests.servers.mariadb import MariaDB

TABLE = "CREATE TABLE `a` (`a` int) ENGINE=InnoDB"
HIT = "CREATE FUNCTION `f`() RETURNS int BEGIN {}; RETURN 1; END"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prey]:
    files = tmp_path_factory.mktemp("files")
    files.chmod(0o777)
    with MariaDB(tmp_path_factory.mktemp("prey"), options=["--log-bin-trust-function-creators=1"]) as server:
        yield Prey(server, files)


@pytest.fixture
def prey(server: Prey) -> Prey:
    server.reset()
    return server


@pytest.mark.parametrize(
    "statements",
    [
        ["USE prod", "INSERT INTO t VALUES (9)"],
        ["INSERT INTO prod.t VALUES (9)"],
        [TABLE, "INSERT INTO `a` VALUES (prod.hit())"],
        [TABLE, "INSERT INTO `a` VALUES (1),((SELECT prod.hit()))"],
        [TABLE, "INSERT INTO `a` VALUES (1) ON DUPLICATE KEY UPDATE a = prod.hit()", "INSERT INTO prod.t VALUES (9)"],
        [TABLE, "INSERT INTO `a` VALUES (1) RETURNING prod.hit()"],
        [TABLE, "SET sql_mode = 'NO_BACKSLASH_ESCAPES'", r"INSERT INTO `a` VALUES ('\'),(prod.hit()),('\')"],
        # "/*!999999" is a comment for every server, and what is in it is none to a reader who takes it for code.
        ["/*!999999 SET @a='*/ INSERT INTO prod.t VALUES (9) -- '"],
        ["/*!50799 SET @a='*/ INSERT INTO prod.t VALUES (9) -- '"],
        ["SET @a=1 --\x01'\n , @b = prod.hit() -- '\n"],
        ["SET @m = 'ANSI_QUOTES'", "SET sql_mode = @m", 'CREATE VIEW v AS SELECT "prod"."hit"() AS x'],
        ["SET @@session.sql_mode = 'ANSI'", 'CREATE VIEW v AS SELECT "prod"."hit"() AS x'],
        ["SET @a = 1, sql_mode = 'ANSI_QUOTES'", 'CREATE VIEW v AS SELECT "prod"."hit"() AS x'],
        ["SET NAMES gbk", "CREATE VIEW v AS SELECT '\udcbf\\', prod.hit() AS y -- '"],
        ["CREATE VIEW v AS SELECT prod/* */.hit() AS x"],
        ["CREATE VIEW v AS SELECT prod/*!50000 .hit()*/ AS x"],
        ["CREATE VIEW v AS SELECT prod /*!999999 AS y, x */ .hit() AS x"],
        ["CREATE VIEW v AS SELECT NEXTVAL(prod.s) AS x"],
        ["ALTER /* `a` */ DATABASE `prod` CHARACTER SET latin1 COLLATE latin1_bin"],
        [HIT.format("INSERT INTO prod.t VALUES (9)")],
        [TABLE, HIT.format("DELETE a, prod.t FROM a RIGHT JOIN prod.t ON 1")],
        [TABLE, "INSERT INTO `a` VALUES (1)", HIT.format("UPDATE a, prod.t SET prod.t.a = 9")],
        [HIT.format("SET GLOBAL max_connections = 99")],
        [HIT.format("SET @@global.max_connections = 99")],
        [HIT.format("SET @x = 1, GLOBAL max_connections = 99")],
        [HIT.format("SELECT 1 INTO OUTFILE '{files}/x'")],
        ["CREATE PROCEDURE `p`() SELECT 1 INTO DUMPFILE '{files}/x'", HIT.format("CALL p()")],
        [TABLE, "CREATE TRIGGER `x` BEFORE INSERT ON `a` FOR EACH ROW DELETE FROM prod.t"],
        ["CREATE TABLE prod.u (a int)"],
        ["CREATE TABLE `m` (`a` int) ENGINE=MyISAM DATA DIRECTORY='{files}'"],
        ["CREATE TABLE `m` (`a` int) ENGINE=MyISAM INDEX DIRECTORY '{files}'"],
        ["CREATE TABLE `m` (`a` int) ENGINE=InnoDB PARTITION BY HASH (a) (PARTITION p DATA DIRECTORY '{files}')"],
        ["CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY DO SELECT ' ON COMPLETION PRESERVE ENABLE' INTO @a"],
        ["CREATE EVENT `e` /* EVENT `e` ON SCHEDULE x ON COMPLETION PRESERVE ENABLE */"
         " ON SCHEDULE EVERY 1 DAY DO DO 1"],
        ["SET GLOBAL max_connections = 99"],
        ["SET @a = 1, @@global.max_connections = 99"],
        ["CREATE DATABASE extra"],
        ["CREATE USER thief@'%'"],
        ["CREATE SERVER elsewhere FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'h')"],
        ["PREPARE s FROM 'CREATE DATABASE extra'", "EXECUTE s"],
        ["EXECUTE IMMEDIATE 'CREATE DATABASE extra'"],
        ["SELECT 1 INTO OUTFILE '{files}/x'"],
        ["DROP TABLE IF EXISTS `prod`.`t`"],
        ["RENAME TABLE prod.t TO drill_hostile.t"],
        ["BEGIN NOT ATOMIC DROP TABLE prod.t; END"],
        ["DO SETVAL(`prod`.`s`, 100, 0)"],
        ["DO prod.hit()"],
    ],
)  # fmt: skip
def test_p08_what_would_change_the_server_is_refused(prey: Prey, statements: list[str]) -> None:
    given = [statement.replace("{files}", str(prey.folder)) for statement in statements]
    before = prey.world()
    assert isinstance(prey.restore(as_dump(given)), RestoreRefused)
    assert prey.world() == before
    prey.empty_target()
    prey.suffer(given)
    assert prey.world() != before, "no danger: this case shows nothing"


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE TABLE `t` (`a` int) ENGINE=FEDERATED CONNECTION='mysql://u@h/prod/t'", "CONNECTION"),
        ("CREATE TABLE `t` (`a` int) ENGINE=FEDERATED", "ENGINE FEDERATED"),
        ("CREATE TABLE `t` (`a` int) ENGINE = 'CONNECT' TABLE_TYPE=MYSQL DBNAME=prod", "ENGINE"),
        ("CREATE TABLE `t` (`a` int) ENGINE `spider`", "ENGINE"),
        ("CREATE TABLE `t` (`a` int) ENGINE=SPIDER COMMENT='wrapper \"mysql\"'", "ENGINE SPIDER"),
        ("CREATE TABLE `t` (`a` int) ENGINE=MRG_MyISAM UNION=(`a`)", "UNION"),
        ("CREATE TABLE `t` (`a` int) ENGINE=MERGE", "ENGINE MERGE"),
        ("CREATE TABLE `t` (`a` int) ENGINE=S3", "ENGINE S3"),
        ("CREATE TABLE `t` (`a` int) ENGINE=InnoDB PARTITION BY HASH (a) (PARTITION p ENGINE=SPIDER)", "ENGINE SPIDER"),
        ("CREATE TABLE `t` (`a` int) ENGINE=InnoDB DATA DIRECTORY='/tmp'", "DATA DIRECTORY"),
    ],
)
def test_tables_whose_content_lies_elsewhere_are_named(prey: Prey, statement: str, named: str) -> None:
    refusal = prey.restore(as_dump([statement]))
    assert isinstance(refusal, RestoreRefused)
    assert f"content lies elsewhere ({named}" in refusal.cause
    assert prey.server.sql(f"SHOW TABLES FROM {TARGET}") == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE `prod` (`ENGINE=SPIDER` int COMMENT 'DATA DIRECTORY=x') ENGINE=InnoDB COMMENT='UNION=(a)'",
        "CREATE VIEW `v` AS select `prod`.`a` AS `a` from (select 1 AS `a`) `prod` where `prod`.`a` > 0",
        "CREATE PROCEDURE `p`() EXECUTE IMMEDIATE 'DROP DATABASE prod'",
        "CREATE FUNCTION `f`() RETURNS int RETURN (SELECT COUNT(*) FROM information_schema.tables)",
        "CREATE FUNCTION `f`() RETURNS int RETURN @@global.max_connections",
        "/*!50701 SET @a = nothing_that_this_server_runs() */",
    ],
)
def test_what_reaches_nowhere_is_let_in(prey: Prey, statement: str) -> None:
    before = prey.world()
    assert prey.restore(as_dump([statement])) is None
    assert prey.world() == before


REFERENCES = [
    "prod.t", "`prod`.`t`", "prod . t", "prod/**/.t", "prod./*x*/t", "prod/*!50000.*/t", "prod -- x\n.t", '"prod"."t"',
    "prod /*!999999 ' */ . t", "/*!999999 ' */ prod.t", "prod.#\nt",
]  # fmt: skip
BODIES = [
    "INSERT INTO {} VALUES (9)", "INSERT {} VALUES (9)", "REPLACE {} SELECT 9", "DELETE FROM {}", "DELETE {} FROM {}",
    "DELETE FROM {} USING {}, a", "UPDATE {} SET a = 9", "UPDATE a RIGHT JOIN {} ON 1 SET t.a = 9",
    "UPDATE a, {} SET t.a = 9",
    "IF (SELECT COUNT(*) FROM a, {}) >= 0 THEN DELETE FROM {}; END IF", "SET GLOBAL max_connections = 98",
    "SET @b = 1, @@GLOBAL.max_connections = 98", "DO prod.hit()", "SET @x = prod . hit()",
    "FOR r IN (SELECT 1 FROM {}) DO DELETE FROM {}; END FOR",
]  # fmt: skip
HEADS = [
    "CREATE FUNCTION `f`() RETURNS int BEGIN {}; RETURN 1; END",
    "CREATE DEFINER=`root`@`localhost` FUNCTION `f`() RETURNS int BEGIN {}; RETURN 1; END",
    "CREATE TRIGGER `x` BEFORE INSERT ON `a` FOR EACH ROW BEGIN {}; END",
    "/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `x` AFTER DELETE ON `a`"
    " FOR EACH ROW BEGIN {}; END */",
    "BEGIN NOT ATOMIC {}; END",
    "{}",
    "CREATE PROCEDURE `p`() BEGIN {}; END",
]
WRAPS = [
    "{}", "/*!50001 {} */", "/*!999999 SET @a='*/ {} -- '", "/*!50701 ' */ {} /*!50701 ' */",
    "/*M!999999 SET @a='*/ {} -- '",
    "--\x01'\n {} -- '", "/* /*! */ {}", "SET @a = '\\' /*'*/; {} -- '", "/*! {} */", "SET @a='--\n'; {}",
]  # fmt: skip
MODES = [
    "SET sql_mode = ''", "SET sql_mode = 'ANSI_QUOTES'", "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
    "SET sql_mode = 'ORACLE'",
    "SET @m = 'ANSI'", "SET sql_mode = @m", "SET sql_mode = 4", "SET NAMES gbk", "SET NAMES latin1",
    "SET character_set_results = utf16", "SET autocommit = 0", "/*!40101 SET SQL_MODE='ANSI_QUOTES' */",
]  # fmt: skip


@st.composite
def hostile(draw: st.DrawFn) -> list[str]:
    """Statements of an attacker who knows how dumps are written and how servers read."""
    dump = [TABLE, *draw(st.lists(st.sampled_from(MODES), max_size=3))]
    for _ in range(draw(st.integers(1, 3))):
        body, reference = draw(st.sampled_from(BODIES)), draw(st.sampled_from(REFERENCES))
        statement = draw(st.sampled_from(HEADS)).replace("{}", body.replace("{}", reference))
        dump.append(draw(st.sampled_from(WRAPS)).replace("{}", statement))
    return [*dump, draw(st.sampled_from(["INSERT INTO `a` VALUES (1)", "INSERT INTO `a` VALUES (f())", "COMMIT"]))]


def test_p08_no_dump_of_an_attacker_changes_anything_outside_of_the_target(server: Prey) -> None:
    server.reset()
    before = server.world()
    outcomes: set[bool] = set()

    @given(hostile())
    @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def check(statements: list[str]) -> None:
        server.empty_target()
        outcomes.add(server.restore(as_dump(statements)) is None)
        assert server.world() == before

    check()
    assert False in outcomes
