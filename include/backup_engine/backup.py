"""Making one backup: dump, compress, encrypt and upload in one pass, the sidecar last.

Nothing is written to a disk, memory is bounded, and until the sidecar exists there is no backup. A failure at
any point aborts the upload and leaves nothing behind.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from include.backup_engine.accounts import ServerAccounts, encrypt_accounts, read_accounts
from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import DataKey, Keyring
from include.backup_engine.crypto.message import Encryptor
from include.backup_engine.crypto.original import OriginalEncryptor
from include.backup_engine.crypto.sidecar import BackupFacts, Metadata, OriginalSidecar, Sidecar, seal
from include.backup_engine.errors import BackupError, KeyServiceDown
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName, encryption_context, source_prefix
from include.backup_engine.policy import Policy, SourcePolicy
from include.backup_engine.records import AccountsFacts, Chain, SourceFacts, StoredObject, Timings
from include.backup_engine.report import Reporter, megabytes, peak_memory, rate
from include.backup_engine.source import describe, read_source
from include.backup_engine.store.s3 import Vault
from include.backup_engine.throttle import THROTTLED

SIDECAR_CONTENT_TYPE = "application/json"
LEFTOVER_AGE = timedelta(days=2)
"""An unfinished upload of another backup is older than any backup takes, so whoever began it is dead."""


@dataclass(frozen=True)
class BackupJob:
    """What is to be made.

    :param run_at: UTC; the backup is named after it, so a retry of the same run has the same name.
    :param chain: link to the backup before, found by someone who may read (preflight.py).
    :param attempt: which try this is.
    :param origin: Airflow's dag_id, run_id and task_id; empty elsewhere.
    """

    policy: Policy
    source: str
    name: BackupName
    chain: Chain
    attempt: int = 1
    origin: dict[str, str] = field(default_factory=dict)
    backup_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def source_policy(self) -> SourcePolicy:
        """The policy of the source."""
        return self.policy.source(self.source)

    @property
    def key(self) -> str:
        """Key of the encrypted dump in the bucket."""
        return source_prefix(self.policy.vault.prefix, self.source) + self.name.object_name

    @property
    def sidecar_key(self) -> str:
        """Key of the sidecar in the bucket."""
        return source_prefix(self.policy.vault.prefix, self.source) + self.name.sidecar_name

    @property
    def accounts_key(self) -> str:
        """Key of the server's accounts in the bucket, when the policy asks for them."""
        return source_prefix(self.policy.vault.prefix, self.source) + self.name.accounts_name

    @property
    def context(self) -> dict[str, str]:
        """The encryption context; the original format has none."""
        if self.source_policy.format == "v1":
            return {}
        return encryption_context(self.source, self.name, self.backup_id)


class Encryption:
    """One data key, and what is encrypted under it: the dump, in the format that the policy asks for, and accounts."""

    def __init__(self, job: BackupJob, keyring: Keyring, reporter: Reporter) -> None:
        self._job = job
        self._data_key: DataKey = keyring.generate(job.policy.vault.data_key_id, job.context)
        self._started = time.monotonic()
        reporter.line(
            "Data key generated", kms_key=self._data_key.wrapped[0].key_arn, request_id=keyring.last_request_id
        )
        for arn in job.policy.vault.further_data_key_ids:
            self._wrap_for(arn, keyring, reporter)
        self._encryptor: Encryptor | OriginalEncryptor = (
            OriginalEncryptor(self._data_key)
            if job.source_policy.format == "v1"
            else Encryptor(self._data_key, job.context)
        )

    def _wrap_for(self, arn: str, keyring: Keyring, reporter: Reporter) -> None:
        """Add a copy under a further key. That its region is down is no reason to have no backup this night."""
        try:
            copy = keyring.wrap(self._data_key, arn, self._job.context)
        except KeyServiceDown as error:
            reporter.warn(f"The backup has no copy of its data key under {arn}: {error.cause} Add it later: rewrap.")
            return
        self._data_key.wrapped += (copy,)
        reporter.line("Data key wrapped once more", kms_key=copy.key_arn, request_id=keyring.last_request_id)

    def encrypt(self, plaintext: Iterator[bytes]) -> Iterator[bytes]:
        """The encrypted stream."""
        return self._encryptor.encrypt(plaintext)

    def encrypt_accounts(self, found: ServerAccounts) -> tuple[bytes, AccountsFacts]:
        """The server's accounts as a message of their own."""
        return encrypt_accounts(found, self._data_key, self._job.context, self._job.name)

    def sidecar(
        self, facts: SourceFacts, seconds: dict[str, float], stored: StoredObject | None, accounts: AccountsFacts | None
    ) -> bytes:
        """The sealed sidecar of what was encrypted; the data key is dropped with it.

        :param stored: what the store acknowledged, when that is known already.
        """
        job = self._job
        backup = BackupFacts(
            **dict(facts),
            backup_id=job.backup_id,
            object_name=job.name.object_name,
            source=job.source,
            s3=stored,
            timings=Timings(
                total=round(time.monotonic() - self._started, 3), stages=seconds, peak_memory_bytes=peak_memory()
            ),
            chain=job.chain,
            accounts=accounts,
            attempt=job.attempt,
            airflow=job.origin,
        )
        metadata = Metadata(
            backup_date=facts.consistency.snapshot_at,
            tables_count=facts.census.count("table"),
            compression=job.name.compression,
            excluded_tables=facts.census.excluded_tables,
            sql_size=facts.stream.sql_bytes,
            server_version=facts.server.version,
            gtid_executed=facts.consistency.coordinates.gtid,
        )
        document: Sidecar | OriginalSidecar
        if isinstance(self._encryptor, OriginalEncryptor):
            document = OriginalSidecar.describe(self._encryptor, self._data_key, metadata, backup)
        else:
            document = Sidecar.describe(self._encryptor.facts(), self._data_key.wrapped, job.context, metadata, backup)
        sealed = seal(document, self._data_key)
        self._data_key.forget()
        return sealed


def back_up(
    job: BackupJob, endpoint: Endpoint, keyring: Keyring, vault: Vault, reporter: Reporter, cancellation: Cancellation
) -> bytes:
    """Make the backup and return its sidecar as stored.

    :raises BackupError: by name what went wrong; then nothing was left in the bucket.
    """
    started = time.monotonic()
    encryption = Encryption(job, keyring, reporter)
    with reporter.stage("Dump, compress, encrypt, upload"):
        found = read_accounts(endpoint, reporter) if job.source_policy.accounts else None
        with read_source(endpoint, job.source_policy, reporter, cancellation, turn=job.chain.sequence) as source:
            sweep(job, vault, reporter)  # now that the source's lock keeps other attempts out
            with cancellation.action(vault.abort_current):
                stored = vault.upload(
                    job.key,
                    encryption.encrypt(source.compressed()),
                    metadata={"backup-id": job.backup_id},
                    cancelled=lambda: cancellation.requested,
                    warn=reporter.warn,
                )
            facts = source.facts()
        tell_stored(reporter, stored, vault.last_request_id)
    accounts = None
    if found is not None:
        with reporter.stage("Accounts"):
            message, accounts = encryption.encrypt_accounts(found)
            version_id = store_accounts(job, vault, [message], reporter, cancellation)
            accounts = accounts.model_copy(update={"version_id": version_id})
    with reporter.stage("Sidecar"):
        sidecar = encryption.sidecar(facts, reporter.seconds, stored, accounts)
        commit(job, vault, sidecar, reporter)
    elapsed = time.monotonic() - started
    reporter.line(
        f"Backup {job.name} made: {describe(facts)}",
        stored=megabytes(stored.size),
        seconds=round(elapsed, 1),
        rate=rate(facts.stream.sql_bytes, elapsed),
        snapshot=f"{facts.consistency.verdict} by {facts.consistency.method}",
        fingerprints=facts.fingerprints,
        fingerprint_seconds=facts.fingerprint_seconds,
        throttled_seconds=reporter.seconds.get(THROTTLED),
        peak_memory=megabytes(peak_memory()),
    )
    return sidecar


def finished_already(job: BackupJob, vault: Vault, reporter: Reporter) -> bool:
    """Whether this very run has made its backup before, as after a task that was cleared by hand."""
    if any(found.key == job.sidecar_key for found in vault.list(job.sidecar_key)):
        reporter.line(f"Backup {job.name} is finished already and is not made again", sidecar=job.sidecar_key)
        return True
    return False


def sweep(job: BackupJob, vault: Vault, reporter: Reporter) -> None:
    """Abort the uploads that killed attempts have left: of this very backup, and of the source's others, when old.

    What cannot be swept is told and is no reason to fail: the bucket's lifecycle rule comes behind.
    """
    folder = source_prefix(job.policy.vault.prefix, job.source)
    try:
        swept = vault.abort_unfinished(job.key, timedelta(0)) + vault.abort_unfinished(folder, LEFTOVER_AGE)
    except BackupError as error:
        reporter.warn(f"Unfinished uploads of earlier attempts could not be swept: {error.cause}")
        return
    for upload in swept:
        reporter.line("Aborted the unfinished upload of an earlier attempt", key=upload.key, began=upload.initiated)


def store_accounts(
    job: BackupJob, vault: Vault, message: Iterable[bytes], reporter: Reporter, cancellation: Cancellation
) -> str | None:
    """Store the encrypted accounts, over those of an attempt that was killed; returns S3's version id."""
    with cancellation.action(vault.abort_current):
        stored = vault.upload(job.accounts_key, message, cancelled=lambda: cancellation.requested)
    tell_stored(reporter, stored, vault.last_request_id)
    return stored.version_id


def tell_stored(reporter: Reporter, stored: StoredObject, request_id: str | None) -> None:
    """One line on what the store acknowledged."""
    reporter.line(
        "Stored",
        key=stored.key,
        size=megabytes(stored.size),
        parts=stored.parts,
        checksum=stored.checksum,
        sse=stored.sse,
        sse_key=stored.sse_kms_key_id,
        version=stored.version_id,
        request_id=request_id,
    )


def commit(job: BackupJob, vault: Vault, sidecar: bytes, reporter: Reporter) -> None:
    """Commit: from here on the backup exists.

    :raises BackupExists: a finished backup has this name.
    """
    stored = vault.put_once(job.sidecar_key, sidecar, content_type=SIDECAR_CONTENT_TYPE)
    reporter.line("Committed", sidecar=stored.key, version=stored.version_id, request_id=vault.last_request_id)
