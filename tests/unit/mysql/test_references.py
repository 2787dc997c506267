"""What tables and triggers refer to, read from statements as the dump programs write them."""

from __future__ import annotations

from include.backup_engine.mysql.references import References
from include.backup_engine.mysql.statements import split_statements
from tests.unit.mysql.dumps import MARIADB


def _taken(*statements: bytes) -> References:
    found = References()
    for statement in statements:
        found.take(statement)
    return found


def test_parents_and_sequences_of_a_dump_are_seen_and_comments_are_not() -> None:
    found = _taken(*split_statements([MARIADB]))
    assert found.parents["cases"] == {"patients"}
    assert found.sequences["cases"] == {"mrn_seq"}
    assert found.parents["history"] == found.sequences["waiting`list"] == set()
    assert set(found.triggers) == {"cases_log"}


def test_what_a_trigger_uses_is_seen_in_its_code_and_not_in_its_strings() -> None:
    [(name, used)] = _taken(
        b"/*!50003 CREATE*/ /*!50017 DEFINER=`app`@`%`*/ /*!50003 TRIGGER `ward`.`t 1` AFTER UPDATE ON `cases` FOR EACH"
        b" ROW BEGIN INSERT INTO audit (a) SELECT risk_of(NEW.id) FROM `ward`.`people` JOIN rooms; CALL tell('FROM x');"
        b" SET @n = NEXTVAL(numbers); -- FROM nowhere\n UPDATE totals SET n = n + 1; END */"
    ).triggers.items()
    assert name == "t 1"
    assert used >= {"audit", "risk_of", "people", "rooms", "tell", "numbers", "totals"}
    assert not used & {"x", "nowhere"}


def test_rows_that_look_like_statements_are_rows() -> None:
    found = _taken(b"INSERT INTO `a` VALUES ('CREATE TABLE `b` (id INT)')")
    assert (found.parents, found.triggers) == ({}, {})


def test_a_trigger_is_found_under_the_mode_that_it_was_made_in() -> None:
    found = _taken(
        b"/*!50003 SET sql_mode = 'ANSI_QUOTES' */",
        b'/*!50003 CREATE*/ /*!50003 TRIGGER "t" BEFORE INSERT ON "a" FOR EACH ROW SET NEW.x = "f"(1) */',
    )
    assert found.triggers == {"t": {"f"}}
