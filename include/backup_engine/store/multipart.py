"""One stream of unknown length becomes one object: an S3 multipart upload with bounded memory.

The parts are cut and numbered here, hashed and sent by two threads, and every failure aborts the upload, so
that no invisible parts stay behind to be paid for. boto3's own transfer manager cannot do this: it keeps 8 MiB
parts for a stream of unknown size, and so fails at 78 GiB, after hours.
"""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from include.backup_engine.errors import Cancelled, StoredCopyDiffers, StoreRefused
from include.backup_engine.records import StoredObject
from include.backup_engine.store.aws import already_stored, error_code, store_errors, stored_object, was_retried

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

FIRST_PART_BYTES = 8 * 1024 * 1024
PARTS_PER_SIZE = 1_000
MAX_PARTS = 10_000
"""S3's limit (AWS docs, "Amazon S3 multipart upload limits")."""
SENDERS = 2
"""Threads that send. At most one part more than that is in memory: the one being filled."""
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 30.0
_SLOW_BYTES_PER_SECOND = 1e6
_IN_FLIGHT_SECONDS = 30.0


def part_size(number: int) -> int:
    """Bytes of part ``number`` (from 1): 8 MiB, doubled every 1,000 parts.

    Small backups so need 24 MiB of memory, and the 10,000 parts hold 7.8 TiB: the last 1,000 are 4 GiB each,
    below S3's 5 GiB for a part, and the whole is below its 48.8 TiB for an object. A part is never larger than
    the larger of 8 MiB and 1/500 of what was sent before it.
    """
    return FIRST_PART_BYTES << (number - 1) // PARTS_PER_SIZE


def cut(chunks: Iterable[bytes]) -> Iterator[io.BytesIO]:
    """Cut a stream into parts of the scheduled sizes. An empty stream is one empty part."""
    number, part = 1, io.BytesIO()
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest.nbytes:
            room = part_size(number) - part.tell()
            part.write(rest[:room])
            rest = rest[room:]
            if part.tell() == part_size(number):
                yield part
                number, part = number + 1, io.BytesIO()
    if part.tell() or number == 1:
        yield part


def composite_checksum(digests: Iterable[bytes]) -> str:
    """S3's checksum of a multipart object: base64 of the SHA-256 over the parts' digests, ``-``, their number.

    (AWS docs, "Checking object integrity", composite checksums.)
    """
    parts = list(digests)
    return f"{base64.b64encode(hashlib.sha256(b''.join(parts)).digest()).decode()}-{len(parts)}"


class MultipartUpload:
    """One upload; :meth:`run` is called once.

    :param request: what CreateMultipartUpload gets besides bucket, key and checksum algorithm.
    :param cancelled: asked at every chunk and while waiting; true ends the upload.
    :param warn: told when S3 acknowledges nothing any more, and when it goes on.
    """

    def __init__(
        self, client: S3Client, bucket: str, key: str, request: Mapping[str, Any], cancelled: Callable[[], bool],
        warn: Callable[[str], object],
    ) -> None:  # fmt: skip
        self._client = client
        self._target: dict[str, Any] = {"Bucket": bucket, "Key": key}
        self._key = key
        self._request = request
        self._cancelled = cancelled
        self._warn = warn
        self.upload_id: str | None = None
        self._sent: dict[int, tuple[str, bytes, int]] = {}  # number: ETag, SHA-256, size
        self._waiting: SimpleQueue[tuple[int, io.BytesIO] | None] = SimpleQueue()
        self._idle_senders = threading.Semaphore(SENDERS)
        self._failure: BaseException | None = None
        self._stopping = False
        self._killed = False
        self._threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(SENDERS)]

    def run(self, chunks: Iterable[bytes]) -> StoredObject:
        """Send the stream, complete the object, compare what S3 says about it.

        :raises StoreError, StoreRefused: from S3; after the upload was aborted.
        :raises Cancelled: when asked to stop; after the upload was aborted.
        :raises StoredCopyDiffers: S3 completed something else than what was sent.
        """
        for thread in self._threads:
            thread.start()
        try:
            self._begin()
            for number, part in enumerate(cut(self._checked(chunks)), start=1):
                self._hand_over(number, part)
            for _ in range(SENDERS):
                self._wait_for_sender(part_size(number))
            return self._complete()
        except BaseException as error:
            self._stopping = True
            if self.upload_id and not self._abandon():
                error.add_note(
                    f"The multipart upload {self.upload_id} of {self._key} could not be aborted, or not be seen to be "
                    "gone: the sweep of unfinished uploads, or the bucket's lifecycle rule, has to remove it."
                )
            raise
        finally:
            self._dismiss_senders()

    def kill(self, seconds: float) -> None:
        """Make :meth:`run` fail, and abort the upload now. For signal handlers: bounded, and takes no lock.

        The abort runs in a thread of its own: the code that the signal interrupted may hold a lock of the S3
        client, and would never release it while the handler waits for that lock.
        """
        self._killed = self._stopping = True
        if self.upload_id:
            thread = threading.Thread(target=self._abort, daemon=True)
            thread.start()
            thread.join(seconds)

    # The thread that fills ------------------------------------------------------------------------------

    def _begin(self) -> None:
        with store_errors(f"Begin of the upload of {self._key}"):
            answer = self._client.create_multipart_upload(
                **self._target, **self._request, ChecksumAlgorithm="SHA256", ChecksumType="COMPOSITE"
            )
        self.upload_id = answer["UploadId"]
        self._target["UploadId"] = self.upload_id

    def _checked(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._check()
            yield chunk

    def _check(self) -> None:
        if self._killed or self._cancelled():
            raise Cancelled(f"The upload of {self._key} was asked to stop.", "Run the backup again when it suits.")
        if self._failure is not None:
            raise self._failure

    def _hand_over(self, number: int, part: io.BytesIO) -> None:
        if number > MAX_PARTS:
            raise StoreRefused(
                f"The stream for {self._key} is longer than the {MAX_PARTS:,} parts of a multipart upload hold.",
                "Exclude tables, or split the database into several sources.",
            )
        self._wait_for_sender(part_size(number))
        self._waiting.put((number, part))

    def _wait_for_sender(self, size: int) -> None:
        """Wait until one has its part acknowledged, and tell when that takes longer than a slow line needs."""
        began = time.monotonic()
        patience = first = _PATIENCE_SECONDS + size / _SLOW_BYTES_PER_SECOND
        while not self._idle_senders.acquire(timeout=_POLL_SECONDS):
            self._check()
            if (waited := time.monotonic() - began) >= patience:
                patience *= 2
                self._warn(f"S3 has acknowledged no part of {self._key} for {waited:.0f} s: the backup stands still")
        if patience > first:
            self._warn(f"S3 goes on after {time.monotonic() - began:.0f} s")
        self._check()

    def _complete(self) -> StoredObject:
        numbers = sorted(self._sent)
        size = sum(self._sent[number][2] for number in numbers)
        checksum = composite_checksum(self._sent[number][1] for number in numbers)
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": n, "ETag": self._sent[n][0], "ChecksumSHA256": _base64(self._sent[n][1])} for n in numbers
        ]
        bucket = self._target["Bucket"]
        with store_errors(f"Completion of the upload of {self._key}"):
            try:
                # S3 compares checksum and size before it commits; with SSE-KMS its answer holds no checksum.
                answer = self._client.complete_multipart_upload(
                    **self._target,
                    MultipartUpload={"Parts": parts},
                    ChecksumSHA256=checksum,
                    ChecksumType="COMPOSITE",
                    MpuObjectSize=size,
                )
            except ClientError as error:
                lost = error_code(error) == "NoSuchUpload" and was_retried(error)
                stored = already_stored(self._client, bucket, self._key, checksum) if lost else None
                if stored is None:
                    raise
                return stored
        stored = stored_object(bucket, self._key, answer, size=size, parts=len(parts))
        if stored.checksum not in (None, checksum) or stored.sse != "aws:kms":
            raise StoredCopyDiffers(
                f"S3 completed {self._key} with another checksum or encryption than it was sent with.",
                "Do not use this object; run the backup again, and check what stands between here and S3.",
            )
        return stored.model_copy(update={"checksum": checksum})

    # The threads that send ------------------------------------------------------------------------------

    def _send_all(self) -> None:
        while self._send_next():
            self._idle_senders.release()

    def _send_next(self) -> bool:
        # A call of its own, so that the part is gone from memory before the next one may be filled.
        item = self._waiting.get()
        if item is None:
            return False
        number, part = item
        with part:
            try:
                if not self._stopping:
                    self._send(number, part)
            except BaseException as error:  # whatever it is, it is raised where the stream is read
                self._failure = self._failure or error
                self._stopping = True
        return True

    def _send(self, number: int, part: io.BytesIO) -> None:
        digest = hashlib.sha256(part.getbuffer()).digest()
        size = part.seek(0, io.SEEK_END)
        part.seek(0)
        with store_errors(f"Upload of part {number} of {self._key}"):
            answer = self._client.upload_part(
                **self._target, PartNumber=number, Body=part, ChecksumSHA256=_base64(digest)
            )
        self._sent[number] = (answer["ETag"], digest, size)

    # Giving up --------------------------------------------------------------------------------------------

    def _abandon(self) -> bool:
        """Abort, and see that it is so; false when it could not be seen."""
        self._abort()
        # A part in flight may still arrive after an abort, and stay (AWS docs, AbortMultipartUpload): once more.
        self._dismiss_senders()
        for thread in self._threads:
            thread.join(_IN_FLIGHT_SECONDS)
        return self._abort()

    def _abort(self) -> bool:
        try:
            self._client.abort_multipart_upload(**self._target)
            self._client.list_parts(**self._target, MaxParts=1)
        except ClientError as error:
            return error_code(error) == "NoSuchUpload"
        except (BotoCoreError, HTTPError):
            return False
        return False

    def _dismiss_senders(self) -> None:
        for _ in range(SENDERS):
            self._waiting.put(None)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
