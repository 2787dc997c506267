"""How the bucket is set up: what a preflight looks at before anything is stored in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from include.backup_engine.records import Record
from include.backup_engine.store.aws import error_code, store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NOT_CONFIGURED = {
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
}


class BucketSettings(Record):
    """What was found. What this role may not see is as if it were off, and named in ``denied``.

    :param public_access_blocked: all four blocks are on.
    :param default_encryption: ``aws:kms``, ``aws:kms:dsse`` or ``AES256``.
    :param object_lock: the bucket can lock objects.
    :param lock_days: default retention of new objects, in days (a year counts 365).
    :param abort_multipart_days: after how many days a lifecycle rule that covers the prefix aborts unfinished
        uploads; None: no such rule.
    :param denied: names of the settings that this role may not read.
    """

    versioning: bool = False
    public_access_blocked: bool = False
    default_encryption: str | None = None
    default_key_id: str | None = None
    bucket_key: bool = False
    object_lock: bool = False
    lock_mode: str | None = None
    lock_days: int | None = None
    abort_multipart_days: int | None = None
    denied: tuple[str, ...] = ()


def read_settings(client: S3Client, bucket: str, prefix: str) -> BucketSettings:
    """Read all settings; what is not configured is no error.

    :raises StoreRefused: no such bucket.
    :raises StoreError: a passing fault.
    """
    found: dict[str, Any] = {}
    denied: list[str] = []
    readers: dict[str, tuple[Callable[..., Mapping[str, Any]], Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
        "versioning": (client.get_bucket_versioning, _versioning),
        "public access block": (client.get_public_access_block, _public_access),
        "default encryption": (client.get_bucket_encryption, _encryption),
        "object lock": (client.get_object_lock_configuration, _object_lock),
        "lifecycle": (client.get_bucket_lifecycle_configuration, lambda answer: _lifecycle(answer, prefix)),
    }
    for name, (ask, understand) in readers.items():
        with store_errors(f"Reading the {name} of bucket {bucket}"):
            try:
                found |= understand(ask(Bucket=bucket))
            except ClientError as error:
                if error_code(error) in ("AccessDenied", "403"):
                    denied.append(name)
                elif error_code(error) not in _NOT_CONFIGURED:
                    raise
    return BucketSettings(**found, denied=tuple(denied))


def _versioning(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {"versioning": answer.get("Status") == "Enabled"}


def _public_access(answer: Mapping[str, Any]) -> dict[str, Any]:
    blocks = answer["PublicAccessBlockConfiguration"]
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    return {"public_access_blocked": all(blocks.get(name) for name in names)}


def _encryption(answer: Mapping[str, Any]) -> dict[str, Any]:
    rule = answer["ServerSideEncryptionConfiguration"]["Rules"][0]
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    return {
        "default_encryption": default.get("SSEAlgorithm"),
        "default_key_id": default.get("KMSMasterKeyID"),
        "bucket_key": bool(rule.get("BucketKeyEnabled")),
    }


def _object_lock(answer: Mapping[str, Any]) -> dict[str, Any]:
    lock = answer["ObjectLockConfiguration"]
    default = lock.get("Rule", {}).get("DefaultRetention", {})
    days = default.get("Days") or 365 * default.get("Years", 0)
    return {
        "object_lock": lock.get("ObjectLockEnabled") == "Enabled",
        "lock_mode": default.get("Mode"),
        "lock_days": days or None,
    }


def _lifecycle(answer: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    days = [
        rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        for rule in answer["Rules"]
        if rule["Status"] == "Enabled"
        and "AbortIncompleteMultipartUpload" in rule
        and rule.get("Filter", {}).keys() <= {"Prefix"}
        and prefix.startswith(rule.get("Filter", {}).get("Prefix") or rule.get("Prefix") or "")
    ]
    return {"abort_multipart_days": min(days, default=None)}
