"""Uploads: what S3 is told, what it checks, and that no failure leaves a multipart upload behind."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest
from botocore.exceptions import ClientError

from include.backup_engine.errors import Cancelled, StoredCopyDiffers, StoreError, StoreRefused
from include.backup_engine.policy import ObjectLock
from include.backup_engine.store import multipart
from include.backup_engine.store.s3 import Vault
from tests.integration.store.clients import MIB
from tests.integration.store.wire import Wire
from tests.servers.localstack import Aws
from tests.servers.processes import ROOT

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

KEY = "private/db_backups/surgicase/db_backup_20260102_030405.sql.gz.encrypted"


def chunks(mebibytes: int) -> Iterator[bytes]:
    for number in range(mebibytes):
        yield number.to_bytes(4, "big") * (MIB // 4)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def nothing_left(vault: Vault) -> bool:
    return not list(vault.unfinished_uploads("")) and not list(vault.list(""))


# What is stored -------------------------------------------------------------------------------------------


def test_p20_p21_the_object_is_the_stream_and_is_protected(vault: Vault, sse_key: str) -> None:
    stored = vault.upload(KEY, chunks(20), metadata={"backup-id": "b1"})
    data = b"".join(chunks(20))
    parts = [data[: 8 * MIB], data[8 * MIB : 16 * MIB], data[16 * MIB :]]
    composite = base64.b64encode(sha256(b"".join(map(sha256, parts)))).decode() + "-3"
    assert (stored.size, stored.parts, stored.checksum) == (20 * MIB, 3, composite)
    head = vault.head(KEY, stored.version_id)
    assert head.checksum == composite
    assert (head.sse, head.sse_kms_key_id, head.bucket_key) == ("aws:kms", sse_key, True)
    assert (head.size, head.version_id, head.parts) == (20 * MIB, stored.version_id, 3)
    assert head.lock_mode is None
    assert vault.get(KEY, max_bytes=20 * MIB) == data
    assert vault.client.head_object(Bucket=vault.bucket, Key=KEY)["Metadata"] == {"backup-id": "b1"}
    assert list(vault.unfinished_uploads("")) == []


@pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1])
def test_sizes_around_a_part(vault: Vault, size: int) -> None:
    data = os.urandom(size)
    stored = vault.upload(KEY, [data])
    assert stored.parts == max(1, -(-size // (8 * MIB)))
    assert stored.checksum == vault.head(KEY).checksum
    assert vault.get(KEY, max_bytes=size) == data


def test_a_stream_of_no_chunks_is_an_empty_object(vault: Vault) -> None:
    assert vault.upload(KEY, []).size == 0
    assert vault.get(KEY, max_bytes=0) == b""


def test_an_alias_can_name_the_sse_key(make_vault: Callable[..., Vault], kms: KMSClient, sse_key: str) -> None:
    alias = f"alias/store-{sse_key[-12:]}"
    kms.create_alias(AliasName=alias, TargetKeyId=sse_key)
    assert make_vault(sse_key_id=alias).upload(KEY, chunks(1)).sse == "aws:kms"


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_p21_object_lock(make_vault: Callable[..., Vault], mode: Literal["GOVERNANCE", "COMPLIANCE"]) -> None:
    vault = make_vault(object_lock=ObjectLock(mode=mode, days=30))
    before = datetime.now(UTC) + timedelta(days=30)
    version = vault.upload(KEY, chunks(9)).version_id
    head = vault.head(KEY)
    assert head.lock_mode == mode
    assert head.retain_until is not None
    assert abs(head.retain_until - before) < timedelta(minutes=1)
    with pytest.raises(ClientError, match="AccessDenied"):
        vault.client.delete_object(Bucket=vault.bucket, Key=KEY, VersionId=str(version))


# What S3 checks -------------------------------------------------------------------------------------------


def test_bytes_damaged_on_the_way_are_rejected_and_nothing_stays(
    make_vault: Callable[..., Vault], wire: Wire, vault: Vault
) -> None:
    wire.replace = (b"DAMAGE-ME", b"damage-me")
    with pytest.raises(StoreError, match=r"BadDigest|XAmzContentSHA256Mismatch"):
        make_vault(endpoint=wire.endpoint).upload(KEY, [b"DAMAGE-ME" + bytes(MIB)])
    assert nothing_left(vault)


def test_a_wrong_checksum_of_a_part_is_rejected(vault: Vault) -> None:
    target: dict[str, Any] = {"Bucket": vault.bucket, "Key": KEY}
    target["UploadId"] = vault.client.create_multipart_upload(**target, ChecksumAlgorithm="SHA256")["UploadId"]
    with pytest.raises(ClientError, match="BadDigest"):
        vault.client.upload_part(
            **target, PartNumber=1, Body=b"data", ChecksumSHA256=base64.b64encode(sha256(b"other")).decode()
        )


def test_a_part_that_is_not_the_one_sent_fails_the_completion(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    send = vault.client.upload_part

    def swapped(**request: Any) -> Any:
        answer = send(**request)
        other = b"swapped behind our back"
        checksum = base64.b64encode(sha256(other)).decode()
        send(**(request | {"Body": other, "ChecksumSHA256": checksum}))
        return answer

    monkeypatch.setattr(vault.client, "upload_part", swapped)
    with pytest.raises(StoreRefused, match="InvalidPart"):
        vault.upload(KEY, chunks(1))
    assert nothing_left(vault)


@pytest.mark.parametrize("answer", [{"ChecksumSHA256": "b3RoZXI=-1"}, {"ServerSideEncryption": "AES256"}])
def test_a_completion_with_another_checksum_or_encryption_is_refused(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, answer: dict[str, str]
) -> None:
    # No server at hand errs like this, so the last answer alone is made up.
    complete = vault.client.complete_multipart_upload
    monkeypatch.setattr(vault.client, "complete_multipart_upload", lambda **request: complete(**request) | answer)
    with pytest.raises(StoredCopyDiffers):
        vault.upload(KEY, chunks(1))


# Failures leave nothing behind ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, SystemExit])
@pytest.mark.parametrize("after", [0, 1, 20])
def test_p18_a_failing_stream_aborts(vault: Vault, error: type[BaseException], after: int) -> None:
    def broken() -> Iterator[bytes]:
        yield from chunks(after)
        raise error("the dump died")

    with pytest.raises(error) as caught:
        vault.upload(KEY, broken())
    assert not hasattr(caught.value, "__notes__")
    assert nothing_left(vault)
    assert vault.current_upload_id is None


def test_cancelling_aborts(vault: Vault) -> None:
    taken = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for chunk in chunks(1000):
            taken += 1
            yield chunk

    with pytest.raises(Cancelled):
        vault.upload(KEY, counted(), cancelled=lambda: taken > 20)
    assert taken == 21
    assert nothing_left(vault)


def test_a_disabled_key_is_refused_with_a_remedy(vault: Vault, kms: KMSClient, sse_key: str) -> None:
    kms.disable_key(KeyId=sse_key)
    with pytest.raises(StoreRefused, match=r"KMS\.DisabledException") as caught:
        vault.upload(KEY, chunks(1))
    assert "sse_key_id" in caught.value.remedy
    assert nothing_left(vault)


def test_an_unknown_key_and_bucket_are_refused(make_vault: Callable[..., Vault]) -> None:
    with pytest.raises(StoreRefused, match=r"KMS\.NotFoundException"):
        make_vault(sse_key_id="alias/missing").upload(KEY, chunks(1))
    vault = make_vault()
    vault.bucket += "-missing"
    with pytest.raises(StoreRefused, match="NoSuchBucket") as caught:
        vault.upload(KEY, chunks(1))
    assert "vault.bucket" in caught.value.remedy


def test_a_failing_sender_aborts_and_stops_the_stream(vault: Vault) -> None:
    taken = 0

    def swept() -> Iterator[bytes]:
        # The upload vanishes under way, as when somebody sweeps: the senders fail, the stream does not.
        nonlocal taken
        for chunk in chunks(1000):
            taken += 1
            if taken == 12:
                assert len(vault.abort_unfinished(KEY, timedelta(seconds=-5))) == 1
            yield chunk

    with pytest.raises(StoreError, match=r"Upload of part .* NoSuchUpload"):
        vault.upload(KEY, swept())
    assert taken <= 12 + 4 * 8  # not the whole stream
    assert nothing_left(vault)


def test_an_unreachable_store_is_worth_a_retry(
    make_vault: Callable[..., Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    with pytest.raises(StoreError, match="EndpointConnectionError"):
        make_vault(endpoint="http://127.0.0.1:1").upload(KEY, chunks(1))


def test_an_abort_that_cannot_be_seen_is_noted(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "AbortMultipartUpload")

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise ValueError

    monkeypatch.setattr(vault.client, "abort_multipart_upload", unreachable)
    with pytest.raises(ValueError) as caught:
        vault.upload(KEY, broken())
    (upload,) = vault.unfinished_uploads(KEY)
    assert upload.upload_id in "".join(caught.value.__notes__)


def test_no_thread_outlives_an_upload(vault: Vault) -> None:
    before = threading.active_count()
    vault.upload(KEY, chunks(9))
    with pytest.raises(Cancelled):
        vault.upload(KEY, chunks(9), cancelled=lambda: True)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


# Killed from outside --------------------------------------------------------------------------------------


def test_abort_current_ends_the_upload_from_another_thread(vault: Vault) -> None:
    started = threading.Event()

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(MIB)
            started.set()

    def killer() -> None:
        started.wait(10)
        assert vault.current_upload_id
        vault.abort_current()
        assert not list(vault.unfinished_uploads(KEY))

    thread = threading.Thread(target=killer)
    thread.start()
    with pytest.raises(Cancelled):
        vault.upload(KEY, endless())
    thread.join()
    assert nothing_left(vault)


def test_abort_current_without_an_upload_does_nothing(vault: Vault) -> None:
    vault.abort_current()
    assert vault.current_upload_id is None


KILLED = """
import os, signal, sys
from tests.integration.store.clients import open_vault
_, endpoint, bucket, sse_key, key, stuck = sys.argv
vault = open_vault(endpoint, bucket, sse_key)

def on_term(*_):
    vault.abort_current()
    os._exit(17)

signal.signal(signal.SIGTERM, on_term)
def stream():
    for number in range(10**9):
        if number == 30:
            print("under way", flush=True)
            if stuck == "stuck":
                signal.pause()
        yield bytes(1024 * 1024)
vault.upload(key, stream())
"""


@pytest.mark.parametrize("stuck", ["busy", "stuck"])
def test_a_signal_handler_aborts_within_the_time_that_airflow_leaves(
    aws: Aws, vault: Vault, sse_key: str, stuck: str
) -> None:
    command = [sys.executable, "-c", KILLED, aws.url, vault.bucket, sse_key, KEY, stuck]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        process.stdout.readline()
        assert len(list(vault.unfinished_uploads(KEY))) == 1
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 17
        assert time.monotonic() - asked < 4
    time.sleep(0.5)  # a part that was in flight may arrive after the abort
    assert nothing_left(vault)


# Answers that get lost ------------------------------------------------------------------------------------


def test_a_lost_answer_to_the_completion_is_not_a_lost_backup(make_vault: Callable[..., Vault], wire: Wire) -> None:
    vault = make_vault(endpoint=wire.endpoint)
    wire.cut_answer_to = b"POST /" + f"{vault.bucket}/{KEY}?uploadId=".encode()
    stored = vault.upload(KEY, chunks(9))
    assert wire.cut_answer_to is None  # it was cut
    assert vault.get(KEY, max_bytes=9 * MIB) == b"".join(chunks(9))
    assert (stored.checksum, stored.size) == (vault.head(KEY).checksum, 9 * MIB)


def test_a_lost_answer_to_a_part_is_sent_again(make_vault: Callable[..., Vault], wire: Wire) -> None:
    vault = make_vault(endpoint=wire.endpoint)
    wire.cut_answer_to = b"partNumber=2"
    vault.upload(KEY, chunks(20))
    assert wire.cut_answer_to is None
    assert vault.get(KEY, max_bytes=20 * MIB) == b"".join(chunks(20))


# Memory ---------------------------------------------------------------------------------------------------

MEASURED = """
import sys, time
from include.backup_engine.report import forget_peak_memory, peak_memory
from tests.integration.store.clients import open_vault
_, endpoint, bucket, sse_key, key = sys.argv
vault = open_vault(endpoint, bucket, sse_key)
vault.upload(key + ".warm", [bytes(1024)])
def stream():
    for number in range(300):
        yield number.to_bytes(8, "big") * (128 * 1024)
forget_peak_memory()
before = peak_memory()
started = time.monotonic()
vault.upload(key, stream())
sent = time.monotonic()
up = peak_memory() - before
forget_peak_memory()
before = peak_memory()
begun = time.monotonic()
assert sum(len(chunk) for chunk in vault.read(key)) == 300 * 2**20
received = time.monotonic()
print(up, peak_memory() - before, 300 * 2**20 / 1e6 / (sent - started), 300 * 2**20 / 1e6 / (received - begun))
"""


def test_three_hundred_mebibytes_pass_in_the_memory_of_three_parts(aws: Aws, vault: Vault, sse_key: str) -> None:
    command = [sys.executable, "-c", MEASURED, aws.url, vault.bucket, sse_key, KEY]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    up, down, sent, received = map(float, done.stdout.split())
    print(f"up {sent:.0f} MB/s in {up / MIB:.0f} MiB, down {received:.0f} MB/s in {down / MIB:.0f} MiB")
    assert up < 48 * MIB  # the parts, the slack with which they grow, and the client's own
    assert down < 16 * MIB


def test_at_most_three_parts_are_in_memory(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    send = vault.client.upload_part
    monkeypatch.setattr(vault.client, "upload_part", lambda **request: (let_go.wait(20), send(**request))[1])
    taken = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for chunk in chunks(80):
            taken += 1
            yield chunk

    def check() -> None:
        time.sleep(2)
        held.append(taken)
        let_go.set()

    held: list[int] = []
    thread = threading.Thread(target=check)
    thread.start()
    vault.upload(KEY, counted())
    thread.join()
    assert held == [3 * 8]


def test_p17_parts_grow(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "FIRST_PART_BYTES", 5 * MIB)
    monkeypatch.setattr(multipart, "PARTS_PER_SIZE", 2)
    stored = vault.upload(KEY, chunks(33))  # 5 + 5 + 10 + 10 + 3
    assert stored.parts == 5
    assert stored.checksum == vault.head(KEY).checksum
    assert vault.get(KEY, max_bytes=33 * MIB) == b"".join(chunks(33))


def test_a_stream_longer_than_all_parts_is_refused(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "MAX_PARTS", 2)
    with pytest.raises(StoreRefused, match="longer"):
        vault.upload(KEY, chunks(17))
    assert nothing_left(vault)
