"""Clients and vaults as the product makes them, towards a test server; also for programs that a test starts."""

from __future__ import annotations

from typing import Any

import boto3

from include.backup_engine.policy import ObjectLock, VaultPolicy
from include.backup_engine.store.aws import client_config
from include.backup_engine.store.s3 import Vault

MIB = 1024 * 1024


def s3_client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=client_config(),
    )


def open_vault(endpoint: str, bucket: str, sse_key_id: str, object_lock: ObjectLock | None = None) -> Vault:
    policy = VaultPolicy(
        bucket=bucket, region="us-east-1", data_key_id="alias/data", sse_key_id=sse_key_id, object_lock=object_lock
    )
    return Vault(s3_client(endpoint), policy)
