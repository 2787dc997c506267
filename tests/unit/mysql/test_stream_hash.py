"""The stream hash: it depends on the rows, and on nothing else."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from include.backup_engine.mysql import stream_hash
from include.backup_engine.mysql.stream_hash import StreamHash

Value = None | int | str | bytes
Row = tuple[Value, ...]

ESCAPES = {0: "\\0", 10: "\\n", 13: "\\r", 26: "\\Z", 34: '\\"', 39: "\\'", 92: "\\\\"}  # mysql_real_escape_string()
HOSTILE = [
    "),(",
    "),\n(",
    ");\n",
    "'",
    "''",
    "\\",
    "\\'",
    '"',
    "\0",
    "\n",
    "\r",
    ";",
    ",",
    "(",
    ")",
    "`",
    "🩺",
    "é",
    "1",
]
texts = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=4), max_size=8).map("".join)
values = st.none() | st.integers(-(2**63), 2**64) | texts | st.binary(max_size=5)
tables = st.integers(1, 4).flatmap(lambda columns: st.lists(st.tuples(*[values] * columns), max_size=12))
LAYOUTS = ["one line", "line per row", "line per row, with columns", "one line, with columns"]


def written(value: Value) -> bytes:
    if value is None:
        return b"NULL"
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, bytes):
        return b"0x" + value.hex().upper().encode() if value else b"''"
    return b"'" + value.translate(ESCAPES).encode() + b"'"


def row_text(row: Row) -> bytes:
    return b",".join(map(written, row))


def dump(rows: list[Row], layout: str, per_insert: int) -> bytes:
    """As the programs write a table's rows: MySQL's, MariaDB's, and either for a table with a generated column."""
    columns = b"(`a`,`b``) VALUES\n(`, `x y`, row_start) " if "columns" in layout else b""
    first, between = (b"\n", b",\n") if layout == "line per row" else (b" ", b"," if "one line" in layout else b",\n")
    text = (
        b"-- Dumping data for table `t``(`\n--\n\nLOCK TABLES `t` WRITE;\n/*!40000 ALTER TABLE `t` DISABLE KEYS */;\n"
    )
    for start in range(0, len(rows), per_insert):
        group = [b"(" + row_text(row) + b")" for row in rows[start : start + per_insert]]
        text += b"INSERT INTO `t``(` " + columns + b"VALUES" + first + between.join(group) + b";\n"
    return text + b"/*!40000 ALTER TABLE `t` ENABLE KEYS */;\nUNLOCK TABLES;\n"


def hashed(chunks: Iterable[bytes]) -> tuple[int | None, str | None]:
    found = StreamHash()
    for chunk in chunks:
        found.feed(chunk)
    return found.rows, found.value


def expected(rows: list[Row]) -> tuple[int, str]:
    return len(rows), f"1:{sum(xxh3_64_intdigest(row_text(row)) for row in rows) % 2**64:016x}"


def read_slowly(text: bytes) -> tuple[int, str]:
    """Rows and hash of a dump on one line, byte by byte."""
    rows: list[bytes] = []
    for line in text.split(b"\n"):
        position = line.find(b" VALUES (") + len(b" VALUES ") if line.startswith(b"INSERT INTO ") else len(line)
        while line[position : position + 1] == b"(":
            start, inside = position + 1, False
            while inside or line[position : position + 1] != b")":
                inside ^= line[position : position + 1] == b"'"
                position += 2 if line[position : position + 1] == b"\\" else 1
            rows.append(line[start:position])
            position += 2
    return len(rows), f"1:{sum(map(xxh3_64_intdigest, rows)) % 2**64:016x}"


def pieces(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def cut(text: bytes, borders: Iterable[int]) -> list[bytes]:
    ends = sorted(border % (len(text) + 1) for border in borders)
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


@pytest.mark.parametrize("long", [stream_hash._LONG, 5])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_count_and_nothing_else(layout: str, long: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not their order, not their grouping into INSERTs, not where the stream is cut, not whether a row is long."""
    monkeypatch.setattr(stream_hash, "_LONG", long)

    @given(tables, st.randoms(use_true_random=False), st.integers(1, 5), st.lists(st.integers(0, 4000), max_size=25))
    @example([("),(",), ("'),('",), ("\\",), ("\\'),(\\",)], random.Random(1), 2, list(range(400)))
    @example([("x" * 40 + "\\\\\\'),(" * 9,), (None,)], random.Random(1), 2, list(range(0, 400, 7)))
    def check(rows: list[Row], order: random.Random, per_insert: int, borders: list[int]) -> None:
        shuffled = order.sample(rows, len(rows))
        assert hashed(cut(dump(shuffled, layout, per_insert), borders)) == expected(rows)

    check()


@given(tables.filter(len), st.data())
def test_every_change_shows(rows: list[Row], data: st.DataObject) -> None:
    """A row that is lost, doubled or altered."""
    victim = data.draw(st.integers(0, len(rows) - 1))
    lost, doubled = rows[:victim] + rows[victim + 1 :], [*rows, rows[victim]]
    altered = [*lost, (*rows[victim][:-1], data.draw(values.filter(lambda v: written(v) != written(rows[victim][-1]))))]
    found = {hashed([dump(some, "one line", 3)])[1] for some in (rows, lost, doubled, altered)}
    assert len(found) == 4


@given(tables.filter(lambda rows: len(rows) < 7), st.integers(1, 5), st.sampled_from([stream_hash._LONG, 5]))
@example([(1, "a),("), (2, "b")], 2, 5)
@example([("),(", 1), ("),(", 1)], 2, 5)
@example([(1, ","), (2, ")"), (",", 3), (")),((", 4)], 4, 5)
@example([("x" * 30, 1), ("x" * 30, "y),(" * 9)], 5, 5)
@example([("'),(\\", None), (1, 2), (3, 4), ("\\", "),('"), (5, 6)], 5, 1 << 16)
@example(
    [(0, b"\xab" * 60, "),(" * 3), (1, b"\xab" * 60, "),("), (None, None, None), (4, 5, 6), (7, 8, "),(")], 5, 1 << 16
)
def test_chunks_of_every_size_are_read_as_byte_by_byte(rows: list[Row], per_insert: int, long: int) -> None:
    text = dump(rows, "one line", per_insert)
    assert read_slowly(text) == expected(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_hash, "_LONG", long)
        for size in range(1, len(text) + 1):
            assert hashed(pieces(text, size)) == expected(rows)


@pytest.mark.parametrize("before", [(), (1,), (None, "x")])
@pytest.mark.parametrize("after", [(), (1,), ("x", None)])
def test_every_short_string_in_every_column(before: Row, after: Row) -> None:
    for length in range(6):
        for text in map("".join, product("'\\),(", repeat=length)):
            row = (*before, text, *after)
            numbers = (7,) * len(row)
            rows: list[Row] = [numbers, row, numbers, (f"a{text}b",) * len(row), row, numbers, numbers]
            assert hashed([dump(rows, "one line", 9)]) == expected(rows)
            if length < 4:
                assert hashed(pieces(dump(rows, "one line", 9), 1)) == expected(rows)


def test_quotes_are_counted_only_where_they_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table's text changes to what could be borders, and back."""
    counted, count = [], stream_hash._odd_quotes

    def noted(rows: list[bytes], text: bytes) -> list[int]:
        counted.append(len(text))
        return count(rows, text)

    monkeypatch.setattr(stream_hash, "_odd_quotes", noted)
    notes: list[Row] = [(number, None, "it's (a), b\\", "", b"\x00'") for number in range(10_000)]
    numbers: list[Row] = [(number, None, 17) for number in range(20_000)]
    plain = [*notes, *numbers, *notes]
    assert hashed(pieces(dump(plain, "one line", 777), 1 << 16)) == expected(plain)
    assert not counted
    hostile: list[Row] = [*plain, (1, "),("), *numbers, *numbers, (2, "),(", 3), *plain]
    text = dump(hostile, "one line", len(hostile))
    assert hashed(pieces(text, 1 << 16)) == expected(hostile)
    assert 2 <= len(counted) <= 4
    assert sum(counted) < len(text) / 3


def test_a_quote_that_is_far_away_costs_no_more() -> None:
    """Looking for it from each border would take time with the square of their number."""
    text = b"\nINSERT INTO `t` VALUES (" + (b"1),(" * 15_000 + b"'a'),(") * 60 + b"1);\n"
    found, started = StreamHash(), time.process_time()
    found.feed(text)
    assert time.process_time() - started < 3  # it takes a third of a second
    assert found.rows == 15_001 * 60 + 1


def test_equal_rows_do_not_cancel_each_other() -> None:
    once, thrice = [(1, "a")], [(1, "a")] * 3
    assert hashed([dump(once, "one line", 9)]) != hashed([dump(thrice, "one line", 9)]) == expected(thrice)


def test_layouts_give_the_same_hash() -> None:
    rows: list[Row] = [(1, "it's"), (2, None), (3, b"\x00\xff")]
    assert {hashed([dump(rows, layout, 2)]) for layout in LAYOUTS} == {expected(rows)}


@pytest.mark.parametrize("between", [b",", b",\n"])
def test_a_long_row_is_neither_kept_nor_read_twice(between: bytes) -> None:
    row = b"1,'" + rb"it\'s \\ ),(\n" * 1_000_000 + b"'"
    text = b"\nINSERT INTO `t` VALUES (" + row + b")" + between + b"(2)" + between + b"(" + row + b");\n"
    found, longest, started = StreamHash(), 0, time.process_time()
    for start in range(0, len(text), 1 << 16):
        found.feed(text[start : start + (1 << 16)])
        longest = max(longest, len(found._rest))
    assert time.process_time() - started < 20  # it takes a second; more than linear would be minutes
    assert longest < 1 << 18
    hashes = xxh3_64_intdigest(row) * 2 + xxh3_64_intdigest(b"2")
    assert (found.rows, found.value) == (3, f"1:{hashes % 2**64:016x}")


@pytest.mark.parametrize(
    "text",
    [
        b"\nINSERT INTO t SET a = 1;\n",
        b"\nINSERT INTO `t` VALUES (1),(2)\n;\n",
        b"\nINSERT INTO `t` VALUES (1),(2)",
        b"\nINSERT INTO `t` (`a`, `b` VALUES (1);\nINSERT INTO `t` VALUES (1);\n",
    ],
)
def test_what_no_dump_program_writes_is_not_counted_wrongly(text: bytes) -> None:
    for chunks in ([text], cut(text, range(len(text)))):
        assert hashed(chunks) == (None, None)
