"""The backup as separate operators, for a source with a staging folder: dump, encrypt, upload."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from backup_airflow.operators.backup import job_of
from backup_airflow.operators.base import BackupOperator
from include.backup_engine.backup import BackupJob, finished_already
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

    def execute(self, context: Any) -> str:
        """Do this step, unless this very run has stored its backup before."""
        job = job_of(self, context, self.chain)
        if not finished_already(job, self.writer_vault, self.reporter):
            self.step(job)
        return job.name.stem

    @abstractmethod
    def step(self, job: BackupJob) -> None:
        """What the operator is for."""


class MySqlDumpOperator(_StagedOperator):
    """Dump one database, compressed, into the staging folder of its source.

    The file is in clear until KmsEncryptOperator has run: use a folder in memory. Returns the backup's name.

    .. code-block:: python

        MySqlDumpOperator(task_id="dump", source="surgicase", chain="{{ ti.xcom_pull('preflight') }}")

    :param chain: link to the previous backup, as BackupPreflightOperator returns it. (templated)
    """

    def step(self, job: BackupJob) -> None:
        """Dump."""
        try:
            dump_to_staging(job, self.source_endpoint, self.reporter, self._cancellation)
        except BaseException:
            discard_staged(job)
            raise


class KmsEncryptOperator(_StagedOperator):
    """Encrypt the staged dump under a new KMS data key, seal its sidecar, and remove the clear file.

    .. code-block:: python

        KmsEncryptOperator(task_id="encrypt", source="surgicase", chain="{{ ti.xcom_pull('preflight') }}")

    :param chain: link to the previous backup. (templated)
    """

    def step(self, job: BackupJob) -> None:
        """Encrypt."""
        encrypt_staged(job, self.writer_keyring, self.reporter)


class S3KmsUploadOperator(_StagedOperator):
    """Upload the staged, encrypted backup with SSE-KMS, its sidecar last. May be repeated.

    .. code-block:: python

        S3KmsUploadOperator(task_id="upload", source="surgicase", chain="{{ ti.xcom_pull('preflight') }}")

    :param chain: link to the previous backup. (templated)
    """

    def step(self, job: BackupJob) -> None:
        """Upload."""
        upload_staged(job, self.writer_vault, self.reporter, self._cancellation)


class DiscardPlaintextOperator(_StagedOperator):
    """Remove what an unfinished staged backup may have left in clear. The teardown of MySqlDumpOperator.

    .. code-block:: python

        DiscardPlaintextOperator(task_id="discard_plaintext", source="surgicase", chain={}).as_teardown(setups=dump)

    :param chain: link to the previous backup. (templated)
    """

    def execute(self, context: Any) -> str:
        """Remove, also when the backup is stored: what is in clear must go in any case."""
        job = job_of(self, context, self.chain)
        self.step(job)
        return job.name.stem

    def step(self, job: BackupJob) -> None:
        """Remove."""
        discard_plaintext(job)
