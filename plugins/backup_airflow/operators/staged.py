"""The backup as separate operators, for a source with a staging folder: dump, encrypt, upload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_airflow.operators.backup import job_of
from backup_airflow.operators.base import BackupOperator
from include.backup_engine.backup import BackupJob
from include.backup_engine.staged import (
    discard_plaintext,
    discard_staged,
    dump_to_staging,
    encrypt_staged,
    upload_staged,
)


class _StagedOperator(BackupOperator):
    template_fields: Sequence[str] = ("source", "chain")
    ui_color = "#fbe7c6"

    def __init__(self, *, chain: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chain = chain

    def job(self, context: Any) -> BackupJob:
        return job_of(self, context, self.chain)


class MySqlDumpOperator(_StagedOperator):
    """Dump one database, compressed, into the staging folder of its source.

    The file is in clear until KmsEncryptOperator has run: use a folder in memory. Returns the backup's name.

    .. code-block:: python

        MySqlDumpOperator(task_id="dump", source="surgicase", chain="{{ ti.xcom_pull('preflight') }}")

    :param chain: link to the previous backup, as BackupPreflightOperator returns it. (templated)
    """

    def execute(self, context: Any) -> str:
        """Dump."""
        job = self.job(context)
        try:
            dump_to_staging(job, self.source_endpoint, self.reporter, self._cancellation)
        except BaseException:
            discard_staged(job)
            raise
        return job.name.stem


class KmsEncryptOperator(_StagedOperator):
    """Encrypt the staged dump under a new KMS data key, seal its sidecar, and remove the clear file.

    .. code-block:: python

        KmsEncryptOperator(task_id="encrypt", source="surgicase", chain="{{ ti.xcom_pull('preflight') }}")

    :param chain: link to the previous backup. (templated)
    """

    def execute(self, context: Any) -> str:
        """Encrypt."""
        job = self.job(context)
        encrypt_staged(job, self.writer_keyring, self.reporter)
        return job.name.stem


class S3KmsUploadOperator(_StagedOperator):
    """Upload the staged, encrypted backup with SSE-KMS, its sidecar last. May be repeated.

    .. code-block:: python

        S3KmsUploadOperator(task_id="upload", source="surgicase", chain="{{ ti.xcom_pull('preflight') }}")

    :param chain: link to the previous backup. (templated)
    """

    def execute(self, context: Any) -> str:
        """Upload."""
        job = self.job(context)
        upload_staged(job, self.writer_vault, self.reporter, self._cancellation)
        return job.name.stem


class DiscardPlaintextOperator(_StagedOperator):
    """Remove what an unfinished staged backup may have left in clear. The teardown of MySqlDumpOperator.

    .. code-block:: python

        DiscardPlaintextOperator(task_id="discard_plaintext", source="surgicase", chain={}).as_teardown(setups=dump)

    :param chain: link to the previous backup. (templated)
    """

    def execute(self, context: Any) -> None:
        """Remove."""
        discard_plaintext(self.job(context))
