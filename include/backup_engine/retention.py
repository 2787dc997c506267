"""Which backups may go: grandfather, father, son; and only what a newer backup, proved by a drill, makes superfluous.

A backup *counts* when it is complete, authentic (crypto/envelope.py), records what it holds, and is not named for
a later time than it was stored at. What does not count takes no slot and is never deleted, but reported. Of those
that count, these stay:

- the newest of each of the last ``daily`` days, ``weekly`` ISO weeks, ``monthly`` months and ``yearly`` years that
  have a backup, in UTC; and the newest ``minimum``;
- the newest that has passed a drill, and everything newer than it;
- what is locked (Object Lock), under legal hold, or held: an object ``<backup>.hold`` lies beside it.

Nothing at all is deleted while the newest backup is missing, unverified or abnormal. The leftovers of killed
attempts go after two days.

Of the safety backups that recoveries make, under ``<source>-safety``, those that are older than ``safety_days`` go;
never the newest, and nothing while the source's own plan is blocked.

This module has the rules; retention_survey.py looks at what is there, deletion.py carries the plan out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from include.backup_engine.anomalies import Measures, judge
from include.backup_engine.backup import LEFTOVER_AGE
from include.backup_engine.names import SAFETY_SUFFIX, SIDECAR_SUFFIX
from include.backup_engine.policy import AnomalyPolicy, RetentionPolicy
from include.backup_engine.records import Record
from include.backup_engine.report import megabytes
from include.backup_engine.store.catalog import Entry
from include.backup_engine.store.s3 import UnfinishedUpload

NORMAL = AnomalyPolicy()
_PERIODS = (("daily", "%Y-%m-%d"), ("weekly", "%G-W%V"), ("monthly", "%Y-%m"), ("yearly", "%Y"))

Action = Literal["keep", "delete", "ignore"]


# The plan ---------------------------------------------------------------------------------------------------


class Decision(Record):
    """What is to be done with one backup, and why.

    :param backup_id: None for a leftover: an encrypted dump without a sidecar.
    :param version_id: S3's version of the dump that was looked at; ``sidecar_version`` of its sidecar.
    """

    name: str
    key: str
    taken_at: datetime
    size: int | None
    action: Action
    reason: str
    backup_id: str | None
    version_id: str | None
    sidecar_version: str | None

    @property
    def sidecar_key(self) -> str:
        """Where the sidecar lies."""
        return self.key + SIDECAR_SUFFIX


class PlannedAbort(Record):
    """A multipart upload that a killed attempt has left."""

    key: str
    upload_id: str
    initiated: datetime


class RetentionPlan(Record):
    """What retention would do with the backups of one source, newest first.

    :param blocked: why nothing at all is deleted; None when nothing stands against it.
    :param stray_holds: keys of hold markers that name no backup: misspelt, perhaps.
    """

    source: str
    made_at: datetime
    blocked: str | None
    decisions: list[Decision]
    uploads: list[PlannedAbort]
    stray_holds: list[str]

    def of(self, action: Action) -> list[Decision]:
        """The decisions of one kind."""
        return [decision for decision in self.decisions if decision.action == action]

    def lines(self) -> list[str]:
        """The plan for people: one line for each backup, then a summary."""
        told = [
            f"{decision.action:7} {decision.name:30} "
            f"{megabytes(decision.size) if decision.size is not None else '-':>9}  {decision.reason}"
            for decision in self.decisions
        ]
        told += [f"abort   upload of {upload.key}, began {upload.initiated:%Y-%m-%d %H:%M}" for upload in self.uploads]
        told += [f"look    {key} holds no backup: is it misspelt?" for key in self.stray_holds]
        counts = ", ".join(f"{action} {len(self.of(action))}" for action in ("keep", "delete", "ignore"))
        told.append(f"Retention of {self.source}: {counts}, abort {len(self.uploads)} uploads")
        if self.blocked:
            told.append(f"Nothing may be deleted: {self.blocked}.")
        return told


# The rules --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Surveyed:
    """One backup, with what was found out about it.

    :param unproven: why it could not be opened, in a sentence; None when it is authentic.
    :param verified: its stored copy was read back and recorded.
    :param drilled: its last drill has passed.
    """

    entry: Entry
    unproven: str | None = None
    backup_id: str | None = None
    measures: Measures | None = None
    version_id: str | None = None
    verified: bool = False
    drilled: bool = False

    @property
    def problem(self) -> str | None:
        """Why it does not count."""
        if self.entry.state != "complete" or self.entry.future:
            return self.entry.problem or f"It is {self.entry.state}."
        return self.unproven

    @property
    def taken_at(self) -> datetime:
        """The time in its name, UTC."""
        return self.entry.taken_at

    @property
    def label(self) -> str:
        """Its short name."""
        return self.entry.name.stem if self.entry.name else self.entry.key

    def left_over(self, now: datetime) -> bool:
        """Whether it is the dump of an attempt that cannot be running any more."""
        entry = self.entry
        ours = entry.state == "incomplete" and entry.name is not None and not entry.future
        return ours and now - entry.stored_at > LEFTOVER_AGE


def decide(
    source: str,
    backups: Sequence[Surveyed],
    uploads: Sequence[UnfinishedUpload],
    rules: RetentionPolicy,
    longest_gap: timedelta,
    now: datetime,
    held: Callable[[Surveyed], str | None],
    alarm: str | None = None,
    limits: AnomalyPolicy = NORMAL,
) -> RetentionPlan:
    """Apply the rules; the same input gives the same plan.

    :param longest_gap: the newest backup is missing when it is older than this.
    :param held: asked about each backup that would be deleted: what stands against it, in words.
    :param alarm: a reason from elsewhere to delete nothing.
    :param limits: when the newest backup is abnormal.
    """
    backups = sorted(backups, key=lambda backup: (backup.taken_at, backup.entry.key), reverse=True)
    counted = [backup for backup in backups if backup.problem is None]
    blocked = alarm or _alarm(backups, counted, longest_gap, now, limits)
    wanted = _wanted(counted, rules)
    proof = next((backup for backup in counted if backup.drilled), None)

    def decision(backup: Surveyed) -> tuple[Action, str]:
        leftover = backup.left_over(now)
        if backup.problem and not leftover:
            return "ignore", backup.problem
        stay: Action = "ignore" if leftover else "keep"
        if reasons := wanted.get(backup.entry.key):
            return stay, ", ".join(reasons)
        if backup is proof:
            return stay, "the newest that has passed a drill"
        if proof is None or backup.taken_at >= proof.taken_at:
            return stay, "no newer backup has passed a drill"
        if blocked:
            return stay, "superfluous, but nothing may be deleted"
        if hold := held(backup):
            return stay, hold
        what = "left by a killed attempt (no sidecar)" if leftover else "no slot is left for it"
        return "delete", f"{what}; {proof.label} is newer and has passed a drill"

    return _plan(source, now, blocked, [(backup, *decision(backup)) for backup in backups], uploads)


def decide_safety(
    main: RetentionPlan,
    backups: Sequence[Surveyed],
    uploads: Sequence[UnfinishedUpload],
    rules: RetentionPolicy,
    held: Callable[[Surveyed], str | None],
) -> RetentionPlan:
    """Apply the rules to the safety backups of a source.

    :param main: the plan for the source's own backups; made at the same moment.
    """
    now, longest = main.made_at, timedelta(days=rules.safety_days)
    backups = sorted(backups, key=lambda backup: (backup.taken_at, backup.entry.key), reverse=True)
    counted = [backup for backup in backups if backup.problem is None]
    newest = counted[0] if counted else None
    proof = next((backup for backup in counted if backup.verified), None)
    blocked = f"that of {main.source} is blocked, {main.blocked}" if main.blocked else None

    def decision(backup: Surveyed) -> tuple[Action, str]:
        leftover = backup.left_over(now)
        if backup.problem and not leftover:
            return "ignore", backup.problem
        stay: Action = "ignore" if leftover else "keep"
        if backup is newest:
            return stay, "the newest"
        if backup is proof:
            return stay, "the newest that was read back"
        if newest is None or backup.taken_at >= newest.taken_at:
            return stay, "there is no newer one"
        if now - max(backup.taken_at, backup.entry.stored_at) <= longest:
            return stay, f"not older than {rules.safety_days} days"
        if blocked:
            return stay, "superfluous, but nothing may be deleted"
        if hold := held(backup):
            return stay, hold
        return "delete", f"older than {rules.safety_days} days"

    decided = [(backup, *decision(backup)) for backup in backups]
    return _plan(main.source + SAFETY_SUFFIX, now, blocked, decided, uploads)


def _plan(
    source: str, now: datetime, blocked: str | None, decided: Sequence[tuple[Surveyed, Action, str]],
    uploads: Sequence[UnfinishedUpload],
) -> RetentionPlan:  # fmt: skip
    return RetentionPlan(
        source=source,
        made_at=now,
        blocked=blocked,
        decisions=[
            Decision(
                name=backup.label, key=backup.entry.key, taken_at=backup.taken_at, size=backup.entry.size,
                action=action, reason=reason, backup_id=backup.backup_id, version_id=backup.version_id,
                sidecar_version=backup.entry.sidecar_version,
            )
            for backup, action, reason in decided
        ],
        uploads=[
            PlannedAbort(key=upload.key, upload_id=upload.upload_id, initiated=upload.initiated)
            for upload in uploads
            if now - upload.initiated > LEFTOVER_AGE and not blocked
        ],
        stray_holds=[],
    )  # fmt: skip


def _wanted(counted: Sequence[Surveyed], rules: RetentionPolicy) -> dict[str, list[str]]:
    """Key of each backup that a rule wants to keep, and which rules do."""
    reasons: dict[str, list[str]] = {}
    for kind, form in _PERIODS:
        periods: set[str] = set()
        for backup in counted:
            period = f"{backup.taken_at.astimezone(UTC):{form}}"
            if period not in periods and len(periods) < getattr(rules, kind):
                periods.add(period)
                reasons.setdefault(backup.entry.key, []).append(f"{kind} {period}")
    for backup in counted[: rules.minimum]:
        reasons.setdefault(backup.entry.key, []).append(f"one of the newest {rules.minimum}")
    return reasons


def _alarm(
    backups: Sequence[Surveyed], counted: Sequence[Surveyed], longest_gap: timedelta, now: datetime,
    limits: AnomalyPolicy,
) -> str | None:  # fmt: skip
    """Why nothing may be deleted now: the newest backup is missing, unverified or abnormal."""
    if not counted:
        return "there is no backup that counts"
    newest = counted[0]
    last = next(backup for backup in backups if backup.entry.name and not backup.entry.future)
    if last is not newest and last.taken_at >= newest.taken_at:
        return f"the newest backup, {last.label}, does not count: {str(last.problem).rstrip('.')}"
    if now - newest.taken_at > longest_gap:
        hours = (now - newest.taken_at) / timedelta(hours=1)
        return f"the newest backup, {newest.label}, is {hours:.0f} h old; one is missing"
    if not newest.verified:
        return f"no evidence says that the newest backup, {newest.label}, was verified"
    if newest.measures:
        judgement = judge(newest.measures, [other.measures for other in counted[1:] if other.measures], limits)
        if judgement.anomalies:
            return f"the newest backup, {newest.label}, is abnormal: {judgement.told()}"
    return None
