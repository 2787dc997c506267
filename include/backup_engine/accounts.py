"""The accounts of a source's server, kept beside a backup: encrypted as it is, and no part of it.

They are a second message under the backup's data key, with a message key of its own (crypto/message.py), so whatever
opens the backup, further and re-wrapped keys included, opens them. The backup's sealed sidecar says which object they
are, and of which digest. No log, no XCom and no evidence gets more of them than names and privileges.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Literal

from pydantic import ValidationError

from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.data_key import DataKey, Keyring
from include.backup_engine.crypto.message import Decryptor, Encryptor, Header
from include.backup_engine.crypto.sidecar import Sidecar, encode, wrapped_copies
from include.backup_engine.errors import AccountsMissing, BackupMissing, ContentIncomplete, StoredCopyDiffers
from include.backup_engine.keys import allowed_data_keys
from include.backup_engine.mysql.accounts import Account, take_accounts
from include.backup_engine.mysql.server import Endpoint, identify
from include.backup_engine.names import BackupName
from include.backup_engine.policy import Policy
from include.backup_engine.records import AccountsFacts, Census, Record, ServerIdentity
from include.backup_engine.report import Reporter
from include.backup_engine.stored import StoredBackup

MAX_ACCOUNTS_BYTES = 64 * 1024**2
"""Of the encrypted object: more than a hundred thousand accounts."""
_REMEDY = "The database in the backup is not concerned. Take the accounts of another backup, and find out who did this."


class ServerAccounts(Record):
    """The accounts of one server: what the encrypted message holds, as JSON. It has the hashes of their passwords."""

    version: Literal[1] = 1
    server: ServerIdentity
    taken_at: datetime
    accounts: list[Account]

    @property
    def roles(self) -> int:
        """How many of them are roles."""
        return [account.role for account in self.accounts].count(True)

    def without_account(self, census: Census) -> list[str]:
        """Owners of code (``user@host``) that are not among them."""
        owners = {item.definer for item in census.objects if item.definer}
        return sorted(owners - {account.name for account in self.accounts})


def read_accounts(endpoint: Endpoint, reporter: Reporter) -> ServerAccounts:
    """Read them from the source's server.

    :raises PreflightError: the account lacks ``SELECT`` on ``mysql.*``.
    """
    connection = endpoint.connect()
    try:
        server, taken_at = identify(connection), datetime.now(UTC)
        found = ServerAccounts(server=server, taken_at=taken_at, accounts=take_accounts(connection, server.flavour))
    finally:
        connection.close()
    reporter.line("Accounts read", accounts=len(found.accounts), roles=found.roles)
    for account in found.accounts:
        if account.not_understood:
            reporter.warn(f"A recovery will not create the account {account.name}: it has statements of unknown form")
    return found


def encrypt_accounts(
    found: ServerAccounts, data_key: DataKey, context: dict[str, str], name: BackupName
) -> tuple[bytes, AccountsFacts]:
    """The encrypted message, and what the sidecar says about it."""
    encryptor = Encryptor(data_key, context)
    message = b"".join(encryptor.encrypt([found.model_dump_json().encode()]))
    facts = encryptor.facts()
    return message, AccountsFacts(
        object_name=name.accounts_name,
        accounts=len(found.accounts),
        roles=found.roles,
        message_id=facts.message_id,
        ciphertext_bytes=facts.ciphertext_bytes,
        ciphertext_sha256=facts.ciphertext_sha256,
    )


def open_accounts(backup: StoredBackup, policy: Policy, keyring: Keyring) -> ServerAccounts:
    """Fetch, authenticate and parse the accounts that were kept with a backup.

    :raises AccountsMissing: none were.
    :raises IntegrityError: by name what is wrong with them; so, too, when they are gone.
    :raises KeyRefused, KeyUnavailable: see crypto/envelope.py.
    """
    sidecar, facts = backup.opened.sidecar, backup.facts
    recorded = facts.accounts if facts else None
    if recorded is None or not isinstance(sidecar, Sidecar):
        raise AccountsMissing(
            f"No accounts were kept with {backup.name}.", "Set accounts: true in the policy, for the backups to come."
        )
    try:
        message = backup.beside(recorded.object_name, recorded.version_id, MAX_ACCOUNTS_BYTES)
    except BackupMissing:
        raise StoredCopyDiffers(f"The accounts that were kept with {backup.name} are gone.", _REMEDY) from None
    header = Header.read(ByteReader([message]))
    if (
        hashlib.sha256(message).hexdigest() != recorded.ciphertext_sha256
        or encode(header.message_id) != recorded.message_id
        or header.context != sidecar.encryption_context
    ):
        raise StoredCopyDiffers(f"The accounts of {backup.name} are not those that were stored with it.", _REMEDY)
    allowed = allowed_data_keys(policy.vault, keyring)
    with keyring.unwrap(wrapped_copies(sidecar), sidecar.encryption_context, allowed) as data_key:
        decryptor = Decryptor(header, data_key)
    plaintext = b"".join(decryptor.decrypt(ByteReader([message[header.length :]])))
    try:
        found = ServerAccounts.model_validate_json(plaintext)
    except ValidationError:  # its text quotes what it does not like
        found = None
    if found is None or (len(found.accounts), found.roles) != (recorded.accounts, recorded.roles):
        raise ContentIncomplete(f"The accounts of {backup.name} are not as its sidecar says.", _REMEDY)
    return found
