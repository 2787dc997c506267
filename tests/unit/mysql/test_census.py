"""What the census takes out of definitions before it hashes them, and what not.

In place of a server stand its answers, so that MySQL's are heard as well.
"""

from __future__ import annotations

from typing import Any, Self, cast

import pytest
from pymysql.connections import Connection

from include.backup_engine.errors import PreflightError
from include.backup_engine.mysql.census import schema_changes, take_census, with_least_counters
from include.backup_engine.records import Census, Flavour, ObjectFacts, TableFacts


class Answers:
    """A connection that answers each query by what the query contains."""

    def __init__(self, answers: dict[str, list[tuple[Any, ...]]]) -> None:
        schema = ("def", "surgicase", "utf8mb4", "utf8mb4_bin", None)
        self._answers = {"information_schema.schemata": [schema], "UNION SELECT": []} | answers
        self._found: list[tuple[Any, ...]] = []

    def cursor(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, sql: str, parameters: object) -> None:
        self._found = next((rows for part, rows in self._answers.items() if part in sql), [])

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._found


def census(
    answers: dict[str, list[tuple[Any, ...]]], database: str = "surgicase", flavour: Flavour = "mariadb"
) -> Census:
    connection = cast("Connection[Any]", Answers(answers))
    return take_census(connection, flavour, database, sequences={})


def table(definition: str, **options: Any) -> TableFacts:
    tables = [("t", "BASE TABLE", "InnoDB")]
    return census({"table_type IN": tables, "SHOW CREATE TABLE": [("t", definition)]}, **options).tables[0]


def view(definition: str, **options: Any) -> ObjectFacts:
    return census({"'VIEW'": [("v",)], "SHOW CREATE VIEW": [("v", definition)]}, **options).objects[0]


def trigger(definition: str, mode: str = "", order: int = 1, **options: Any) -> ObjectFacts:
    listed = [("x", "t", "BEFORE", "INSERT", order)]
    shown = [("x", mode, definition)]
    return census({"information_schema.triggers": listed, "SHOW CREATE TRIGGER": shown}, **options).objects[0]


def routine(definition: str | None, mode: str = "", **options: Any) -> ObjectFacts:
    listed, shown = [("p", "PROCEDURE")], [("p", mode, definition)]
    return census({"information_schema.routines": listed, "SHOW CREATE PROCEDURE": shown}, **options).objects[0]


def event(definition: str, status: str = "ENABLED", mode: str = "", zone: str = "UTC", **options: Any) -> ObjectFacts:
    listed, shown = [("e", status)], [("e", mode, zone, definition)]
    return census({"information_schema.events": listed, "SHOW CREATE EVENT": shown}, **options).objects[0]


@pytest.mark.parametrize("before", ["", "/*!50100 TABLESPACE `ts` */ "])
def test_the_next_auto_increment_value_is_taken_out(before: str) -> None:
    one, other = (
        table(f"CREATE TABLE `t` (\n  `id` int AUTO_INCREMENT\n) {before}ENGINE=InnoDB{extra} CHARSET=utf8mb4")
        for extra in (" AUTO_INCREMENT=81", "")
    )
    assert one.definition_sha256 == other.definition_sha256
    assert (one.auto_increment, other.auto_increment) == (81, None)
    assert other != table("CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB CHARSET=utf8mb4")


def test_of_a_counter_that_was_seen_several_times_the_least_is_kept() -> None:
    seen = [
        Census(charset="c", collation="c", objects=[], tables=[
            TableFacts(name=name, definition_sha256="x", auto_increment=value)
            for name, value in zip("abcd", values, strict=True)
        ])
        for values in ([7, 9, None, 5], [8, 6, None, 5], [9, 8, 3, None])
    ]  # fmt: skip
    assert [table.auto_increment for table in with_least_counters(*seen).tables] == [7, 6, None, None]


def test_a_comment_that_looks_like_one_stays() -> None:
    one, other = (
        table(f"CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB COMMENT=' ENGINE=x AUTO_INCREMENT={number}'")
        for number in (7, 8)
    )
    assert one.definition_sha256 != other.definition_sha256
    assert one.auto_increment is None


def test_a_sequence_is_meant_whatever_its_schema_is_called() -> None:
    one = table("CREATE TABLE `t` (`id` int DEFAULT nextval(`surgicase`.`s`))")
    assert one == table("CREATE TABLE `t` (`id` int DEFAULT nextval(`drill_x`.`s`))", database="drill_x")
    assert one != table("CREATE TABLE `t` (`id` int DEFAULT nextval(`surgicase`.`s`))", database="drill_x")
    assert one != table("CREATE TABLE `t` (`id` int DEFAULT nextval(`surgicase`.`s2`))")


def test_mysql_repeats_a_charset_when_it_creates_anew() -> None:
    first = "CREATE TABLE `t` (`a` text COLLATE utf8mb4_bin)"
    again = "CREATE TABLE `t` (`a` text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)"
    assert table(first, flavour="mysql") == table(again, flavour="mysql")
    assert table(first) != table(again)


@pytest.mark.parametrize(
    ("hexadecimal", "text"),
    [("61", "a"), ("00ff27", r"\0\xff''"), ("0a0d5c09", r"\n\r\\" + "\t"), ("c3a9", "é"), ("", "")],
)
def test_a_binary_default_is_the_same_in_hexadecimal(hexadecimal: str, text: str) -> None:
    """From MariaDB 11 on it is written so."""
    old, new = (
        table(f"CREATE TABLE `t` (\n  `b` varbinary(9) NOT NULL DEFAULT {default} COMMENT 'x'\n) ENGINE=InnoDB")
        for default in (f"'{text}'", f"x'{hexadecimal}'")
    )
    assert old == new
    comments = (table(f"CREATE TABLE `t` (\n  `b` int COMMENT ' DEFAULT {d}'\n)") for d in ("''a''", "x''61''"))
    assert len(set(item.definition_sha256 for item in comments)) == 2


@pytest.mark.parametrize(
    ("account", "definer"),
    [
        ("`root`@`localhost`", "root@localhost"),
        ("`ro``ot`@`10.%`", "ro`ot@10.%"),
        ("`a_role`", "a_role"),
        ('"root"@"%"', "root@%"),
        ('"ro""ot"@"%"', 'ro"ot@%'),
    ],
)
def test_the_definer_is_recorded_beside_the_hash(account: str, definer: str) -> None:
    mapped = routine("CREATE DEFINER=`drill`@`%` PROCEDURE `p`()\nSELECT 1")
    found = routine(f"CREATE DEFINER={account} PROCEDURE `p`()\nSELECT 1")
    assert found.definer == definer
    assert found.definition_sha256 == mapped.definition_sha256


def test_definers_of_views_and_events_too() -> None:
    made = "CREATE ALGORITHM=UNDEFINED DEFINER={} SQL SECURITY DEFINER VIEW `v` AS select 1 AS `a`"
    one, other = (view(made.format(account)) for account in ("`app`@`%`", "`drill`@`%`"))
    assert (one.definer, other.definer) == ("app@%", "drill@%")
    assert one.definition_sha256 == other.definition_sha256


def test_a_definer_inside_a_definition_stays() -> None:
    one, other = (
        table(f"CREATE TABLE `t` (`a` int) COMMENT='DEFINER=`{account}`@`%`'") for account in ("app", "other")
    )
    assert one != other


def test_the_head_of_a_trigger_may_name_its_schema() -> None:
    made = "CREATE DEFINER=`a`@`%` TRIGGER {}x BEFORE INSERT ON {}t FOR EACH ROW SET NEW.a = 1"
    plain = trigger(made.format("", ""), database="drill_x")
    for prefix in ("surgicase.", "`surgicase`.", '"surgicase" . '):
        assert trigger(made.format(prefix, prefix)) == plain
    assert trigger(made.format("other.", "")) != plain


@pytest.mark.parametrize("name", ["`surgicase`.`id`", "surgicase.id"])
def test_a_table_called_like_the_schema_keeps_its_name(name: str) -> None:
    """It is the same text in the source and in a copy of another name."""
    definition = f"CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW `v` AS select {name} AS `id`"
    assert view(definition) == view(definition, database="drill_x")


def test_what_a_body_or_comment_says_is_never_taken_out() -> None:
    body = "CREATE DEFINER=`a`@`%` PROCEDURE `p`()\nBEGIN /* from `surgicase`.`t` */ SELECT '`surgicase`.'; END"
    assert routine(body) == routine(body, database="drill_x")


@pytest.mark.parametrize("status", ["DISABLE", "DISABLE ON SLAVE", "DISABLE ON REPLICA"])
def test_whether_an_event_is_enabled_is_recorded_beside_the_hash(status: str) -> None:
    made = "CREATE DEFINER=`a`@`%` EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION {} {} DO SELECT 'ENABLE'"
    enabled = event(made.format("PRESERVE", "ENABLE"))
    disabled = event(made.format("PRESERVE", status), "Disabled")
    assert (enabled.status, disabled.status) == ("ENABLED", "DISABLED")
    assert enabled.definition_sha256 == disabled.definition_sha256
    assert enabled.definition_sha256 != event(made.format("NOT PRESERVE", "ENABLE")).definition_sha256


def test_mode_zone_and_order_belong_to_a_definition() -> None:
    procedure, body = "CREATE PROCEDURE `p`() SELECT 1", "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a = 1"
    scheduled = "CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE ENABLE DO SELECT 1"
    assert routine(procedure) != routine(procedure, "ANSI_QUOTES")
    assert trigger(body) != trigger(body, "ANSI_QUOTES")
    assert trigger(body) != trigger(body, order=2)
    assert event(scheduled) != event(scheduled, zone="+05:30")
    assert event(scheduled) != event(scheduled, mode="ANSI_QUOTES")


def test_a_hidden_body_is_no_body() -> None:
    with pytest.raises(PreflightError, match="definition of procedure p is hidden"):
        routine(None)


def test_a_schema_that_cannot_be_seen() -> None:
    with pytest.raises(PreflightError, match="no database surgicase"):
        census({"information_schema.schemata": []})


def facts(**definitions: str) -> Census:
    return Census(
        charset="utf8mb4",
        collation="utf8mb4_bin",
        tables=[TableFacts(name=name, definition_sha256=digest) for name, digest in definitions.items()],
        objects=[ObjectFacts(kind="view", name="v", definition_sha256=definitions.get("a", ""))],
    )


def test_schema_changes_are_named() -> None:
    before = facts(a="1", b="1", c="1")
    assert schema_changes(before, before) == []
    assert schema_changes(before, facts(a="1", b="2", d="1")) == ["table b", "table c", "table d"]
    assert schema_changes(before, facts(a="2", b="1", c="1")) == ["table a", "view v"]
