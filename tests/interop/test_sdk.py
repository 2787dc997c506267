"""The AWS Encryption SDK for Python reads what we write, and we read what it writes. KMS is real."""

from __future__ import annotations

import os
from typing import Any

import aws_encryption_sdk  # type: ignore[import-untyped]  # ships no types
import pytest
from aws_encryption_sdk import CommitmentPolicy, StrictAwsKmsMasterKeyProvider
from aws_encryption_sdk.exceptions import SerializationError  # type: ignore[import-untyped]
from aws_encryption_sdk.identifiers import Algorithm  # type: ignore[import-untyped]
from cryptography.exceptions import InvalidTag

from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.message import FRAME_LENGTH, Decryptor, Encryptor, Header
from tests.unit.crypto.examples import CONTEXT

F = FRAME_LENGTH
SIZES = [0, 1, F - 1, F, F + 1, 2 * F, 3 * F + 777]


@pytest.fixture
def sdk() -> Any:
    return aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)


@pytest.fixture
def provider(aws_environment: None, key_arn: str) -> Any:
    return StrictAwsKmsMasterKeyProvider(key_ids=[key_arn])


@pytest.mark.parametrize("size", SIZES)
def test_the_sdk_reads_ours(sdk: Any, provider: Any, keyring: Keyring, key_arn: str, size: int) -> None:
    plaintext = os.urandom(size)
    data_key = keyring.generate(key_arn, CONTEXT)
    message = b"".join(Encryptor(data_key, CONTEXT).encrypt([plaintext]))
    read, header = sdk.decrypt(source=message, key_provider=provider)
    assert read == plaintext
    assert header.encryption_context == CONTEXT
    assert header.algorithm is Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY


@pytest.mark.parametrize("frame_length", [4096, F])
@pytest.mark.parametrize("size", SIZES)
def test_we_read_the_sdk_s(
    sdk: Any, provider: Any, keyring: Keyring, key_arn: str, size: int, frame_length: int
) -> None:
    plaintext = os.urandom(size)
    message, _ = sdk.encrypt(
        source=plaintext,
        key_provider=provider,
        encryption_context=CONTEXT,
        frame_length=frame_length,
        algorithm=Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    )
    stream = ByteReader([message])
    header = Header.read(stream)
    assert header.context == CONTEXT
    data_key = keyring.unwrap(header.wrapped_keys, CONTEXT, {key_arn})
    assert b"".join(Decryptor(header, data_key).decrypt(stream)) == plaintext


def test_the_sdk_refuses_what_we_refuse(sdk: Any, provider: Any, keyring: Keyring, key_arn: str) -> None:
    message = b"".join(Encryptor(keyring.generate(key_arn, CONTEXT), CONTEXT).encrypt([bytes(F + 1)]))
    flipped = bytearray(message)
    flipped[-1] ^= 1
    with pytest.raises(InvalidTag):
        sdk.decrypt(source=bytes(flipped), key_provider=provider)
    with pytest.raises(SerializationError):
        sdk.decrypt(source=message[:-41], key_provider=provider)


def test_the_sdk_opens_ours_with_either_key(
    sdk: Any, aws_environment: None, keys_of_two_regions: tuple[Keyring, str, str]
) -> None:
    keyring, here, abroad = keys_of_two_regions
    with keyring.generate(here, CONTEXT) as data_key:
        data_key.wrapped += (keyring.wrap(data_key, abroad, CONTEXT),)
        message = b"".join(Encryptor(data_key, CONTEXT).encrypt([b"two keys"]))
    for arn in (here, abroad):
        read, header = sdk.decrypt(source=message, key_provider=StrictAwsKmsMasterKeyProvider(key_ids=[arn]))
        assert read == b"two keys"
        assert {key.key_provider.key_info for key in header.encrypted_data_keys} == {here.encode(), abroad.encode()}


def test_we_open_the_sdk_s_with_either_key(
    sdk: Any, aws_environment: None, keys_of_two_regions: tuple[Keyring, str, str]
) -> None:
    keyring, here, abroad = keys_of_two_regions
    message, _ = sdk.encrypt(
        source=b"two keys",
        key_provider=StrictAwsKmsMasterKeyProvider(key_ids=[here, abroad]),
        encryption_context=CONTEXT,
        algorithm=Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    )
    for arn in (here, abroad):
        stream = ByteReader([message])
        header = Header.read(stream)
        with keyring.unwrap(header.wrapped_keys, CONTEXT, [arn]) as data_key:
            assert b"".join(Decryptor(header, data_key).decrypt(stream)) == b"two keys"
