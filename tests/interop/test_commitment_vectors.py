"""AWS's test vectors for message format 2.0: vectors/README.md."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.data_key import DataKey
from include.backup_engine.crypto.message import Decryptor, Encryptor, Header
from include.backup_engine.errors import CommitmentMismatch, UnsupportedFormat

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "commitment-test-vectors.json").read_text()
)["tests"]


def test_every_vector(record_property: Callable[[str, object], None]) -> None:
    outcomes = {"read": 0, "written byte for byte": 0, "refused, as they must be": 0, "other suite or unframed": 0}
    for vector in VECTORS:
        ciphertext, key = b64decode(vector["ciphertext"]), DataKey(b64decode(vector["decrypted-dek"]), [])
        stream = ByteReader([ciphertext])
        try:
            header = Header.read(stream)
        except UnsupportedFormat:
            signed = ciphertext[1:3] == b"\x05\x78"
            assert signed or "unframed" in vector["comment"], vector["comment"]
            outcomes["other suite or unframed"] += 1
            continue
        if not vector["status"]:
            with pytest.raises(CommitmentMismatch):
                Decryptor(header, key)
            outcomes["refused, as they must be"] += 1
            continue
        pieces = list(Decryptor(header, key).decrypt(stream))
        expected = [piece.encode() for piece in vector["plaintext-frames"]]
        assert b"".join(pieces) == b"".join(expected)
        assert header.context == vector["encryption-context"]
        outcomes["read"] += 1
        if vector["keyring-type"] == "aws-kms":
            same_key = DataKey(key.plaintext, header.wrapped_keys)
            ours = Encryptor(same_key, header.context, header.frame_length, header.message_id)
            assert ours.header == header, vector["comment"]
            # Six vectors have frame IVs of their own; the others we must write byte for byte.
            outcomes["written byte for byte"] += b"".join(ours.encrypt(expected)) == ciphertext
    for outcome, number in outcomes.items():
        record_property(outcome, number)
        print(f"AWS vectors {outcome}: {number}")
    assert outcomes == {
        "read": 17,
        "written byte for byte": 10,
        "refused, as they must be": 3,
        "other suite or unframed": 26,
    }
