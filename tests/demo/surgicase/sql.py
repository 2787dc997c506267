"""Python values as SQL text, rows as INSERT statements, schema files as statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from pymysql.converters import escape_string

from tests.demo.surgicase.plan import Plan

INSERT_BYTES = 1_000_000
"""Where an INSERT statement ends, in characters, unless one row alone is longer."""


class Raw(str):
    """An SQL expression, to be used as it is."""


Value = None | str | bytes | int | float | date
Rows = Iterator[str]


def literal(value: Value) -> str:
    """The value as an SQL literal for a session without NO_BACKSLASH_ESCAPES."""
    if value is None:
        return "NULL"
    if isinstance(value, Raw):
        return value
    if isinstance(value, str):
        return f"'{escape_string(value)}'"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, date):
        return f"'{value}'"
    return str(value)


def row(*values: Value) -> str:
    return f"({','.join(map(literal, values))})"


@dataclass(frozen=True)
class Table:
    """One table's name, the columns that get values, and where the rows come from."""

    name: str
    columns: str
    rows: Callable[[Plan], Rows]

    def inserts(self, plan: Plan) -> Iterator[str]:
        """INSERT statements of about ``INSERT_BYTES`` each."""
        head = f"INSERT INTO {self.name} ({self.columns}) VALUES\n"
        batch: list[str] = []
        size = 0
        for text in self.rows(plan):
            batch.append(text)
            size += len(text)
            if size >= INSERT_BYTES:
                yield head + ",\n".join(batch)
                batch, size = [], 0
        if batch:
            yield head + ",\n".join(batch)


def table(name: str, columns: str) -> Callable[[Callable[[Plan], Rows]], Table]:
    """Decorator: the function yields rows, in the order of ``columns``."""
    return partial(Table, name, columns)


def statements(file: Path) -> list[str]:
    """The statements of a schema file, each ended at the end of a line: by ``;`` or by the DELIMITER of line one."""
    text = file.read_text(encoding="utf-8")
    end = ";\n"
    if text.startswith("DELIMITER "):
        first, text = text.split("\n", 1)
        end = f"\n{first.split()[1]}\n"
    return [statement for part in text.split(end) if (statement := part.strip())]
