"""What KMS says about a key: whether it can be used, until when, how old it is, and whether its material rotates.

Source: AWS KMS API Reference, DescribeKey, ListAliases, GetKeyRotationStatus and ListKeyRotations.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.records import Record

NOT_FOUND, NO_ACCESS, NO_ANSWER = "not found", "no access", "no answer"
_ALIVE = {"Enabled", "Disabled", "Creating", "Updating", "PendingImport"}
_Answer = TypeVar("_Answer")


class KeyState(Record):
    """One KMS key; None is what KMS does not tell, or not to this role.

    :param state: KMS's ``KeyState``, or ``not found``, ``no access``, ``no answer``.
    :param deletion_date: UTC, of a key pending deletion.
    :param origin: where its material comes from: ``AWS_KMS``, ``EXTERNAL``, ``AWS_CLOUDHSM``, ``EXTERNAL_KEY_STORE``.
    :param rotation: whether KMS rotates its material; old data keys keep opening, and are not renewed by it.
    :param rotated_at: its newest rotation, UTC.
    """

    arn: str
    state: str
    aliases: tuple[str, ...] = ()
    deletion_date: datetime | None = None
    origin: str | None = None
    created: datetime | None = None
    rotation: bool | None = None
    rotated_at: datetime | None = None

    @property
    def lasting(self) -> bool:
        """Whether backups can count on it: it is there, and not about to go. A key that cannot be seen is not."""
        return self.state in _ALIVE

    @property
    def usable(self) -> bool:
        """Whether it opens something now."""
        return self.state in {"Enabled", "Creating", "Updating"}


def key_state(keyring: Keyring, arn: str) -> KeyState:
    """Ask KMS about a key, in the region that its ARN names; never raises for what KMS does not tell."""
    client = keyring.client(arn)
    try:
        about: Any = client.describe_key(KeyId=arn)["KeyMetadata"]
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        denied = NO_ACCESS if code.startswith("AccessDenied") else NO_ANSWER
        return KeyState(arn=arn, state=NOT_FOUND if code == "NotFoundException" else denied)
    except BotoCoreError:
        return KeyState(arn=arn, state=NO_ANSWER)
    rotations = _asked(lambda: client.list_key_rotations(KeyId=arn, Limit=1000)["Rotations"]) or []
    return KeyState(
        arn=arn,
        state=about["KeyState"],
        aliases=tuple(alias["AliasName"] for alias in _asked(lambda: client.list_aliases(KeyId=arn)["Aliases"]) or []),
        deletion_date=about.get("DeletionDate"),
        origin=about.get("Origin"),
        created=about.get("CreationDate"),
        rotation=_asked(lambda: client.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]),
        rotated_at=max((item["RotationDate"] for item in rotations), default=None),
    )


def _asked(question: Callable[[], _Answer]) -> _Answer | None:
    """The answer; None when KMS does not give one: not to this role, not across accounts, not for this kind of key."""
    try:
        return question()
    except (ClientError, BotoCoreError):
        return None
