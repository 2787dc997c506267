"""A bucket with versioning and Object Lock, and an SSE key, new for every test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from include.backup_engine.store.s3 import Vault
from tests.integration.store.clients import open_vault
from tests.integration.store.wire import Wire
from tests.servers.localstack import Aws

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


@pytest.fixture(scope="session")
def kms(aws: Aws) -> KMSClient:
    return aws.kms


@pytest.fixture
def bucket(aws: Aws) -> str:
    name = f"store-{uuid.uuid4().hex[:12]}"
    aws.s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


@pytest.fixture
def sse_key(kms: KMSClient) -> str:
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def make_vault(aws: Aws, bucket: str, sse_key: str) -> Callable[..., Vault]:
    """A vault of this test's bucket, with its own client; the arguments of ``open_vault`` can be replaced."""
    return partial(open_vault, endpoint=aws.url, bucket=bucket, sse_key_id=sse_key)


@pytest.fixture
def vault(make_vault: Callable[..., Vault]) -> Vault:
    return make_vault()


@pytest.fixture
def wire(aws: Aws) -> Iterator[Wire]:
    """A TCP proxy in front of the server, which cuts, loses or damages what passes."""
    with Wire(aws.url) as proxy:
        yield proxy
