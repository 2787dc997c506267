"""Random names, types and values for tables, as SQL. What a server refuses is no example: the tests try."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from include.backup_engine.mysql.server import quote
from include.backup_engine.records import Flavour

_NASTY = "ab Z9`'\".,;:%$#@!?\\/-_+*=()[]{}<>|&^~éßЖ中ﷺ☎\t"
names = st.one_of(
    st.text(_NASTY, max_size=12),
    st.sampled_from(["select", "table`.`x", "-- a", "/*", "*/", "/*!50001 x */", "a.b", "DELIMITER ;", "`", "''"]),
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
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8)
    | st.sampled_from(["\"\\/\b\f\n\r\t\0☎🩺", 1.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
).map(lambda value: text(json.dumps(value)))  # fmt: skip
_points = st.tuples(st.integers(-180, 180), st.integers(-90, 90)).map(lambda at: f"POINT({at[0]}, {at[1]})")
SAFE_NUMBERS = st.integers(-99999, 99999).filter(bool).map(str)


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
             "utf8mb4 COLLATE utf8mb4_unicode_ci", "ucs2", "utf16", "utf32", "gbk", "cp932", "big5",
             "binary"]  # fmt: skip
_COMMON = [
    *(Kind(f"{name}{sign}", _integers(0, 2**bits - 1) if sign else _integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
      for name, bits in (("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64))
      for sign in ("", " unsigned")),
    Kind("int(7) unsigned zerofill", _integers(0, 2**32 - 1)),
    Kind("decimal(20,10)", st.decimals(-9999999999, 9999999999, places=10).map(lambda d: f"{d:f}"),
         wider="decimal(21,10)"),
    Kind("decimal(65,0)", st.integers(-(10**65) + 1, 10**65 - 1).map(str)),
    Kind("double", _doubles, changes=SAFE_NUMBERS),
    Kind("float", _floats, changes=SAFE_NUMBERS, wider="double"),
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


def a_column(draw: DrawFn, number: int, flavour: Flavour) -> Column:
    """:param number: makes its name unique."""
    name = draw(names) + f"_{number}"
    comment = draw(comments) if draw(st.integers(0, 3)) == 0 else ""
    if draw(st.integers(0, 7)) == 0:
        expression = draw(st.sampled_from(["(`k` * 2)", "(`k` MOD 7)", "(`k` + 1)"]))
        how = draw(st.sampled_from(["VIRTUAL", "STORED"]))
        return Column(name, Kind("bigint", SAFE_NUMBERS), comment=comment, generated=f"{expression} {how}")
    kind = draw(st.sampled_from(_COMMON + _OF[flavour]))
    default = None
    if kind.default and draw(st.booleans()):
        default = draw(kind.values)
        if default.startswith("_"):  # not every character set has every character
            default = plain(draw(st.text("ab Z9'\\;\n-", max_size=9)))
        elif default.startswith(("FROM", "x'")):
            default = f"({default})"
    invisible = default is not None and draw(st.integers(0, 5)) == 0
    return Column(name, kind, draw(st.booleans()), default, comment, invisible)
