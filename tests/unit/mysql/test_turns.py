"""The order in which a dump's tables are loaded."""

from __future__ import annotations

import random

from include.backup_engine.mysql.deferred import LARGE_TABLE_BYTES
from include.backup_engine.mysql.turns import Turns, in_turns, take_turns
from include.backup_engine.records import Section

LARGE = LARGE_TABLE_BYTES


def section(kind: str, name: str, size: int, rows: int | None = None) -> Section:
    where = {"sql_offset": 0, "compressed_offset": 0, "member_sql_offset": 0}
    return Section.model_validate({"kind": kind, "name": name, "sql_length": size, "rows": rows} | where)


SETTINGS, SEQUENCE, VIEW = section("settings", "", 9), section("sequence", "numbers", 9), section("code", "", 9)
END = section("code", "", LARGE)


def test_large_tables_come_first_in_parts_of_about_the_same_cost() -> None:
    cases, images = section("table", "cases", LARGE, 500), section("table", "images", 9 * LARGE, 20)
    rooms, vitals = section("table", "rooms", LARGE - 1, 700), section("table", "vitals", 2 * LARGE, 300_000)
    dump = [SETTINGS, SEQUENCE, VIEW, cases, images, VIEW, rooms, vitals, END]
    two = take_turns(dump, 2)
    assert two == Turns([SETTINGS, SEQUENCE, VIEW], [[vitals], [images, cases]], [VIEW, rooms, END])
    assert sorted(map(str, two.sections)) == sorted(map(str, dump))
    assert take_turns(dump, 1).beside == [[vitals, images, cases]]
    assert take_turns(dump, 9).beside == [[vitals], [images], [cases]]


def test_the_last_section_stays_last_since_the_dump_puts_its_settings_back_there() -> None:
    vitals = section("table", "vitals", LARGE, 90_000)
    rooms = section("table", "rooms", LARGE, 1)
    assert take_turns([SETTINGS, rooms, vitals], 2) == Turns([SETTINGS], [[rooms]], [vitals])
    assert take_turns([SETTINGS, vitals], 2) == Turns([SETTINGS], [], [vitals])
    assert take_turns([], 2) == Turns([], [], [])


def test_the_pieces_of_a_table_stay_together_and_in_their_order() -> None:
    cases = [section("table", "cases", LARGE // 2, rows) for rows in (500, None, None)]
    vitals = [section("table", "vitals", LARGE, rows) for rows in (9, None)]
    rooms = section("table", "rooms", 9, 1)
    dump = [SETTINGS, cases[0], vitals[0], rooms, cases[1], vitals[1], cases[2], END]
    assert take_turns(dump, 2) == Turns([SETTINGS], [vitals, cases], [rooms, END])


def text(table: str, rows: int, size: int) -> list[bytes]:
    """A table with a trigger, in statements."""
    return [
        b"SET @saved = @@character_set_client",
        f"CREATE TABLE `{table}` (\n  `a` int\n)".encode(),
        b"SET character_set_client = @saved",
        *(f"INSERT INTO `{table}` VALUES ({number},'{'x' * size}')".encode() for number in range(rows)),
        b"SET sql_mode = 'ANSI'",
        b"CREATE TRIGGER t",
        b"SET sql_mode = @saved_sql_mode",
    ]


def test_turns_change_behind_rows_only_and_all_end_at_about_the_same_time() -> None:
    parts = [text("a", 40, 1 << 20), text("b", 400, 1 << 16), text("c", 9, 1 << 20)]
    joined = [b";\n".join(part) + b";\n" for part in parts]
    pieces = random.Random(1)

    def chunks(whole: bytes) -> list[bytes]:
        cuts = sorted(pieces.randrange(len(whole)) for _ in range(50))
        return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    found = list(in_turns([(chunks(whole), len(whole)) for whole in joined]))
    owner = {statement: number for number, part in enumerate(parts) for statement in part if b"`" in statement}
    assert sorted(found) == sorted(statement for part in parts for statement in part)
    for part in parts:
        inserts = [statement for statement in part if statement.startswith(b"INSERT")]
        assert [statement for statement in found if statement in set(inserts)] == inserts
    for at, statement in enumerate(found):
        if statement.startswith(b"CREATE TABLE"):
            assert found[at - 1] == b"SET @saved = @@character_set_client"
            assert found[at + 1] == b"SET character_set_client = @saved"
            assert owner[found[at + 2]] == owner[statement]
        if statement == b"CREATE TRIGGER t":
            assert (found[at - 1], found[at + 1]) == (b"SET sql_mode = 'ANSI'", b"SET sql_mode = @saved_sql_mode")
    last = [max(at for at, statement in enumerate(found) if owner.get(statement) == number) for number in range(3)]
    assert min(last) > 0.8 * len(found)
