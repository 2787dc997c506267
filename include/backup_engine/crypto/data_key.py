"""Data keys: made and unwrapped by AWS KMS, bound to one backup by an encryption context.

A data key is 32 random bytes that encrypt one backup. KMS hands it out twice, in clear and wrapped by a KMS
key that never leaves KMS; the wrapped copy is stored with the backup, and only KMS can unwrap it again. Further
copies, under KMS keys of other regions or accounts, open the backup when the first key is lost.
Source: AWS KMS API Reference, GenerateDataKey, Encrypt, ReEncrypt and Decrypt.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from include.backup_engine.errors import (
    BackupError,
    IntegrityError,
    KeyRefused,
    KeyServiceDown,
    KeyUnavailable,
    WrongBackup,
)
from include.backup_engine.report import Reporter

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

DATA_KEY_BYTES = 32
MAX_WRAPPED_BYTES = 6144
"""Longest ``CiphertextBlob`` that KMS takes."""
MAX_CONTEXT_BYTES = 8192
"""KMS quota for an encryption context, measured here as compact JSON in UTF-8, the longest of its encodings."""

_TRANSIENT = {
    "DependencyTimeoutException",
    "InternalFailure",
    "KMSInternalException",
    "KeyUnavailableException",
    "LimitExceededException",
    "RequestTimeout",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Throttling",
    "ThrottlingException",
}
_STATES = {"DisabledException", "KMSInvalidStateException"}


@dataclass(frozen=True)
class WrappedKey:
    """A data key as KMS wrapped it.

    :param key_arn: the wrapping KMS key's ARN (never an alias).
    :param ciphertext: KMS's ``CiphertextBlob``.
    """

    key_arn: str
    ciphertext: bytes


class DataKey:
    """A data key in clear, with its wrapped copies.

    As a context manager it drops its reference to the key at the end. Python cannot wipe memory, and this
    class does not claim to: it only keeps the key in one place and for a short time.
    """

    def __init__(self, plaintext: bytes, wrapped: Sequence[WrappedKey]) -> None:
        if len(plaintext) != DATA_KEY_BYTES:
            raise ValueError(f"a data key has {DATA_KEY_BYTES} bytes")
        self._plaintext: bytes | None = plaintext
        self.wrapped = tuple(wrapped)

    @property
    def plaintext(self) -> bytes:
        """The 32 key bytes.

        :raises ValueError: after :meth:`forget`.
        """
        if self._plaintext is None:
            raise ValueError("the data key has been dropped")
        return self._plaintext

    def forget(self) -> None:
        """Drop the reference to the key bytes."""
        self._plaintext = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.forget()

    def __repr__(self) -> str:
        return f"DataKey(wrapped by {[key.key_arn for key in self.wrapped]})"


def check_context(context: Mapping[str, str]) -> None:
    """Check an encryption context before KMS or a message header gets it.

    :raises ValueError: when it is larger than 8 KiB, or uses a key reserved by the AWS Encryption SDK.
    """
    size = len(json.dumps(dict(context), ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_CONTEXT_BYTES:
        raise ValueError(f"the encryption context has {size} bytes, KMS allows {MAX_CONTEXT_BYTES}")
    for key in context:
        if key.startswith("aws-crypto-"):
            raise ValueError(f"encryption context key {key!r}: the prefix aws-crypto- is reserved")


def region_of(key_id: str) -> str | None:
    """The region in the ARN of a KMS key or alias; None for an id or a name."""
    parts = key_id.split(":")
    return parts[3] if len(parts) > 5 and parts[2] == "kms" else None


class Keyring:
    """Makes and unwraps data keys with one role's permissions.

    A key that could not be used is told once in the log, and from then on asked only after all others: its region
    may be down, and each question to it then takes minutes.

    :param kms_client: of the region that ids and aliases are looked up in.
    :param in_region: makes the client of another region, for keys whose ARN names one; without it, ``kms_client``
        is asked about every key.
    """

    def __init__(self, kms_client: KMSClient, in_region: Callable[[str], KMSClient] | None = None) -> None:
        self._home = kms_client
        self._in_region = in_region
        self._elsewhere: dict[str, KMSClient] = {}
        self._making = threading.Lock()  # a boto3 session makes one client at a time
        self._unusable: set[str] = set()
        self.last_request_id: str | None = None
        """KMS's id of the last request that it answered, to be found again in CloudTrail."""

    def client(self, key_id: str) -> KMSClient:
        """The KMS client that a key is asked through: that of its region, when an ARN names one."""
        region = region_of(key_id)
        if self._in_region is None or region in (None, self._home.meta.region_name):
            return self._home
        with self._making:
            if region not in self._elsewhere:
                self._elsewhere[region] = self._in_region(region)
            return self._elsewhere[region]

    def resolve(self, key_id: str) -> str:
        """The key ARN behind a key id, alias name, alias ARN or key ARN.

        :raises KeyUnavailable: when there is no such key, or it may not be described.
        """
        client = self.client(key_id)
        answer = self._call("kms:DescribeKey", key_id, lambda: client.describe_key(KeyId=key_id))
        return str(answer["KeyMetadata"]["Arn"])

    def resolve_if_usable(self, key_id: str) -> str | None:
        """As :meth:`resolve`, but None for a key that KMS does not describe: told once, and not asked again."""
        if key_id in self._unusable:
            return None
        try:
            return self.resolve(key_id)
        except KeyUnavailable as error:
            self._set_aside(key_id, error)
            return None

    def generate(self, key_id: str, context: Mapping[str, str]) -> DataKey:
        """A new data key, wrapped by ``key_id`` and bound to ``context``.

        :raises KeyUnavailable: when KMS does not serve the request.
        :raises ValueError: see :func:`check_context`.
        """
        check_context(context)
        client = self.client(key_id)
        answer = self._call(
            "kms:GenerateDataKey",
            key_id,
            lambda: client.generate_data_key(KeyId=key_id, KeySpec="AES_256", EncryptionContext=dict(context)),
        )
        return DataKey(answer["Plaintext"], [WrappedKey(answer["KeyId"], answer["CiphertextBlob"])])

    def wrap(self, data_key: DataKey, key_arn: str, context: Mapping[str, str]) -> WrappedKey:
        """Another copy of a data key, under a KMS key of any region or account.

        What the AWS Encryption SDK's multi-keyring does for its child keyrings.

        :raises KeyUnavailable: when KMS does not serve the request.
        """
        client = self.client(key_arn)
        answer = self._call(
            "kms:Encrypt",
            key_arn,
            lambda: client.encrypt(KeyId=key_arn, Plaintext=data_key.plaintext, EncryptionContext=dict(context)),
        )
        return WrappedKey(answer["KeyId"], answer["CiphertextBlob"])

    def rewrap(self, copy: WrappedKey, key_arn: str, context: Mapping[str, str]) -> WrappedKey:
        """The same data key under another KMS key of the same region, changed over inside KMS.

        :raises WrongBackup: when the copy was made for another context, or altered.
        :raises KeyUnavailable: when KMS does not serve the request.
        """
        client = self.client(key_arn)
        answer = self._call(
            "kms:ReEncrypt",
            f"{copy.key_arn} and {key_arn}",
            lambda: client.re_encrypt(
                CiphertextBlob=copy.ciphertext,
                SourceKeyId=copy.key_arn,
                SourceEncryptionContext=dict(context),
                DestinationKeyId=key_arn,
                DestinationEncryptionContext=dict(context),
            ),
        )
        return WrappedKey(answer["KeyId"], answer["CiphertextBlob"])

    def unwrap(
        self, wrapped: Sequence[WrappedKey], context: Mapping[str, str], allowed_arns: Collection[str]
    ) -> DataKey:
        """The data key inside the first of the wrapped copies that KMS opens.

        Only copies under an allow-listed KMS key are tried, in the order of that list, and KMS is told which key to
        use: it would otherwise open anything that any key of this role opens, an attacker's own included. When a
        key or its region cannot be used, the next copy is.

        :param context: what the caller expects the key to be bound to, never what the file says.
        :param allowed_arns: key ARNs; see :meth:`resolve` for anything else.
        :raises KeyRefused: when no copy is under an allow-listed key.
        :raises WrongBackup: when the key was made for another context, or its wrapped copy was altered.
        :raises KeyUnavailable: when no copy opens, naming each key and why.
        """
        check_context(context)
        order = list(allowed_arns)
        candidates = sorted(
            (key for key in wrapped if key.key_arn in order),
            key=lambda key: (key.key_arn in self._unusable, order.index(key.key_arn)),
        )
        if not candidates:
            raise KeyRefused(
                f"The data key is wrapped by {', '.join(sorted({key.key_arn for key in wrapped})) or 'no KMS key'}, "
                "which is not on the allow-list.",
                "If that key is yours, add its ARN to vault.allowed_data_keys; otherwise do not use this backup.",
            )
        failures: list[BackupError] = []
        for key in candidates:
            try:
                data_key = self._unwrap_one(key, context)
            except KeyUnavailable as error:
                failures.append(error)
                if key is not candidates[-1]:
                    self._set_aside(key.key_arn, error)
            except BackupError as error:
                failures.append(error)
            else:
                return data_key
        # Tampering is the graver news than a key that could not be used.
        graver = next((error for error in failures if isinstance(error, IntegrityError | KeyRefused)), None)
        if graver or len(failures) == 1:
            raise graver or failures[0]
        kind = KeyServiceDown if any(error.retryable for error in failures) else KeyUnavailable
        raise kind(
            f"No copy of the data key opens: {'; '.join(error.cause.rstrip('.') for error in failures)}.",
            f"{'; '.join(dict.fromkeys(error.remedy.rstrip('.') for error in failures))}.",
        )

    def _set_aside(self, key: str, error: BackupError) -> None:
        if key not in self._unusable:
            self._unusable.add(key)
            Reporter().warn(f"{error.cause} Another key of the policy is tried instead. {error.remedy}")

    def _unwrap_one(self, key: WrappedKey, context: Mapping[str, str]) -> DataKey:
        if not 1 <= len(key.ciphertext) <= MAX_WRAPPED_BYTES:
            raise WrongBackup(
                f"The wrapped data key has {len(key.ciphertext)} bytes, KMS makes 1 to {MAX_WRAPPED_BYTES}.",
                "Use another version of the backup, or another backup.",
            )
        client = self.client(key.key_arn)
        answer = self._call(
            "kms:Decrypt",
            key.key_arn,
            lambda: client.decrypt(CiphertextBlob=key.ciphertext, KeyId=key.key_arn, EncryptionContext=dict(context)),
        )
        if len(answer["Plaintext"]) != DATA_KEY_BYTES:
            raise WrongBackup(
                f"What {key.key_arn} unwraps is not a data key of {DATA_KEY_BYTES} bytes.",
                "Do not use this backup; find out who stored it.",
            )
        return DataKey(answer["Plaintext"], [key])

    def _call(self, action: str, key: str, request: Callable[[], Any]) -> Any:
        """Send a request and name its failure. Texts of KMS are not passed on, its request id is."""
        try:
            answer = request()
        except ClientError as error:
            self.last_request_id = error.response.get("ResponseMetadata", {}).get("RequestId")
            raise self._named(error.response.get("Error", {}).get("Code", ""), action, key) from None
        except (NoConnectionError, HTTPClientError) as error:  # refused, timed out, cut off, broken TLS
            raise KeyServiceDown(
                f"KMS cannot be reached for {action} on {key} ({type(error).__name__}).",
                "Check the network and the endpoint of the AWS connection, then run the task again.",
            ) from None
        except BotoCoreError as error:  # no credentials, no region, refused parameters
            raise KeyUnavailable(
                f"The request {action} could not be made ({type(error).__name__}).",
                "Check credentials, region and endpoint of the AWS connection.",
            ) from None
        self.last_request_id = answer["ResponseMetadata"].get("RequestId")
        return answer

    def _named(self, code: str, action: str, key: str) -> BackupError:
        request = f"request {self.last_request_id}"
        if code == "InvalidCiphertextException":
            return WrongBackup(
                f"KMS refuses to unwrap the data key with {key}: made for another backup, or altered ({request}).",
                "Check that name and source are those of this backup; if they are, use another backup.",
            )
        if code == "IncorrectKeyException":
            return KeyRefused(
                f"The data key claims to be wrapped by {key}, but is not ({request}).",
                "Do not use this backup; find out who stored it.",
            )
        if code.startswith("AccessDenied"):
            return KeyUnavailable(
                f"This role is not allowed {action} on {key} ({request}).",
                f"Allow {action} in the role's policy and in the key's policy.",
            )
        if code == "NotFoundException":
            return KeyUnavailable(
                f"The KMS key {key} does not exist in this account and region ({request}).",
                "Check the key id and the region of the AWS connection.",
            )
        if code in _STATES:
            return KeyUnavailable(
                f"The KMS key {key} is in state {self._state(key)} and cannot be used ({request}).",
                "Enable the key, or cancel its deletion while that is still possible.",
            )
        if code in _TRANSIENT:
            return KeyServiceDown(
                f"KMS did not serve {action} on {key}: {code} ({request}).", "Run the task again in a few minutes."
            )
        return KeyUnavailable(
            f"KMS refuses {action} on {key}: {code or 'no error code'} ({request}).",
            "Look the request up in CloudTrail; the KMS API Reference explains the code.",
        )

    def _state(self, key: str) -> str:
        client = self.client(key)
        try:
            return str(client.describe_key(KeyId=key)["KeyMetadata"].get("KeyState", "unknown"))
        except (ClientError, BotoCoreError):
            return "unknown (it may not be described)"
