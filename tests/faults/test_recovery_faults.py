"""A recovery that dies half-way: until the rename its target is what it was, and the next run needs no cleaning up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.gate import Gate
from tests.faults.recovery_scene import RecoveryScene
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB

_INCOMING, _BEFORE = "`surgicase_incoming_", "`surgicase_before_"
_DROPS_TRIGGER = "DROP TRIGGER IF EXISTS `surgicase`."


@pytest.fixture(scope="module")
def scene_of_all(tmp_path_factory: pytest.TempPathFactory, aws: Aws) -> Iterator[RecoveryScene]:
    with (
        MariaDB(tmp_path_factory.mktemp("recovery-faults")) as server,
        Gate(server.endpoint.port) as gate,
    ):
        yield RecoveryScene(server, aws, gate)


@pytest.fixture
def target(scene_of_all: RecoveryScene) -> Iterator[RecoveryScene]:
    yield scene_of_all
    scene_of_all.forget()


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(f"CREATE DATABASE {_INCOMING}", id="before the load"),
        pytest.param("INSERT INTO `visits`", id="in the load"),
        pytest.param("SELECT COUNT(*), ", id="in the comparison"),
        pytest.param(f"CREATE DATABASE {_BEFORE}", id="before the journal"),
        pytest.param(f"INSERT INTO {_BEFORE}", id="in the journal"),
        pytest.param(f"DROP TRIGGER IF EXISTS {_INCOMING}", id="after the journal"),
    ],
)
def test_killed_before_the_target_is_touched(target: RecoveryScene, statement: str) -> None:
    moved_on = target.bad_day()
    target.killed_at(statement)
    assert target.differences(moved_on) == []
    target.recover()
    target.assert_recovered(moved_on)


def test_killed_when_the_triggers_of_the_target_are_gone(target: RecoveryScene) -> None:
    moved_on = target.bad_day()
    target.killed_at(_DROPS_TRIGGER, _DROPS_TRIGGER)
    assert all(line.startswith("trigger ") and line.endswith(" is missing") for line in target.differences(moved_on))
    target.recover()
    target.assert_recovered(moved_on)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(" TRIGGER visits_note", id="in the triggers"),
        pytest.param("ALTER DATABASE `surgicase`", id="after the triggers"),
        pytest.param(" VIEW `names`", id="in the views"),
        pytest.param(f"DROP TABLE {_BEFORE}", id="before the journal goes"),
        pytest.param(f"DROP DATABASE {_INCOMING}", id="at the end"),
    ],
)
def test_killed_after_the_rename(target: RecoveryScene, statement: str) -> None:
    moved_on = target.bad_day()
    target.killed_at("RENAME TABLE", statement)
    tables = [line for line in target.differences(target.backup) if line.startswith("table ")]
    # A default that draws from a sequence still names the database that the table came from.
    assert tables in ([], ["table audit_log has another definition"])
    target.recover()
    target.assert_recovered(moved_on, runs=2)
