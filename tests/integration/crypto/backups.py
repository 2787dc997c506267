"""Backups made with a real KMS, complete in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from include.backup_engine.crypto.data_key import DataKey, Keyring
from include.backup_engine.crypto.envelope import OpenBackup
from include.backup_engine.crypto.sidecar import seal
from include.backup_engine.names import BackupName, encryption_context
from tests.unit.crypto.examples import BACKUP_ID, NAME, SOURCE, make_v1, make_v2

PLAINTEXT = os.urandom(300)
OTHER_NAME = BackupName(NAME.taken_at + timedelta(days=1))
Open = Callable[..., OpenBackup]
Count = Callable[[int], None]


ORIGINALS_FIELDS = [
    "kms_key_id",
    "encrypted_data_key",
    "iv",
    "auth_tag",
    "algorithm",
    "metadata",
    "encrypted_file_size",
    "original_file_size",
]


@dataclass(frozen=True)
class Stored:
    """The two objects of a backup."""

    sidecar: bytes
    message: bytes

    def edited(self, **fields: object) -> Stored:
        return Stored(json.dumps(json.loads(self.sidecar) | fields).encode(), self.message)


def store_v2(keyring: Keyring, arn: str, name: BackupName = NAME, source: str = SOURCE) -> tuple[Stored, DataKey]:
    context = encryption_context(source, name, BACKUP_ID)
    key = keyring.generate(arn, context)
    message, sidecar = make_v2(PLAINTEXT, key, context, name)
    return Stored(seal(sidecar, key), message), key


def store_v1(keyring: Keyring, arn: str, name: BackupName = NAME) -> tuple[Stored, DataKey]:
    key = keyring.generate(arn, {})
    ciphertext, sidecar = make_v1(PLAINTEXT, key, name)
    return Stored(seal(sidecar, key), ciphertext), key
