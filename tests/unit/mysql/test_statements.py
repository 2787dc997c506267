"""Cutting a dump's text into statements."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.backup_engine.errors import ContentIncomplete
from include.backup_engine.mysql import statements
from include.backup_engine.mysql.statements import Lexer, split_statements
from tests.unit.mysql.dumps import MARIADB, MYSQL


def split(text: bytes) -> list[bytes]:
    return list(split_statements([text]))


@st.composite
def cut(draw: st.DrawFn, text: bytes) -> list[bytes]:
    """The text in chunks, some of them empty."""
    borders = sorted(draw(st.lists(st.integers(0, len(text)), max_size=40)))
    return [text[start:end] for start, end in zip([0, *borders], [*borders, len(text)], strict=True)]


def in_chunks(text: bytes, size: int) -> Iterator[bytes]:
    return (text[start : start + size] for start in range(0, len(text), size))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"\n;\n;\n", []),
        (b"-- only a comment\n--\n\n", []),
        (b"SELECT 1;\nSELECT 2;", [b"SELECT 1", b"SELECT 2"]),
        (b"SELECT 1 ; \t\r\n", [b"SELECT 1"]),
        (b"CREATE TABLE `t` (\n  `a` int\n);\n", [b"CREATE TABLE `t` (\n  `a` int\n)"]),
        (b"INSERT INTO `t` VALUES (1),(2);\n", [b"INSERT INTO `t` VALUES (1),(2)"]),
        (b"INSERT INTO `t` VALUES\n(1,'a;'),\n(2,'b');\n", [b"INSERT INTO `t` VALUES\n(1,'a;'),\n(2,'b')"]),
        (b"/*!40101 SET NAMES utf8mb4 */;\n", [b"/*!40101 SET NAMES utf8mb4 */"]),
        (b"/*M!100616 SET NOTE_VERBOSITY=0 */;\n", [b"/*M!100616 SET NOTE_VERBOSITY=0 */"]),
        (b"/*!999999\\- enable the sandbox mode */ \nSET @a=1;\n", [b"SET @a=1"]),
        (b"/*M!999999\\- enable the sandbox mode */ \nSET @a=1;\n", [b"SET @a=1"]),
        (b"SELECT ';\n';\n", [b"SELECT ';\n'"]),
        (b"SELECT 'it''s;\n';\n", [b"SELECT 'it''s;\n'"]),
        (b"SELECT '\\';\n';\n", [b"SELECT '\\';\n'"]),
        (b'SELECT "\\";\n";\n', [b'SELECT "\\";\n"']),
        (b"SELECT `\\`;\n", [b"SELECT `\\`"]),
        (b"SELECT `a``;\n`;\n", [b"SELECT `a``;\n`"]),
        (b"SELECT 1 /* it's;\n */;\n", [b"SELECT 1 /* it's;\n */"]),
        (b"SELECT 1 -- it's;\n;\n", [b"SELECT 1 -- it's;"]),
        (b"SELECT 1 # it's;\n;\n", [b"SELECT 1 # it's;"]),
        (b"SELECT 1--1, 4/2;\n", [b"SELECT 1--1, 4/2"]),
        (b"DELIMITER ;;\nA;\nB ;;\nDELIMITER ;\nC;\n", [b"A;\nB", b"C"]),
        (b"DELIMITER $$\nA;; $$\nB$$\nDELIMITER ;\nC;\n", [b"A;;", b"B", b"C"]),
        (b"DELIMITER ;;\nA\n/*\nDELIMITER $$\n*/ ;;\nDELIMITER ;\n", [b"A\n/*\nDELIMITER $$\n*/"]),
        (b"DELIMITER ;;\nA '\nDELIMITER ;\n;;\n' ;;\nDELIMITER ;\n", [b"A '\nDELIMITER ;\n;;\n'"]),
        (b"DELIMITER ;;\nINSERT INTO a\nVALUES (1);\nEND ;;\n", [b"INSERT INTO a\nVALUES (1);\nEND"]),
    ],
)
def test_statements_end_where_the_client_ends_them(text: bytes, expected: list[bytes]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize(
    ("mode", "body"),
    [
        (b"NO_BACKSLASH_ESCAPES", b"'C:\\'"),
        (b"NO_BACKSLASH_ESCAPES", b'"C:\\"'),
        (b"ANSI_QUOTES", b'"C:\\"'),
        (b"ANSI_QUOTES", b"'it\\'s ;;\n'"),
        (b"PIPES_AS_CONCAT,ANSI_QUOTES,NO_BACKSLASH_ESCAPES", b"'C:\\' || \"a\\\" || ';;\n'"),
        (b"STRICT_TRANS_TABLES", b'"\\" ;;\n"'),
    ],
)
def test_bodies_are_read_in_the_mode_they_were_written_in(mode: bytes, body: bytes) -> None:
    routine = b"CREATE FUNCTION f() RETURNS text RETURN " + body
    text = b"/*!50003 SET sql_mode = '%b' */ ;\nDELIMITER ;;\n%b ;;\nDELIMITER ;\n" % (mode, routine)
    text += b"/*!50003 SET sql_mode = @saved_sql_mode */ ;\nSELECT '\\';\n';\n"
    assert split(text)[1] == routine
    assert split(text)[3] == b"SELECT '\\';\n'"


def test_a_mode_that_only_a_body_mentions_changes_nothing() -> None:
    body = b"CREATE PROCEDURE p() SET sql_mode = 'NO_BACKSLASH_ESCAPES'"
    assert split(body + b";\nSELECT '\\';\n';\n") == [body, b"SELECT '\\';\n'"]


@pytest.mark.parametrize(("dump", "count"), [(MARIADB, 62), (MYSQL, 24)], ids=["mariadb", "mysql"])
def test_whole_dumps(dump: bytes, count: int) -> None:
    found = split(dump)
    assert len(found) == count
    assert sum(b"INSERT INTO" in statement[:20] for statement in found) == dump.count(b"\nINSERT INTO")
    assert not any(statement.startswith((b"DELIMITER", b"-- ")) for statement in found)


@pytest.mark.parametrize("dump", [MARIADB, MYSQL], ids=["mariadb", "mysql"])
def test_chunk_borders_do_not_matter(dump: bytes) -> None:
    expected = split(dump)

    @given(cut(dump))
    def check(chunks: list[bytes]) -> None:
        assert list(split_statements(chunks)) == expected

    check()
    for size in (1, 2, 7):
        assert list(split_statements(in_chunks(dump, size))) == expected


def escaped(text: str) -> bytes:
    """As mysql_real_escape_string() does it."""
    table = {"\0": "\\0", "\n": "\\n", "\r": "\\r", "\\": "\\\\", "'": "\\'", '"': '\\"', "\x1a": "\\Z"}
    return b"'" + "".join(table.get(char, char) for char in text).encode() + b"'"


@given(st.lists(st.lists(st.text(), min_size=1, max_size=3), min_size=1, max_size=4), st.booleans())
def test_rows_of_any_text_are_one_statement(rows: list[list[str]], row_per_line: bool) -> None:
    first, between = (b"\n", b",\n") if row_per_line else (b" ", b",")
    values = between.join(b"(" + b",".join(map(escaped, row)) + b")" for row in rows)
    insert = b"INSERT INTO `t` VALUES" + first + values
    assert split(insert + b";\nCOMMIT;\n") == [insert, b"COMMIT"]


ANY = st.text(st.sampled_from("a;'\"`\\#-/*!\n $é"), max_size=12)


@given(ANY, ANY, ANY, ANY)
def test_a_body_of_any_strings_names_and_comments_is_one_statement(
    string: str, name: str, comment: str, line: str
) -> None:
    body = (
        b"CREATE PROCEDURE p() SELECT " + escaped(string) + b", `" + name.replace("`", "``").encode() + b"`\n/* "
        + comment.replace("*", "").replace("!", "").encode() + b" */ -- " + line.replace("\n", "").encode() + b"\n"
    )  # fmt: skip
    assert split(b"DELIMITER ;;\n" + body + b";;\nDELIMITER ;\nCOMMIT;\n") == [body.strip(), b"COMMIT"]


@pytest.mark.parametrize(
    "text",
    [
        b"CREATE TABLE `t` (\n",
        b"CREATE TABLE `t` (`a` int)",
        b"INSERT INTO `t` VALUES\n(1),\n",
        b"SELECT 'a;\n",
        b"SELECT 1 /* a;\n",
        b"DELIMITER ;;\nA;\n",
    ],
)
def test_a_text_that_ends_inside_a_statement_is_refused(text: bytes) -> None:
    with pytest.raises(ContentIncomplete, match="ends inside a statement"):
        split(b"COMMIT;\n" + text)


def test_a_cut_dump_never_yields_a_statement_that_was_not_in_it() -> None:
    expected = split(MARIADB)

    @given(st.integers(0, len(MARIADB)))
    def check(length: int) -> None:
        found = []
        try:
            for statement in split_statements([MARIADB[:length]]):
                found.append(statement)
        except ContentIncomplete:
            pass
        assert found == expected[: len(found)]

    check()


def test_only_rows_may_be_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "_MAX_CODE", 1000)
    rows = b"INSERT INTO `t` VALUES\n" + b"(1),\n" * 1000 + b"(1)"
    assert split(rows + b";\n") == [rows]
    with pytest.raises(ContentIncomplete, match="does not end"):
        split(b"CREATE TABLE `t` (\n" + b"  `a` int,\n" * 1000 + b");\n")


@pytest.mark.parametrize(
    ("mode", "text", "code"),
    [
        (b"", b"a 'b' \"c\" `d` -- e\nf # g\n/* h */ i", b"a '' '' `d`  f    i"),
        (b"ANSI_QUOTES", b"a 'b' \"c\"", b"a '' \"c\""),
        (b"NO_BACKSLASH_ESCAPES", b"'\\' a", b"'' a"),
        (b"", b"/*!50001 a /* b */ 'c' */", b"/*!50001 a   '' */"),
    ],
)
def test_code_is_what_is_not_in_strings_and_comments(mode: bytes, text: bytes, code: bytes) -> None:
    lexer = Lexer()
    lexer.obey(b"/*!50003 SET sql_mode = '" + mode + b"' */")
    assert lexer.code(text) == code
