"""The original system reads our v1 backups, and we read its own.

Its programs are not at hand, so a reader and a writer of the same behaviour are written down here.
"""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.envelope import open_backup
from include.backup_engine.crypto.sidecar import seal
from tests.unit.crypto.examples import NAME, SOURCE, make_v1

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

SIZES = [0, 1, 15, 16, 17, 1024 * 1024, 3 * 1024 * 1024 + 777]


def original_reader(kms: KMSClient, ciphertext: bytes, sidecar: bytes) -> bytes:
    """As the original decrypts: no key named, no context, the tag checked at the end."""
    info = json.loads(sidecar)
    key = kms.decrypt(CiphertextBlob=base64.b64decode(info["encrypted_data_key"]))["Plaintext"]
    mode = modes.GCM(base64.b64decode(info["iv"]), base64.b64decode(info["auth_tag"]))
    decryptor = Cipher(algorithms.AES(key), mode).decryptor()
    plaintext = decryptor.update(ciphertext) + decryptor.finalize()
    if len(plaintext) != info["original_file_size"]:
        raise ValueError("size")
    return plaintext


def original_writer(kms: KMSClient, key_id: str, plaintext: bytes) -> tuple[bytes, bytes]:
    """As the original encrypts: the tag goes into the sidecar, the key is named by its bare id."""
    made = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")
    iv = os.urandom(12)
    sealed = AESGCM(made["Plaintext"]).encrypt(iv, plaintext, None)
    info: dict[str, Any] = {
        "kms_key_id": kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyId"],
        "encrypted_data_key": base64.b64encode(made["CiphertextBlob"]).decode(),
        "iv": base64.b64encode(iv).decode(),
        "auth_tag": base64.b64encode(sealed[-16:]).decode(),
        "algorithm": "AES-256-GCM",
        "encrypted_file_size": len(sealed) - 16,
        "original_file_size": len(plaintext),
        "metadata": {
            "backup_date": datetime.now(UTC).isoformat() + "Z",
            "tables_count": 45,
            "backup_type": "database_dump",
            "excluded_tables": "",
            "compression": "gzip",
        },
    }
    return sealed[:-16], json.dumps(info, indent=2).encode()


@pytest.mark.parametrize("size", SIZES)
def test_the_original_reads_ours(kms: KMSClient, keyring: Keyring, key_arn: str, size: int) -> None:
    plaintext = os.urandom(size)
    data_key = keyring.generate(key_arn, {})
    ciphertext, sidecar = make_v1(plaintext, data_key)
    assert original_reader(kms, ciphertext, seal(sidecar, data_key)) == plaintext
    with pytest.raises(InvalidTag):
        original_reader(kms, ciphertext + b"\0", seal(sidecar, data_key))


@pytest.mark.parametrize("size", SIZES)
def test_we_read_the_original_s(kms: KMSClient, keyring: Keyring, key_arn: str, size: int) -> None:
    plaintext = os.urandom(size)
    ciphertext, sidecar = original_writer(kms, key_arn, plaintext)
    backup = open_backup(sidecar, b"", source=SOURCE, name=NAME, keyring=keyring, allowed_arns={key_arn})
    totals = backup.verify([ciphertext])
    assert totals.plaintext_bytes == size
    assert b"".join(backup.plaintext([ciphertext])) == plaintext
    assert backup.sidecar.metadata.tables_count == 45
    assert backup.sidecar.facts is None
