"""The break-glass file against a real KMS: it opens what the engine makes, and refuses what the engine refuses."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from include.backup_engine.accounts import ServerAccounts, encrypt_accounts
from include.backup_engine.crypto.data_key import Keyring, WrappedKey
from include.backup_engine.crypto.message import FRAME_LENGTH
from include.backup_engine.crypto.sidecar import EncryptedDataKey, seal
from include.backup_engine.mysql.accounts import Account
from include.backup_engine.names import SIDECAR_SUFFIX, BackupName, encryption_context
from include.backup_engine.records import ServerIdentity
from tests.interop.break_glass import PROGRAM, decrypt_backup, environment, run_python
from tests.servers.localstack import Aws, Vault
from tests.unit.crypto.examples import BACKUP_ID, NAME, SOURCE, make_v1, make_v2

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

F = FRAME_LENGTH
SIZES = [0, 1, F, 3 * F + 777]
OK, USAGE, STORE, KEY, NOT_AUTHENTIC = 0, 2, 3, 4, 5

pytestmark = pytest.mark.usefixtures("aws_environment")


@dataclass(frozen=True)
class Pair:
    """A backup's two files, and what they hold."""

    file: Path
    sidecar: Path
    plaintext: bytes

    def with_sidecar(self, **fields: Any) -> Pair:
        """Change fields of the sidecar; None removes one."""
        document = json.loads(self.sidecar.read_text()) | fields
        self.sidecar.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))
        return self


Make = Callable[..., Pair]


@pytest.fixture
def make(tmp_path: Path, keyring: Keyring, key_arn: str) -> Make:
    """Makes backups in ``tmp_path`` as the engine does."""

    def make(version: int, size: int = 3 * F + 777, name: BackupName = NAME, arn: str = key_arn) -> Pair:
        plaintext = os.urandom(size)
        context = encryption_context(SOURCE, name, BACKUP_ID) if version == 2 else {}
        data_key = keyring.generate(arn, context)
        message, sidecar = (
            make_v2(plaintext, data_key, context, name, F) if version == 2 else make_v1(plaintext, data_key, name)
        )
        pair = Pair(tmp_path / name.object_name, tmp_path / name.sidecar_name, plaintext)
        pair.file.write_bytes(message)
        pair.sidecar.write_bytes(seal(sidecar, data_key))
        return pair

    return make


def refused(folder: Path, code: int, *arguments: str | Path, says: str = "") -> None:
    """Decrypting ends with an exit code, one line that says why, and nothing left behind."""
    before = sorted(folder.iterdir())
    done = decrypt_backup(folder, *arguments, "--output", folder / "out.sql.gz")
    assert done.returncode == code, done
    lines = [line for line in done.stderr.splitlines() if not line.startswith("NOTE: ")]
    assert len(lines) == 1 and lines[0].startswith("ERROR: "), done.stderr
    assert says in done.stderr, done.stderr
    assert done.stdout == ""
    assert sorted(folder.iterdir()) == before


def test_nothing_of_ours_is_there(tmp_path: Path) -> None:
    for name in ("pydantic", "airflow", "isal", "zstandard", "pymysql", "include"):
        assert "ModuleNotFoundError" in run_python(tmp_path, "-c", f"import {name}").stderr, name


def test_it_is_one_short_file_that_an_old_python_reads() -> None:
    text = PROGRAM.read_text()
    assert len(text.splitlines()) < 300
    tree = ast.parse(text, feature_version=(3, 9))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names == {"boto3", "botocore", "cryptography", "urllib3"}  # boto3 needs two


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("version", "sidecar"), [(2, False), (2, True), (1, True)])
def test_it_opens_what_the_engine_makes(
    tmp_path: Path, make: Make, key_arn: str, version: int, sidecar: bool, size: int
) -> None:
    pair = make(version, size)
    beside = ["--sidecar", pair.sidecar] if sidecar else []
    output = tmp_path / "out.sql.gz"
    options = ["--key-arn", key_arn, "--source", SOURCE, *beside]
    done = decrypt_backup(tmp_path, pair.file, *options, "--output", output)
    assert done.returncode == OK, done.stderr
    assert output.read_bytes() == pair.plaintext
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert not output.with_name("out.sql.gz.partial").exists()

    digest = decrypt_backup(tmp_path, pair.file, *options, "--digest")
    assert digest.stdout == f"{hashlib.sha256(pair.plaintext).hexdigest()} {size}\n", digest.stderr


def test_it_opens_a_backup_of_the_original_system_and_says_what_is_unproven(
    tmp_path: Path, make: Make, key_arn: str
) -> None:
    theirs = ("kms_key_id", "encrypted_data_key", "iv", "auth_tag", "algorithm", "metadata", "encrypted_file_size")
    pair = make(1)
    document = json.loads(pair.sidecar.read_text())
    pair.sidecar.write_text(json.dumps({field: document[field] for field in theirs}))
    done = decrypt_backup(
        tmp_path, pair.file, "--key-arn", key_arn, "--sidecar", pair.sidecar, "--output", tmp_path / "out"
    )
    assert (done.returncode, (tmp_path / "out").read_bytes()) == (OK, pair.plaintext)
    assert done.stderr.startswith("NOTE: made by the original system")


def test_it_opens_objects_and_old_versions_of_them(
    tmp_path: Path, make: Make, key_arn: str, aws: Aws, vault: Vault
) -> None:
    pair = make(2)
    key = f"private/db_backups/{SOURCE}/{pair.file.name}"
    first = aws.s3.put_object(Bucket=vault.bucket, Key=key, Body=pair.file.read_bytes())
    aws.s3.put_object(Bucket=vault.bucket, Key=key + SIDECAR_SUFFIX, Body=pair.sidecar.read_bytes())
    place = f"s3://{vault.bucket}/{key}"
    options = ["--key-arn", key_arn, "--sidecar", place + SIDECAR_SUFFIX]
    done = decrypt_backup(tmp_path, place, *options, "--output", tmp_path / "out")
    assert done.returncode == OK, done.stderr
    assert (tmp_path / "out").read_bytes() == pair.plaintext

    aws.s3.put_object(Bucket=vault.bucket, Key=key, Body=b"overwritten by somebody")
    refused(tmp_path, NOT_AUTHENTIC, place, *options)
    old = decrypt_backup(tmp_path, f"{place}?versionId={first['VersionId']}", *options, "--digest")
    assert old.stdout.split() == [hashlib.sha256(pair.plaintext).hexdigest(), str(len(pair.plaintext))], old.stderr

    refused(tmp_path, STORE, place + "x", *options, says="NoSuchKey")
    refused(tmp_path, STORE, "s3://no-such-bucket-of-ours/x", *options, says="NoSuchBucket")


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


_FRAME = F + 32
TAMPERED: dict[str, Callable[[bytes], bytes]] = {
    "nothing left": lambda data: b"",
    "the header cut": lambda data: data[:100],
    "message id": lambda data: _flip(data, 10),
    "encryption context": lambda data: data.replace(b"mysql-backup", b"mysql-backuq", 1),
    "backup id": lambda data: data.replace(BACKUP_ID.encode(), BACKUP_ID.replace("1", "2").encode(), 1),
    "header tag": lambda data: _flip(data, len(data) - 3 * _FRAME - (777 + 40) - 1),
    "first frame": lambda data: _flip(data, len(data) - 3 * _FRAME - (777 + 40) + 100),
    "last byte": lambda data: _flip(data, len(data) - 1),
    "cut by a byte": lambda data: data[:-1],
    "cut by the last frame": lambda data: data[: -(777 + 40)],
    "a frame dropped": lambda data: data[: -2 * _FRAME - (777 + 40)] + data[-_FRAME - (777 + 40) :],
    "a byte more": lambda data: data + b"\0",
}


@pytest.mark.parametrize("sidecar", [False, True])
@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_v2_file_is_refused(tmp_path: Path, make: Make, key_arn: str, how: str, sidecar: bool) -> None:
    pair = make(2)
    changed = TAMPERED[how](pair.file.read_bytes())
    assert changed != pair.file.read_bytes()
    pair.file.write_bytes(changed)
    refused(tmp_path, NOT_AUTHENTIC, pair.file, "--key-arn", key_arn, *(["--sidecar", pair.sidecar] if sidecar else []))


@pytest.mark.parametrize("at", [0, F, -1])
def test_a_tampered_v1_file_is_refused(tmp_path: Path, make: Make, key_arn: str, at: int) -> None:
    pair = make(1)
    data = pair.file.read_bytes()
    options = [pair.file, "--key-arn", key_arn, "--sidecar", pair.sidecar]
    for changed in (_flip(data, at % len(data)), data[:-1], data + b"\0", b""):
        pair.file.write_bytes(changed)
        refused(tmp_path, NOT_AUTHENTIC, *options)
    digest = decrypt_backup(tmp_path, *options, "--digest")
    assert (digest.returncode, digest.stdout) == (NOT_AUTHENTIC, "")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "fields",
    [
        {"database": "other"},
        {"iv": "AAAAAAAAAAAAAAAA"},
        {"attempt": 2},
        {"sidecar_mac": None},
        {"sidecar_mac": {"alg": "HMAC-SHA256", "value": "not base64"}},
        {"object_name": "db_backup_20260103_030405.sql.gz.encrypted"},
        {"ciphertext_sha256": "00"},
        {"format_version": 3},
        {"encrypted_data_key": "AAAA"},
    ],
)
def test_a_changed_sidecar_is_refused(
    tmp_path: Path, make: Make, key_arn: str, version: int, fields: dict[str, Any]
) -> None:
    pair = make(version).with_sidecar(**fields)
    refused(tmp_path, NOT_AUTHENTIC, pair.file, "--key-arn", key_arn, "--sidecar", pair.sidecar)


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "{}", '{"algorithm": [], "format_version": []}', "[" * 100_000])
def test_what_is_no_sidecar_is_refused(tmp_path: Path, make: Make, key_arn: str, text: str) -> None:
    pair = make(2)
    pair.sidecar.write_text(text)
    refused(tmp_path, NOT_AUTHENTIC, pair.file, "--key-arn", key_arn, "--sidecar", pair.sidecar)


def test_v2_is_not_read_as_v1(tmp_path: Path, make: Make, key_arn: str) -> None:
    pair = make(2).with_sidecar(format_version=1, algorithm="AES-256-GCM", iv="AAAAAAAAAAAAAAAA", sidecar_mac=None)
    refused(tmp_path, NOT_AUTHENTIC, pair.file, "--key-arn", key_arn, "--sidecar", pair.sidecar, says="KMS refuses it")


def test_v1_without_its_sidecar_says_what_is_missing(tmp_path: Path, make: Make, key_arn: str) -> None:
    pair = make(1)
    refused(tmp_path, NOT_AUTHENTIC, pair.file, "--key-arn", key_arn, says="give its --sidecar")


def test_another_backup_under_this_name_is_refused(tmp_path: Path, make: Make, key_arn: str) -> None:
    other = BackupName(NAME.taken_at + timedelta(days=1))
    for version in (1, 2):
        theirs, ours = make(version, name=other), make(version)
        theirs.file.replace(ours.file)
        theirs.sidecar.replace(ours.sidecar)
        refused(tmp_path, NOT_AUTHENTIC, ours.file, "--key-arn", key_arn, "--sidecar", ours.sidecar, says=NAME.stem)
    refused(tmp_path, NOT_AUTHENTIC, ours.file, "--key-arn", key_arn, says=other.object_name)


def test_another_source_is_refused(tmp_path: Path, make: Make, key_arn: str) -> None:
    pair = make(2)
    refused(tmp_path, NOT_AUTHENTIC, pair.file, "--key-arn", key_arn, "--source", "another")
    pair = make(1)
    options = ["--sidecar", pair.sidecar, "--source", "another"]
    refused(tmp_path, NOT_AUTHENTIC, pair.file, "--key-arn", key_arn, *options)


@pytest.mark.parametrize("version", [1, 2])
def test_another_kms_key_is_refused(tmp_path: Path, make: Make, key_arn: str, second_arn: str, version: int) -> None:
    pair = make(version, arn=second_arn)  # a key that this identity may use, as an attacker's may be
    refused(tmp_path, KEY, pair.file, "--key-arn", key_arn, "--sidecar", pair.sidecar)


def test_a_key_that_cannot_be_used_is_named(tmp_path: Path, make: Make, kms: KMSClient) -> None:
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    pair = make(2, arn=arn)
    kms.disable_key(KeyId=arn)
    refused(tmp_path, KEY, pair.file, "--key-arn", arn, says="DisabledException")


def test_a_copy_of_the_data_key_that_was_added_to_the_sidecar_opens_it(
    tmp_path: Path, keyring: Keyring, kms: KMSClient, key_arn: str, second_arn: str
) -> None:
    context = encryption_context(SOURCE, NAME, BACKUP_ID)
    data_key = keyring.generate(key_arn, context)
    message, sidecar = make_v2(b"plaintext", data_key, context, NAME, F)
    again = kms.encrypt(KeyId=second_arn, Plaintext=data_key.plaintext, EncryptionContext=context)["CiphertextBlob"]
    keys = [*sidecar.encrypted_data_keys]
    keys.append(EncryptedDataKey.of(WrappedKey(second_arn, again)))
    file, beside = tmp_path / NAME.object_name, tmp_path / NAME.sidecar_name
    file.write_bytes(message)
    beside.write_bytes(seal(sidecar.model_copy(update={"encrypted_data_keys": keys}), data_key))
    refused(tmp_path, KEY, file, "--key-arn", second_arn, says=key_arn)
    done = decrypt_backup(tmp_path, file, "--key-arn", second_arn, "--sidecar", beside, "--output", tmp_path / "out")
    assert (done.returncode, (tmp_path / "out").read_bytes()) == (OK, b"plaintext"), done.stderr


def test_nothing_is_overwritten(tmp_path: Path, make: Make, key_arn: str) -> None:
    pair = make(2)
    for name in ("out.sql.gz", "out.sql.gz.partial"):
        (tmp_path / name).write_text("something of value")
        refused(tmp_path, STORE, pair.file, "--key-arn", key_arn)
        assert (tmp_path / name).read_text() == "something of value"
        (tmp_path / name).unlink()


def test_wrong_usage(tmp_path: Path, make: Make) -> None:
    pair = make(2)
    refused(tmp_path, USAGE, pair.file, "--key-arn", "alias/surgicase-backup", says="not an alias")
    assert decrypt_backup(tmp_path, pair.file).returncode == USAGE
    refused(tmp_path, STORE, tmp_path / "none", "--key-arn", "arn:aws:kms:us-east-1:000000000000:key/x", says="No such")


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, make: Make, key_arn: str) -> None:
    pair = make(2)
    command = [str(environment()), str(PROGRAM), str(pair.file), "--key-arn", key_arn, "--output", "out.sql.gz"]
    script = "ulimit -f 1024; trap '' XFSZ; exec \"$@\""  # a limit of 1 MiB per file looks the same to a program
    done = subprocess.run(["bash", "-c", script, "-", *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == STORE and done.stderr.startswith("ERROR: "), done
    assert not list(tmp_path.glob("out*"))


def test_no_credentials(tmp_path: Path, make: Make, key_arn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = make(2)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    refused(tmp_path, KEY, pair.file, "--key-arn", key_arn, says="NoCredentialsError")


def test_it_opens_a_backup_with_any_of_its_keys(
    tmp_path: Path, kms: KMSClient, keys_of_two_regions: tuple[Keyring, str, str]
) -> None:
    keyring, here, abroad = keys_of_two_regions
    file, context = tmp_path / NAME.object_name, encryption_context(SOURCE, NAME, BACKUP_ID)
    with keyring.generate(here, context) as data_key:
        data_key.wrapped += (keyring.wrap(data_key, abroad, context),)
        message, sidecar = make_v2(b"two keys", data_key, context, NAME, F)
        file.write_bytes(message)
        file.with_name(NAME.sidecar_name).write_bytes(seal(sidecar, data_key))

    def read(code: int, *arguments: str | Path) -> str:
        done = decrypt_backup(tmp_path, file, "--digest", "--source", SOURCE, *arguments)
        assert done.returncode == code, done
        return done.stdout or done.stderr

    digest = f"{hashlib.sha256(b'two keys').hexdigest()} 8\n"
    for sidecar_too in ((), ("--sidecar", file.with_name(NAME.sidecar_name))):
        for arn in (here, abroad):
            assert read(OK, "--key-arn", arn, *sidecar_too) == digest
    kms.disable_key(KeyId=here)
    assert read(OK, "--key-arn", here, "--key-arn", abroad) == digest
    said = read(KEY, "--key-arn", here)
    assert here in said and "DisabledException" in said
    Aws(os.environ["AWS_ENDPOINT_URL"], "eu-west-1").kms.disable_key(KeyId=abroad)
    said = read(KEY, "--key-arn", here, "--key-arn", abroad)
    assert here in said and abroad in said and said.count("\n") == 1


def test_it_opens_the_accounts_that_were_kept_with_a_backup(tmp_path: Path, keyring: Keyring, key_arn: str) -> None:
    account = Account(user="nurse", host="%", role=False, create="CREATE USER `nurse`@`%`", grants=[])
    server = ServerIdentity(flavour="mariadb", version="10.11", instance_id="i")
    kept = ServerAccounts(server=server, taken_at=NAME.taken_at, accounts=[account])
    context = encryption_context(SOURCE, NAME, BACKUP_ID)
    message, _ = encrypt_accounts(kept, keyring.generate(key_arn, context), context, NAME)
    file = tmp_path / NAME.accounts_name
    file.write_bytes(message)
    out = tmp_path / "accounts.json"
    done = decrypt_backup(tmp_path, file, "--key-arn", key_arn, "--source", SOURCE, "--output", out)
    assert done.returncode == OK, done.stderr
    assert ServerAccounts.model_validate_json(out.read_bytes()).accounts[0].create == account.create
    refused(tmp_path, NOT_AUTHENTIC, file, "--key-arn", key_arn, "--source", "another", says="not of that source")
