"""The stock AWS Encryption CLI, the tool for the day when nothing of ours is at hand, and our own reader."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.backup_engine.crypto.byte_reader import ByteReader
from include.backup_engine.crypto.data_key import DataKey, Keyring, WrappedKey
from include.backup_engine.crypto.message import FRAME_LENGTH, Decryptor, Encryptor, Header
from tests.unit.crypto.examples import CONTEXT

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

F = FRAME_LENGTH
CLI = Path(__file__).parents[2] / ".tools" / "interop" / "bin" / "aws-encryption-cli"
SIZES = [0, F, 3 * F + 777]

pytestmark = pytest.mark.usefixtures("aws_environment")


def cli(action: str, source: Path, target: Path, *arguments: str) -> str:
    """Run the CLI; its complaints. Its exit code says little: 0 even when the context is refused."""
    assert CLI.exists(), "run `make setup`"
    # By its interpreter: a script in a folder with a long or spaced name cannot start by itself.
    command = [str(CLI.with_name("python")), str(CLI), action, "--input", str(source), "--output", str(target)]
    command += ["--suppress-metadata", "--commitment-policy", "require-encrypt-require-decrypt", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stderr


def as_arguments(context: dict[str, str]) -> list[str]:
    return ["--encryption-context", *(f"{key}={value}" for key, value in context.items())]


@pytest.fixture
def data_key(keyring: Keyring, kms: KMSClient, key_arn: str, second_arn: str) -> DataKey:
    """A data key that either of two KMS keys unwraps."""
    made = keyring.generate(key_arn, CONTEXT)
    second = kms.encrypt(KeyId=second_arn, Plaintext=made.plaintext, EncryptionContext=CONTEXT)["CiphertextBlob"]
    return DataKey(made.plaintext, [*made.wrapped, WrappedKey(second_arn, second)])


@pytest.mark.parametrize("size", SIZES)
def test_the_cli_reads_ours_with_either_key(
    tmp_path: Path, data_key: DataKey, key_arn: str, second_arn: str, size: int
) -> None:
    plaintext = os.urandom(size)
    message = tmp_path / "message"
    message.write_bytes(b"".join(Encryptor(data_key, CONTEXT).encrypt([plaintext])))
    for number, arn in enumerate((key_arn, second_arn)):
        target = tmp_path / f"plaintext-{number}"
        said = cli("--decrypt", message, target, "--wrapping-keys", f"key={arn}", *as_arguments(CONTEXT))
        assert target.exists(), said
        assert target.read_bytes() == plaintext


@pytest.mark.parametrize("size", SIZES)
def test_we_read_the_cli_s(tmp_path: Path, keyring: Keyring, key_arn: str, second_arn: str, size: int) -> None:
    plaintext, message = tmp_path / "plaintext", tmp_path / "message"
    plaintext.write_bytes(os.urandom(size))
    options = ["--algorithm", "AES_256_GCM_HKDF_SHA512_COMMIT_KEY", "--frame-length", str(F)]
    keys = ["--wrapping-keys", f"key={key_arn}", f"key={second_arn}"]
    said = cli("--encrypt", plaintext, message, *keys, *options, *as_arguments(CONTEXT))
    assert message.exists(), said
    for arn in (key_arn, second_arn):
        stream = ByteReader([message.read_bytes()])
        header = Header.read(stream)
        assert header.frame_length == F
        unwrapped = keyring.unwrap(header.wrapped_keys, CONTEXT, {arn})
        assert b"".join(Decryptor(header, unwrapped).decrypt(stream)) == plaintext.read_bytes()


def test_the_cli_refuses_what_we_refuse(tmp_path: Path, data_key: DataKey, key_arn: str) -> None:
    message = b"".join(Encryptor(data_key, CONTEXT).encrypt([bytes(2 * F)]))
    flipped = bytearray(message)
    flipped[-1] ^= 1
    other_context = as_arguments(CONTEXT | {"backup-id": "another"})
    in_header = message.replace(b"mysql-backup", b"mysql-bakcup", 1)
    for number, (tampered, arguments) in enumerate(
        (
            (bytes(flipped), []),
            (message[:-1], []),
            (message[: -(F + 72)], []),
            (in_header, []),
            (message, other_context),
        )
    ):
        source, target = tmp_path / f"message-{number}", tmp_path / f"plaintext-{number}"
        source.write_bytes(tampered)
        said = cli("--decrypt", source, target, "--wrapping-keys", f"key={key_arn}", *arguments)
        assert not target.exists(), (number, said)
