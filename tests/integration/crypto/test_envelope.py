"""Opening stored backups, and everything that must keep one from being opened. KMS is real."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.data_key import Keyring, WrappedKey
from include.backup_engine.crypto.envelope import Totals
from include.backup_engine.crypto.message import Header
from include.backup_engine.crypto.sidecar import EncryptedDataKey, encode, seal
from include.backup_engine.errors import (
    CommitmentMismatch,
    FrameTampered,
    HeaderTampered,
    IntegrityError,
    KeyRefused,
    KeyUnavailable,
    MessageTruncated,
    SidecarTampered,
    StoredCopyDiffers,
    TrailingData,
    UnsupportedFormat,
    WrongBackup,
)
from tests.integration.crypto.backups import (
    ORIGINALS_FIELDS,
    OTHER_NAME,
    PLAINTEXT,
    Count,
    Open,
    Stored,
    store_v1,
    store_v2,
)
from tests.unit.crypto.examples import CONTEXT, make_v2

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

# What must open ---------------------------------------------------------------------------------------------


def test_v2_opens(opened: Open, v2: Stored) -> None:
    backup = opened(v2)
    assert not backup.needs_verify
    assert b"".join(backup.plaintext([v2.message])) == PLAINTEXT
    facts = backup.sidecar.facts
    assert facts is not None
    assert facts.database == "surgicase"
    totals = backup.verify(v2.message[i : i + 7] for i in range(0, len(v2.message), 7))
    sha256 = backup.sidecar.ciphertext_sha256
    assert sha256 is not None
    assert totals == Totals(len(v2.message), sha256, len(PLAINTEXT), 5)


@pytest.mark.parametrize("maker", ["v1", "original"])
def test_v1_opens_after_it_was_verified(opened: Open, maker: str, request: pytest.FixtureRequest) -> None:
    stored: Stored = request.getfixturevalue(maker)
    backup = opened(stored)
    assert backup.needs_verify
    with pytest.raises(ValueError, match="verify first"):
        next(backup.plaintext([stored.message]))
    totals = backup.verify([stored.message])
    assert (totals.plaintext_bytes, totals.frame_count) == (len(PLAINTEXT), 0)
    assert not backup.needs_verify
    assert b"".join(backup.plaintext([stored.message])) == PLAINTEXT
    assert (backup.sidecar.facts is None) == (maker == "original")


def test_the_original_s_ways_to_name_a_key(opened: Open, original: Stored, kms: KMSClient, key_arn: str) -> None:
    alias = f"alias/original-{os.urandom(4).hex()}"
    kms.create_alias(AliasName=alias, TargetKeyId=key_arn)
    prefix, key_id = key_arn.split("key/")
    for name in (key_arn, key_id, alias, prefix + alias):
        opened(original.edited(kms_key_id=name)).verify([original.message])
    for name in (key_arn[:-1], key_id[1:], "", "key"):
        with pytest.raises(KeyRefused):
            opened(original.edited(kms_key_id=name))
    with pytest.raises(KeyUnavailable):
        opened(original.edited(kms_key_id="alias/no-such-alias"))


def test_a_rewrapped_copy_opens_the_message(
    opened: Open, keyring: Keyring, kms: KMSClient, key_arn: str, other_arn: str
) -> None:
    context = CONTEXT
    key = keyring.generate(key_arn, context)
    message, sidecar = make_v2(PLAINTEXT, key, context)
    again = kms.re_encrypt(
        SourceKeyId=key_arn,
        CiphertextBlob=key.wrapped[0].ciphertext,
        SourceEncryptionContext=context,
        DestinationKeyId=other_arn,
        DestinationEncryptionContext=context,
    )
    copies = [*sidecar.encrypted_data_keys, EncryptedDataKey.of(WrappedKey(other_arn, again["CiphertextBlob"]))]
    rewrapped = Stored(seal(sidecar.model_copy(update={"encrypted_data_keys": copies}), key), message)
    for allowed in (key_arn, other_arn):
        assert b"".join(opened(rewrapped, allowed=allowed).plaintext([message])) == PLAINTEXT


# Whole objects exchanged ------------------------------------------------------------------------------------


def test_sidecar_or_message_of_another_backup(
    opened: Open, keyring: Keyring, key_arn: str, v2: Stored, v1: Stored, count: Count
) -> None:
    other, _ = store_v2(keyring, key_arn, OTHER_NAME)
    same_name, _ = store_v2(keyring, key_arn)
    for expected, sidecar, message in (
        (WrongBackup, other.sidecar, other.message),  # the whole pair under our name
        (SidecarTampered, other.sidecar, v2.message),
        (CommitmentMismatch, v2.sidecar, other.message),
        (SidecarTampered, same_name.sidecar, v2.message),  # even of the same name and id
        (SidecarTampered, v2.sidecar, same_name.message),
        (UnsupportedFormat, v2.sidecar, v1.message),
        (WrongBackup, store_v1(keyring, key_arn, OTHER_NAME)[0].sidecar, v1.message),
    ):
        with pytest.raises(IntegrityError) as caught:
            opened(Stored(sidecar, message))
        assert caught.type is expected
    for foreign in (v2.message, store_v1(keyring, key_arn)[0].message):
        backup = opened(Stored(v1.sidecar, foreign))
        with pytest.raises(FrameTampered):
            backup.verify([foreign])
    count(9)


def test_asked_for_another_backup_or_source(opened: Open, v2: Stored, v1: Stored, count: Count) -> None:
    for stored in (v2, v1):
        with pytest.raises(WrongBackup):
            opened(stored, name=OTHER_NAME)
        with pytest.raises(WrongBackup):
            opened(stored, source="billing")
    count(4)


def test_a_pair_made_under_another_kms_key(
    opened: Open, keyring: Keyring, key_arn: str, other_arn: str, count: Count
) -> None:
    """Perfect but for the key: whoever can write the bucket can make it. The role could unwrap it, too."""
    theirs, key = store_v2(keyring, other_arn)
    theirs_v1, key_v1 = store_v1(keyring, other_arn)
    for stored in (theirs, theirs_v1):
        with pytest.raises(KeyRefused, match="not on the allow-list"):
            opened(stored)
    for stored, made in ((theirs, key), (theirs_v1, key_v1)):  # now claiming our key
        document = json.loads(stored.sidecar)
        copy_of = {"key_arn": key_arn, "ciphertext": encode(made.wrapped[0].ciphertext)}
        claims = {"kms_key_id": key_arn} | ({"encrypted_data_keys": [copy_of]} if "format" in document else {})
        with pytest.raises(KeyRefused, match="claims to be wrapped"):
            opened(Stored(json.dumps(document | claims).encode(), stored.message))
    count(4)


def test_a_pair_under_the_right_key_for_another_purpose(opened: Open, keyring: Keyring, key_arn: str) -> None:
    """Made by someone who may call GenerateDataKey, but only with a context of their own."""
    context = CONTEXT | {"database-id": "mine"}
    key = keyring.generate(key_arn, context)
    message, sidecar = make_v2(PLAINTEXT, key, context)
    with pytest.raises(WrongBackup):
        opened(Stored(seal(sidecar, key), message))
    claimed = sidecar.model_copy(update={"encryption_context": CONTEXT})
    with pytest.raises(WrongBackup):
        opened(Stored(seal(claimed, key), message))


# One format passed off as the other -------------------------------------------------------------------------


def test_v2_stripped_to_v1(opened: Open, keyring: Keyring, key_arn: str) -> None:
    """A v1 sidecar for v2's data key: the attacker needs no key, KMS would hand it out if asked with a context."""
    stored, _ = store_v2(keyring, key_arn)
    document = json.loads(stored.sidecar)
    forged = {field: document[field] for field in ORIGINALS_FIELDS} | {"algorithm": "AES-256-GCM"}
    forged |= {"iv": encode(bytes(12)), "auth_tag": encode(bytes(16))}
    with pytest.raises(WrongBackup):
        opened(Stored(json.dumps(forged).encode(), stored.message))
    with pytest.raises(UnsupportedFormat):
        opened(stored.edited(format_version=1))


def test_v1_dressed_up_as_v2(opened: Open, keyring: Keyring, key_arn: str) -> None:
    """Even by someone who has the v1 data key: it is bound to no context, and v2 demands one."""
    _, key = store_v1(keyring, key_arn)
    message, sidecar = make_v2(PLAINTEXT, key)
    with pytest.raises(WrongBackup):
        opened(Stored(seal(sidecar, key), message))


def test_a_copy_that_wraps_another_data_key(opened: Open, keyring: Keyring, key_arn: str, other_arn: str) -> None:
    """Right KMS key, right context, wrong data key: only the commitment tells."""
    stored, _ = store_v2(keyring, other_arn)
    smuggled = EncryptedDataKey.of(keyring.generate(key_arn, CONTEXT).wrapped[0]).model_dump()
    keys = [*json.loads(stored.sidecar)["encrypted_data_keys"], smuggled]
    with pytest.raises(CommitmentMismatch):
        opened(stored.edited(encrypted_data_keys=keys))


def test_a_sealed_sidecar_that_contradicts_its_message(opened: Open, keyring: Keyring, key_arn: str) -> None:
    """Not even the holder of the data key may describe another message than the one that is stored."""
    key = keyring.generate(key_arn, CONTEXT)
    message, sidecar = make_v2(PLAINTEXT, key)
    for field, value in {
        "iv": encode(bytes(32)),
        "auth_tag": encode(bytes(16)),
        "key_commitment": encode(bytes(32)),
        "header_length": sidecar.header_length + 1,
        "frame_length": sidecar.frame_length + 1,
        "encryption_context": CONTEXT | {"more": "x"},
        "kms_key_id": key_arn + "x",
        "encrypted_data_key": encode(b"x"),
        "encrypted_data_keys": [EncryptedDataKey(key_arn=key_arn, ciphertext=encode(b"x"))],
        "object_name": OTHER_NAME.object_name,
        "source": "billing",
    }.items():
        forged = sidecar.model_copy(update={field: value})
        with pytest.raises(SidecarTampered):
            opened(Stored(seal(forged, key), message))
    for field in ("frame_count", "encrypted_file_size", "original_file_size"):
        forged = sidecar.model_copy(update={field: getattr(sidecar, field) + 1})
        backup = opened(Stored(seal(forged, key), message))
        with pytest.raises(StoredCopyDiffers, match=field):
            backup.verify([message])
        with pytest.raises(StoredCopyDiffers, match=field):
            list(backup.plaintext([message]))


# The message ------------------------------------------------------------------------------------------------


def test_the_message_behind_an_authentic_sidecar(opened: Open, v2: Stored, count: Count) -> None:
    header_length = Header.read(ByteReader([v2.message])).length
    body = bytearray(v2.message)
    body[header_length + 100] ^= 1
    backup = opened(v2)
    cases: list[tuple[bytes, type[IntegrityError]]] = [
        (v2.message[:-1], MessageTruncated),
        (v2.message[: header_length + 96], MessageTruncated),  # between two frames
        (b"", MessageTruncated),
        (v2.message + b"\0", TrailingData),
        (bytes(body), FrameTampered),
    ]
    for message, expected in cases:
        for read in (backup.verify, lambda chunks: list(backup.plaintext(chunks))):
            with pytest.raises(expected):
                read([message])
    count(2 * len(cases))


def test_the_object_exchanged_after_its_header_was_read(
    opened: Open, keyring: Keyring, key_arn: str, v2: Stored
) -> None:
    other, _ = store_v2(keyring, key_arn)
    backup = opened(v2)
    with pytest.raises(HeaderTampered, match="changed since"):
        backup.verify([other.message])


def test_every_bit_of_the_header(opened: Open, v2: Stored, count: Count) -> None:
    """Of the wrapped key's bytes one bit each: KMS is asked about every one of them."""
    length = Header.read(ByteReader([v2.message])).length
    for position in range(length):
        flipped = bytearray(v2.message)
        flipped[position] ^= 1 << position % 8
        with pytest.raises((IntegrityError, KeyRefused)):
            opened(Stored(v2.sidecar, bytes(flipped)))
    count(length)
