from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from include.backup_engine.mysql.server import Endpoint
from tests.demo.surgicase import connector, generate
from tests.servers.mariadb import MariaDB

DEMO = "surgicase_mirror"
PASSWORD = 'it\'s "quoted" \\ and spaced'
NewAccount = Callable[..., Endpoint]


def root_of(server: MariaDB) -> Endpoint:
    return Endpoint(user="root", unix_socket=str(server.endpoint.socket))


def drop_copies(server: MariaDB) -> None:
    for (name,) in server.sql("SHOW DATABASES LIKE 'mirror\\_%'"):
        server.sql(f"DROP DATABASE {name}")


@pytest.fixture(scope="session")
def source(mariadb_source: MariaDB) -> Iterator[Endpoint]:
    """The source server's administrator."""
    yield root_of(mariadb_source)
    drop_copies(mariadb_source)


@pytest.fixture(scope="session")
def scratch(mariadb_scratch: MariaDB) -> Iterator[Endpoint]:
    """The other server's administrator; functions may be created there although it writes a binary log."""
    mariadb_scratch.sql("SET GLOBAL log_bin_trust_function_creators = 1")
    yield root_of(mariadb_scratch)
    drop_copies(mariadb_scratch)


@pytest.fixture(scope="session")
def demo(mariadb_source: MariaDB) -> Iterator[str]:
    """The demo database, for tests that do not change it or do not mind."""
    generate(connector(str(mariadb_source.endpoint.socket)), DEMO, size_mb=5)
    yield DEMO
    mariadb_source.sql(f"DROP DATABASE {DEMO}")


@pytest.fixture
def database(mariadb_source: MariaDB) -> Iterator[str]:
    """An empty database."""
    mariadb_source.sql("CREATE DATABASE mirror_test CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    yield "mirror_test"
    mariadb_source.sql("DROP DATABASE mirror_test")


@pytest.fixture
def new_account(mariadb_source: MariaDB) -> Iterator[NewAccount]:
    """Creates an account with the given grants; the result connects as it, over TCP."""
    created: list[str] = []

    def new_account(*grants: str) -> Endpoint:
        name = f"mirror_{len(created)}"
        mariadb_source.sql(f"CREATE OR REPLACE USER {name}@'%%' IDENTIFIED BY %s", PASSWORD)
        created.append(name)
        for grant in grants:
            mariadb_source.sql(f"GRANT {grant} TO {name}@'%'")
        where = mariadb_source.endpoint
        return Endpoint(host=where.host, port=where.port, user=name, password=PASSWORD)

    yield new_account
    for name in created:
        mariadb_source.sql(f"DROP USER {name}@'%'")
