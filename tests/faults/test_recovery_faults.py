"""A recovery that dies half-way: until the rename its target is what it was, and the next run needs no cleaning up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing

import pytest

from include.backup_engine.errors import BackupError, LoadFailed, RecoveryFailed, SourceUnavailable
from tests.faults.gate import Gate
from tests.faults.recovery_scene import RecoveryScene
from tests.servers.database import Database
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB
from tests.servers.processes import wait_until

_INCOMING, _BEFORE = "`surgicase_incoming_", "`surgicase_before_"
_DROPS_TRIGGER = "DROP TRIGGER IF EXISTS `surgicase`."


@pytest.fixture(scope="module", params=["fragile_mariadb_11", "fragile_mysql"], ids=["mariadb-11", "mysql"])
def scene_of_others(request: pytest.FixtureRequest, aws: Aws) -> Iterator[RecoveryScene]:
    server: Database = request.getfixturevalue(request.param)
    with Gate(server.endpoint.port) as gate, closing(RecoveryScene(server, aws, gate)) as scene:
        yield scene


@pytest.fixture
def other_target(scene_of_others: RecoveryScene) -> Iterator[RecoveryScene]:
    yield scene_of_others
    scene_of_others.forget()


@pytest.fixture(scope="module")
def scene_of_all(tmp_path_factory: pytest.TempPathFactory, aws: Aws) -> Iterator[RecoveryScene]:
    folder = tmp_path_factory.mktemp("recovery-faults")
    with (
        MariaDB(folder, options=["--log-bin-trust-function-creators=1"]) as server,
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
    killed_when_triggers_are_gone(target)


def test_p36_killed_when_the_triggers_are_gone_on_other_servers(other_target: RecoveryScene) -> None:
    killed_when_triggers_are_gone(other_target)


def killed_when_triggers_are_gone(target: RecoveryScene) -> None:
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
    killed_after_the_rename(target, statement)


def test_p36_killed_after_the_rename_on_other_servers(other_target: RecoveryScene) -> None:
    killed_after_the_rename(other_target, " VIEW `names`")


def killed_after_the_rename(target: RecoveryScene, statement: str) -> None:
    moved_on = target.bad_day()
    target.killed_at("RENAME TABLE", statement)
    tables = [line for line in target.differences(target.backup) if line.startswith("table ")]
    # A default that draws from a sequence still names the database that the table came from.
    assert tables in ([], ["table audit_log has another definition"])
    target.recover()
    target.assert_recovered(moved_on, runs=2)


def test_a_rename_that_waits_while_its_worker_hangs(target: RecoveryScene) -> None:
    moved_on = target.bad_day()
    with closing(target.server._connect("surgicase")) as holder, target.process() as hanging:
        holder.begin()
        holder.cursor().execute("SELECT * FROM wards")
        waiting = "SELECT id FROM information_schema.processlist WHERE info LIKE 'RENAME TABLE%'"
        wait_until(lambda: bool(target.server.sql(waiting)), 60, "nothing is renamed")
        hanging.send_signal(signal.SIGSTOP)
        # Not ended, it would run now: when the triggers are put back, and before what looks empty is dropped.
        target.at(holder.rollback, " TRIGGER patients_change")
        target.recover()
    target.assert_recovered(moved_on)


# The server -----------------------------------------------------------------------------------------------


def test_the_connections_of_the_load_are_killed(target: RecoveryScene) -> None:
    moved_on = target.bad_day()
    target.at(lambda: target.server.sql("KILL USER recovery"), "INSERT INTO `visits`")
    with pytest.raises((LoadFailed, SourceUnavailable)):  # by whether rows or a question were on their way
        target.recover()
    assert target.differences(moved_on) == []
    target.recover()
    target.assert_recovered(moved_on)


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(["INSERT INTO `patients`"], id="in the load"),
        pytest.param(["INSERT INTO `patients`", "SELECT COUNT(*), "], id="in the comparison"),
        pytest.param([_DROPS_TRIGGER, _DROPS_TRIGGER], id="in the swap"),
    ],
)
def test_the_server_is_killed(target: RecoveryScene, statements: list[str]) -> None:
    server_is_killed(target, statements)


def test_p36_the_server_is_killed_in_the_swap_on_other_servers(other_target: RecoveryScene) -> None:
    server_is_killed(other_target, [_DROPS_TRIGGER, _DROPS_TRIGGER])


def server_is_killed(target: RecoveryScene, statements: list[str]) -> None:
    moved_on = target.bad_day()
    target.at(lambda: target.server.signal(signal.SIGKILL), *statements)
    with pytest.raises(BackupError) as raised:
        target.recover()
    target.server.stop()
    target.server.start()
    if isinstance(raised.value, RecoveryFailed):
        assert "Run disaster_recovery again" in raised.value.remedy
        assert all(line.startswith("trigger ") for line in target.differences(moved_on))
    else:
        assert target.differences(moved_on) == []
    target.recover()
    target.assert_recovered(moved_on)
