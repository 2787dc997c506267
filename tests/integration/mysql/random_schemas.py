"""Random tables with random rows, each with at most one other object beside it, and one change to be made in a copy."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from include.backup_engine.mysql.server import quote
from include.backup_engine.records import Flavour
from tests.integration.mysql.random_columns import Column, Kind, a_column, comments, names, plain, text


@dataclass(frozen=True)
class Change:
    """One change in the copy, and the object that the comparison must name."""

    what: str
    statements: list[str]
    label: str


@dataclass(frozen=True)
class Example:
    """What is created, and how it is changed in the copy.

    :param fallback: a change that always is one, for when ``change`` turns out to be none (a value that is there).
    :param kinds: the types of its columns.
    """

    table: str
    statements: list[str]
    change: Change
    fallback: Change
    kinds: list[str]


_PARTITIONS = [
    "PARTITION BY HASH (`k`) PARTITIONS 3",
    "PARTITION BY KEY (`k`) PARTITIONS 2",
    "PARTITION BY RANGE (`k`) (PARTITION `p``1` VALUES LESS THAN (3) COMMENT 'it''s',"
    " PARTITION p2 VALUES LESS THAN MAXVALUE)",
    "PARTITION BY LIST (`k` MOD 2) (PARTITION a VALUES IN (0), PARTITION b VALUES IN (1, -1))",
]
_OPTIONS = [
    "", "", "", "DEFAULT CHARSET=latin1", "DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin", "DEFAULT CHARSET=binary",
    "DEFAULT CHARSET=utf16", "ROW_FORMAT=DYNAMIC", "ROW_FORMAT=COMPRESSED", "STATS_PERSISTENT=1", "MAX_ROWS=9",
]  # fmt: skip


@dataclass(frozen=True)
class _Table:
    """A table of an example: its parts, as SQL."""

    number: int
    name: str
    columns: list[Column]
    primary: bool
    keys: list[str]
    check: str
    foreign: str
    partition: str
    versioned: bool
    head: str
    comment: str

    @property
    def sql(self) -> str:
        return quote(self.name)

    @property
    def filled(self) -> list[Column]:
        return [column for column in self.columns if not column.generated]

    @property
    def counts(self) -> bool:
        return "AUTO_INCREMENT" in self.head

    @property
    def create(self) -> str:
        parts = [self.head, *(c.sql() for c in self.columns), *self.keys, *filter(None, (self.check, self.foreign))]
        history = "WITH SYSTEM VERSIONING" if self.versioned else ""
        return f"CREATE TABLE {self.sql} ({', '.join(parts)}) {self.comment} {history} {self.partition}"


@st.composite
def examples(draw: DrawFn, flavour: Flavour, number: int) -> Example:
    """Examples for a server of that flavour.

    :param number: makes the names unique.
    """
    table = _table(draw, flavour, number)
    rows = _rows(draw, table)
    statements = [table.create, *rows, *([f"ALTER TABLE {table.sql} AUTO_INCREMENT = 500"] if table.counts else [])]
    label = f"table {table.name}"
    changes = [*_of_table(table, label, flavour), *_of_rows(draw, table, label, bool(rows))]
    changes += [change for column in table.columns for change in _of_column(table.sql, label, column)]
    chosen = draw(st.sampled_from(changes))
    if chosen.what != "a table is missing" and draw(st.booleans()):
        statement, of_it = draw(st.sampled_from(_beside(draw, flavour, table.name, number)))
        statements.append(statement)
        if draw(st.booleans()):
            chosen = draw(st.sampled_from(of_it))
    return Example(table.name, statements, chosen, changes[0], [column.kind.sql for column in table.columns])


def _table(draw: DrawFn, flavour: Flavour, number: int) -> _Table:
    name = draw(names) + f"#{number}"
    columns = [a_column(draw, n, flavour) for n in range(draw(st.integers(1, 5)))]
    keyed = draw(st.sampled_from(["PRIMARY KEY (`k`)"] * 4 + ["", "KEY `by k` (`k`)"]))
    primary = keyed.startswith("PRIMARY")
    partition = draw(st.sampled_from([""] * 6 + _PARTITIONS))
    engine = "InnoDB" if partition else draw(st.sampled_from(["InnoDB"] * 8 + ["MyISAM"]))
    versioned = flavour == "mariadb" and not partition and draw(st.integers(0, 11)) == 0
    check = draw(st.sampled_from(["", "CONSTRAINT {} CHECK (`k` > -9)"])).format(quote(f"check {number}"))
    calculated = check or any(column.generated for column in columns)
    counter = "AUTO_INCREMENT" if keyed and not calculated and draw(st.booleans()) else ""
    keys = [*filter(None, [keyed]), *(key for n, c in enumerate(columns) if (key := _key(draw, n, c)))]
    foreign = ""
    if engine == "InnoDB" and primary and not partition and not versioned and draw(st.integers(0, 5)) == 0:
        foreign = f"CONSTRAINT {quote(f'to itself {number}')} FOREIGN KEY (`up`) REFERENCES {quote(name)} (`k`)"
        columns.append(Column("up", Kind("int", st.just("1"), key=None, default=False)))
    comment = f"ENGINE={engine} {draw(st.sampled_from(_OPTIONS))} COMMENT={plain(draw(comments))}"
    head = f"`k` int NOT NULL {counter}"
    return _Table(number, name, columns, primary, keys, check, foreign, partition, versioned, head, comment)


def _key(draw: DrawFn, number: int, column: Column) -> str:
    if column.kind.key is None or draw(st.integers(0, 2)):
        return ""
    unique = draw(st.sampled_from(["UNIQUE ", "", "", ""]))
    parts = f"{column.kind.key.format(quote(column.name))}, `k`{draw(st.sampled_from(['', ' DESC']))}"
    return f"{unique}KEY {quote(draw(names) + f'.{number}')} ({parts})"


def _rows(draw: DrawFn, table: _Table) -> list[str]:
    listed = ", ".join(["`k`", *(quote(column.name) for column in table.filled)])
    tuples = [
        ", ".join([str(k), *(draw(st.just("NULL") | c.kind.values if c.null else c.kind.values) for c in table.filled)])
        for k in range(1, 1 + draw(st.sampled_from([0, 1, 2, 3, 5])))
    ]
    if not table.primary:
        tuples += tuples[: draw(st.integers(0, 2))]
    statements = [f"INSERT IGNORE INTO {table.sql} ({listed}) VALUES ({row})" for row in tuples]
    if table.versioned and tuples and not table.foreign:
        statements.append(f"UPDATE {table.sql} SET `k` = `k` + 100 WHERE `k` = 1 LIMIT 1")
    return statements


def _of_table(table: _Table, label: str, flavour: Flavour) -> list[Change]:
    """Changes of its definition; the first always is one."""
    number = table.number
    clauses = [
        ("a table's comment", "COMMENT = 'another; comment'"),
        ("an index more", "ADD KEY `another` (`k`)"),
        ("a check more", f"ADD CONSTRAINT {quote(f'more {number}')} CHECK (`k` < 99999)"),
        ("a column more", "ADD `one more` int"),
        ("a table's collation", "DEFAULT CHARACTER SET latin1 COLLATE latin1_danish_ci"),
        ("a table's options", "STATS_PERSISTENT=0 STATS_SAMPLE_PAGES=3"),
        ("a table's row format", "ROW_FORMAT=REDUNDANT"),
    ]
    names_of_keys = [key.removeprefix("UNIQUE ").split(" (")[0] for key in table.keys if not key.startswith("PRIMARY")]
    clauses += [("an index less", f"DROP {key}") for key in names_of_keys]
    if table.check:
        verb = "CHECK" if flavour == "mysql" else "CONSTRAINT"
        clauses.append(("a check less", f"DROP {verb} {quote(f'check {number}')}"))
    if table.foreign:
        clauses += [("a foreign key less", f"DROP FOREIGN KEY {quote(f'to itself {number}')}")] * 3
    if table.counts:
        clauses[1:1] = [("a counter set back", "AUTO_INCREMENT = 200")] * 5
    if table.partition:
        clauses += [("partitions", "PARTITION BY HASH (`k`) PARTITIONS 7")] * 3
    return [
        *(Change(what, [f"ALTER TABLE {table.sql} {clause}"], label) for what, clause in clauses),
        Change("a table is missing", [f"DROP TABLE {table.sql}"], label),
    ]


def _of_rows(draw: DrawFn, table: _Table, label: str, has_rows: bool) -> list[Change]:
    name = table.sql
    made = [("a row more", f"INSERT IGNORE INTO {name} (`k`) VALUES (77)")]
    if not has_rows:
        return [Change(what, [statement], label) for what, statement in made]
    made += [
        ("a row less", f"DELETE FROM {name} LIMIT 1"),
        ("a value", f"UPDATE {name} SET `k` = `k` + 1000 ORDER BY `k` DESC LIMIT 1"),
    ]
    if not table.primary:
        listed = ", ".join(["`k`", *(quote(column.name) for column in table.filled)])
        made += [("a row twice", f"INSERT INTO {name} ({listed}) SELECT {listed} FROM {name} LIMIT 1")] * 3
    if table.versioned:
        made += [("history", f"DELETE HISTORY FROM {name}")] * 3
    for column in table.filled:
        value = draw(column.kind.values if column.kind.changes is None else column.kind.changes)
        update = f"UPDATE IGNORE {name} SET {quote(column.name)} = {value} ORDER BY `k` LIMIT 1"
        made += [(f"a value of {column.kind.sql}", update)] * 3
        if column.null:
            made.append(("a NULL", f"UPDATE {name} SET {quote(column.name)} = NULL LIMIT 1"))
    return [Change(what, [statement], label) for what, statement in made]


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

    def code(
        kind: str, create: str, anew: list[tuple[str, str, str]], alter: tuple[str, ...] = ()
    ) -> tuple[str, list[Change]]:
        """Drop it, alter it, or create it anew: with something replaced, or by a session that is set up otherwise."""
        label, drop = f"{kind} {name}", f"DROP {kind.upper()} {own}"
        sessions = [("connection's collation", "collation_connection = utf8mb4_bin", "NAMES utf8mb4")]
        if kind != "view":
            sessions.append(("SQL mode", "sql_mode = 'ANSI_QUOTES'", "sql_mode = ''"))
        return create, [
            Change(f"a {kind} is missing", [drop], label),
            *(Change(f"a {kind}: ALTER", [f"ALTER {kind.upper()} {own} {clause}"], label) for clause in alter),
            *(Change(f"a {kind}: {what}", [drop, create.replace(old, new)], label) for what, old, new in anew),
            *(Change(f"a {kind}: {what}", [drop, f"SET {to}", create, f"SET {back}"], label)
              for what, to, back in sessions),
        ]  # fmt: skip

    made = [
        code("view",
             f"CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW {own} AS SELECT `k`, {literal} AS `x` FROM {on}"
             " WHERE `k` > 0",
             [("condition", "> 0", ">= 0"), ("algorithm", "MERGE", "TEMPTABLE"), ("security", "INVOKER", "DEFINER")]),
        code("trigger", f"CREATE TRIGGER {own} BEFORE UPDATE ON {on} FOR EACH ROW SET @a = {literal}",
             [("timing", "BEFORE", "AFTER"), ("event", "UPDATE", "DELETE"), ("body", "@a", "@b")]),
        code("procedure",
             f"CREATE PROCEDURE {own}(IN a int) SQL SECURITY INVOKER COMMENT {note} BEGIN SELECT {literal}, a; END",
             [("parameter", "IN a", "INOUT a"), ("body", ", a;", ", a + 1;")],
             ("SQL SECURITY DEFINER", "READS SQL DATA", "COMMENT 'another one'")),
        code("function",
             f"CREATE FUNCTION {own}(a int) RETURNS varchar(20) CHARACTER SET utf8mb4 DETERMINISTIC RETURN {literal}",
             [("result", "varchar(20)", "varchar(21)"), ("says", "DETERMINISTIC", "NOT DETERMINISTIC NO SQL")]),
        code("event",
             f"CREATE EVENT {own} ON SCHEDULE EVERY 5 HOUR STARTS '2026-03-29 02:30:00' ON COMPLETION PRESERVE DISABLE"
             f" COMMENT {note} DO SET @a = {literal}",
             [("start", "02:30:00", "03:30:00")],
             ("ON SCHEDULE EVERY 6 HOUR", "DO SET @b = 2", "ON COMPLETION NOT PRESERVE", "COMMENT 'another one'",
              "ENABLE")),
    ]  # fmt: skip
    if flavour == "mariadb":
        changes = {"value": "RESTART 2", "step": "INCREMENT BY 4", "end": "MAXVALUE 6000", "cycle": "CYCLE"}
        made.append((
            f"CREATE SEQUENCE {own} START WITH 50 INCREMENT BY 3 MAXVALUE 5000",
            [Change(f"a sequence's {what}", [f"ALTER SEQUENCE {own} {clause}"], f"sequence {name}")
             for what, clause in changes.items()],
        ))  # fmt: skip
    return made
