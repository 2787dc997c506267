"""Watching a dump pass by."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from include.backup_engine.mysql.stream import DumpContents, Piece, StreamScanner, joined
from include.backup_engine.records import Coordinates
from tests.unit.mysql.dumps import MARIADB, MYSQL


def scan(chunks: Iterable[bytes]) -> tuple[list[Piece], DumpContents]:
    scanner = StreamScanner()
    return list(scanner.scan(chunks)), scanner.contents


def in_chunks(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def sections(pieces: Iterable[Piece]) -> list[tuple[tuple[str, str], bytes]]:
    """Each section with all of its bytes."""
    found: list[tuple[tuple[str, str], bytes]] = []
    for piece in pieces:
        if piece.starts:
            found.append((piece.starts, b""))
        found[-1] = (found[-1][0], found[-1][1] + piece.data)
    return found


def contents(text: bytes) -> DumpContents:
    return scan([text])[1]


def hashed(*rows: bytes) -> str:
    return f"1:{sum(map(xxh3_64_intdigest, rows)) % 2**64:016x}"


MARIADB_HASHES = (
    hashed(rb"1,'it\'s; a \"case\"\n-- Table structure for table `nope`\n(2,'", b"2,';'", b"3,NULL", b"4,0xDEADBEEF"),
    hashed(*(b"1,'%s 06:00:00.000000','%s'" % (start, end) for start, end in (
        (b"2023-03-01", b"2023-03-02 06:00:00.000000"), (b"2023-03-02", b"2106-02-07 06:28:15.999999"),
    ))),
    hashed(),
)  # fmt: skip


def test_a_mariadb_dump() -> None:
    assert contents(MARIADB) == DumpContents(
        tables={"cases": 4, "history": 2, "waiting`list": 0},
        row_hashes=dict(zip(("cases", "history", "waiting`list"), MARIADB_HASHES, strict=True)),
        sequences=["mrn_seq"],
        views=["a_board"],
        routines=2,
        triggers=1,
        events=2,
        coordinates=Coordinates(binlog_file="binlog.000007", binlog_position=5909886),
        started=True,
        completed=True,
    )


def test_a_mysql_dump() -> None:
    assert contents(MYSQL) == DumpContents(
        tables={"cases": 4},
        row_hashes={"cases": hashed(b"1,'it\\'s;'", b"2,'\\n(3,'", b"3,_binary 'x'", b"4,NULL")},
        views=["a_board"],
        routines=1,
        coordinates=Coordinates(binlog_file="binlog.000002", binlog_position=157),
        started=True,
        completed=True,
    )


def test_sections_begin_at_their_announcements() -> None:
    found = sections(scan([MARIADB])[0])
    assert [starts for starts, _ in found] == [
        ("settings", ""),
        ("sequence", "mrn_seq"),
        ("code", ""),
        ("table", "cases"),
        ("table", "history"),
        ("table", "waiting`list"),
        ("code", ""),
        ("code", ""),
        ("code", ""),
    ]
    for (kind, name), data in found[1:]:
        assert data.startswith(b"-- ")
        assert kind == "code" or name.replace("`", "``").encode() in data.split(b"\n", 1)[0]
    assert b"TRIGGER" in found[3][1]  # a table's triggers belong to it


@pytest.mark.parametrize("dump", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_chunk_borders_do_not_matter(dump: bytes) -> None:
    expected_sections, expected_contents = sections(scan([dump])[0]), contents(dump)

    def check(chunks: list[bytes]) -> None:
        pieces, found = scan(chunks)
        assert b"".join(piece.data for piece in pieces) == dump
        assert sections(pieces) == expected_sections
        assert found == expected_contents

    @given(st.lists(st.integers(0, len(dump)), max_size=30))
    def check_at(borders: list[int]) -> None:
        borders = sorted(borders)
        check([dump[start:end] for start, end in zip([0, *borders], [*borders, len(dump)], strict=True)])

    check_at()
    for size in (1, 3, 1023, 1024, 1025):
        check(in_chunks(dump, size))


@given(st.lists(st.binary(max_size=3000), max_size=5))
def test_anything_passes_unchanged(chunks: list[bytes]) -> None:
    assert b"".join(piece.data for piece in scan(chunks)[0]) == b"".join(chunks)


def test_little_is_held_back() -> None:
    scanner = StreamScanner()
    given_out = taken_in = 0

    def chunks() -> Iterable[bytes]:
        nonlocal taken_in
        for chunk in in_chunks(MARIADB * 20, 700):
            assert taken_in - given_out <= 1024
            taken_in += len(chunk)
            yield chunk

    for piece in scanner.scan(chunks()):
        given_out += len(piece.data)
    assert given_out == taken_in


def test_the_first_object_shows_that_the_transaction_is_open() -> None:
    header, _, rest = MARIADB.partition(b"--\n-- Sequence structure")
    assert not contents(header).started
    assert contents(header + b"--\n-- Sequence structure" + rest[:30]).started
    view_first, _, _ = MYSQL.partition(b"DROP TABLE")
    assert contents(view_first).started


def test_p13_a_dump_without_its_end_marker_is_not_complete() -> None:
    marker = MARIADB.rindex(b"\n-- Dump completed")
    assert contents(MARIADB[:marker]).completed is False
    assert contents(MARIADB[: marker + 15]).completed is False
    assert contents(MARIADB).completed is True


def test_an_end_marker_in_a_body_is_none() -> None:
    assert b"-- Dump completed" in MARIADB.partition(b"Table structure for table `history`")[0]
    assert contents(MARIADB.partition(b"-- Table structure for table `history`")[0]).completed is False


def body(text: bytes) -> bytes:
    """A routine of that text, as both programs write it."""
    return (
        b"\n--\n-- Dumping routines for database 'd'\n--\n/*!50003 SET sql_mode = '' */ ;\nDELIMITER ;;\n"
        b"CREATE PROCEDURE `p`()\n" + text + b" ;;\nDELIMITER ;\n/*!50003 SET sql_mode = @saved_sql_mode */ ;\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        b"BEGIN\n-- Table structure for table `nope`\nEND",
        b"/*\nDELIMITER ;\n-- Table structure for table `nope`\n*/ SELECT 1",
        b"/*\nDELIMITER ;;\nCREATE ... ;;\nDELIMITER ;\n-- Dumping events for database 'd'\n*/ SELECT 1",
        b"SELECT '\n-- Final view structure for view `nope`\nDELIMITER $$\n'",
    ],
)
def test_bodies_are_passed_over(text: bytes) -> None:
    found = contents(body(text) + b"\n-- Final view structure for view `v`\n--\n\n-- Dump completed\n")
    assert found == DumpContents(routines=1, views=["v"], started=True, completed=True)


def test_coordinates_are_read_from_comments_only() -> None:
    statement = b"\nCHANGE MASTER TO MASTER_LOG_FILE='binlog.000007', MASTER_LOG_POS=1;\n"
    assert contents(statement).coordinates is None
    assert contents(body(b"-- CHANGE MASTER TO MASTER_LOG_FILE='x', MASTER_LOG_POS=1;")).coordinates is None


@given(st.integers(0, 400), st.integers(1, 200), st.integers(1, 50))
def test_rows_are_counted_over_any_number_of_inserts(rows: int, per_insert: int, size: int) -> None:
    values = [b"(%d,'a\\n(1),(\\n');(')" % number for number in range(rows)]
    inserts = b"".join(
        b"INSERT INTO `t` VALUES\n" + b",\n".join(values[start : start + per_insert]) + b";\n"
        for start in range(0, rows, per_insert)
    )
    text = b"\n--\n-- Table structure for table `t`\n--\n\n-- Dumping data for table `t`\n--\n\n" + inserts + b"\n"
    assert scan(in_chunks(text, size))[1].tables == {"t": rows}


@pytest.mark.parametrize("dump", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_the_parts_of_a_dump_follow_each_other(dump: bytes) -> None:
    parts: list[tuple[str, bytes]] = []
    for piece in scan([dump])[0]:
        if parts and parts[-1][0] == piece.part:
            parts[-1] = (piece.part, parts[-1][1] + piece.data)
        else:
            parts.append((piece.part, piece.data))
    found = dict(parts)
    assert [part for part, _ in parts[:3]] == ["head", "tables", "rows"]
    assert b"SET @OLD_SQL_MODE" in found["head"]
    assert all(data.startswith(b"-- Dumping data for table") for part, data in parts if part == "rows")
    assert all(data.startswith(b"/*!40000 ALTER TABLE `cases` ENABLE KEYS */;") for part, data in parts[3:4])
    assert found["code"].startswith((b"-- Dumping events", b"-- Dumping routines", b"-- Final view"))
    if dump == MARIADB:  # the other is cut short here, too
        assert found["end"].startswith(b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;")
        assert found["end"].endswith(dump[-20:])


def test_a_dump_without_definitions_has_a_section_for_each_table() -> None:
    rows = b"head\n\n--\n-- Dumping data for table `t`\n--\n-- WHERE:  `id` < 5\n\nINSERT INTO `t` VALUES (1),(2);\n"
    pieces, found = scan([rows])
    assert [(starts, data.partition(b"\n")[0]) for starts, data in sections(pieces)] == [
        (("settings", ""), b"head"),
        (("table", "t"), b"-- Dumping data for table `t`"),
    ]
    assert (found.tables, found.started) == ({"t": 2}, True)


def test_what_several_dumps_held() -> None:
    first = contents(MARIADB)
    rest = DumpContents(tables={"cases": 3, "beds": 1}, row_hashes={"cases": hashed(b"7")}, triggers=2)
    both = joined([first, rest])
    assert both.tables == first.tables | {"cases": 7, "beds": 1}
    total = (int(first.row_hashes["cases"][2:], 16) + xxh3_64_intdigest(b"7")) % 2**64
    assert both.row_hashes == first.row_hashes | {"cases": f"1:{total:016x}"}
    assert (both.triggers, both.views, both.coordinates) == (3, first.views, first.coordinates)
    assert (both.started, both.completed) == (False, False)
    assert joined([first, DumpContents(tables={"cases": None})]).tables["cases"] is None
