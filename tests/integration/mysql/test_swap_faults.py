"""A swap that fails: before the rename the target is as it was, after it the next run goes on; on every server.

tests/faults kills whole recoveries, and servers under them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from include.backup_engine import swap as swapping
from include.backup_engine.beside import JOURNAL, leftovers, tidy
from include.backup_engine.cancel import Cancellation
from include.backup_engine.errors import BackupError, Cancelled, RecoveryFailed, RestoreRefused
from include.backup_engine.records import Census
from include.backup_engine.report import Reporter
from tests.faults.bad_day import create, damage
from tests.integration.mysql.conftest import Pair
from tests.integration.swap_site import Site
from tests.servers.localstack import Aws
from tests.servers.processes import wait_until

LIVE = "mirror_ward"


@pytest.fixture(scope="module")
def site(pair: Pair, aws: Aws) -> Iterator[Site]:
    server = pair.source
    server.sql("SET GLOBAL log_bin_trust_function_creators = 1")
    create(server, LIVE)
    yield Site.new(server, LIVE, aws)
    server.sql("DROP USER recovery@'%'")
    for (name,) in server.sql("SHOW DATABASES LIKE 'mirror\\_ward%'"):
        server.sql(f"DROP DATABASE {name}")


@pytest.fixture
def moved_on(site: Site) -> Census:
    """The live database after a bad day."""
    damage(site.server, LIVE)
    return site.everything(LIVE)


Fault = Callable[[pytest.MonkeyPatch, Site], Any]


def _killed(patch: pytest.MonkeyPatch, site: Site) -> Callable[[], object]:
    """Another session holds a table; the connection is killed while the rename waits for it."""
    holder = site.server._connect(site.live)
    holder.begin()
    holder.cursor().execute("SELECT * FROM wards")

    def kill() -> None:
        wait_until(lambda: bool(site.server.sql(renaming)), 60, "nothing is renamed")
        [(waiting,)] = site.server.sql(renaming)
        site.server.sql(f"KILL {waiting}")
        # The lock must not be free before the session is gone: it would still rename.
        wait_until(lambda: not site.server.sql(f"{sessions} id = {waiting}"), 60, "the killed session stays")
        holder.close()

    sessions = "SELECT id FROM information_schema.processlist WHERE"
    renaming = f"{sessions} info LIKE 'RENAME TABLE%'"
    return ThreadPoolExecutor(1).submit(kill).result


def _no_privilege(patch: pytest.MonkeyPatch, site: Site) -> None:
    """The rename itself is refused."""
    real = swapping.drop_definition

    def revoke(connection: Any, database: str, item: Any) -> None:
        real(connection, database, item)
        raise RestoreRefused("injected after a trigger was dropped.", "-")

    patch.setattr(swapping, "drop_definition", revoke)


def _cancelled(patch: pytest.MonkeyPatch, site: Site) -> None:
    patch.setattr(Cancellation, "check", lambda self: (_ for _ in ()).throw(Cancelled("stop", "-")))


def _busy(patch: pytest.MonkeyPatch, site: Site) -> Callable[[], object]:
    patch.setattr(swapping, "_LOCK_SECONDS", 1)
    holder = site.server._connect(site.live)
    holder.begin()
    holder.cursor().execute("SELECT * FROM wards")
    return holder.close


def _disk_full(patch: pytest.MonkeyPatch, site: Site) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    patch.setattr(swapping, "write_down", full)


@pytest.mark.parametrize("fault", [_killed, _no_privilege, _cancelled, _busy, _disk_full])
def test_p36_a_failure_before_the_rename_leaves_the_target_as_it_was(
    site: Site, moved_on: Census, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    incoming, before = site.beside()
    with monkeypatch.context() as patch:
        end_fault = fault(patch, site)
        with pytest.raises((BackupError, OSError)) as failure:
            site.swap(incoming, before)
        if end_fault:
            end_fault()
    assert not isinstance(failure.value, RecoveryFailed), failure.value
    assert site.differences(moved_on, site.live) == []
    assert leftovers(site.endpoint.connect(), site.live, "before") == []
    tidy(site.endpoint, site.live, Reporter())
    assert leftovers(site.endpoint.connect(), site.live, "incoming") == []
    incoming, before = site.beside()
    site.swap(incoming, before)
    assert site.differences(site.census, site.live) == []
    assert site.differences(moved_on, before) == []
    site.server.sql(f"DROP DATABASE `{before}`")


def test_p36_a_process_killed_before_the_rename_is_undone_by_the_next_run(
    site: Site, moved_on: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming, before = site.beside()
    with monkeypatch.context() as patch:
        # What SIGKILL does: nothing after this point runs, not even the undoing.
        patch.setattr(swapping._Exchange, "_undo_or_tell", lambda *_: None)
        real = swapping.drop_definition

        def then_die(connection: Any, database: str, item: Any) -> None:
            real(connection, database, item)
            if database == site.live:
                raise KeyboardInterrupt

        patch.setattr(swapping, "drop_definition", then_die)
        with pytest.raises(KeyboardInterrupt):
            site.swap(incoming, before)
    assert any("trigger" in line for line in site.differences(moved_on, site.live))
    tidy(site.endpoint, site.live, Reporter())
    assert site.differences(moved_on, site.live) == []
    connection = site.endpoint.connect()
    assert leftovers(connection, site.live, "before") + leftovers(connection, site.live, "incoming") == []


def test_p36_a_failure_after_the_rename_says_what_is_where_and_the_next_run_goes_on(
    site: Site, moved_on: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming, before = site.beside()
    with monkeypatch.context() as patch:

        def lost(*_: object) -> None:
            raise RestoreRefused("injected after the rename.", "-")

        patch.setattr(swapping, "replace_definitions", lost)
        with pytest.raises(RecoveryFailed) as failure:
            site.swap(incoming, before)
    text = str(failure.value)
    assert "have been swapped" in text and before in text and "run disaster_recovery again" in text
    assert f"{JOURNAL}" in site.server.sql(f"SHOW TABLES FROM `{before}` LIKE '%journal'")[0]
    tidy(site.endpoint, site.live, Reporter())
    assert site.differences(moved_on, before) == []
    again, second_before = site.beside()
    site.swap(again, second_before)
    assert site.differences(site.census, site.live) == []
    site.server.sql(f"DROP DATABASE `{before}`; DROP DATABASE `{second_before}`")
