"""The DAGs with a policy of three sources: streamed, staged, and in the original format; run in this process."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.policy import load_policy
from include.backup_engine.store.s3 import Vault
from tests.demo.stack import create_account
from tests.demo.surgicase import connector, generate
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB
from tests.servers.processes import ROOT

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

DATABASE = "dags_surgicase"


@dataclass
class Plant:
    """Everything the DAGs of this folder's tests work on."""

    source: MariaDB
    scratch: MariaDB
    vault: Vault
    staging: Path
    run: Callable[[str], DagRun]
    run_streamed: Callable[[str], DagRun]
    """The same with a policy that knows one source only, which is quicker."""


@pytest.fixture(scope="session")
def plant(
    mariadb_source: MariaDB,
    mariadb_scratch: MariaDB,
    aws: Aws,
    airflow_db: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Plant]:
    """Servers with data, accounts with the documented grants, a policy, connections, and the DAGs to run."""
    bucket = aws.seed(bucket=f"dags-{uuid.uuid4().hex[:12]}").bucket
    generate(connector(str(mariadb_source.endpoint.socket)), DATABASE, 5)
    create_account(mariadb_source, "backup_account.sql", "backup", "backup-secret")
    mariadb_source.sql(
        f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `{DATABASE}`.* TO backup@'%';"
        f"GRANT EXECUTE ON FUNCTION `{DATABASE}`.open_cases_of TO backup@'%';"
        "GRANT SELECT ON mysql.* TO backup@'%';"
        "ALTER USER backup@'%' REQUIRE NONE"
    )
    create_account(mariadb_scratch, "drill_account.sql", "drill", "drill-secret")
    mariadb_scratch.sql("ALTER USER drill@'%' REQUIRE NONE; SET GLOBAL log_bin_trust_function_creators = 1")
    staging = tmp_path_factory.mktemp("plant") / "staging"
    document = yaml.safe_load((ROOT / "include" / "policy.yaml").read_text())
    document["vault"]["bucket"] = bucket
    common = {"conn_id": "surgicase_mysql", "database": DATABASE}
    document["sources"] = {
        "streamed": common,
        "staged": common | {"compression": "zstd", "staging_dir": str(staging), "accounts": True},
        "original": common | {"format": "v1"},
    }
    policies = {}
    for name, sources in (("all", document["sources"]), ("streamed", {"streamed": common})):
        policies[name] = staging.parent / f"{name}.yaml"
        policies[name].write_text(yaml.safe_dump(document | {"sources": sources}))
    environment = {
        "AIRFLOW_CONN_SURGICASE_MYSQL": mariadb_source.airflow_connection("backup", "backup-secret"),
        "AIRFLOW_CONN_SCRATCH_MYSQL": mariadb_scratch.airflow_connection("drill", "drill-secret"),
        "AIRFLOW_CONN_AWS_BACKUP_WRITER": aws.airflow_connection(),
        "AIRFLOW_CONN_AWS_BACKUP_READER": aws.airflow_connection(),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        keyring = Keyring(aws.kms)
        vault = Vault(aws.s3, with_sse_key_arn(load_policy(policies["all"]).vault, keyring))
        runs = [runner(policy, patch) for policy in policies.values()]
        yield Plant(mariadb_source, mariadb_scratch, vault, staging, *runs)


def runner(policy: Path, patch: pytest.MonkeyPatch) -> Callable[[str], DagRun]:
    from airflow.dag_processing.dagbag import BundleDagBag

    patch.setenv("BACKUP_POLICY", str(policy))
    bag = BundleDagBag(ROOT / "dags", bundle_path=ROOT / "dags", bundle_name="dags-folder")
    assert bag.import_errors == {}
    for dag in bag.dags.values():
        for task in dag.tasks:
            task.retries = 0

    def run(dag_id: str) -> DagRun:
        patch.setenv("BACKUP_POLICY", str(policy))
        return bag.dags[dag_id].test()

    return run
