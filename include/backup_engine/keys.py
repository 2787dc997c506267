"""The KMS keys that the policy names, as ARNs: names and aliases can be moved to another key, ARNs cannot."""

from __future__ import annotations

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.policy import VaultPolicy


def allowed_data_keys(policy: VaultPolicy, keyring: Keyring) -> list[str]:
    """ARNs of the KMS keys whose data keys a reader accepts: those that are listed, else only its own key's."""
    return list(policy.allowed_data_keys) or [keyring.resolve(policy.data_key_id)]


def with_sse_key_arn(policy: VaultPolicy, keyring: Keyring) -> VaultPolicy:
    """The policy with the SSE key as ARN, so that what S3 reports can be compared with it."""
    return policy.model_copy(update={"sse_key_id": keyring.resolve(policy.sse_key_id)})
