"""How we talk to S3: client settings, and what its answers and errors mean, in one place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from urllib3.exceptions import HTTPError

from include.backup_engine.errors import BackupError, BackupMissing, StoredCopyDiffers, StoreError, StoreRefused
from include.backup_engine.records import StoredObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING = {"NoSuchKey", "NoSuchVersion", "404", "405"}  # 405: the version is a delete marker
_PASSING = {
    "BadDigest",
    "ConditionalRequestConflict",
    "ExpiredToken",
    "KMS.KMSInternalException",
    "KMS.ThrottlingException",
    "NoSuchUpload",
    "OperationAborted",
    "RequestTimeout",
}
_DENIED = (
    "Allow the action to this role, as include/aws shows; an upload also needs the SSE key (GenerateDataKey, Decrypt)."
)
_REMEDIES = {
    "NoSuchBucket": "Create the bucket, or correct vault.bucket in the policy.",
    "AccessDenied": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": "Correct the access key of the AWS connection.",
    "SignatureDoesNotMatch": "Correct the secret key of the AWS connection.",
    "RequestTimeTooSkewed": "Set this machine's clock.",
    "PermanentRedirect": "Correct vault.region in the policy: the bucket is in another region.",
    "AuthorizationHeaderMalformed": "Correct vault.region in the policy: the bucket is in another region.",
    "InvalidObjectState": "The object is archived: restore it from its storage class first (RestoreObject).",
}
_KMS_REMEDY = "Enable the SSE key, or correct vault.sse_key_id in the policy; a key pending deletion can be rescued."


def client_config() -> Config:
    """The settings that every S3 and KMS client of ours has.

    Ten seconds to connect, a minute without a byte, eight tries with growing pauses in all (botocore's "standard"
    mode, which also retries throttling): a few seconds, so that a hiccup does not end a long backup. Checksums on
    everything that supports them.
    """
    return Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": 8},
        request_checksum_calculation="when_supported",
        response_checksum_validation="when_supported",
    )


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn botocore's errors into ours; nothing of an answer's text is passed on but its code and request id.

    :param doing: what was tried, to begin the sentence: ``"Upload of private/x"``.
    :raises StoreError: worth a retry: no connection, throttling, HTTP 5xx, damage on the way.
    :raises StoreRefused: not worth one: missing bucket, denied access, unusable key, malformed request.
    :raises BackupMissing: no such object or version.
    :raises StoredCopyDiffers: the bytes received do not match the object's stored checksum.
    """
    try:
        yield
    except ClientError as error:
        raise _from_answer(doing, error) from None
    except FlexibleChecksumError:
        raise StoredCopyDiffers(
            f"{doing}: the bytes received do not match the checksum stored with the object.",
            "Read it again; if it stays, the stored copy is damaged: use another backup or version.",
        ) from None
    except (NoCredentialsError, PartialCredentialsError, ParamValidationError) as error:
        raise StoreRefused(
            f"{doing}: the request could not be made ({type(error).__name__}).",
            "Correct the AWS connection, and vault in the policy.",
        ) from None
    except (BotoCoreError, HTTPError) as error:
        raise StoreError(
            f"{doing}: no complete answer from S3 ({type(error).__name__}).",
            "Run it again; if it stays, look at the network and the endpoint of the AWS connection.",
        ) from None


def error_code(error: ClientError) -> str:
    """The error code of an answer, reduced to the characters that codes have."""
    return re.sub(r"[^A-Za-z0-9._]", "", str(error.response.get("Error", {}).get("Code", "")))[:64]


def was_retried(error: ClientError) -> bool:
    """Whether the request was sent more than once, so that a lost first answer may explain the error."""
    return error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0


def _from_answer(doing: str, error: ClientError) -> BackupError:
    code = error_code(error)
    about = error.response.get("ResponseMetadata", {})
    status = about.get("HTTPStatusCode", 0)
    cause = f"{doing}: S3 answered {code} (HTTP {status}, request {about.get('RequestId', 'unknown')})."
    if code in _MISSING:
        return BackupMissing(cause, "Choose a name that the list shows.")
    if code in _PASSING or status >= 500 or status == 429 or "Throttl" in code or code == "SlowDown":
        return StoreError(cause, "Run it again; S3 or the network had a passing fault.")
    if code.startswith("KMS."):
        return StoreRefused(cause, _KMS_REMEDY)
    return StoreRefused(cause, _REMEDIES.get(code, "Look the code up in the S3 error list, and correct the request."))


def stored_object(bucket: str, key: str, answer: Mapping[str, Any], **known: Any) -> StoredObject:
    """What an answer of S3 (Head, Get, Put, Complete, or one line of a list) says about an object.

    :param known: what the answer does not say, or what is known better.
    """
    checksum = known.get("checksum") or answer.get("ChecksumSHA256")
    facts: dict[str, Any] = {
        "version_id": answer.get("VersionId"),
        "size": answer.get("ContentLength", answer.get("Size")),
        "etag": answer.get("ETag"),
        "checksum": checksum,
        "sse": answer.get("ServerSideEncryption"),
        "sse_kms_key_id": answer.get("SSEKMSKeyId"),
        "bucket_key": answer.get("BucketKeyEnabled"),
        "lock_mode": answer.get("ObjectLockMode"),
        "retain_until": answer.get("ObjectLockRetainUntilDate"),
        "last_modified": answer.get("LastModified"),
        "request_id": answer.get("ResponseMetadata", {}).get("RequestId"),
        "parts": int(checksum.rpartition("-")[2]) if checksum and "-" in checksum else None,
    }
    return StoredObject(bucket=bucket, key=key, **(facts | known))


def already_stored(client: S3Client, bucket: str, key: str, checksum: str) -> StoredObject | None:
    """The object, if it is there with this checksum.

    After a retried request, "it exists already" and "no such upload" can mean that the first try did succeed
    and only its answer was lost.

    :raises StoreError: this role may not look; a retry of the task sees what is there.
    """
    try:
        answer = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if error_code(error) in _MISSING:
            return None
        raise StoreError(
            f"S3's answer to the writing of {key} was lost, and this role cannot see whether it was stored.",
            "Run it again: a backup that was finished is recognised.",
        ) from None
    return stored_object(bucket, key, answer) if answer.get("ChecksumSHA256") == checksum else None
