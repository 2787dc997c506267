"""Re-wrapping: a backup gets one more copy of its data key, under another KMS key; its encrypted dump is not touched.

The copy goes into the sidecar, whose seal is made anew, and which is written as its object's next version, if it is
still the one that was read. The message's header keeps the copies that it was made with: it is never edited (see
crypto/message.py). A crash leaves the old sidecar or the new one, and both are good.

KMS changes the key over inside itself (kms:ReEncrypt) when both KMS keys are of one region and account. It cannot do
so between regions: there, the data key, which the seal needs anyway, is wrapped by kms:Encrypt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from include.backup_engine import evidence
from include.backup_engine.backup import SIDECAR_CONTENT_TYPE
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.sidecar import MAX_SIDECAR_BYTES, OriginalSidecar, parse, with_copy, wrapped_copies
from include.backup_engine.errors import BackupError, IntegrityError, KeyRefused, RewrapRefused, StoredCopyDiffers
from include.backup_engine.keys import allowed_data_keys
from include.backup_engine.names import encryption_context
from include.backup_engine.policy import Policy
from include.backup_engine.records import Record
from include.backup_engine.report import Reporter
from include.backup_engine.store.catalog import Entry
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup, open_stored


@dataclass(frozen=True)
class Rewrapper:
    """The role that wraps anew, and the one that keeps the evidence.

    :param keyring: may re-encrypt from the old key to the new one, and needs to decrypt nothing.
    :param vault: may write sidecars.
    """

    keyring: Keyring
    vault: Vault
    writer: Vault


class Rewrapped(Record):
    """What was done with one backup, or would be.

    :param state: ``done``; ``planned``, in a dry run; ``already``: it opens with this key.
    :param opened_with: the KMS key that opened it.
    :param way: the KMS call that makes the copy.
    :param sidecar_sha256: hex digest of the sidecar as it is now; ``previous_sidecar_sha256`` as it was.
    """

    backup: str
    backup_id: str
    state: Literal["done", "planned", "already"]
    key_arn: str
    opened_with: str
    way: Literal["kms:ReEncrypt", "kms:Encrypt"]
    previous_sidecar_sha256: str
    sidecar_sha256: str
    version_id: str | None = None


def key_to_wrap_for(key_id: str, policy: Policy, keyring: Keyring) -> str:
    """The ARN of a KMS key that backups may be wrapped for: one that the policy's readers accept.

    :raises RewrapRefused: they do not: the copy would be of no use, or of use to somebody else.
    """
    key_arn = keyring.resolve(key_id)
    if key_arn not in allowed_data_keys(policy.vault, keyring):
        raise RewrapRefused(
            f"Readers do not accept {key_arn}.",
            "Name it in vault.further_data_key_ids or vault.allowed_data_keys first, if it is yours.",
        )
    return key_arn


def rewrap(
    entry: Entry, source: str, key_arn: str, policy: Policy, reader: Vault, keyring: Keyring, reporter: Reporter,
    rewrapper: Rewrapper | None,
) -> Rewrapped:  # fmt: skip
    """Give one complete backup a copy of its data key under ``key_arn``, and prove that it opens with that key alone.

    :param keyring: of the reading role, which must be able to decrypt with both KMS keys.
    :param rewrapper: None: a dry run, which opens the backup and says what would be done.
    :raises RewrapRefused: the original system made the backup.
    :raises BackupChanged: somebody else has written the sidecar meanwhile; nothing was done.
    :raises IntegrityError, KeyRefused, KeyUnavailable: the backup does not open.
    """
    raw, stored = reader.fetch(entry.sidecar_key, max_bytes=MAX_SIDECAR_BYTES)
    entry = replace(entry, raw_sidecar=raw, sidecar=parse(raw), sidecar_version=stored.version_id)
    backup = open_stored(entry, source, policy, reader, keyring)
    if backup.facts is None:
        raise RewrapRefused(
            f"{backup.name} is of the original system, whose sidecar has no seal to be renewed.",
            "Keep its KMS key as long as you keep the backup.",
        )
    opened_with, digest = backup.opened.opened_with.key_arn, hashlib.sha256(raw).hexdigest()
    inside = opened_with.split(":")[3:5] == key_arn.split(":")[3:5]
    result = Rewrapped(
        backup=backup.name.stem, backup_id=backup.facts.backup_id, state="planned", key_arn=key_arn,
        opened_with=opened_with, way="kms:ReEncrypt" if inside else "kms:Encrypt",
        previous_sidecar_sha256=digest, sidecar_sha256=digest, version_id=stored.version_id,
    )  # fmt: skip
    proof = policy.model_copy(update={"vault": policy.vault.model_copy(update={"allowed_data_keys": [key_arn]})})
    if _opens(entry, source, proof, reader, keyring):
        return result.model_copy(update={"state": "already"})
    if rewrapper is None:
        return result

    sealed = _with_copy(backup, source, raw, key_arn, keyring, rewrapper.keyring, inside)
    renewed = replace(entry, raw_sidecar=sealed, sidecar=parse(sealed))
    open_stored(renewed, source, proof, reader, keyring)  # nothing is written that does not open
    result = result.model_copy(update={"state": "done", "sidecar_sha256": hashlib.sha256(sealed).hexdigest()})
    with _recorded(result, source, entry, reader, rewrapper.writer) as record:
        written = rewrapper.vault.replace(
            entry.sidecar_key, sealed, content_type=SIDECAR_CONTENT_TYPE, etag=stored.etag or ""
        )
        read = reader.get(entry.sidecar_key, version_id=written.version_id, max_bytes=MAX_SIDECAR_BYTES)
        if read != sealed:
            raise StoredCopyDiffers(
                f"{entry.sidecar_key} was not stored as it was sent.", "Its version before is good: restore that one."
            )
        open_stored(replace(renewed, raw_sidecar=read), source, proof, reader, keyring)
    reporter.line(
        f"{backup.name} opens with one more key", kms_key=key_arn, way=result.way, version=written.version_id,
        request_id=rewrapper.keyring.last_request_id, evidence=record,
    )  # fmt: skip
    return result.model_copy(update={"version_id": written.version_id})


def _opens(entry: Entry, source: str, proof: Policy, reader: Vault, keyring: Keyring) -> bool:
    """Whether the backup opens with the one key that is accepted in ``proof``."""
    wanted = proof.vault.allowed_data_keys
    if entry.sidecar is None or not any(copy.key_arn in wanted for copy in wrapped_copies(entry.sidecar)):
        return False
    try:
        open_stored(entry, source, proof, reader, keyring)
    except (IntegrityError, KeyRefused):  # the backup is authentic, so it is this copy
        return False
    return True


def _with_copy(
    backup: StoredBackup, source: str, raw: bytes, key_arn: str, reader: Keyring, rewrapper: Keyring, inside: bool
) -> bytes:
    """The sidecar with the new copy."""
    facts, copy = backup.facts, backup.opened.opened_with
    original = facts is None or isinstance(backup.opened.sidecar, OriginalSidecar)
    context = {} if facts is None or original else encryption_context(source, backup.name, facts.backup_id)
    with reader.unwrap([copy], context, [copy.key_arn]) as data_key:
        new = rewrapper.rewrap(copy, key_arn, context) if inside else rewrapper.wrap(data_key, key_arn, context)
        return with_copy(raw, new, data_key)


@contextmanager
def _recorded(result: Rewrapped, source: str, entry: Entry, reader: Vault, writer: Vault) -> Iterator[str]:
    """The evidence, written before the sidecar, so that no change is without; if it fails, a second record says so."""
    facts: dict[str, Any] = result.model_dump(mode="json", exclude={"state", "version_id"})
    facts["previous_sidecar_version"] = entry.sidecar_version
    key, _ = evidence.append(reader, writer, "rewrap", source, "passed", facts)
    try:
        yield key
    except BackupError as error:
        evidence.append(reader, writer, "rewrap", source, "failed", facts | {"failures": [error.cause]})
        raise
