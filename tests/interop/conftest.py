from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.backup_engine.crypto.data_key import Keyring
from tests.servers.localstack import Aws

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


@pytest.fixture(scope="session")
def kms(aws: Aws) -> KMSClient:
    return aws.kms


@pytest.fixture(scope="session")
def key_arn(kms: KMSClient) -> str:
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture(scope="session")
def second_arn(kms: KMSClient) -> str:
    """Another recipient of the same messages."""
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def keyring(kms: KMSClient) -> Keyring:
    return Keyring(kms)


@pytest.fixture
def aws_environment(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """What AWS's own tools read, in this process and in programs that it starts."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", aws.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture
def keys_of_two_regions(aws: Aws) -> tuple[Keyring, str, str]:
    """A keyring, and new keys of two regions whose states a test may change; the first is the keyring's own region."""
    clients = {region: Aws(aws.url, region).kms for region in (aws.region, "eu-west-1")}
    here, abroad = (client.create_key()["KeyMetadata"]["Arn"] for client in clients.values())
    return Keyring(clients[aws.region], clients.__getitem__), here, abroad
