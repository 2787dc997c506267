"""Every night: an encrypted backup of every source in the policy, read back and recorded.

preflight → backup → verify the stored copy → evidence → retention, for each source. A source with a ``staging_dir``
is backed up in three tasks (dump → encrypt → upload) instead of one. Retention plans; it deletes only if the policy
says ``retention.apply``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, task_group
from backup_airflow.operators.backup import BackupPreflightOperator, MySqlToS3BackupOperator, VerifyBackupOperator
from backup_airflow.operators.evidence import RecordBackupEvidenceOperator
from backup_airflow.operators.retention import RetentionOperator
from backup_airflow.operators.staged import (
    DiscardPlaintextOperator,
    KmsEncryptOperator,
    MySqlDumpOperator,
    S3KmsUploadOperator,
)

from include.backup_engine.policy import load_policy

policy = load_policy()
streamed = [name for name, source in policy.sources.items() if source.staging_dir is None]
staged = [name for name, source in policy.sources.items() if source.staging_dir is not None]


@task_group
def stream(source: str) -> None:
    """Dump, compress, encrypt and upload in one task: nothing touches a disk."""
    preflight = BackupPreflightOperator(task_id="preflight", source=source)
    backup = MySqlToS3BackupOperator(task_id="backup", source=source, chain=preflight.output)
    verify_record_and_retire(source, backup)


@task_group
def stage(source: str) -> None:
    """Dump, encrypt and upload as tasks, with files between them in the source's staging folder."""
    preflight = BackupPreflightOperator(task_id="preflight", source=source)
    dump = MySqlDumpOperator(task_id="dump", source=source, chain=preflight.output)
    encrypt = KmsEncryptOperator(task_id="encrypt", source=source, chain=preflight.output)
    upload = S3KmsUploadOperator(task_id="upload", source=source, chain=preflight.output)
    discard = DiscardPlaintextOperator(task_id="discard_plaintext", source=source, chain=preflight.output)
    dump >> encrypt >> discard.as_teardown(setups=dump)
    encrypt >> upload
    verify_record_and_retire(source, upload)


def verify_record_and_retire(source: str, stored: Any) -> None:
    """What follows however the backup was made."""
    verify = VerifyBackupOperator(task_id="verify", source=source, backup=stored.output)
    record = RecordBackupEvidenceOperator(task_id="record_evidence", source=source, verification=verify.output)
    record >> RetentionOperator(task_id="retention", source=source)


with DAG(
    dag_id="nightly_backup",
    description="Encrypted backup of every source, read back and recorded",
    doc_md=__doc__,
    schedule=CronTriggerTimetable(policy.schedule.cron, timezone=policy.schedule.timezone),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    default_args={"owner": "backup", "retries": 2, "execution_timeout": timedelta(hours=10)},
    tags=["backup"],
):
    if streamed:
        stream.expand(source=streamed)
    if staged:
        stage.expand(source=staged)
