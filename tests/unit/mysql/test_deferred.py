"""Which keys of a table wait until its rows are in, and which table is left as it is."""

from __future__ import annotations

import pytest

from include.backup_engine.mysql.deferred import LARGE_TABLE_BYTES, Deferred, defer, large_tables
from include.backup_engine.records import Section

VISITS = b"""CREATE TABLE `visits` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'a KEY `x` (`y`), and more',
  `patient` int(11) NOT NULL,
  `no` varchar(10) DEFAULT '),',
  PRIMARY KEY (`id`),
  UNIQUE KEY `no` (`no`),
  KEY `patient` (`patient`,`no`(4)) COMMENT 'x,',
  CONSTRAINT `visits_patient` FOREIGN KEY (`patient`) REFERENCES `patients` (`id`) ON DELETE CASCADE,
  CONSTRAINT `positive` CHECK (`patient` > 0)
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4
/*!50100 PARTITION BY KEY (`id`) */"""


def test_keys_wait_for_the_rows_and_foreign_keys_for_all_tables() -> None:
    deferred = defer(VISITS, frozenset({"visits"}))
    assert deferred.create == VISITS.replace(b",\n  UNIQUE KEY `no` (`no`)", b"").replace(
        b",\n  KEY `patient` (`patient`,`no`(4)) COMMENT 'x,'", b""
    ).replace(
        b",\n  CONSTRAINT `visits_patient` FOREIGN KEY (`patient`) REFERENCES `patients` (`id`) ON DELETE CASCADE", b""
    )
    assert deferred.keys == (
        b"ALTER TABLE `visits` ADD UNIQUE KEY `no` (`no`), ADD KEY `patient` (`patient`,`no`(4)) COMMENT 'x,'"
    )
    assert deferred.foreign_keys == (
        b"ALTER TABLE `visits` ADD CONSTRAINT `visits_patient` FOREIGN KEY (`patient`) REFERENCES `patients` (`id`)"
        b" ON DELETE CASCADE"
    )


def test_a_small_table_waits_only_for_the_keys_of_a_large_one_that_it_refers_to() -> None:
    deferred = defer(VISITS, frozenset({"patients"}))
    assert deferred.keys is None
    assert deferred.foreign_keys is not None
    assert b"KEY `patient`" in deferred.create
    assert defer(VISITS, frozenset({"others"})) == Deferred(VISITS)


@pytest.mark.parametrize(
    ("what", "to"),
    [
        (b"ENGINE=InnoDB", b"ENGINE=MyISAM"),
        (b"CHARSET=utf8mb4", b"CHARSET=utf8mb4 WITH SYSTEM VERSIONING"),
        (b"  PRIMARY KEY (`id`)", b"  KEY `id` (`id`)"),  # a unique key may then be what orders the rows
        (b"  PRIMARY KEY (`id`)", b"  PRIMARY KEY (`patient`)"),  # AUTO_INCREMENT needs a key of its own
        (b"  UNIQUE KEY `no` (`no`)", b"  FULLTEXT KEY `no` (`no`)"),  # one alone would change the order of keys
        (b"  UNIQUE KEY `no` (`no`)", b"  UNIQUE KEY `no` ((lower(`no`)))"),
        (b"CREATE TABLE `visits` (", b"CREATE TABLE `visits` LIKE `x`"),
    ],
)
def test_a_table_whose_keys_are_not_understood_keeps_them(what: bytes, to: bytes) -> None:
    assert what in VISITS
    create = VISITS.replace(what, to)
    deferred = defer(create, frozenset({"visits"}))
    assert deferred.keys is None
    assert b"KEY `patient`" in deferred.create


def _section(kind: str, name: str, size: int, rows: int | None = None) -> Section:
    where = {"sql_offset": 0, "compressed_offset": 0, "member_sql_offset": 0}
    return Section.model_validate({"kind": kind, "name": name, "sql_length": size, "rows": rows} | where)


def test_a_table_in_pieces_is_as_large_as_all_of_these() -> None:
    half = LARGE_TABLE_BYTES // 2
    rooms, cases = _section("table", "rooms", 9, 1), [_section("table", "cases", half, rows) for rows in (500, None)]
    assert large_tables([cases[0], rooms, cases[1]]) == [cases[0].model_copy(update={"sql_length": 2 * half})]
