"""Random tables with random rows, each with at most one other object beside it, and one change to be made in a copy.

All values are SQL literals. What a server refuses is no example: the tests create it and see.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from include.backup_engine.mysql.server import quote
from include.backup_engine.records import Flavour

_NASTY = "ab Z9`'\".,;:%$#@!?\\/-_+*=()[]{}<>|&^~éßЖ中ﷺ☎\t"
names = st.one_of(
    st.text(_NASTY, max_size=12),
    st.sampled_from(
        ["select", "table`.`x", "-- a", "/*", "*/", "/*!50001 x */", "a.b", "DELIMITER ;", "`", "``", "''"]
    ),
)
comments = st.one_of(
    st.text(max_size=12),
    st.text(_NASTY + "\n\0", max_size=12),
    st.sampled_from([" AUTO_INCREMENT=7", " CHARACTER SET latin1 COLLATE latin1_bin", "x;\n-- y", " INVISIBLE", "\\'"]),
)


def text(value: str) -> str:
    """A string as a literal that no SQL mode and no connection's character set changes."""
    return f"_utf8mb4 x'{value.encode().hex()}'" if value else "''"


def plain(value: str) -> str:
    """A string where the grammar takes no introducer. SQL mode without NO_BACKSLASH_ESCAPES."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0").replace("\n", "\\n") + "'"


def _integers(least: int, most: int) -> SearchStrategy[str]:
    return st.one_of(st.sampled_from([least, most, 0, 1]), st.integers(least, most)).map(str)


_doubles = st.floats(allow_nan=False, allow_infinity=False).map(repr)
_floats = st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr)
_dates = st.one_of(
    st.sampled_from(["0000-00-00", "0000-01-01", "2026-00-00", "1000-01-01", "9999-12-31", "2026-03-29", "2024-02-29"]),
    st.dates(date(1000, 1, 1)).map(str),
).map(lambda day: f"'{day}'")
_times = st.sampled_from(["-838:59:59", "838:59:59", "00:00:00", "-00:00:01", "23:59:59.999999", "-00:00:00.000001"])
_moments = st.one_of(
    st.sampled_from(
        ["0000-00-00 00:00:00", "1000-01-01 00:00:00", "9999-12-31 23:59:59.999999", "2026-03-29 01:30:00"]
    ),
    st.datetimes().map(str),
).map(lambda moment: f"'{moment}'")
_stamps = st.one_of(  # seconds; 01:00 UTC on those days is when Central Europe changes its clocks
    st.sampled_from([1, 2**31 - 1, 1774746000 - 1, 1774746000, 1792890000 - 1800, 1792890000, 1792890000 + 1800]),
    st.integers(1, 2**31 - 1),
).map(lambda second: f"FROM_UNIXTIME({second})")
_texts = st.one_of(
    st.text(max_size=20), st.sampled_from(["", " ", "a ", "A", "\0", "\\", "'", "NULL", "~", "🩺", "\n--", "\x1a"])
).map(text)
_bytes = st.one_of(st.binary(max_size=16), st.sampled_from([b"\0" * 4, b"\xff" * 8, b"'\"\\\n"])).map(
    lambda value: f"x'{value.hex()}'" if value else "''"
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8) | st.sampled_from(["\"\\/\b\f\n\r\t\0☎🩺", 1.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
).map(lambda value: text(json.dumps(value)))  # fmt: skip
_points = st.tuples(st.integers(-180, 180), st.integers(-90, 90)).map(lambda at: f"POINT({at[0]}, {at[1]})")
_SAFE_NUMBERS = st.integers(-99999, 99999).filter(bool).map(str)


@dataclass(frozen=True)
class Kind:
    """A type of columns.

    :param changes: values that a dump writes exactly, to change a value into.
    :param key: how a column stands in an index; ``None``: it cannot.
    :param default: whether a literal may be its default.
    :param wider: another type that holds its values.
    """

    sql: str
    values: SearchStrategy[str]
    changes: SearchStrategy[str] | None = None
    key: str | None = "{}"
    default: bool = True
    wider: str | None = None
    is_text: bool = False


_TEXT_TYPES = {"char(20)": "char(21)", "varchar(20)": "varchar(21)", "varchar(300)": "varchar(301)"}
_CHARSETS = ["latin1", "latin1 COLLATE latin1_bin", "utf8mb4 COLLATE utf8mb4_bin", "ascii", "cp1251", "utf8mb3",
             "utf8mb4 COLLATE utf8mb4_unicode_ci", "ucs2", "utf16", "utf32", "gbk", "cp932", "big5", "binary"]  # fmt: skip
_COMMON = [
    *(Kind(f"{name}{sign}", _integers(0, 2**bits - 1) if sign else _integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
      for name, bits in (("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64))
      for sign in ("", " unsigned")),
    Kind("int(7) unsigned zerofill", _integers(0, 2**32 - 1)),
    Kind("decimal(20,10)", st.decimals(-9999999999, 9999999999, places=10).map(lambda d: f"{d:f}"), wider="decimal(21,10)"),
    Kind("decimal(65,0)", st.integers(-(10**65) + 1, 10**65 - 1).map(str)),
    Kind("double", _doubles, changes=_SAFE_NUMBERS),
    Kind("float", _floats, changes=_SAFE_NUMBERS, wider="double"),
    Kind("bit(1)", st.sampled_from(["0", "1"])),
    Kind("bit(64)", _integers(0, 2**64 - 1)),
    Kind("date", _dates, wider="datetime"), Kind("time", _times.map(lambda t: f"'{t}'"), wider="time(6)"),
    Kind("time(6)", _times.map(lambda t: f"'{t}'")), Kind("datetime", _moments, wider="datetime(6)"),
    Kind("datetime(6)", _moments), Kind("timestamp", _stamps, wider="timestamp(3)"), Kind("timestamp(6)", _stamps),
    Kind("year", st.one_of(st.sampled_from([0, 1901, 2155]), st.integers(1901, 2155)).map(str), wider="smallint"),
    *(Kind(sql, _texts, key="{}(7)", wider=wider, is_text=True) for sql, wider in _TEXT_TYPES.items()),
    *(Kind(f"{sql} CHARACTER SET {charset}", _texts, key="{}(7)", default=sql != "text",
           wider=f"{wider} CHARACTER SET {charset}")
      for sql, wider in (("varchar(20)", "varchar(21)"), ("text", "mediumtext")) for charset in _CHARSETS),
    *(Kind(sql, _texts, key="{}(7)", default=False, wider="longtext", is_text=True)
      for sql in ("tinytext", "text", "mediumtext")),
    Kind("enum('', 'a', 'B ', 'c,d', 'it''s', 'ß')", st.integers(1, 6).map(str), default=False, is_text=True),
    Kind("set('a', 'b', 'it''s')", st.integers(0, 7).map(str), default=False, is_text=True),
    Kind("binary(8)", _bytes, wider="varbinary(8)"), Kind("varbinary(16)", _bytes, wider="varbinary(17)"),
    *(Kind(sql, _bytes, key="{}(7)", default=False, wider="longblob") for sql in ("tinyblob", "blob", "mediumblob")),
    Kind("point", _points, key=None, default=False, wider="geometry"),
    Kind("geometry", _points, key=None, default=False),
]  # fmt: skip
_OF: dict[Flavour, list[Kind]] = {
    "mariadb": [
        Kind("json", _json, key="{}(7)"),
        Kind("uuid", st.uuids().map(lambda u: f"'{u}'")),
        Kind("inet6", st.ip_addresses(v=6).map(lambda a: f"'{a}'")),
        Kind("inet4", st.ip_addresses(v=4).map(lambda a: f"'{a}'")),
        Kind("varchar(20) COMPRESSED", _texts, key=None),
    ],
    "mysql": [
        Kind("json", _json, changes=st.uuids(version=4).map(lambda u: f"'[\"{u}\"]'"), key=None, default=False),
        Kind("point SRID 4326", st.just("ST_GeomFromText('POINT(1 2)', 4326)"), key=None, default=False),
        Kind("varchar(20) COLLATE utf8mb4_0900_as_cs", _texts, wider="varchar(21) COLLATE utf8mb4_0900_as_cs"),
    ],
}


@dataclass(frozen=True)
class Column:
    """A column of an example.

    :param generated: its expression and whether it is stored.
    """

    name: str
    kind: Kind
    null: bool = True
    default: str | None = None
    comment: str = ""
    invisible: bool = False
    generated: str | None = None

    def sql(self, **changed: str) -> str:
        """Its definition, with some parts exchanged."""
        parts = [quote(self.name), changed.get("type", self.kind.sql)]
        if self.generated:
            parts.append(f"GENERATED ALWAYS AS {changed.get('generated', self.generated)}")
        else:
            parts.append(changed.get("null", "NULL" if self.null else "NOT NULL"))
            default = changed.get("default", self.default)
            parts += [f"DEFAULT {default}"] if default is not None else []
        parts += ["INVISIBLE"] if self.invisible != ("invisible" in changed) else []
        return " ".join([*parts, f"COMMENT {plain(changed.get('comment', self.comment))}"])


@dataclass(frozen=True)
class Change:
    """One change in the copy, and the object that the comparison must name."""

    what: str
    statements: list[str]
    label: str


@dataclass(frozen=True)
class Example:
    """What is created, and how it is changed in the copy.

    :param fallback: a change that is always one, for when ``change`` turns out to be none (a value that is there).
    """

    table: str
    statements: list[str]
    change: Change
    fallback: Change
    kinds: list[str] = field(default_factory=list)


def _column(draw: DrawFn, number: int, flavour: Flavour) -> Column:
    kind = draw(st.sampled_from(_COMMON + _OF[flavour]))
    name = draw(names) + f"_{number}"
    comment = draw(comments) if draw(st.integers(0, 3)) == 0 else ""
    if draw(st.integers(0, 7)) == 0:
        expression = draw(st.sampled_from(["(`k` * 2)", "(`k` MOD 7)", "(`k` + 1)"]))
        how = draw(st.sampled_from(["VIRTUAL", "STORED"]))
        return Column(name, Kind("bigint", _SAFE_NUMBERS), comment=comment, generated=f"{expression} {how}")
    null = draw(st.booleans())
    default = None
    if kind.default and draw(st.booleans()):
        default = draw(kind.values)
        if default.startswith("_"):  # not every character set has every character
            default = plain(draw(st.text("ab Z9'\\;\n-", max_size=9)))
        elif default.startswith(("FROM", "x'")):
            default = f"({default})"
    return Column(name, kind, null, default, comment, default is not None and draw(st.integers(0, 5)) == 0)


@st.composite
def examples(draw: DrawFn, flavour: Flavour, number: int) -> Example:
    """:param number: makes the names unique."""
    name = draw(names) + f"#{number}"
    table, label = quote(name), f"table {name}"
    columns = [_column(draw, n, flavour) for n in range(draw(st.integers(1, 5)))]
    keyed = draw(st.sampled_from(["PRIMARY KEY (`k`)"] * 4 + ["", "KEY `by k` (`k`)"]))
    partition = draw(st.sampled_from([""] * 6 + _PARTITIONS))
    engine = "InnoDB" if partition else draw(st.sampled_from(["InnoDB"] * 8 + ["MyISAM"]))
    versioned = flavour == "mariadb" and not partition and draw(st.integers(0, 11)) == 0
    keys = [keyed] if keyed else []
    for n, column in enumerate(columns):
        if column.kind.key and draw(st.integers(0, 2)) == 0:
            unique = "UNIQUE " if draw(st.integers(0, 3)) == 0 else ""
            where = column.kind.key.format(quote(column.name))
            keys.append(
                f"{unique}KEY {quote(draw(names) + f'.{n}')} ({where}, `k`{draw(st.sampled_from(['', ' DESC']))})"
            )
    check = draw(st.sampled_from(["", "CONSTRAINT {} CHECK (`k` > -9)"])).format(quote(f"check {number}"))
    calculated = check or any(column.generated for column in columns)
    counter = "AUTO_INCREMENT" if keyed and not calculated and draw(st.booleans()) else ""
    foreign = ""
    if (
        engine == "InnoDB"
        and keyed.startswith("PRIMARY")
        and not partition
        and not versioned
        and not draw(st.integers(0, 5))
    ):
        foreign = f"CONSTRAINT {quote(f'to itself {number}')} FOREIGN KEY (`up`) REFERENCES {table} (`k`)"
        columns.append(Column("up", Kind("int", st.just("1"), key=None, default=False)))
    options = draw(st.sampled_from(_OPTIONS))
    comment = draw(comments)
    create = (
        f"CREATE TABLE {table} ("
        + ", ".join(
            [f"`k` int NOT NULL {counter}", *(c.sql() for c in columns), *keys, *filter(None, (check, foreign))]
        )
        + f") ENGINE={engine} {options} COMMENT={plain(comment)} {'WITH SYSTEM VERSIONING' if versioned else ''} {partition}"
    )
    filled = [c for c in columns if not c.generated]
    listed = ", ".join(["`k`", *(quote(c.name) for c in filled)])
    count = draw(st.sampled_from([0, 1, 2, 3, 5]))
    tuples = [
        ", ".join([str(k), *(draw(st.just("NULL") | c.kind.values if c.null else c.kind.values) for c in filled)])
        for k in range(1, count + 1)
    ]
    if tuples and not keyed.startswith("PRIMARY"):
        tuples += tuples[: draw(st.integers(0, 2))]
    statements = [create, *(f"INSERT IGNORE INTO {table} ({listed}) VALUES ({row})" for row in tuples)]
    if versioned and count:
        statements.append(f"UPDATE {table} SET `k` = `k` + 100 WHERE `k` = 1 ORDER BY `k` LIMIT 1")
    insert = f"INSERT IGNORE INTO {table} (`k`) VALUES (77)"
    fallback = Change("a table's comment", [f"ALTER TABLE {table} COMMENT = {plain(comment + '!')}"], label)
    changes: list[Change] = [
        fallback,
        Change("a row more", [insert], label),
        Change("a table is missing", [f"DROP TABLE {table}"], label),
        Change("an index more", [f"ALTER TABLE {table} ADD KEY `another` (`k`)"], label),
        Change("a check more", [f"ALTER TABLE {table} ADD CONSTRAINT {quote(f'more {number}')} CHECK (`k` < 99999)"], label),
        Change("a column more", [f"ALTER TABLE {table} ADD `one more` int"], label),
        Change("a table's collation", [f"ALTER TABLE {table} DEFAULT CHARACTER SET latin1 COLLATE latin1_danish_ci"], label),
        Change("a table's options", [f"ALTER TABLE {table} STATS_PERSISTENT=0 STATS_SAMPLE_PAGES=3"], label),
        Change("a table's row format", [f"ALTER TABLE {table} ROW_FORMAT=REDUNDANT"], label),
    ]  # fmt: skip
    if count:
        changes += [
            Change("a row less", [f"DELETE FROM {table} LIMIT 1"], label),
            Change("a value", [f"UPDATE {table} SET `k` = `k` + 1000 ORDER BY `k` DESC LIMIT 1"], label),
        ]
        if not keyed.startswith("PRIMARY"):
            visible = ", ".join(quote(c.name) for c in filled)
            twice = f"INSERT INTO {table} (`k`, {visible}) SELECT `k`, {visible} FROM {table} LIMIT 1"
            changes.append(Change("a row twice", [twice if filled else insert], label))
        for column in filled:
            value = draw(column.kind.values if column.kind.changes is None else column.kind.changes)
            update = f"UPDATE IGNORE {table} SET {quote(column.name)} = {value} ORDER BY `k` LIMIT 1"
            changes += [Change(f"a value of {column.kind.sql}", [update], label)] * 3
            if column.null:
                update = f"UPDATE {table} SET {quote(column.name)} = NULL LIMIT 1"
                changes.append(Change("a NULL", [update], label))
        if versioned:
            changes.append(Change("history", [f"DELETE HISTORY FROM {table}"], label))
    for column in columns:
        changes += _of_column(table, label, column)
    for key in keys[1:]:
        changes.append(
            Change("an index less", [f"ALTER TABLE {table} DROP {key.removeprefix('UNIQUE ').split(' (')[0]}"], label)
        )
    if check:
        verb = "CHECK" if flavour == "mysql" else "CONSTRAINT"
        changes.append(Change("a check less", [f"ALTER TABLE {table} DROP {verb} {quote(f'check {number}')}"], label))
    if foreign:
        changes.append(
            Change(
                "a foreign key less", [f"ALTER TABLE {table} DROP FOREIGN KEY {quote(f'to itself {number}')}"], label
            )
        )
    if partition:
        changes += [Change("partitions", [f"ALTER TABLE {table} PARTITION BY HASH (`k`) PARTITIONS 7"], label)] * 3
    chosen = draw(st.sampled_from(changes))
    others = [] if chosen.what == "a table is missing" else _beside(draw, flavour, name, number)
    if others:
        statement, its_changes = draw(st.sampled_from(others))
        statements.append(statement)
        if draw(st.integers(0, 2)) == 0:
            chosen = draw(st.sampled_from(its_changes))
    return Example(name, statements, chosen, fallback, [c.kind.sql for c in columns])


_PARTITIONS = [
    "PARTITION BY HASH (`k`) PARTITIONS 3",
    "PARTITION BY KEY (`k`) PARTITIONS 2",
    "PARTITION BY RANGE (`k`) (PARTITION `p``1` VALUES LESS THAN (3) COMMENT 'it''s', PARTITION p2 VALUES LESS THAN MAXVALUE)",
    "PARTITION BY LIST (`k` MOD 2) (PARTITION a VALUES IN (0), PARTITION b VALUES IN (1, -1))",
]
_OPTIONS = [
    "", "", "", "DEFAULT CHARSET=latin1", "DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin", "DEFAULT CHARSET=binary",
    "DEFAULT CHARSET=utf16", "ROW_FORMAT=DYNAMIC", "ROW_FORMAT=COMPRESSED", "STATS_PERSISTENT=1", "MAX_ROWS=9",
]  # fmt: skip


def _of_column(table: str, label: str, column: Column) -> list[Change]:
    def modified(what: str, **changed: str) -> Change:
        return Change(what, [f"ALTER TABLE {table} MODIFY {column.sql(**changed)}"], label)

    made = [
        modified("a column's comment", comment=column.comment + "?"),
        Change("a column's name", [f"ALTER TABLE {table} RENAME COLUMN {quote(column.name)} TO `renamed`"], label),
        Change("a column's place", [f"ALTER TABLE {table} MODIFY {column.sql()} FIRST"], label),
        Change("a column less", [f"ALTER TABLE {table} DROP COLUMN {quote(column.name)}"], label),
    ]
    if column.generated:
        made += [modified("an expression", generated=column.generated.replace("(`k`", "(3 - `k`"))] * 2
        return made
    made.append(modified("a column's nullability", null="NOT NULL" if column.null else "NULL"))
    if column.default is not None:
        made += [modified("an invisible column", invisible=""), replace(modified("a default less"), statements=[
            f"ALTER TABLE {table} ALTER {quote(column.name)} DROP DEFAULT"])]  # fmt: skip
    if column.kind.wider:
        made.append(modified("a column's type", type=column.kind.wider))
    if column.kind.is_text:
        made.append(modified("a column's collation", type=f"{column.kind.sql} COLLATE utf8mb4_esperanto_ci"))
    return made


def _beside(draw: DrawFn, flavour: Flavour, table: str, number: int) -> list[tuple[str, list[Change]]]:
    """Other objects: what creates each, and changes to it."""
    name, on = draw(names) + f"!{number}", quote(table)
    own, note = quote(name), plain(draw(comments))
    literal = text(draw(st.text(max_size=9)))

    def changes(kind: str, create: str, *more: tuple[str, str, str], alter: tuple[str, ...] = ()) -> list[Change]:
        """Drop it, run an ALTER, or create it anew with something replaced."""
        label, drop = f"{kind} {name}", f"DROP {kind.upper()} {own}"
        return [
            Change(f"a {kind} is missing", [drop], label),
            *(Change(f"a {kind}: ALTER", [statement], label) for statement in alter),
            *(Change(f"a {kind}: {what}", [drop, create.replace(old, new)], label) for what, old, new in more),
            *(Change(f"a {kind}: {what}", [drop, setting, create, restore], label) for what, setting, restore in (
                ("collation of its connection", "SET collation_connection = utf8mb4_bin",
                 "SET collation_connection = utf8mb4_general_ci"),
                *([("SQL mode", "SET sql_mode = 'ANSI_QUOTES'", "SET sql_mode = ''")] if kind != "view" else []))),
        ]  # fmt: skip

    view = f"CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW {own} AS SELECT `k`, {literal} AS `x` FROM {on} WHERE `k` > 0"
    trigger = f"CREATE TRIGGER {own} BEFORE UPDATE ON {on} FOR EACH ROW SET @a = {literal}"
    procedure = f"CREATE PROCEDURE {own}(IN a int) SQL SECURITY INVOKER COMMENT {note} BEGIN SELECT {literal}, a; END"
    function = f"CREATE FUNCTION {own}(a int) RETURNS varchar(20) CHARACTER SET utf8mb4 DETERMINISTIC RETURN {literal}"
    event = (
        f"CREATE EVENT {own} ON SCHEDULE EVERY 5 HOUR STARTS '2026-03-29 02:30:00' ON COMPLETION PRESERVE DISABLE"
        f" COMMENT {note} DO SET @a = {literal}"
    )
    made: list[tuple[str, Callable[[], list[Change]]]] = [
        (view, lambda: changes("view", view, ("condition", "> 0", ">= 0"), ("algorithm", "MERGE", "TEMPTABLE"),
                               ("security", "INVOKER", "DEFINER"))),
        (trigger, lambda: changes("trigger", trigger, ("timing", "BEFORE", "AFTER"), ("event", "UPDATE", "DELETE"))),
        (procedure, lambda: changes("procedure", procedure, ("parameter", "IN a", "INOUT a"), ("body", ", a;", ", a + 1;"),
                                    alter=(f"ALTER PROCEDURE {own} SQL SECURITY DEFINER",
                                           f"ALTER PROCEDURE {own} READS SQL DATA",
                                           f"ALTER PROCEDURE {own} COMMENT 'another one'"))),
        (function, lambda: changes("function", function, ("result", "varchar(20)", "varchar(21)"),
                                   ("determinism", "DETERMINISTIC", "NOT DETERMINISTIC NO SQL"))),
        (event, lambda: changes("event", event, ("start", "02:30:00", "03:30:00"),
                                alter=(f"ALTER EVENT {own} ON SCHEDULE EVERY 6 HOUR", f"ALTER EVENT {own} DO SET @b = 2",
                                       f"ALTER EVENT {own} ON COMPLETION NOT PRESERVE",
                                       f"ALTER EVENT {own} COMMENT 'another one'", f"ALTER EVENT {own} ENABLE"))),
    ]  # fmt: skip
    if flavour == "mariadb":
        sequence = f"CREATE SEQUENCE {own} START WITH 50 INCREMENT BY 3 MAXVALUE 5000"
        made.append((sequence, lambda: [
            Change("a sequence's value", [f"ALTER SEQUENCE {own} RESTART 2"], f"sequence {name}"),
            Change("a sequence's step", [f"ALTER SEQUENCE {own} INCREMENT BY 4"], f"sequence {name}"),
            Change("a sequence is missing", [f"DROP SEQUENCE {own}"], f"sequence {name}"),
        ]))  # fmt: skip
    return [(statement, of()) for statement, of in made]
