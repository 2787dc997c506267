"""The JSON documents of the commands, where they hold more than one record of the engine. See docs/command_line.md.

Fields may be added, and none is ever taken away.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from include.backup_engine.compare import Comparison
from include.backup_engine.deletion import Deletions
from include.backup_engine.mysql.account_creation import CreatedAccounts
from include.backup_engine.plan import Plan
from include.backup_engine.records import Record, ServerIdentity
from include.backup_engine.restore import Restoration
from include.backup_engine.retention import RetentionPlan
from include.backup_engine.rewrap import Rewrapped
from include.backup_engine.verify import Verification


class RecoverDryRun(Record):
    """``recover``; ``plan`` is None when the target's server did not answer."""

    mode: Literal["dry_run"] = "dry_run"
    would_create: str
    verified: Verification
    plan: Plan | None


class RecoverRestore(Record):
    """``recover --restore``.

    :param copies: of tables that came beside live ones: table -> name of its copy.
    :param accounts: None: they were not asked for, or it ended before.
    :param seconds: from the request to the end.
    :param evidence: key of the evidence record; None: none could be written.
    """

    mode: Literal["restore"] = "restore"
    restored: Restoration
    comparison: Comparison | None
    copies: dict[str, str]
    accounts: CreatedAccounts | None
    plan: Plan | None
    seconds: float
    evidence: str | None


class RetentionAnswer(Record):
    """``retention``; ``applied`` is None without ``--apply``, and ``safety_plan`` when there are no safety backups."""

    plan: RetentionPlan
    applied: Deletions | None
    safety_plan: RetentionPlan | None
    safety_applied: Deletions | None


class RewrapAnswer(Record):
    """``rewrap``; ``failed`` has the key of each backup that could not be done, and why."""

    key_arn: str
    backups: list[Rewrapped]
    failed: dict[str, str]


class ListedAccount(Record):
    """An account without what is secret."""

    name: str
    role: bool
    privileges: list[str]


class AccountsAnswer(Record):
    """``accounts``."""

    backup: str
    server: ServerIdentity
    taken_at: datetime
    accounts: list[ListedAccount]


class KeyLoss(Record):
    """``keys --if-deleted``; ``lost`` names the backups."""

    key: str
    lost: list[str]
