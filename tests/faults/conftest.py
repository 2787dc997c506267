"""A source and a vault, new for every test, each behind a gate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.gate import Gate
from tests.faults.scene import Scene
from tests.servers.database import Database, Tree
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB
from tests.servers.mysql import MySQL


@pytest.fixture(scope="session")
def fragile_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A database server that a test may kill or damage; the test has to put it right again."""
    with MariaDB(tmp_path_factory.mktemp("mariadb-fragile"), options=["--skip-log-bin"]) as server:
        yield server


@pytest.fixture(scope="session")
def fragile_mariadb_11(clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """The same of the 11.8 series, with a binary log."""
    folder = tmp_path_factory.mktemp("mariadb-11-fragile")
    with MariaDB(folder, options=["--log-bin-trust-function-creators=1"], tree=Tree.of("mariadb")) as server:
        yield server


@pytest.fixture(scope="session")
def fragile_mysql(clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQL]:
    """The same of MySQL, with a binary log."""
    folder = tmp_path_factory.mktemp("mysql-fragile")
    with MySQL(folder, options=["--log-bin-trust-function-creators=1"]) as server:
        yield server


@pytest.fixture
def scene(request: pytest.FixtureRequest, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """What :class:`Scene` says; ``parametrize("scene", ["fragile_server"], indirect=True)`` chooses the server."""
    server: Database = request.getfixturevalue(getattr(request, "param", "mariadb_source"))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with (
        Gate(server.endpoint.port) as source_gate,
        Gate(urlsplit(aws.url).port or 80) as store_gate,
        closing(Scene(server, aws, source_gate, store_gate, temporary)) as scene,
    ):
        yield scene
