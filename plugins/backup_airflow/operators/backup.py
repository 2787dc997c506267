"""Preflight, backup and verification of one source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_airflow.operators.base import BackupOperator
from backup_airflow.reporting import gauge
from include.backup_engine.backup import BackupJob, back_up, finished_already
from include.backup_engine.names import BackupName
from include.backup_engine.preflight import link_to_previous, preflight
from include.backup_engine.records import Chain
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.stored import open_stored
from include.backup_engine.verify import verify


class BackupPreflightOperator(BackupOperator):
    """Check that a source can be backed up completely, before anything is dumped.

    Returns the link to the previous backup, which only the reading role can find.

    .. code-block:: python

        BackupPreflightOperator(task_id="preflight", source="surgicase")
    """

    ui_color = "#f4f1de"

    def execute(self, context: Any) -> dict[str, Any]:
        """Run all checks."""
        preflight(
            self.source, self.policy, self.source_endpoint, self.reader_vault,
            self.writer_keyring, self.reader_keyring, self.reporter,
        )  # fmt: skip
        return link_to_previous(self.source, self.reader_vault).model_dump()


class MySqlToS3BackupOperator(BackupOperator):
    """Back up one MySQL or MariaDB database to S3, encrypted under a KMS data key, in one pass.

    Dump, compression, AES-256-GCM and multipart upload run as one stream: nothing touches a disk. A backup that
    this run has already finished is recognised and not repeated. Returns the backup's name.

    .. code-block:: python

        MySqlToS3BackupOperator(
            task_id="backup", source="surgicase", chain="{{ ti.xcom_pull('preflight') }}"
        )

    :param chain: link to the previous backup, as BackupPreflightOperator returns it. (templated)
    """

    template_fields: Sequence[str] = ("source", "chain")
    ui_color = "#cfe8d5"

    def __init__(self, *, chain: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chain = chain

    def execute(self, context: Any) -> str:
        """Make the backup."""
        job = job_of(self, context, self.chain)
        if finished_already(job, self.writer_vault, self.reporter):
            return job.name.stem
        back_up(job, self.source_endpoint, self.writer_keyring, self.writer_vault, self.reporter, self._cancellation)
        return job.name.stem


class VerifyBackupOperator(BackupOperator):
    """Read a stored backup back with the reading role, decrypt and check all of it, keep nothing.

    Returns what was verified: sizes, key ARN, what S3 reports about encryption and checksum.

    .. code-block:: python

        VerifyBackupOperator(task_id="verify", source="surgicase", backup="latest")

    :param backup: a name, ``latest`` or an ISO time. (templated)
    """

    template_fields: Sequence[str] = ("source", "backup")
    ui_color = "#d6e4f0"

    def __init__(self, *, backup: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backup = backup

    def execute(self, context: Any) -> dict[str, Any]:
        """Verify the backup."""
        entry = Catalog(self.reader_vault).find(self.source, self.backup)
        stored = open_stored(entry, self.source, self.policy, self.reader_vault, self.reader_keyring)
        verification = verify(stored, self.policy, self.reader_keyring, self.reporter)
        verification.require_accounts()
        gauge("size_bytes", verification.stored.size, self.source)
        gauge("verify_seconds", verification.seconds, self.source)
        return verification.model_dump(mode="json")


def job_of(operator: BackupOperator, context: Any, chain: Any) -> BackupJob:
    """The engine's job for this run: named after ``run_after``, which every run has, so that a retry is the same."""
    dag_run, task_instance = context["dag_run"], context["ti"]
    policy = operator.policy
    return BackupJob(
        policy=policy,
        source=operator.source,
        name=BackupName(dag_run.run_after, policy.source(operator.source).compression),
        chain=Chain.model_validate(chain),
        attempt=task_instance.try_number,
        origin={"dag_id": dag_run.dag_id, "run_id": dag_run.run_id, "task_id": task_instance.task_id},
    )
