"""Each test that asks for a server runs on every pair of them, or on those that its mark ``servers`` names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from include.backup_engine.mysql.server import Endpoint, quote
from include.backup_engine.records import Flavour
from tests.demo.surgicase import connector, generate
from tests.servers.database import Database
from tests.servers.mysql import MySQL

DEMO = "surgicase_mirror"
PASSWORD = 'it\'s "quoted" \\ and spaced'
NewAccount = Callable[..., Endpoint]
PAIRS = {
    "mariadb": ("mariadb_source", "mariadb_scratch"),
    "mariadb-11": ("mariadb_11", "mariadb_11"),
    "mysql": ("mysql_source", "mysql_scratch"),
    "mariadb-upgrade": ("mariadb_source", "mariadb_11"),
}
ALIKE = ("mariadb", "mariadb-11", "mysql")
"""Those whose source and scratch server are of one version."""
MARIADB = pytest.mark.servers("mariadb", "mariadb-11")
"""For what MySQL does not have."""


@dataclass(frozen=True)
class Pair:
    """Where a backup comes from, and where it is restored."""

    source: Database
    scratch: Database

    @property
    def flavour(self) -> Flavour:
        """Both are of one flavour."""
        return "mysql" if isinstance(self.source, MySQL) else "mariadb"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pair" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("servers")
        metafunc.parametrize("pair", mark.args if mark else ALIKE, indirect=True, scope="session")


@pytest.fixture(scope="session", autouse=True)
def _clients(clients: None) -> None:
    """The right dump program is found although all others are there."""


@pytest.fixture(scope="session")
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """The servers of this test."""
    source, scratch = (request.getfixturevalue(name) for name in PAIRS[request.param])
    # Functions may be created there although it writes a binary log.
    scratch.sql("SET GLOBAL log_bin_trust_function_creators = 1")
    yield Pair(source, scratch)
    for server in (source, scratch):
        drop_copies(server)


def root_of(server: Database) -> Endpoint:
    return Endpoint(user="root", unix_socket=str(server.endpoint.socket))


def drop_copies(server: Database) -> None:
    for (name,) in server.sql("SHOW DATABASES LIKE 'mirror\\_%'"):
        server.sql(f"DROP DATABASE {quote(name)}")


@pytest.fixture(scope="session")
def source(pair: Pair) -> Endpoint:
    """The source server's administrator."""
    return root_of(pair.source)


@pytest.fixture(scope="session")
def scratch(pair: Pair) -> Endpoint:
    """The other server's administrator."""
    return root_of(pair.scratch)


@pytest.fixture(scope="session")
def demo(pair: Pair) -> Iterator[str]:
    """The demo database, for tests that do not change it or do not mind."""
    pair.source.sql(f"DROP DATABASE IF EXISTS {DEMO}")
    generate(connector(str(pair.source.endpoint.socket)), DEMO, size_mb=5)
    yield DEMO
    pair.source.sql(f"DROP DATABASE {DEMO}")


@pytest.fixture
def database(pair: Pair) -> Iterator[str]:
    """An empty database."""
    pair.source.sql("CREATE DATABASE mirror_test CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    yield "mirror_test"
    pair.source.sql("DROP DATABASE mirror_test")


@pytest.fixture
def new_account(pair: Pair) -> Iterator[NewAccount]:
    """Creates an account with the given grants; the result connects as it, over TCP."""
    created: list[str] = []

    def new_account(*grants: str) -> Endpoint:
        name = f"mirror_{len(created)}"
        pair.source.sql(f"DROP USER IF EXISTS {name}@'%'")
        pair.source.sql(f"CREATE USER {name}@'%%' IDENTIFIED BY %s", PASSWORD)
        created.append(name)
        for grant in grants:
            what, word, option = grant.partition(" WITH ")
            pair.source.sql(f"GRANT {what} TO {name}@'%'" + word + option)
        where = pair.source.endpoint
        return Endpoint(host=where.host, port=where.port, user=name, password=PASSWORD)

    yield new_account
    for name in created:
        pair.source.sql(f"DROP USER {name}@'%'")
