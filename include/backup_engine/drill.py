"""The restore drill: what it is called, what it measures, and when it has passed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from include.backup_engine.break_glass import NOT_DUE, BreakGlass
from include.backup_engine.compare import Comparison
from include.backup_engine.errors import DrillFailed
from include.backup_engine.policy import DrillPolicy
from include.backup_engine.records import Record
from include.backup_engine.restore import DRILL_PREFIX, Restoration

_MAX_NAME = 64


class PickedBackup(Record):
    """The backup that a drill restores, and where to.

    :param database: name of the scratch database.
    :param started_at: UTC; when the drill began, from which its RTO counts.
    """

    source: str
    backup: str
    backup_id: str
    database: str
    snapshot_at: datetime
    started_at: datetime
    kms_key_id: str


class DrillResult(Record):
    """The outcome of a drill, as its evidence record holds it.

    :param rto_seconds: from picking the backup to the end of the comparison, waiting for workers included.
    :param break_glass: whether the break-glass file released the same bytes; ``None``: not its turn, or it failed.
    :param rpo_seconds: age of the backup's snapshot when the drill began: what a disaster then would have lost.
    :param failures: why it has not passed; empty when it has.
    """

    picked: PickedBackup
    restoration: Restoration | None
    comparison: Comparison | None
    break_glass: Literal["matched"] | None = None
    rto_seconds: float | None
    rto_target_seconds: float
    rpo_seconds: float
    rpo_target_seconds: float
    scratch_is_gone: bool
    failures: list[str]

    @property
    def passed(self) -> bool:
        """Whether everything was shown."""
        return not self.failures

    def raise_if_failed(self) -> None:
        """Fail loudly; to be called last, so that the evidence of a failure is kept.

        :raises DrillFailed: naming every failure.
        """
        if self.failures:
            raise DrillFailed(
                f"The drill of {self.picked.backup} failed: {'; '.join(self.failures)}.",
                "Treat the backup as unproven; make another, and look for the cause before the next night.",
            )


def drill_database(source: str, now: datetime) -> str:
    """Name of a drill's database: the prefix, the source, the time in UTC; at most 64 characters."""
    stamp = now.astimezone(UTC).strftime("%Y%m%d_%H%M%S")
    return f"{DRILL_PREFIX}{source.replace('-', '_')[: _MAX_NAME - len(DRILL_PREFIX) - len(stamp) - 1]}_{stamp}"


def judge(
    picked: PickedBackup,
    restoration: Restoration | None,
    comparison: Comparison | None,
    compared_at: datetime | None,
    scratch_is_gone: bool,
    targets: DrillPolicy,
    break_glass: BreakGlass | None = NOT_DUE,
) -> DrillResult:
    """Put together what the tasks of a drill found. What did not happen counts as a failure."""
    rpo = (picked.started_at - picked.snapshot_at).total_seconds()
    rto = (compared_at - picked.started_at).total_seconds() if compared_at else None
    rto_target, rpo_target = targets.rto_target_minutes * 60, targets.rpo_target_hours * 3600
    failures: list[str] = []
    if restoration is None:
        failures.append("it was not restored")
    elif restoration.verified.accounts_problem:
        failures.append(restoration.verified.accounts_problem.rstrip("."))
    if comparison is None:
        failures.append("nothing was compared")
    else:
        failures += comparison.findings
    if rto is not None and rto > rto_target:
        failures.append(f"restoring took {rto / 60:.1f} min, the target is {rto_target / 60:.1f} min")
    if rpo > rpo_target:
        failures.append(f"the newest backup was {rpo / 3600:.1f} h old, the target is {rpo_target / 3600:.1f} h")
    if not scratch_is_gone:
        failures.append(f"the scratch database {picked.database} is not shown to be gone")
    if break_glass is None:
        failures.append("it was not shown whether the break-glass file opens it")
    elif break_glass.problem:
        failures.append(f"the break-glass file {break_glass.problem}")
    return DrillResult(
        picked=picked,
        restoration=restoration,
        comparison=comparison,
        break_glass="matched" if break_glass is not None and break_glass.matched else None,
        rto_seconds=rto,
        rto_target_seconds=rto_target,
        rpo_seconds=rpo,
        rpo_target_seconds=rpo_target,
        scratch_is_gone=scratch_is_gone,
        failures=failures,
    )
