"""Which way to one snapshot is taken. The ways themselves need servers: tests/integration/mysql/test_snapshot.py."""

from __future__ import annotations

import pytest

from include.backup_engine.errors import SnapshotUnproven
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.snapshot import ladder
from include.backup_engine.records import Flavour, ServerIdentity, Verdict

RELOAD = "GRANT RELOAD ON *.* TO `b`@`%`"
LOCK_TABLES = "GRANT SELECT, LOCK TABLES ON `s`.* TO `b`@`%`"


def choose(flavour: Flavour, lines: list[str], binary_log: bool, accepted: Verdict = "ddl-checked") -> list[str]:
    server = ServerIdentity(flavour=flavour, version="1", instance_id="i")
    return list(ladder(server, Grants(lines), "s", binary_log, accepted))


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
@pytest.mark.parametrize("binary_log", [True, False])
def test_the_strongest_lock_comes_first(flavour: Flavour, binary_log: bool) -> None:
    found = choose(flavour, [RELOAD, LOCK_TABLES], binary_log)
    assert found[:2] == ["global_read_lock", "table_read_locks"]
    assert (found[2:] == ["equal_coordinates"]) == (flavour == "mariadb" and binary_log)
    assert choose(flavour, [LOCK_TABLES], binary_log)[0] == "table_read_locks"


def test_without_locks_only_mariadb_with_a_binary_log_can_prove_it() -> None:
    assert choose("mariadb", [], True) == ["equal_coordinates"]
    refused: list[tuple[Flavour, bool]] = [("mariadb", False), ("mysql", True), ("mysql", False)]
    for flavour, binary_log in refused:
        with pytest.raises(SnapshotUnproven, match=r"GRANT RELOAD ON \*\.\*, or GRANT LOCK TABLES ON `s`\.\*"):
            choose(flavour, [], binary_log)


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_without_proof_only_when_the_policy_says_so_and_as_the_last_resort(flavour: Flavour) -> None:
    assert choose(flavour, [], False, "unproven") == ["none"]
    assert choose(flavour, [RELOAD], False, "unproven") == ["global_read_lock", "none"]
