"""The KMS keys that the policy names, as ARNs: names and aliases can be moved to another key, ARNs cannot."""

from __future__ import annotations

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.policy import VaultPolicy


def allowed_data_keys(policy: VaultPolicy, keyring: Keyring) -> list[str]:
    """ARNs of the KMS keys whose data keys a reader accepts, in the order in which it tries them.

    Those that are listed; else the policy's own key and its further ones. When the policy's own is lost, the further
    ones are what is left: that is what they are for.

    :raises KeyUnavailable: the policy's only key cannot be looked up.
    """
    if policy.allowed_data_keys:
        return list(policy.allowed_data_keys)
    if not policy.further_data_key_ids:
        return [keyring.resolve(policy.data_key_id)]
    own = keyring.resolve_if_usable(policy.data_key_id)
    return [*([own] if own else []), *policy.further_data_key_ids]


def with_sse_key_arn(policy: VaultPolicy, keyring: Keyring) -> VaultPolicy:
    """The policy with the SSE key as ARN, so that what S3 reports can be compared with it."""
    return policy.model_copy(update={"sse_key_id": keyring.resolve(policy.sse_key_id)})
