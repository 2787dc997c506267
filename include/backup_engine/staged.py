"""The same backup as three steps with files between them, for those who want local copies or to upload again.

The compressed dump lies in the staging folder unencrypted between the first two steps: give it a folder in
memory (tmpfs). It loses its name before its first byte is encrypted, and is removed on any failure. Encrypted
files and sidecars stay. All steps must run where that folder is.
"""

from __future__ import annotations

from include.backup_engine.accounts import ServerAccounts, read_accounts
from include.backup_engine.backup import (
    BackupJob,
    Encryption,
    commit,
    finished_already,
    store_accounts,
    sweep,
    tell_stored,
)
from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.sidecar import parse
from include.backup_engine.errors import BackupExists, PolicyError
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.records import SourceFacts
from include.backup_engine.report import Reporter, megabytes
from include.backup_engine.source import describe, read_source
from include.backup_engine.store.s3 import Vault
from include.backup_engine.store.staging import Staging
from include.backup_engine.throttle import THROTTLED


def staging_of(job: BackupJob) -> Staging:
    """The staging folder of the job's source.

    :raises PolicyError: it has none.
    """
    folder = job.source_policy.staging_dir
    if folder is None:
        raise PolicyError(f"The source {job.source} has no staging_dir.", "Set one, or use the one-pass backup.")
    return Staging(folder)


def dump_to_staging(job: BackupJob, endpoint: Endpoint, reporter: Reporter, cancellation: Cancellation) -> None:
    """First step: the compressed dump, and what was learnt with it."""
    staging = staging_of(job)
    discard_staged(job)
    with reporter.stage("Dump and compress into the staging folder"):
        with read_source(endpoint, job.source_policy, reporter, cancellation, turn=job.chain.sequence) as source:
            staging.write(staging.dump(job.name), source.compressed())
            facts = source.facts()
        if job.source_policy.accounts:
            found = read_accounts(endpoint, reporter)
            staging.write(staging.accounts(job.name), [found.model_dump_json().encode()])
        staging.write(staging.facts(job.name), [facts.model_dump_json().encode()])
    reporter.line(
        f"Dumped {describe(facts)}",
        compressed=megabytes(facts.stream.compressed_bytes),
        fingerprints=facts.fingerprints,
        fingerprint_seconds=facts.fingerprint_seconds,
        throttled_seconds=reporter.seconds.get(THROTTLED),
    )


def encrypt_staged(job: BackupJob, keyring: Keyring, reporter: Reporter) -> None:
    """Second step: the encrypted file and its sealed sidecar; the compressed dump is gone, whatever happens."""
    staging = staging_of(job)
    try:
        with reporter.stage("Encrypt in the staging folder"):
            facts = SourceFacts.model_validate_json(b"".join(staging.read(staging.facts(job.name))))
            encryption = Encryption(job, keyring, reporter)
            plaintext = reporter.watch(staging.consume(staging.dump(job.name)), "Encrypted")
            staging.write(staging.encrypted(job.name), encryption.encrypt(plaintext))
            accounts = None
            if job.source_policy.accounts:
                found = ServerAccounts.model_validate_json(b"".join(staging.consume(staging.accounts(job.name))))
                message, accounts = encryption.encrypt_accounts(found)
                staging.write(staging.encrypted_accounts(job.name), [message])
            staging.write(staging.sidecar(job.name), [encryption.sidecar(facts, reporter.seconds, None, accounts)])
    finally:
        discard_plaintext(job)
    reporter.line(f"Encrypted {job.name}", size=megabytes(staging.encrypted(job.name).stat().st_size))


def upload_staged(job: BackupJob, vault: Vault, reporter: Reporter, cancellation: Cancellation) -> None:
    """Third step: upload, sidecar last. Can be repeated as long as the files are there.

    :raises BackupExists: a finished backup has this name; its object is not touched, which the sidecar does not pin.
    """
    staging = staging_of(job)
    if finished_already(job, vault, reporter):
        raise BackupExists(
            f"The backup {job.name} is stored already.", "There is nothing to do; verify it if in doubt."
        )
    sealed = b"".join(staging.read(staging.sidecar(job.name)))
    facts = parse(sealed).facts
    sweep(job, vault, reporter)
    with reporter.stage("Upload"), cancellation.action(vault.abort_current):
        stored = vault.upload(
            job.key,
            reporter.watch(staging.read(staging.encrypted(job.name)), "Uploaded"),
            metadata={"backup-id": facts.backup_id} if facts else {},
            cancelled=lambda: cancellation.requested,
            warn=reporter.warn,
        )
        tell_stored(reporter, stored, vault.last_request_id)
        if facts and facts.accounts:
            message = staging.read(staging.encrypted_accounts(job.name))
            store_accounts(job, vault, message, reporter, cancellation)
    commit(job, vault, sealed, reporter)
    reporter.line(f"Backup {job.name} made from the staging folder", stored=megabytes(stored.size))


def discard_plaintext(job: BackupJob) -> None:
    """Remove what is in clear; harmless when it is gone."""
    staging = staging_of(job)
    staging.discard(staging.dump(job.name), staging.facts(job.name), staging.accounts(job.name))


def discard_staged(job: BackupJob) -> None:
    """Remove all files of this backup, of an earlier try for example."""
    staging = staging_of(job)
    discard_plaintext(job)
    staging.discard(staging.encrypted(job.name), staging.encrypted_accounts(job.name), staging.sidecar(job.name))
