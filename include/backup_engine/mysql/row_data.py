r"""Rows that reach the server as data instead of as statements: LOAD DATA reads what stands in a dump's INSERTs.

A dump program writes a row as LOAD DATA can be told to read it: fields between commas, text in single quotes with
backslashes, the row in parentheses. This spares the server its SQL parser, and the fence has nothing to judge, since
data is never run. Measured on narrow rows: half of the server's processor time on MariaDB, two thirds on MySQL.

LOAD DATA LOCAL makes warnings of what are errors to an INSERT, and lets the server name the file to send (MySQL manual,
"LOAD DATA Statement" and "Security Considerations for LOAD DATA LOCAL"). So whatever a server asks for, it gets these
rows, and no file is ever opened; and unless it takes all of them without a warning, they are taken back and run as the
INSERTs that they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import COMMAND
from pymysql.protocol import OKPacketWrapper

from include.backup_engine.mysql.identifiers import QUOTED, unquoted
from include.backup_engine.mysql.server import quote, rows, scalar
from include.backup_engine.records import Flavour, Section

_HEAD = re.compile(rb"INSERT INTO (" + QUOTED + rb") (?:\((" + QUOTED + rb"(?:, ?" + QUOTED + rb")*+)\) )?VALUES[ \n]")
_NAME = re.compile(QUOTED)
_DEFAULT = re.compile(rb"[(,]DEFAULT\b")  # would be a text
_AS_WRITTEN = {
    "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double",
    "date", "time", "datetime", "timestamp", "year", "json",
    "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set",
}  # fmt: skip
_IN_HEX = {"bit", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
"""What --hex-blob writes as a number in hexadecimal."""
_NARROW = 1_000
"""Bytes of a row up to which MariaDB loads it quicker as data: it reads data character by character."""
_PACKET = 1 << 18


def tables_as_data(sections: Iterable[Section], flavour: Flavour) -> dict[str, int]:
    """Those of a dump's tables which load quicker as data, and how many rows they have."""
    return {
        section.name: section.rows
        for section in sections
        if section.rows and (flavour == "mysql" or section.sql_length <= _NARROW * section.rows)
    }


def takes_data(connection: Connection[Any]) -> bool:
    """Whether the server lets clients send data (``local_infile``: off by default on MySQL, on on MariaDB)."""
    return bool(scalar(connection, "SELECT @@GLOBAL.local_infile"))


@dataclass(frozen=True)
class RowData:
    """How the rows of one table are sent.

    :param head: what each of its INSERTs begins with.
    :param statement: the LOAD DATA for what follows there.
    """

    head: bytes
    statement: bytes

    @classmethod
    def of(cls, connection: Connection[Any], flavour: Flavour, insert: bytes) -> RowData | None:
        """For a table that exists in the connection's database.

        :param insert: the first of its INSERTs.
        :return: ``None``: it has columns which LOAD DATA would not, or not surely, read as INSERT does.
        """
        head = _HEAD.match(insert)
        if head is None:
            return None
        table = unquoted(head[1])
        columns = _columns(connection, table)
        if head[2]:
            names = [unquoted(name[0]) for name in _NAME.finditer(head[2])]
        elif any(column.invisible for column in columns.values()):
            return None
        else:
            names = list(columns)
        filled = [columns[name] for name in names if name in columns]
        if not filled or len(filled) < len(names) or not all(column.readable for column in filled):
            return None
        fields, settings = _fields(filled)
        # With UNIQUE_CHECKS = 0, as in a dump, MariaDB sorts the first rows of a table apart: twice the work here.
        begin = "SET STATEMENT unique_checks = 1 FOR " if flavour == "mariadb" else ""
        statement = (
            rf"{begin}LOAD DATA LOCAL INFILE 'rows' INTO TABLE {quote(table)} CHARACTER SET utf8mb4"
            r" FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\'' ESCAPED BY '\\'"
            rf" LINES STARTING BY '(' TERMINATED BY '),' ({', '.join(fields)})"
            + (f" SET {', '.join(settings)}" if settings else "")
        )
        return cls(head[0], statement.encode())

    def fits(self, insert: bytes) -> bool:
        """Whether a statement holds rows of this table, and nothing that only SQL can say."""
        # "in" first: it is twenty times as quick as the expression.
        return insert.startswith(self.head) and not (b"DEFAULT" in insert and _DEFAULT.search(insert))

    def send(self, connection: Connection[Any], inserts: Sequence[bytes]) -> int | None:
        """Load the rows of some INSERTs, which must be in a transaction of their own.

        :return: how many rows they were; ``None``: the transaction is to be rolled back.
        """
        driver: Any = connection  # it has no public way to send data that are in no file
        try:
            driver._execute_command(COMMAND.COM_QUERY, self.statement)
            asked = driver._read_packet()
            if not asked.is_load_local_packet():
                return None
            for insert in inserts:
                text = memoryview(insert)[len(self.head) :]
                for start in range(0, len(text), _PACKET):
                    driver.write_packet(bytes(text[start : start + _PACKET]))
                driver.write_packet(b",")
            driver.write_packet(b"")
            answer = OKPacketWrapper(driver._read_packet())
        except (pymysql.err.MySQLError, ValueError):
            return None
        count: int = answer.affected_rows
        return None if answer.warning_count or not count else count


@dataclass(frozen=True)
class _Column:
    """A column of a table.

    :param kind: its type's name in lower case.
    :param counter: whether it has AUTO_INCREMENT.
    """

    name: str
    kind: str
    generated: bool
    counter: bool
    invisible: bool

    @property
    def readable(self) -> bool:
        """Whether LOAD DATA reads as INSERT does what a dump holds of it."""
        return self.generated or self.kind in _AS_WRITTEN or self.kind in _IN_HEX


def _columns(connection: Connection[Any], table: str) -> dict[str, _Column]:
    """The columns of a table in InnoDB; of other engines' none, since these cannot take rows back."""
    found = rows(
        connection,
        "SELECT column_name, LOWER(data_type), COALESCE(generation_expression, ''), UPPER(extra), character_set_name"
        " FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_schema = DATABASE() AND table_name = %s AND engine = 'InnoDB' ORDER BY ordinal_position",
        (table,),
    )
    return {
        str(name): _Column(
            name=str(name),
            # An ENUM may be of it, too, and is then written in hexadecimal.
            kind="" if charset == "binary" else str(kind),
            generated=bool(expression),
            counter="AUTO_INCREMENT" in str(extra),
            invisible="INVISIBLE" in str(extra),
        )
        for name, kind, expression, extra, charset in found
    }


def _fields(columns: Sequence[_Column]) -> tuple[list[str], list[str]]:
    """Where LOAD DATA puts the fields of a row, and what its SET clause makes of variables."""
    fields, settings = [], []
    has_clause = any(column.kind in _IN_HEX for column in columns if not column.generated)
    for number, column in enumerate(columns):
        field, name = f"@field{number}", quote(column.name)
        if column.generated:  # MariaDB's dump has their values, too, and the server passes over them
            pass
        elif column.kind in _IN_HEX:
            settings.append(f"{name} = UNHEX(SUBSTRING({field}, 3))")
        elif column.counter and has_clause:  # else MariaDB takes it for one that was not given, and 0 for the next
            settings.append(f"{name} = {field}")
        else:
            field = name
        fields.append(field)
    return fields, settings
