"""Which way to one snapshot is taken. The ways themselves need servers: tests/integration/mysql/test_snapshot.py."""

from __future__ import annotations

import pytest

from include.backup_engine.errors import SnapshotUnproven
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.snapshot import choose_method
from include.backup_engine.records import Flavour, ServerIdentity

RELOAD = "GRANT RELOAD ON *.* TO `b`@`%`"
LOCK_TABLES = "GRANT SELECT, LOCK TABLES ON `s`.* TO `b`@`%`"


def choose(flavour: Flavour, lines: list[str], binary_log: bool) -> str:
    server = ServerIdentity(flavour=flavour, version="1", instance_id="i")
    return choose_method(server, Grants(lines), "s", binary_log)


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
@pytest.mark.parametrize("binary_log", [True, False])
def test_the_strongest_lock_comes_first(flavour: Flavour, binary_log: bool) -> None:
    assert choose(flavour, [RELOAD, LOCK_TABLES], binary_log) == "global_read_lock"
    assert choose(flavour, [LOCK_TABLES], binary_log) == "table_read_locks"


def test_without_locks_only_mariadb_with_a_binary_log_can_prove_it() -> None:
    assert choose("mariadb", [], True) == "equal_coordinates"
    refused: list[tuple[Flavour, bool]] = [("mariadb", False), ("mysql", True), ("mysql", False)]
    for flavour, binary_log in refused:
        with pytest.raises(SnapshotUnproven, match=r"GRANT RELOAD ON \*\.\*, or GRANT LOCK TABLES ON `s`\.\*"):
            choose(flavour, [], binary_log)
