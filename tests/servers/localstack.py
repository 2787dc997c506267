"""A private S3 and KMS: LocalStack in host mode, and what the policy expects to find in an AWS account.

It checks checksums, key states, encryption contexts and Object Lock as AWS does, and enforces no IAM or bucket
policy. Nothing leaves the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from tests.servers.certificates import Certificate
from tests.servers.processes import ROOT, Server, ServerFailed, free_port

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CreateBucketRequestTypeDef

_PYTHON = ROOT / ".tools" / "localstack" / "bin" / "python"
_MAIN = Path(__file__).with_name("localstack_main.py")


@dataclass(frozen=True)
class Vault:
    """A bucket and its two keys, by ARN."""

    bucket: str
    data_key_arn: str
    sse_key_arn: str


@dataclass(frozen=True)
class Aws:
    """An emulated AWS account: any credentials are accepted."""

    url: str
    region: str = "us-east-1"

    @property
    def s3(self) -> S3Client:
        """A client for S3."""
        return self._session().client("s3", endpoint_url=self.url)

    @property
    def kms(self) -> KMSClient:
        """A client for KMS."""
        return self._session().client("kms", endpoint_url=self.url)

    def _session(self) -> boto3.Session:
        return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=self.region)

    def airflow_connection(self) -> str:
        """An Airflow connection to this account, as the value of an ``AIRFLOW_CONN_...`` variable."""
        extra = {"region_name": self.region, "endpoint_url": self.url}
        return json.dumps({"conn_type": "aws", "login": "test", "password": "test", "extra": extra})

    def seed(
        self,
        bucket: str = "surgicase-backups",
        data_key: str = "alias/surgicase-backup",
        sse_key: str = "alias/surgicase-backup-sse",
        *,
        object_lock: bool = False,
    ) -> Vault:
        """Create what the policy names: two keys with aliases, and a bucket as a backup vault should be.

        Versioned, closed to the public, encrypted with ``sse_key`` by default, and cleaning up multipart uploads
        that nobody finished. A key or bucket that exists is taken as it is.
        """
        data_key_arn, sse_key_arn = self._key(data_key), self._key(sse_key)
        s3 = self.s3
        create: CreateBucketRequestTypeDef = {"Bucket": bucket, "ObjectLockEnabledForBucket": object_lock}
        if self.region != "us-east-1":
            create["CreateBucketConfiguration"] = {"LocationConstraint": self.region}  # type: ignore[typeddict-item]  # any region
        try:
            s3.create_bucket(**create)
        except s3.exceptions.BucketAlreadyOwnedByYou:
            return Vault(bucket, data_key_arn, sse_key_arn)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        s3.put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [
                    {
                        "ApplyServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": sse_key_arn,
                        },
                        "BucketKeyEnabled": True,
                    }
                ]
            },
        )
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "abort-incomplete-uploads",
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                    }
                ]
            },
        )
        return Vault(bucket, data_key_arn, sse_key_arn)

    def _key(self, alias: str) -> str:
        kms = self.kms
        try:
            return kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"]
        except kms.exceptions.NotFoundException:
            key = kms.create_key(Description=alias)["KeyMetadata"]
            kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
            return key["Arn"]


class LocalStack(Server):
    """LocalStack on 127.0.0.1 with S3 and KMS, its data in ``folder``, empty at each start.

    :param port: 0 takes a free one.
    """

    stop_seconds = 15

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(folder)
        self._port = port or free_port()
        self.aws = Aws(f"http://127.0.0.1:{self._port}")

    @property
    def url(self) -> str:
        """The address for every service."""
        return self.aws.url

    def start(self) -> None:
        """Start, and wait until S3 and KMS answer."""
        if not _PYTHON.exists():
            raise ServerFailed("LocalStack is not installed. Run `make setup`.")
        # With current pyOpenSSL, LocalStack cannot make its own certificate.
        certificate = Certificate.made_in(self.folder / "tls")
        pem = self.folder / "tls" / "both.pem"
        pem.touch(mode=0o600)
        pem.write_text(certificate.key.read_text() + certificate.chain.read_text())
        scratch = self.folder / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        self._launch(
            [str(_PYTHON), "-I", str(_MAIN)],
            self._answers,
            # Nothing else of our own environment: no proxies, no AWS credentials, no settings of another LocalStack.
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(scratch),
                "TMPDIR": str(scratch),
                "CUSTOM_SSL_CERT_PATH": str(pem),
                "GATEWAY_LISTEN": f"127.0.0.1:{self._port}",
                "SERVICES": "s3,kms,iam,sts",
                "STRICT_SERVICE_LOADING": "1",
                "S3_SKIP_KMS_KEY_VALIDATION": "0",  # unknown and disabled keys are errors, as on AWS
                "DISABLE_EVENTS": "1",
                "SKIP_SSL_CERT_DOWNLOAD": "1",
                "USE_SSL": "0",
                "DNS_ADDRESS": "0",
                "DEBUG": "0",
            },
        )

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/_localstack/health", timeout=2) as answer:
                services = json.load(answer)["services"]
        except (OSError, ValueError):
            return False
        return all(services.get(name) in ("available", "running") for name in ("s3", "kms"))
