"""Names that reach into a schema, and names of columns that only look like it."""

from __future__ import annotations

import pytest

from include.backup_engine.mysql.qualified import schemas_named


@pytest.mark.parametrize(
    "code",
    [
        "SELECT 1 FROM a, prod.t",
        "SELECT 1 FROM a JOIN prod . t",
        "SELECT 1 FROM `prod` . `t`",
        "SELECT 1 FROM (a, prod.t)",
        "SELECT 1 FROM (a) JOIN (prod.t)",
        "SELECT 1 FROM a LEFT JOIN b USING (c), prod.t",
        "SELECT 1 FROM t prod, prod.x",
        "SELECT 1 FROM t prod JOIN u ON prod.a = u.a, prod.t",
        "SELECT 1 FROM t prod STRAIGHT_JOIN prod.x",
        "SELECT * FROM {oj prod.t left join b on 1}",
        "SELECT (SELECT 1 FROM a, prod.t)",
        "SELECT a FROM t WHERE x IN (SELECT 1 FROM u, prod.t)",
        "SELECT a FROM t UNION SELECT a FROM u, prod.t",
        "WITH c AS (SELECT 1 FROM prod.t) SELECT 1",
        "FOR r IN (SELECT 1 FROM b, prod.t) DO BEGIN END; END FOR",
        "SELECT prod.f()",
        "SELECT prod.t.c FROM x",
        "SELECT prod.t.* FROM x",
        "SELECT NEXTVAL(prod.s)",
        "SELECT SETVAL(prod.s, 1)",
        "SELECT NEXT VALUE FOR prod.s",
        "SELECT prod.s.nextval",
        "SELECT a INTO prod.x FROM t",
        "CALL prod.p",
        "CALL prod.p()",
        "BEGIN prod.p; END",
        "IF x THEN prod.p; END IF",
        "IF x THEN prod.p(1); END IF",
        "IF x THEN DESCRIBE prod.t; END IF",
        "IF a THEN CREATE TABLE y LIKE prod.t; END IF",
        "UPDATE t, prod.x SET a = 1",
        "UPDATE a JOIN prod.t SET a.x = 1",
        "BEGIN UPDATE LOW_PRIORITY prod.t SET a = 1; END",
        "DELETE a, prod.t FROM a",
        "DELETE FROM a USING a, prod.t",
        "INSERT prod.t VALUES (1)",
        "INSERT INTO t SELECT * FROM a, prod.t",
        "REPLACE prod.t VALUES (1)",
        "REPLACE LOW_PRIORITY prod.t VALUES (1)",
        "HANDLER prod.t OPEN",
        "TABLE prod.t",
        "DESC prod.t",
        "TRUNCATE prod.t",
        "DECLARE x TYPE OF prod.t.c",
        "DECLARE x ROW TYPE OF prod.t",
        "DECLARE x prod.t%ROWTYPE",
        "DROP TABLE IF EXISTS a, prod.t",
        "DROP VIEW IF EXISTS prod.v",
        "RENAME TABLE a TO prod.b",
        "LOCK TABLES a READ, prod.t WRITE",
        "OPTIMIZE TABLE a, prod.t",
        "FLUSH TABLES a, prod.t",
        "CACHE INDEX a, prod.t IN c",
        "LOAD INDEX INTO CACHE a, prod.t",
        "CREATE TABLE x LIKE prod.t",
        "CREATE TABLE x (a int) CHARACTER SET utf8 UNION = (a, prod.t)",
        "CREATE TABLE t (a int, FOREIGN KEY (a) REFERENCES prod.t (a))",
        "CREATE INDEX i ON prod.t (a)",
        "CREATE DEFINER=`a`@`%` TRIGGER x AFTER INSERT ON prod.t FOR EACH ROW BEGIN END",
        "GRANT SELECT ON prod.t TO x",
        "SET a = @b + prod.f()",
        "select json_duality_object('':prod.f(1),'':`a`.`b`) from `a`",
        "x: LOOP CALL prod.p(); END LOOP",
        "x: BEGIN DELETE FROM prod.t; END",
    ],
)
def test_a_schema_is_seen_wherever_it_is_named(code: str) -> None:
    assert "prod" in list(schemas_named(code.encode()))


@pytest.mark.parametrize(
    "code",
    [
        "SELECT prod.a, prod.b FROM t prod WHERE prod.a = 1 AND prod.b = prod.c ORDER BY prod.a, prod.b",
        "select `prod`.`a` AS `a`,`prod`.`b` AS `b` from (`t` `prod` join `u` on(`prod`.`a` = `u`.`a`))"
        " where `prod`.`x` > 1 group by `prod`.`a`,`prod`.`b`"
        " having count(`prod`.`c`) > 1 order by `prod`.`a` desc,`prod`.`b`",
        "select case when `prod`.`a` then `prod`.`b` else `prod`.`c` end AS `x`,`prod`.`d` from `prod`",
        "SELECT extract(year from prod.d), trim(leading 'x' from prod.e) FROM prod",
        "SELECT row_number() over (partition by prod.a, prod.b order by prod.c) FROM prod",
        "SELECT concat(`prod`.`a`, '', `prod`.`b`), count(distinct prod.c) FROM prod",
        "SELECT if(prod.a, prod.b, prod.c), replace(prod.a, '', ''), insert(prod.a, 1, 2, ''), prod.z FROM prod",
        "SELECT prod.a - interval 1 day, case prod.b when 1 then prod.c end, prod.d FROM prod",
        "SELECT max(prod.a) AS m, (SELECT prod.x FROM t LIMIT 1) FROM prod",
        "SELECT * FROM t prod LEFT JOIN u ON prod.a = u.a AND prod.b = u.b LEFT JOIN v ON v.a = prod.c",
        "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = prod.b)",
        "INSERT INTO t (a) SELECT prod.a, prod.b FROM u prod",
        "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = prod.a, b = prod.b",
        "UPDATE t prod SET prod.a = prod.b + 1, prod.c = 2 WHERE prod.d IN (1, prod.e)",
        "IF prod.a = 1 THEN SET x = 1; END IF",
        "SET NEW.a = prod.x, b = 1.5",
        "RETURN prod.a",
        "SELECT @prod.x, 1.5, @@prod.x",
        "select json_duality_object( WITH (INSERT) '':`prod`.`id`,'':`prod`.`n`) AS `x` from `prod`",
    ],
)  # fmt: skip
def test_a_column_of_an_alias_that_is_called_like_a_schema_is_a_column(code: str) -> None:
    assert "prod" not in list(schemas_named(code.encode()))


def test_numbers_are_no_schemas() -> None:
    assert list(schemas_named(b"CREATE TABLE t (a decimal(3,1) DEFAULT 1.5, b int DEFAULT 1.)")) == []
