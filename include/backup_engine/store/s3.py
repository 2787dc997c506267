"""The vault: one bucket, as one role sees it. Keys are whole keys, with the prefix."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from include.backup_engine.errors import BackupChanged, BackupError, BackupExists, StoredCopyDiffers
from include.backup_engine.policy import VaultPolicy
from include.backup_engine.records import StoredObject
from include.backup_engine.store.aws import already_stored, error_code, store_errors, stored_object, was_retried
from include.backup_engine.store.download import Download
from include.backup_engine.store.multipart import MultipartUpload
from include.backup_engine.store.read_ahead import read_ahead
from include.backup_engine.store.settings import BucketSettings, read_settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NOT_LOCKED = {"InvalidRequest", "NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"}
"""The object is not locked, or (InvalidRequest) the bucket has no Object Lock."""
_KILL_SECONDS = 3.0  # Airflow kills a task 5 s after it asked it to stop


@dataclass(frozen=True)
class UnfinishedUpload:
    """A multipart upload that was neither completed nor aborted: it costs money and no list shows it."""

    key: str
    upload_id: str
    initiated: datetime


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an object, or a delete marker, which hides the versions before it.

    :param version_id: ``null`` in a bucket that has never had versioning.
    :param latest: what a reader gets who names no version.
    """

    key: str
    version_id: str
    latest: bool
    marker: bool
    stored_at: datetime


class Vault:
    """Reads and writes objects of the policy's bucket with the credentials of ``client``.

    Everything written gets SSE-KMS under ``sse_key_id`` with an S3 Bucket Key, a SHA-256 that S3 checks, and
    the policy's Object Lock. Every method raises StoreError (passing) or StoreRefused (lasting).

    :param client: a boto3 S3 client with :func:`~include.backup_engine.store.aws.client_config`, for this vault alone.
    """

    def __init__(self, client: S3Client, policy: VaultPolicy) -> None:
        self.client = client
        self.policy = policy
        self.bucket = policy.bucket
        self.prefix = policy.prefix
        self.last_request_id: str | None = None
        """S3's id of the last request of ``client`` that was answered, for the log."""
        self._upload: MultipartUpload | None = None
        client.meta.events.register("after-call.s3", self._remember_request)

    # Writing ----------------------------------------------------------------------------------------------

    def upload(
        self,
        key: str,
        chunks: Iterable[bytes],
        *,
        metadata: Mapping[str, str] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        warn: Callable[[str], object] = lambda text: None,
    ) -> StoredObject:
        """Store a stream of unknown length; at most three parts of it are in memory (see ``multipart.part_size``).

        On any failure, of the stream as well, the upload is aborted and seen to be gone before the error is
        raised; when that is not possible, a note on the error says so. One upload at a time per vault. The stream
        stays the caller's to close.

        :param metadata: user metadata, ASCII.
        :param cancelled: asked at every chunk and while waiting for S3.
        :param warn: told when S3 stands still, and when it goes on.
        :raises Cancelled: ``cancelled`` said so, or :meth:`abort_current` was called.
        :raises StoredCopyDiffers: S3 completed something else than what was sent.
        """
        request = self._protection() | {"Metadata": dict(metadata or {})}
        self._upload = MultipartUpload(self.client, self.bucket, key, request, cancelled, warn)
        try:
            return self._upload.run(chunks)
        finally:
            self._upload = None

    @property
    def current_upload_id(self) -> str | None:
        """The id of the multipart upload that is under way."""
        return self._upload.upload_id if self._upload else None

    def abort_current(self) -> None:
        """Abort the upload that is under way, if any. Callable from a signal handler; takes at most three seconds."""
        if upload := self._upload:
            upload.kill(_KILL_SECONDS)

    def put_once(self, key: str, body: bytes, *, content_type: str) -> StoredObject:
        """Store a small object under a key that must not exist yet (``If-None-Match: *``).

        :raises BackupExists: the key exists, and was not written by this very call.
        """
        refused = BackupExists(
            f"{key} exists already; what is finished is never overwritten.",
            "Look at it (show, verify): an earlier try may have finished. A new backup takes a new name.",
        )
        return self._put(key, body, content_type, {"IfNoneMatch": "*"}, refused)

    def replace(self, key: str, body: bytes, *, content_type: str, etag: str) -> StoredObject:
        """Store the next version of a small object, if it is still the one that was read (``If-Match``).

        :param etag: of what was read.
        :raises BackupChanged: it is another one by now.
        """
        refused = BackupChanged(
            f"{key} has been changed since it was read.", "Run it again: it takes up what is there by then."
        )
        return self._put(key, body, content_type, {"IfMatch": etag}, refused)

    def _put(
        self, key: str, body: bytes, content_type: str, condition: Mapping[str, str], refused: BackupError
    ) -> StoredObject:
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        request = self._protection() | {"ContentType": content_type, "ChecksumSHA256": checksum} | dict(condition)
        with store_errors(f"Writing {key}"):
            try:
                answer = self.client.put_object(Bucket=self.bucket, Key=key, Body=io.BytesIO(body), **request)
            except ClientError as error:
                if error_code(error) != "PreconditionFailed":
                    raise
                ours = already_stored(self.client, self.bucket, key, checksum) if was_retried(error) else None
                if ours is not None:
                    return ours
                raise refused from None
        stored = stored_object(self.bucket, key, answer, size=len(body), checksum=checksum)
        if answer.get("ChecksumSHA256", checksum) != checksum or stored.sse != "aws:kms":
            raise StoredCopyDiffers(
                f"S3 stored {key} with another checksum or encryption than it was sent with.",
                "Do not use this object; check what stands between here and S3.",
            )
        return stored

    def _protection(self) -> dict[str, Any]:
        request: dict[str, Any] = {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": self.policy.sse_key_id,
            "BucketKeyEnabled": True,
        }
        if lock := self.policy.object_lock:
            request["ObjectLockMode"] = lock.mode
            request["ObjectLockRetainUntilDate"] = datetime.now(UTC) + timedelta(days=lock.days)
        return request

    # Reading ----------------------------------------------------------------------------------------------

    def head(self, key: str, version_id: str | None = None) -> StoredObject:
        """What S3 says about an object: size, version, checksum, encryption, lock, age.

        :raises BackupMissing: there is no such object or version (or no such bucket: HEAD does not tell).
        """
        pin: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        with store_errors(f"Looking at {key}"):
            answer = self.client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED", **pin)
        return stored_object(self.bucket, key, answer)

    def read(
        self, key: str, *, version_id: str | None = None, offset: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """Stream an object, or ``length`` bytes of it, in chunks of about 1 MiB.

        Pinned to one version from the first byte on; a cut connection is resumed where it broke, up to five
        times in a row. When the iterator ends, exactly the bytes asked for were given.

        :raises BackupMissing: there is no such object or version.
        :raises StoredCopyDiffers: it is shorter than asked for, was overwritten, or fails its checksum.
        """
        return iter(Download(self.client, self.bucket, key, version_id, offset, length))

    def read_ahead(self, stored: StoredObject, offset: int, end: int) -> Iterator[bytes]:
        """Stream an object that :meth:`head` has described, from ``offset`` up to ``end``, over several connections.

        Otherwise as :meth:`read`, but S3 keeps no checksums of ranges that could be compared.
        """
        return read_ahead(
            lambda start, size: Download(
                self.client, self.bucket, stored.key, stored.version_id, start, size, etag=stored.etag
            ),
            offset,
            end,
        )

    def fetch(self, key: str, *, version_id: str | None = None, max_bytes: int) -> tuple[bytes, StoredObject]:
        """A whole small object, and what S3 says about this very version.

        :raises BackupMissing: there is no such object or version.
        :raises StoredCopyDiffers: it is larger than ``max_bytes``, or fails its checksum.
        """
        download = Download(self.client, self.bucket, key, version_id, 0, None)
        body = bytearray()
        for chunk in download:
            body += chunk
            if len(body) > max_bytes:
                raise StoredCopyDiffers(
                    f"The stored object {key} is larger than the {max_bytes:,} bytes that it may have.",
                    "It is not what its name says; look where it comes from.",
                )
        return bytes(body), download.stored

    def get(self, key: str, *, version_id: str | None = None, max_bytes: int) -> bytes:
        """The bytes of a whole small object; see :meth:`fetch`."""
        return self.fetch(key, version_id=version_id, max_bytes=max_bytes)[0]

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The current objects under a key prefix, by key: size, ETag and age; the rest needs :meth:`head`."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with store_errors(f"List of {prefix}"):
            for page in pages:
                for line in page.get("Contents", []):
                    yield stored_object(self.bucket, line["Key"], line)

    # Housekeeping -----------------------------------------------------------------------------------------

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """The multipart uploads under a key prefix (a whole key is one, too) that never ended."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
        with store_errors(f"List of unfinished uploads under {prefix}"):
            for page in pages:
                for line in page.get("Uploads", []):
                    yield UnfinishedUpload(line["Key"], line["UploadId"], line["Initiated"])

    def abort_unfinished(self, prefix: str, older_than: timedelta) -> tuple[UnfinishedUpload, ...]:
        """Abort the unfinished uploads under a key prefix that began longer ago than ``older_than``; returns them."""
        before = datetime.now(UTC) - older_than
        aborted = tuple(upload for upload in self.unfinished_uploads(prefix) if upload.initiated < before)
        for upload in aborted:
            self.abort_upload(upload.key, upload.upload_id)
        return aborted

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort one unfinished upload; that it is gone already is no error."""
        with store_errors(f"Abort of an unfinished upload of {key}"):
            try:
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
            except ClientError as error:
                if error_code(error) != "NoSuchUpload":
                    raise

    # Deleting ---------------------------------------------------------------------------------------------

    def versions(self, prefix: str) -> tuple[ObjectVersion, ...]:
        """All versions and delete markers under a key prefix, oldest first."""
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
        found = []
        with store_errors(f"List of the versions of {prefix}"):
            for page in pages:
                for version in page.get("Versions", []):
                    found.append(_version(version, marker=False))
                for marker in page.get("DeleteMarkers", []):
                    found.append(_version(marker, marker=True))
        return tuple(sorted(found, key=lambda version: (version.latest, version.stored_at)))

    def lock(self, key: str, version_id: str | None = None) -> str | None:
        """What Object Lock says against deleting a version, in words; None: nothing.

        Asked for explicitly: a HEAD leaves both out when the role may not see them (AWS docs, HeadObject).

        :param version_id: default: the current version.
        :raises StoreRefused: this role may not see it.
        """
        pin: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        hold = self._lock_setting(self.client.get_object_legal_hold, key, pin).get("LegalHold", {})
        if hold.get("Status") == "ON":
            return "under legal hold"
        retention = self._lock_setting(self.client.get_object_retention, key, pin).get("Retention", {})
        until: datetime | None = retention.get("RetainUntilDate")
        if until is not None and until > datetime.now(UTC):
            return f"locked ({retention['Mode']}) until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return None

    def _lock_setting(self, ask: Callable[..., Any], key: str, pin: Mapping[str, Any]) -> Mapping[str, Any]:
        with store_errors(f"Looking at the lock of {key}"):
            try:
                answer: Mapping[str, Any] = ask(Bucket=self.bucket, Key=key, **pin)
            except ClientError as error:
                if error_code(error) not in _NOT_LOCKED:
                    raise
                return {}
        return answer

    def delete_version(self, version: ObjectVersion) -> None:
        """Delete one version for good; a lock is never bypassed.

        :raises StoreRefused: it is locked, or this role may not.
        """
        with store_errors(f"Deletion of a version of {version.key}"):
            self.client.delete_object(Bucket=self.bucket, Key=version.key, VersionId=version.version_id)

    # Settings ---------------------------------------------------------------------------------------------

    def bucket_settings(self) -> BucketSettings:
        """How the bucket is set up, for the preflight; see :class:`BucketSettings`."""
        return read_settings(self.client, self.bucket, self.prefix)

    def _remember_request(self, parsed: Mapping[str, Any], **_: object) -> None:
        self.last_request_id = parsed.get("ResponseMetadata", {}).get("RequestId", self.last_request_id)


def _version(line: Mapping[str, Any], *, marker: bool) -> ObjectVersion:
    return ObjectVersion(line["Key"], line["VersionId"], line["IsLatest"], marker, line["LastModified"])
