"""One version of one object becomes a stream: pinned, resumed after a cut connection, and exactly as long as asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError
from urllib3.exceptions import HTTPError

from include.backup_engine.errors import StoredCopyDiffers
from include.backup_engine.records import StoredObject
from include.backup_engine.store.aws import error_code, store_errors, stored_object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

CHUNK_BYTES = 1024 * 1024
RESUMPTIONS = 5
"""How often in a row a cut connection is resumed with less than a chunk received in between."""
_FIRST_PAUSE_SECONDS = 0.25


class Download:
    """A range of an object, to be iterated once.

    The first answer pins the object: what is read after a cut is the same version (in a bucket with versioning;
    needs ``s3:GetObjectVersion``) and has the same ETag, or it is an error.

    :param length: bytes from ``offset`` on, no fewer; None reads to the end.
    :param etag: of the object, when it is known; else the first answer's.
    """

    def __init__(
        self, client: S3Client, bucket: str, key: str, version_id: str | None, offset: int, length: int | None,
        *, etag: str | None = None,
    ) -> None:  # fmt: skip
        self._client = client
        self._bucket = bucket
        self._key = key
        self._position = offset
        self._end = None if length is None else offset + length
        self._pin: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        if etag:
            self._pin["IfMatch"] = etag
        self.stored: StoredObject
        """The object whose bytes these are; set by the first answer."""

    def __iter__(self) -> Iterator[bytes]:
        cuts = 0
        while self._position != self._end:
            begin = self._position
            body = self._open()["Body"]
            try:
                # To the empty chunk, not to the last byte: there botocore compares with the stored checksum.
                while chunk := body.read(CHUNK_BYTES):
                    self._position += len(chunk)
                    yield chunk
            except (BotoCoreError, HTTPError) as error:
                cuts = 1 if self._position - begin >= CHUNK_BYTES else cuts + 1
                if cuts > RESUMPTIONS or isinstance(error, FlexibleChecksumError):
                    with store_errors(f"Download of {self._key}, at byte {self._position:,}"):
                        raise
                time.sleep(_FIRST_PAUSE_SECONDS * 2**cuts)
            finally:
                body.close()

    def _open(self) -> GetObjectOutputTypeDef:
        request = {"Bucket": self._bucket, "Key": self._key} | self._pin
        if self._position or self._end is not None:
            request["Range"] = f"bytes={self._position}-{'' if self._end is None else self._end - 1}"
        with store_errors(f"Download of {self._key}"):
            try:
                answer = self._client.get_object(**request)
            except ClientError as error:
                if error_code(error) == "PreconditionFailed":
                    raise self._differs("was overwritten while it was read") from None
                if error_code(error) == "InvalidRange":
                    raise self._differs(f"ends before byte {self._position:,}") from None
                raise
        size = int(answer["ContentRange"].rpartition("/")[2]) if "ContentRange" in answer else answer["ContentLength"]
        if "IfMatch" not in self._pin:
            self.stored = stored_object(self._bucket, self._key, answer, size=size)
            self._pin["IfMatch"] = answer["ETag"]
            if "VersionId" in answer:
                self._pin["VersionId"] = answer["VersionId"]
            self._end = size if self._end is None else self._end
        if answer["ContentLength"] != (self._end or 0) - self._position:
            answer["Body"].close()
            raise self._differs(f"has {size:,} bytes, not the range that was asked for")
        return answer

    def _differs(self, how: str) -> StoredCopyDiffers:
        return StoredCopyDiffers(
            f"The stored object {self._key} {how}.",
            "Compare it with its sidecar (verify); use an earlier version of it, or another backup.",
        )
