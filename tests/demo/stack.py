"""Everything the demo and the end-to-end tests run on: two database servers, S3 and KMS, Airflow, a policy."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.policy import Policy, load_policy
from include.backup_engine.store.s3 import Vault
from tests.demo.surgicase import connector, generate
from tests.servers.airflow import Airflow
from tests.servers.database import Database
from tests.servers.localstack import Aws, LocalStack
from tests.servers.mariadb import MariaDB
from tests.servers.processes import ROOT

SOURCE = "surgicase"
_SOURCE_BUFFER = 256 * 1024 * 1024


@dataclass
class Stack:
    """The running parts.

    :param environment: what Airflow, and anything else that speaks for this stack, needs in its environment.
    """

    folder: Path
    source: MariaDB
    scratch: MariaDB
    aws: Aws
    policy_file: Path
    environment: dict[str, str]
    passwords: list[str]

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return load_policy(self.policy_file)

    def keyring(self) -> Keyring:
        """KMS as the reader sees it."""
        return Keyring(self.aws.kms)

    def vault(self) -> Vault:
        """The bucket as the reader sees it."""
        return Vault(self.aws.s3, with_sse_key_arn(self.policy.vault, self.keyring()))

    @contextmanager
    def airflow(self, env: Mapping[str, str] | None = None, **options: Any) -> Iterator[Airflow]:
        """A new Airflow on this stack."""
        folder = self.folder / "airflow"
        shutil.rmtree(folder, ignore_errors=True)
        with Airflow(folder, self.environment | dict(env or {}), **options) as airflow:
            yield airflow


@contextmanager
def stack(folder: Path, size_mb: int, *, policy: Mapping[str, Any] | None = None) -> Iterator[Stack]:
    """Start the parts; the source's data is generated once per folder and size, and then kept.

    :param size_mb: size of the source's data in 10^6 bytes.
    :param policy: sections that replace those of the demo's policy.
    """
    with ExitStack() as parts:
        source_folder = folder / f"source-{size_mb}"
        complete = source_folder / "complete"
        if not complete.exists():
            shutil.rmtree(source_folder, ignore_errors=True)
        source = parts.enter_context(MariaDB(source_folder, buffer_pool=_SOURCE_BUFFER, tls=True))
        shutil.rmtree(folder / "scratch", ignore_errors=True)
        scratch = parts.enter_context(MariaDB(folder / "scratch", buffer_pool=_SOURCE_BUFFER, tls=True))
        if not complete.exists():
            generate(connector(str(source.endpoint.socket)), SOURCE, size_mb)
            complete.touch()
        aws = parts.enter_context(LocalStack(folder / "localstack")).aws
        aws.seed()
        passwords = [secrets.token_urlsafe(18) for _ in range(3)]
        create_account(source, "backup_account.sql", "backup", passwords[0])
        source.sql(f"GRANT EXECUTE ON FUNCTION {SOURCE}.open_cases_of TO 'backup'@'%'")  # a view calls it
        create_account(scratch, "drill_account.sql", "drill", passwords[1])
        create_account(scratch, "recovery_account.sql", "recovery", passwords[2])
        scratch.sql("SET GLOBAL log_bin_trust_function_creators = 1")
        policy_file = folder / "policy.yaml"
        policy_file.write_text(yaml.safe_dump(demo_policy() | dict(policy or {}), sort_keys=False))
        environment = {
            "BACKUP_POLICY": str(policy_file),
            "AIRFLOW_CONN_SURGICASE_MYSQL": _connection(source, "backup", passwords[0]),
            "AIRFLOW_CONN_SCRATCH_MYSQL": _connection(scratch, "drill", passwords[1]),
            "AIRFLOW_CONN_STANDBY_MYSQL": _connection(scratch, "recovery", passwords[2]),
            "AIRFLOW_CONN_AWS_BACKUP_WRITER": aws.airflow_connection(),
            "AIRFLOW_CONN_AWS_BACKUP_READER": aws.airflow_connection(),
        }
        yield Stack(folder, source, scratch, aws, policy_file, environment, passwords)


def create_account(server: Database, file: str, name: str, password: str, *, database: str = SOURCE) -> None:
    """Run the grants that the documentation tells an administrator to run, with another password and database."""
    text = (
        (ROOT / "include" / "sql" / file)
        .read_text()
        .replace("change-me", password)
        .replace("`surgicase", f"`{database}")
    )
    server.sql(f"DROP USER IF EXISTS '{name}'@'%'")
    statements = re.sub(r"^--.*$", "", text, flags=re.MULTILINE)
    for statement in statements.split(";"):
        if statement.strip():
            server.sql(statement)


def demo_policy() -> dict[str, Any]:
    """The shipped policy, with a schedule that never comes by itself while the demo runs."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "include" / "policy.yaml").read_text())
    never = "0 0 29 2 *"
    return document | {
        "schedule": {"cron": never, "timezone": "UTC"},
        "drill": document["drill"] | {"cron": never},
    }


def _connection(server: MariaDB, login: str, password: str) -> str:
    certificate = server.certificate
    ssl = {"ca": str(certificate.authority)} if certificate else {}
    return server.airflow_connection(login, password, ssl=ssl)
