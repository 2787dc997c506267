"""docs/operations.md leaves nothing out: every policy key, privilege, call to AWS, metric and retried error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from include.backup_engine import errors
from include.backup_engine.policy import Policy, SourcePolicy

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([^`\n]+)`", TEXT))

# AWS documentation, "Actions, resources, and condition keys" for S3 and KMS.
ACTIONS = {
    "abort_multipart_upload": "s3:AbortMultipartUpload",
    "complete_multipart_upload": "s3:PutObject",
    "create_multipart_upload": "s3:PutObject",
    "decrypt": "kms:Decrypt",
    "delete_object": "s3:DeleteObjectVersion",
    "describe_key": "kms:DescribeKey",
    "encrypt": "kms:Encrypt",
    "generate_data_key": "kms:GenerateDataKey",
    "get_bucket_encryption": "s3:GetEncryptionConfiguration",
    "get_bucket_lifecycle_configuration": "s3:GetLifecycleConfiguration",
    "get_bucket_versioning": "s3:GetBucketVersioning",
    "get_key_rotation_status": "kms:GetKeyRotationStatus",
    "get_object": "s3:GetObject",
    "get_object_legal_hold": "s3:GetObjectLegalHold",
    "get_object_retention": "s3:GetObjectRetention",
    "get_object_lock_configuration": "s3:GetBucketObjectLockConfiguration",
    "get_public_access_block": "s3:GetBucketPublicAccessBlock",
    "head_object": "s3:GetObject",
    "list_aliases": "kms:ListAliases",
    "list_key_rotations": "kms:ListKeyRotations",
    "list_multipart_uploads": "s3:ListBucketMultipartUploads",
    "list_object_versions": "s3:ListBucketVersions",
    "list_objects_v2": "s3:ListBucket",
    "list_parts": "s3:ListMultipartUploadParts",
    "put_object": "s3:PutObject",
    "re_encrypt": "kms:ReEncryptFrom",
    "upload_part": "s3:PutObject",
}


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def keys_of(model: Any, path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """All keys of the policy file with their fields; sections of sections follow their own key."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        plain = inner is None or type(None) in kinds or inner is SourcePolicy
        if plain:
            yield path + name, field
        if inner is not None:
            yield from keys_of(inner, f"{path}{name}.NAME." if inner is SourcePolicy else f"{path}{name}.")


POLICY = dict(keys_of(Policy))
TABLE = {
    key: (kind, default.strip("`"))
    for key, kind, default in re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \|", section("Policy"), re.MULTILINE)
}


def test_every_policy_key_is_explained_and_no_other() -> None:
    assert TABLE.keys() == POLICY.keys()
    assert len(POLICY) > 30


@pytest.mark.parametrize("key", POLICY)
def test_its_default_is_the_one_in_force(key: str) -> None:
    field, (kind, told) = POLICY[key], TABLE[key]
    if field.is_required():
        assert told == "*required*"
    else:
        assert told == {"None": "null", "False": "false"}.get(str(field.default), str(field.default))
    for allowed in get_args(field.annotation):
        if isinstance(allowed, str):
            assert f"`{allowed}`" in kind


@pytest.mark.parametrize("file", sorted((ROOT / "include" / "sql").glob("*.sql")), ids=lambda file: file.name)
def test_every_account_and_privilege_is_explained(file: Path) -> None:
    assert f"`include/sql/{file.name}`" in TEXT
    text = file.read_text(encoding="utf-8")
    found = re.findall(r"GRANT ([A-Z_, \n]+?)\s+ON\b", text.replace("ON FUNCTION", "ON"))
    privileges = {name.strip() for listed in found for name in " ".join(listed.split()).split(",")}
    assert len(privileges) > 5
    assert privileges <= {name.strip() for name in re.findall(r"`([A-Z_ ]+)`", section("Database accounts"))}


def test_every_call_to_aws_is_in_the_roles() -> None:
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("store", "crypto")
        for path in sorted((ROOT / "include" / "backup_engine" / folder).glob("*.py"))
    )
    methods = set(re.findall(r"(?:client|_kms)\.([a-z_0-9]+)", code)) - {"get_paginator", "meta"}
    methods |= set(re.findall(r"paginator\(\"(\w+)\"", code))
    assert methods == ACTIONS.keys()
    assert set(ACTIONS.values()) <= set(re.findall(r"`((?:s3|kms):\w+)`", section("AWS roles")))


def test_p19_the_writer_decrypts_with_the_sse_key_only() -> None:
    """S3 needs kms:Decrypt of whoever uploads in parts under SSE-KMS; backups must not open with it."""
    roles = re.findall(r"^\| (\w+) \| (.*?) \| (.*?) \|", section("AWS roles"), re.MULTILINE)
    decrypts = [on for role, actions, on in roles if role == "writer" and "`kms:Decrypt`" in actions]
    assert decrypts == ["SSE key"]
    assert ("reader", "`kms:Decrypt`", "data key (all allowed ones)") in roles


def test_every_metric_is_named() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "plugins").rglob("*.py"))
    metrics = {f"mysql_backup.{name}" for name in re.findall(r"gauge\(\"([\w.]+)\"", code)}
    assert len(metrics) > 5
    assert metrics == {name for name in NAMED if name.startswith("mysql_backup.")}


def test_the_errors_that_are_retried_are_named() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.BackupError)]
    [listed] = re.findall(r"Retried after 2 minutes: (.*?)\. Every", section("Retries and kills"))
    assert set(re.findall(r"`(\w+)`", listed)) == {kind.__name__ for kind in kinds if kind.retryable}


def test_every_task_is_told() -> None:
    tasks = {
        name
        for path in (ROOT / "dags").glob("*.py")
        for name in re.findall(r"task_id=\"(\w+)\"", path.read_text(encoding="utf-8"))
    }
    assert tasks - {"discard_plaintext"} <= NAMED
