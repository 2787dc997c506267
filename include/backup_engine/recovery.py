"""A recovery: what may be asked for, what follows from the request, and what its evidence says in the end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from include.backup_engine.beside import MAX_TARGET, before_database, incoming_database
from include.backup_engine.compare import Comparison
from include.backup_engine.errors import RecoveryFailed, RequestRefused
from include.backup_engine.mysql.account_creation import CreatedAccounts
from include.backup_engine.names import SAFETY_SUFFIX
from include.backup_engine.plan import Plan
from include.backup_engine.policy import Policy, RecoveryPolicy, SourcePolicy
from include.backup_engine.records import Record
from include.backup_engine.restore import DRILL_PREFIX, Restoration
from include.backup_engine.survey import Place
from include.backup_engine.swap import Swapped
from include.backup_engine.verify import Verification

_RESERVED_SCHEMAS = {"mysql", "information_schema", "performance_schema", "sys"}

Mode = Literal["list", "dry_run", "restore"]


class RecoveryRequest(BaseModel):
    """What somebody asks ``disaster_recovery`` for. Unknown keys are refused.

    :param source: a source of the policy; with ``-safety`` behind it, the safety backups of what was overwritten.
    :param backup: a name, ``latest``, or an ISO time: the newest backup at or before it.
    :param tables: restore only these, with their triggers; empty: everything.
    :param target_conn_id: connection to the server; by default the source's.
    :param target_database: default: the source's database with ``_restored`` behind it.
    :param accounts: whether to create those accounts of the source's server that the target lacks.
    :param overwrite: whether the target may hold something, which is then swapped out.
    :param confirm: the target database's name once more, to overwrite it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    source: str
    backup: str = "latest"
    mode: Mode = "dry_run"
    tables: list[str] = []
    accounts: bool = False
    target_conn_id: str = ""
    target_database: str = ""
    overwrite: bool = False
    confirm: str = ""
    reason: str = ""


class Recovery(Record):
    """A request that was found sound, with everything that follows from it.

    :param run_at: UTC; names the databases beside the target and the safety backup.
    :param requested_by: as Airflow or the operating system knows who it was.
    """

    request: RecoveryRequest
    conn_id: str
    database: str
    run_at: datetime
    requested_at: datetime
    requested_by: str

    @property
    def incoming(self) -> str:
        """Where the backup is restored to first."""
        return incoming_database(self.database, self.run_at)

    @property
    def before(self) -> str:
        """Where what is overwritten goes."""
        return before_database(self.database, self.run_at)

    @property
    def place(self) -> Place:
        """Where the backup goes."""
        databases = [self.database, self.incoming, *([self.before] if self.request.overwrite else [])]
        return Place(
            conn_id=self.conn_id, database=self.database, databases=databases, overwrite=self.request.overwrite,
            tables=list(dict.fromkeys(self.request.tables)), accounts=self.request.accounts, run_at=self.run_at,
        )  # fmt: skip

    @property
    def safety_source(self) -> str:
        """The name under which the safety backup of the target is stored."""
        return self.request.source.removesuffix(SAFETY_SUFFIX) + SAFETY_SUFFIX

    def safety_policy(self, policy: Policy) -> Policy:
        """The policy with one source more: the target, as it is before it is overwritten."""
        like = policy.source(self.request.source.removesuffix(SAFETY_SUFFIX))
        target = SourcePolicy(conn_id=self.conn_id, database=self.database, compression=like.compression)
        return policy.model_copy(update={"sources": policy.sources | {self.safety_source: target}})


def sound_request(
    given: Mapping[str, Any], policy: Policy, *, run_at: datetime, requested_at: datetime, requested_by: str
) -> Recovery:
    """Check a request.

    :raises RequestRefused: naming what is unknown, missing or contradictory.
    """
    try:
        request = RecoveryRequest.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        known = ", ".join(RecoveryRequest.model_fields)
        if first["type"] == "extra_forbidden":
            raise RequestRefused(f"The parameter {key} is unknown.", f"Use only: {known}.") from None
        raise RequestRefused(f"The parameter {key} is not valid: {first['msg']}.", "Correct it.") from None
    source = policy.sources.get(request.source.removesuffix(SAFETY_SUFFIX))
    if source is None:
        raise RequestRefused(
            f"The policy has no source {request.source!r}.", f"Use one of: {', '.join(sorted(policy.sources))}."
        )
    recovery = Recovery(
        request=request,
        conn_id=request.target_conn_id or source.conn_id,
        database=request.target_database or f"{source.database}_restored",
        run_at=run_at,
        requested_at=requested_at,
        requested_by=requested_by,
    )
    if request.mode != "list":
        _check_target(recovery)
    if request.mode == "restore":
        _check_overwrite(recovery)
    return recovery


def _check_target(recovery: Recovery) -> None:
    request, database = recovery.request, recovery.database
    if request.tables and request.overwrite:
        raise RequestRefused(
            "Single tables are restored beside what exists; they overwrite nothing.",
            'Leave overwrite out, and move the rows or the table with SQL: docs/runbook.md, "A lost table".',
        )
    if request.tables and request.accounts:
        raise RequestRefused("Accounts come with a whole database.", "Leave tables empty, or accounts out.")
    check_target_name(database)


def check_target_name(database: str) -> None:
    """Whether a database of that name may be restored into.

    :raises RequestRefused: it may not.
    """
    if len(database) > MAX_TARGET:
        raise RequestRefused(
            f"The target database's name has {len(database)} characters, more than {MAX_TARGET}.",
            "Choose a shorter one: the databases beside it are named after it.",
        )
    if database.lower() in _RESERVED_SCHEMAS or database.startswith(DRILL_PREFIX) or "`" in database:
        raise RequestRefused(f"{database} cannot be a target.", "Choose another name.")


def _check_overwrite(recovery: Recovery) -> None:
    request = recovery.request
    if not request.overwrite:
        if request.confirm:
            raise RequestRefused(
                "The request confirms an overwrite that it does not ask for.", "Set overwrite, or leave confirm empty."
            )
        return
    if request.confirm != recovery.database:
        raise RequestRefused(
            f"{recovery.database} would be overwritten, and confirm is {request.confirm!r}.",
            f"Set confirm to {recovery.database!r} if that is what you want.",
        )
    if not request.reason:
        raise RequestRefused(
            "An overwrite needs a reason, for the evidence.", "Say in reason what happened, without patient data."
        )


class Approval(Record):
    """Who answered the question whether the target may be overwritten, and what.

    :param approved: a yes that counts.
    :param responder: ``None`` when nobody answered in time.
    :param objection: why a yes does not count.
    """

    approved: bool
    responder: str | None
    responded_at: datetime | None
    reason: str
    objection: str | None = None


def weigh_answer(
    rules: RecoveryPolicy, requested_by: str | None, *, yes: bool, user_id: str | None, user_name: str | None,
    responded_at: datetime, reason: str,
) -> Approval:  # fmt: skip
    """Whether an answer is a yes that counts: with a reason, and of somebody who may give it.

    :param requested_by: the name of the user who started the recovery, if known.
    :param user_id: of who answered; ``None`` when nobody did.
    """
    objection = None
    if yes and not reason:
        objection = "no reason was given"
    elif yes and rules.approvers and user_id not in rules.approvers:
        objection = f"{user_name} is none of recovery.approvers"
    elif yes and rules.four_eyes and requested_by is None:
        objection = "recovery.four_eyes asks for two persons, and the run does not say who started it"
    elif yes and rules.four_eyes and requested_by in (user_id, user_name):
        objection = f"recovery.four_eyes asks for two persons, and {user_name} started the run"
    return Approval(
        approved=yes and objection is None,
        responder=user_name or user_id,
        responded_at=responded_at,
        reason=reason,
        objection=objection,
    )


class SafetyBackup(Record):
    """The backup of the target that was made and read back before it was overwritten."""

    source: str
    backup: str
    verified: Verification


class RecoveryResult(Record):
    """The outcome, as the evidence record holds it.

    :param seconds: from the request to the end of the swap or plan, waiting for approval included.
    :param failures: why it is not what was asked for; empty when it is.
    """

    recovery: Recovery
    plan: Plan | None
    approval: Approval | None
    safety_backup: SafetyBackup | None
    restoration: Restoration | None
    comparison: Comparison | None
    swapped: Swapped | None
    accounts: CreatedAccounts | None = None
    seconds: float
    failures: list[str]

    def raise_if_failed(self) -> None:
        """Fail loudly; to be called last, so that the evidence of a failure is kept.

        :raises RecoveryFailed: naming every failure.
        """
        if self.failures:
            raise RecoveryFailed(
                f"{self.recovery.database} was not recovered: {'; '.join(self.failures)}.",
                "The log of the first failed task has the cause and its remedy.",
            )


def next_step(recovery: Recovery, plan: Plan) -> Literal["report", "approve", "restore_beside"]:
    """What follows a plan: nothing, a person's approval, or the restore."""
    if recovery.request.mode != "restore" or plan.blockers:
        return "report"
    return "approve" if plan.overwrites else "restore_beside"


def require_approval(plan: Plan, approval: Approval | None, safety_backup: SafetyBackup | None) -> None:
    """The fence before everything that leads to an overwrite.

    :raises RequestRefused: something would be overwritten without a person's approval, or without a safety backup.
    """
    if plan.blockers:
        raise RequestRefused(f"The plan has blockers: {'; '.join(plan.blockers)}.", "Remove them first.")
    if not plan.overwrites:
        return
    if approval is None or not approval.approved:
        raise RequestRefused(
            f"Nobody who may has approved, giving a reason, that {plan.place.database} is overwritten.",
            "Start the recovery again, and have it approved under Required Actions.",
        )
    if safety_backup is None:
        raise RequestRefused(f"There is no safety backup of {plan.place.database}.", "Start the recovery again.")


def _account_failures(accounts: CreatedAccounts | None) -> list[str]:
    if accounts is None:
        return ["the database is in its place, but the accounts were not created, or not all of them"]
    return [f"the account {name} was not created: {why}" for name, why in accounts.refused.items()]


def judge(
    recovery: Recovery,
    ended_at: datetime,
    *,
    plan: Plan | None,
    approval: Approval | None = None,
    safety_backup: SafetyBackup | None = None,
    restoration: Restoration | None = None,
    comparison: Comparison | None = None,
    swapped: Swapped | None = None,
    accounts: CreatedAccounts | None = None,
) -> RecoveryResult:
    """Put together what the tasks of a recovery found. What was asked for and did not happen counts as a failure."""
    failures: list[str] = []
    if plan is None:
        failures.append("no plan could be made")
    else:
        failures += plan.blockers
    if recovery.request.mode == "restore" and plan is not None and not plan.blockers:
        if plan.overwrites and not (approval and approval.approved):
            by = f"by {approval.responder}" if approval and approval.responder else "in time"
            why = f": {approval.objection}" if approval and approval.objection else ""
            failures.append(f"the overwrite was not approved {by}{why}")
        elif plan.overwrites and safety_backup is None:
            failures.append("no safety backup was made")
        elif restoration is None:
            failures.append("nothing was restored")
        elif comparison is None:
            failures.append("nothing was compared")
        elif comparison.findings:
            failures += comparison.findings
        elif swapped is None:
            failures.append("the restored copy was not put in its place, or not completely")
        elif recovery.request.accounts:
            failures += _account_failures(accounts)
    return RecoveryResult(
        recovery=recovery,
        plan=plan,
        approval=approval,
        safety_backup=safety_backup,
        restoration=restoration,
        comparison=comparison,
        swapped=swapped,
        accounts=accounts,
        seconds=round((ended_at - recovery.requested_at).total_seconds(), 1),
        failures=failures,
    )
