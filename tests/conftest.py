"""Fixtures that start real parts, each on first use and once a session, and an Airflow that knows only this folder.

The environment is set here, at import: Airflow reads it when it is imported, and no test may reach a developer's
own Airflow, AWS account or policy. ``AWS_TEST_ENDPOINT=http://127.0.0.1:PORT`` uses a LocalStack that runs already.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from xdist.remote import Producer  # type: ignore[import-untyped]  # ships no types
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # ships no types

from include.backup_engine.mysql.client import find_dump_program
from tests.demo.stack import Stack, stack
from tests.servers.airflow import Airflow, hermetic_environment
from tests.servers.database import Tree
from tests.servers.localstack import Aws, LocalStack, Vault
from tests.servers.mariadb import MariaDB
from tests.servers.mysql import MySQL
from tests.servers.processes import ROOT
from tests.servers.statsd import StatsD

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import BundleDagBag

# How long an example takes says how busy the machine is.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

_running_localstack = os.environ.get("AWS_TEST_ENDPOINT")
_home = Path(tempfile.mkdtemp(prefix="airflow-test-"))
_environment = hermetic_environment(_home, os.environ)
os.environ.clear()
os.environ.update(_environment)


_SHARED = {"tests/e2e": "Airflow", "tests/faults": "Airflow", "tests/dags": "DAGs", "tests/integration/mysql": "MySQL"}


class ByServers(LoadScopeScheduling):  # type: ignore[misc]  # of unknown type
    """One worker runs the tests of a file, and all files that share what takes long to start."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _SHARED.get(file.rpartition("/")[0], file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByServers:
    """How ``make test`` distributes tests to its workers (pytest-xdist)."""
    return ByServers(config, log)


def pytest_unconfigure() -> None:
    """Remove what Airflow has written."""
    shutil.rmtree(_home, ignore_errors=True)


@pytest.fixture(scope="session")
def clients() -> Iterator[None]:
    """The dump programs of all servers are on PATH, behind the system's own."""
    before = os.environ["PATH"]
    os.environ["PATH"] = os.pathsep.join([before, *(str(Tree.of(name).clients) for name in ("mariadb", "mysql"))])
    find_dump_program.cache_clear()
    yield
    os.environ["PATH"] = before
    find_dump_program.cache_clear()


@pytest.fixture(scope="session")
def mariadb_source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A database server to back up."""
    with MariaDB(tmp_path_factory.mktemp("mariadb-source"), tls=True) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """Another database server, to restore into."""
    with MariaDB(tmp_path_factory.mktemp("mariadb-scratch")) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_11(clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A MariaDB of the 11.8 series, to back up and to restore into."""
    with MariaDB(tmp_path_factory.mktemp("mariadb-11"), tree=Tree.of("mariadb"), tls=True) as server:
        yield server


@pytest.fixture(scope="session")
def mysql_source(clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQL]:
    """A MySQL server to back up."""
    with MySQL(tmp_path_factory.mktemp("mysql-source"), tls=True) as server:
        yield server


@pytest.fixture(scope="session")
def mysql_scratch(clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQL]:
    """Another MySQL server, to restore into."""
    with MySQL(tmp_path_factory.mktemp("mysql-scratch"), options=["--local-infile=ON"]) as server:
        yield server


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """S3 and KMS. Tests share it, so each takes its own bucket (:func:`vault`)."""
    if _running_localstack:
        yield Aws(_running_localstack)
    else:
        with LocalStack(tmp_path_factory.mktemp("localstack")) as server:
            yield server.aws


@pytest.fixture
def vault(aws: Aws) -> Vault:
    """A new bucket, and the two keys that all vaults of the session share."""
    return aws.seed(bucket=f"backups-{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="session")
def demo_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The demo's servers, accounts and policy, on 20 MB of data."""
    with stack(tmp_path_factory.mktemp("demo-stack"), 20) as parts:
        yield parts


@pytest.fixture(scope="session")
def metrics() -> Iterator[StatsD]:
    """Where the running Airflow sends its metrics."""
    with StatsD() as server:
        yield server


@pytest.fixture(scope="session")
def airflow(demo_stack: Stack, metrics: StatsD) -> Iterator[Airflow]:
    """A running Airflow on the demo stack; its temporary files go to ``demo_stack.folder / "tmp"`` and nowhere else."""
    temporary = demo_stack.folder / "tmp"
    temporary.mkdir()
    with demo_stack.airflow({"TMPDIR": str(temporary)} | metrics.environment) as running:
        yield running


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Airflow's metadata database, for ``dag.test()``."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="session")
def dagbag(airflow_db: None) -> BundleDagBag:
    """The repository's DAGs, read as the DAG processor reads them."""
    from airflow.dag_processing.dagbag import BundleDagBag

    return BundleDagBag(ROOT / "dags", bundle_path=ROOT / "dags", bundle_name="dags-folder")
