"""A site to recover: the demo's stack and its running Airflow, shared by the modules of this folder."""

from __future__ import annotations

import json

import pytest

from include.backup_engine.store.catalog import Catalog
from tests.demo.stack import SOURCE, Stack, create_account
from tests.e2e.recovery_site import Site
from tests.servers.airflow import Airflow


@pytest.fixture(scope="session")
def site(airflow: Airflow, demo_stack: Stack) -> Site:
    """The recovery account and its connection exist, and so does a backup of the source."""
    server = demo_stack.source
    create_account(server, "recovery_account.sql", "recovery", "recovery-secret")
    server.sql(
        "SET GLOBAL log_bin_trust_function_creators = 1;"
        "GRANT SELECT, EXECUTE ON `surgicase\\_before\\_%`.* TO surgicase_app@'%'"
    )
    assert server.certificate is not None
    where = server.endpoint
    connection = {
        "connection_id": "recovery_mysql", "conn_type": "mysql", "host": where.host, "port": where.port,
        "login": "recovery", "password": "recovery-secret",
        "extra": json.dumps({"ssl": {"ca": str(server.certificate.authority)}}),
    }  # fmt: skip
    airflow.api("POST", "/connections", connection)
    if not any(entry.state == "complete" for entry in Catalog(demo_stack.vault()).entries(SOURCE)):
        airflow.succeed("nightly_backup")
    return Site(airflow, demo_stack)
