"""Lists, sweeping of unfinished uploads, and what a preflight sees of a bucket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from include.backup_engine.errors import StoreRefused
from include.backup_engine.store.s3 import Vault
from include.backup_engine.store.settings import BucketSettings
from tests.servers.localstack import Aws

PREFIX = "private/db_backups/"


def test_a_list_goes_on_after_a_thousand_keys(vault: Vault) -> None:
    for number in range(1003):
        vault.client.put_object(Bucket=vault.bucket, Key=f"{PREFIX}x/{number:04}", Body=b"12345")
    vault.client.put_object(Bucket=vault.bucket, Key="private/other", Body=b"")
    objects = list(vault.list(PREFIX))
    assert [item.key for item in objects] == [f"{PREFIX}x/{number:04}" for number in range(1003)]
    assert {item.size for item in objects} == {5}
    assert all(item.etag and item.last_modified and item.last_modified.tzinfo for item in objects)


def test_unfinished_uploads_are_found_and_aborted_by_prefix_and_age(vault: Vault) -> None:
    for key in (f"{PREFIX}a/1", f"{PREFIX}a/2", "elsewhere"):
        vault.client.create_multipart_upload(Bucket=vault.bucket, Key=key)
    assert [upload.key for upload in vault.unfinished_uploads(PREFIX)] == [f"{PREFIX}a/1", f"{PREFIX}a/2"]
    assert vault.abort_unfinished(PREFIX, timedelta(hours=1)) == ()
    aborted = vault.abort_unfinished(f"{PREFIX}a/1", timedelta(seconds=-5))
    assert [upload.key for upload in aborted] == [f"{PREFIX}a/1"]
    assert abs(aborted[0].initiated - datetime.now(UTC)) < timedelta(minutes=1)
    assert [upload.key for upload in vault.unfinished_uploads("")] == ["elsewhere", f"{PREFIX}a/2"]


def test_a_swept_upload_that_has_gone_meanwhile_is_no_error(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.client.create_multipart_upload(Bucket=vault.bucket, Key="a")
    uploads = list(vault.unfinished_uploads(""))
    vault.abort_unfinished("", timedelta(seconds=-5))
    monkeypatch.setattr(vault, "unfinished_uploads", lambda prefix: uploads)
    assert len(vault.abort_unfinished("", timedelta(seconds=-5))) == 1


def test_a_bucket_as_the_policy_wants_it(aws: Aws, make_vault: Callable[..., Vault], bucket: str) -> None:
    seeded = aws.seed(bucket=f"{bucket}-seeded", object_lock=True)
    aws.s3.put_object_lock_configuration(
        Bucket=seeded.bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 1}},
        },
    )
    assert make_vault(bucket=seeded.bucket).bucket_settings() == BucketSettings(
        versioning=True,
        public_access_blocked=True,
        default_encryption="aws:kms",
        default_key_id=seeded.sse_key_arn,
        bucket_key=True,
        object_lock=True,
        lock_mode="COMPLIANCE",
        lock_days=365,
        abort_multipart_days=1,
    )


def test_a_bucket_where_nothing_is_configured(aws: Aws, make_vault: Callable[..., Vault], bucket: str) -> None:
    aws.s3.create_bucket(Bucket=f"{bucket}-plain")
    aws.s3.delete_public_access_block(Bucket=f"{bucket}-plain")
    # S3 encrypts with its own key where no default is configured.
    assert make_vault(bucket=f"{bucket}-plain").bucket_settings() == BucketSettings(default_encryption="AES256")


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ({"Filter": {"Prefix": ""}}, 3),
        ({"Filter": {}}, 3),
        ({"Filter": {"Prefix": "private/"}}, 3),
        ({"Filter": {"Prefix": PREFIX}}, 3),
        ({"Filter": {"Prefix": PREFIX + "surgicase/"}}, None),
        ({"Filter": {"Prefix": "other/"}}, None),
        ({"Filter": {"Prefix": ""}, "Status": "Disabled"}, None),
    ],
)
def test_a_lifecycle_rule_counts_when_it_covers_the_prefix(
    vault: Vault, rule: dict[str, Any], days: int | None
) -> None:
    rule = {"ID": "r", "Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}} | rule
    expiry: dict[str, Any] = {
        "ID": "e",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 9},
    }
    vault.client.put_bucket_lifecycle_configuration(
        Bucket=vault.bucket, LifecycleConfiguration={"Rules": cast(Any, [expiry, rule])}
    )
    assert vault.bucket_settings().abort_multipart_days == days


def test_the_settings_of_a_missing_bucket_are_refused(make_vault: Callable[..., Vault], bucket: str) -> None:
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        make_vault(bucket=f"{bucket}-missing").bucket_settings()
