"""What the counter of rows that are sent as data must not believe."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest

from include.backup_engine.errors import LoadFailed
from include.backup_engine.mysql.load import Loader
from include.backup_engine.mysql.row_data import RowData
from include.backup_engine.records import ServerIdentity


class _Galera:
    """Takes all rows, and undoes the transaction at its COMMIT, once; no server here can be brought to do so."""

    def __init__(self) -> None:
        self.statements: list[bytes] = []

    def query(self, statement: bytes) -> int:
        self.statements.append(statement)
        if statement == b"COMMIT" and self.statements.count(b"COMMIT") == 1:
            raise pymysql.err.OperationalError(1213, "Deadlock found when trying to get lock")
        return 0


class _Taken(RowData):
    def send(self, connection: Any, inserts: Any) -> int | None:
        return len(inserts)


def test_rows_that_a_deadlock_at_commit_has_undone_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    server: Any = _Galera()
    monkeypatch.setattr(RowData, "of", lambda *_: _Taken(b"INSERT INTO `t` VALUES ", b""))
    identity = ServerIdentity(flavour="mariadb", version="10.11.0", instance_id="")
    loader = Loader(
        [server], "t", server=identity, source_database="s", other_schemas=[], powerful=False, as_data={"t": 1}
    )
    loader._rows.session_is_plain = True
    with pytest.raises(LoadFailed, match="error 1213"):
        loader.load([b"CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB;\nINSERT INTO `t` VALUES (1);\n"])
    assert server.statements.count(b"COMMIT") == 1
