"""How many connections read a source when its policy does not say: as it suits the worker and the server."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from include.backup_engine.mysql import parallel
from include.backup_engine.mysql.parallel import reading_connections, server_cores
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.policy import SourcePolicy, ThrottlePolicy
from tests.integration.mysql.conftest import NewAccount, Pair


def policy(threads_running: int | None = None, **options: object) -> SourcePolicy:
    throttle = ThrottlePolicy(threads_running=threads_running)
    return SourcePolicy.model_validate({"conn_id": "c", "database": "d", "throttle": throttle, **options})


def test_the_server_tells_how_many_cores_it_has(database: str, pair: Pair, new_account: NewAccount) -> None:
    """MariaDB to every account, MySQL to one that may know of resource groups."""
    shown = {"mariadb": (), "mysql": ("RESOURCE_GROUP_USER ON *.*",)}[pair.flavour]
    with closing(new_account(f"SELECT ON {database}.*", *shown).connect()) as connection:
        assert server_cores(connection, pair.flavour) == len(os.sched_getaffinity(0))


@pytest.mark.servers("mysql")
def test_mysql_does_not_tell_everybody(database: str, pair: Pair, new_account: NewAccount) -> None:
    with closing(new_account(f"SELECT ON {database}.*").connect()) as connection:
        assert server_cores(connection, pair.flavour) is None


@pytest.mark.parametrize(
    ("worker", "server", "threads_running", "expected"),
    [(1, 16, None, 1), (16, 2, None, 2), (16, 16, None, 4), (3, None, None, 3), (16, 16, 9, 3), (16, 16, 5, 1)],
)
def test_by_itself_it_is_the_least_of_what_there_is_room_for(
    pair: Pair, source: Endpoint, monkeypatch: pytest.MonkeyPatch, worker: int, server: int | None,
    threads_running: int | None, expected: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(os, "cpu_count", lambda: worker)
    monkeypatch.setattr(parallel, "server_cores", lambda *_: server)
    with closing(source.connect()) as connection:
        assert reading_connections(policy(threads_running), connection, pair.flavour) == expected
        assert reading_connections(policy(parallel=6), connection, pair.flavour) == 6
