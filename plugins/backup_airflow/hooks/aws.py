"""S3 and KMS as one role sees them. The amazon provider has no hook for KMS."""

from __future__ import annotations

from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from backup_airflow.hooks.connection import connection_of
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.policy import VaultPolicy
from include.backup_engine.store.aws import client_config
from include.backup_engine.store.s3 import Vault


class KmsHook(AwsBaseHook):
    """Interact with AWS Key Management Service.

    .. seealso::
        - :class:`airflow.providers.amazon.aws.hooks.base_aws.AwsBaseHook`
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "kms"
        super().__init__(*args, **kwargs)

    def keyring(self) -> Keyring:
        """The engine's keyring on this role's clients, one for each region that its keys are in."""
        return Keyring(self.get_conn(), lambda region: self.get_client_type(region_name=region))


class VaultHook(S3Hook):
    """S3Hook that hands out the engine's :class:`Vault`: the policy's bucket, always SSE-KMS, always checksummed."""

    def vault(self, policy: VaultPolicy) -> Vault:
        """The vault as this role sees it."""
        return Vault(self.get_conn(), policy)


def _required(conn_id: str) -> str:
    """The id again, once it is known to exist: AwsBaseHook would quietly use whatever credentials lie around.

    :raises ConnectionMissing: there is no such connection.
    """
    connection_of(conn_id)
    return conn_id


def vault_of(conn_id: str, policy: VaultPolicy) -> Vault:
    """The vault through a connection."""
    return vault_without_keys_of(conn_id, with_sse_key_arn(policy, keyring_of(conn_id, policy)))


def vault_without_keys_of(conn_id: str, policy: VaultPolicy) -> Vault:
    """The vault through a connection whose role may ask KMS nothing, as the one that deletes."""
    return VaultHook(aws_conn_id=_required(conn_id), region_name=policy.region, config=client_config()).vault(policy)


def keyring_of(conn_id: str, policy: VaultPolicy) -> Keyring:
    """The keyring through a connection."""
    return KmsHook(aws_conn_id=_required(conn_id), region_name=policy.region, config=client_config()).keyring()


def environment_of(conn_id: str, policy: VaultPolicy) -> dict[str, str]:
    """What AWS's own tools need in their environment to act as this role: its credentials now, and its endpoints."""
    hook = KmsHook(aws_conn_id=_required(conn_id), region_name=policy.region, config=client_config())
    credentials = hook.get_credentials(region_name=policy.region)
    variables = {
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token,
        "AWS_ENDPOINT_URL_S3": hook.conn_config.get_service_endpoint_url("s3"),
        "AWS_ENDPOINT_URL_KMS": hook.conn_config.get_service_endpoint_url("kms"),
    }
    return {name: value for name, value in variables.items() if value}
