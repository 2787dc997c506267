"""The steps of a disaster recovery, each an operator. What they hand on is small: names, times, counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from backup_airflow.operators.approval import approval_of
from backup_airflow.operators.base import BackupOperator, endpoint_of
from include.backup_engine import evidence
from include.backup_engine.backup import BackupJob, back_up, finished_already
from include.backup_engine.beside import drop_incoming, tidy
from include.backup_engine.compare import Comparison
from include.backup_engine.errors import BackupError, RecoveryFailed, RequestRefused
from include.backup_engine.listing import list_backups
from include.backup_engine.mysql.account_creation import CreatedAccounts
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName
from include.backup_engine.plan import Plan
from include.backup_engine.preflight import link_to_previous
from include.backup_engine.recovery import (
    Recovery,
    SafetyBackup,
    judge,
    require_approval,
    sound_request,
)
from include.backup_engine.recovery_steps import (
    compare_beside,
    plan_recovery,
    put_in_place,
    record_recovery,
    restore_beside,
)
from include.backup_engine.report import megabytes
from include.backup_engine.restore import Restoration
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.stored import StoredBackup, open_stored
from include.backup_engine.swap import Swapped
from include.backup_engine.verify import verify

_LISTED = 200


class ValidateRequestOperator(BackupOperator):
    """Check what was asked for, before anything else happens. Returns the recovery that follows from it.

    Why a request was refused is kept under the key ``refusal``.

    .. code-block:: python

        ValidateRequestOperator(task_id="validate_request", source="{{ params.source }}")
    """

    def execute(self, context: Any) -> dict[str, Any]:
        """Check."""
        dag_run = context["dag_run"]
        # Airflow checks the parameters that the DAG has, and silently takes whatever else is in the configuration.
        try:
            recovery = sound_request(
                dict(context["params"]) | dict(dag_run.conf or {}),
                self.policy,
                run_at=dag_run.run_after,
                requested_at=datetime.now(UTC),
                requested_by=dag_run.triggering_user_name or "unknown",
            )
        except RequestRefused as error:
            context["ti"].xcom_push(key="refusal", value=error.cause)
            raise
        request = recovery.request
        self.reporter.line(
            f"{request.mode} of {request.source}, requested by {recovery.requested_by}", backup=request.backup,
            tables=", ".join(request.tables) or None, accounts=request.accounts,
            database=recovery.database, server=recovery.conn_id, overwrite=request.overwrite,
            reason=request.reason or None,
        )  # fmt: skip
        return recovery.model_dump(mode="json")


class RecoveryOperator(BackupOperator):
    """Base of the steps that work on a request that was found sound.

    :param recovery: what ValidateRequestOperator returned. (templated)
    """

    template_fields: Sequence[str] = ("source", "recovery")
    ui_color = "#fbe3d6"

    def __init__(self, *, recovery: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.recovery = recovery

    @property
    def asked(self) -> Recovery:
        """The recovery."""
        return Recovery.model_validate(self.recovery)

    @property
    def target(self) -> Endpoint:
        """The target's server."""
        return endpoint_of(self.asked.conn_id)

    def open_backup(self, source: str, backup: str) -> StoredBackup:
        """A backup, opened with the reading role."""
        entry = Catalog(self.reader_vault).find(source, backup)
        return open_stored(entry, source, self.policy, self.reader_vault, self.reader_keyring)


class ListBackupsOperator(RecoveryOperator):
    """List what there is to restore, newest first, into the log; also what is incomplete or unreadable, and why.

    Returns how many of them are complete.

    .. code-block:: python

        ListBackupsOperator(task_id="list_backups", source="surgicase", recovery=validate.output)
    """

    def execute(self, context: Any) -> int:
        """List."""
        listing = list_backups(self.reader_vault, self.asked.request.source, self.reporter, limit=_LISTED)
        for backup in listing.backups:
            self.reporter.line(f"{backup.name}: {backup.state}", **backup.model_dump(exclude={"name", "state"}))
        for warning in listing.warnings:
            self.reporter.warn(warning)
        complete = sum(backup.state == "complete" for backup in listing.backups)
        self.reporter.line(f"{complete} of {len(listing.backups)} backups are complete", there_are=listing.total)
        return complete


class ChooseBackupOperator(RecoveryOperator):
    """Choose the backup that is meant. Returns its full name.

    .. code-block:: python

        ChooseBackupOperator(task_id="choose_backup", source="surgicase", recovery=validate.output)
    """

    def execute(self, context: Any) -> str:
        """Choose."""
        request = self.asked.request
        entry = Catalog(self.reader_vault).find(request.source, request.backup)
        if entry.name is None:
            raise RequestRefused(f"{entry.key} has no name that can be chosen.", "Choose another backup.")
        self.reporter.line(f"Chose {entry.name}", taken_at=entry.taken_at, size=megabytes(entry.size or 0))
        return entry.name.object_name


class ChosenOperator(RecoveryOperator):
    """Base of the steps that work on the chosen backup.

    :param backup: what ChooseBackupOperator returned. (templated)
    """

    template_fields: Sequence[str] = ("source", "recovery", "backup")

    def __init__(self, *, backup: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backup = backup

    @property
    def stored(self) -> StoredBackup:
        """The chosen backup."""
        return self.open_backup(self.asked.request.source, self.backup)


class PlanRecoveryOperator(ChosenOperator):
    """Read the backup back, or the tables that were asked for, look at the target, and say what would be done.

    Changes nothing. Returns the plan, and under ``question`` what a person reads who is asked for approval (Markdown).

    .. code-block:: python

        PlanRecoveryOperator(task_id="plan", source=…, recovery=…, backup=choose.output)
    """

    def execute(self, context: Any) -> dict[str, Any]:
        """Plan."""
        asked = self.asked
        plan = plan_recovery(
            asked, self.stored, self.target, self.policy, self.reader_vault, self.reader_keyring, self.reporter
        )
        return plan.model_dump(mode="json") | {"question": plan.question(asked.requested_by, asked.request.reason)}


class SafetyBackupOperator(RecoveryOperator):
    """Back up the target through the normal pipeline, as ``<source>-safety``, and read that backup back.

    .. code-block:: python

        SafetyBackupOperator(task_id="safety_backup", source="surgicase", recovery=validate.output)
    """

    ui_color = "#cfe8d5"

    def execute(self, context: Any) -> dict[str, Any]:
        """Back up, verify, record."""
        asked = self.asked
        tidy(self.target, asked.database, self.reporter)
        source, policy = asked.safety_source, asked.safety_policy(self.policy)
        dag_run, task_instance = context["dag_run"], context["ti"]
        job = BackupJob(
            policy=policy,
            source=source,
            name=BackupName(asked.run_at, policy.source(source).compression),
            chain=link_to_previous(source, self.reader_vault),
            attempt=task_instance.try_number,
            origin={"dag_id": dag_run.dag_id, "run_id": dag_run.run_id, "task_id": task_instance.task_id},
        )
        if not finished_already(job, self.writer_vault, self.reporter):
            back_up(job, self.target, self.writer_keyring, self.writer_vault, self.reporter, self._cancellation)
        entry = Catalog(self.reader_vault).find(source, job.name.object_name)
        verification = verify(
            self.open_backup(source, job.name.object_name), policy, self.reader_keyring, self.reporter
        )  # fmt: skip
        facts = evidence.backup_facts(entry, verification)
        evidence.append(self.reader_vault, self.writer_vault, "backup", source, "passed", facts)
        saved = SafetyBackup(source=source, backup=job.name.stem, verified=verification)
        return saved.model_dump(mode="json")


class RestoreBesideOperator(ChosenOperator):
    """Authenticate the whole backup, or the tables that were asked for, then load it into a database of its own.

    .. code-block:: python

        RestoreBesideOperator(task_id="restore_beside", …, plan=plan.output, approval="{{ … }}", safety=safety.output)

    :param plan: what PlanRecoveryOperator returned. (templated)
    :param approval: what ApproveOverwriteOperator has kept, as JSON. (templated)
    :param safety_backup: what SafetyBackupOperator returned. (templated)
    """

    template_fields: Sequence[str] = ("source", "recovery", "backup", "plan", "approval", "safety_backup")

    def __init__(self, *, plan: Any, approval: Any, safety_backup: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.approval = approval
        self.safety_backup = safety_backup

    def execute(self, context: Any) -> dict[str, Any]:
        """Restore."""
        require_approval(
            Plan.model_validate(self.plan),
            approval_of(self.approval),
            SafetyBackup.model_validate(self.safety_backup) if self.safety_backup else None,
        )
        asked = self.asked
        try:
            restoration = restore_beside(
                asked, self.stored, self.target, self.policy, self.reader_keyring, self.reporter, self._cancellation
            )
        except BaseException:
            try:
                drop_incoming(self.target, asked.incoming)
            except BackupError as error:  # it must not hide why the restore failed
                self.reporter.warn(
                    f"The unfinished copy {asked.incoming} is still there, the next run drops it: {error.cause}"
                )
            raise
        return restoration.model_dump(mode="json")

    def on_kill(self) -> None:
        """End the load on the server, then drop what it has loaded."""
        super().on_kill()
        drop_incoming(self.target, self.asked.incoming)


class CompareBesideOperator(ChosenOperator):
    """Compare the copy beside the target with what the source held when the backup was taken.

    .. code-block:: python

        CompareBesideOperator(task_id="compare", …, plan=plan.output)

    :param plan: what PlanRecoveryOperator returned. (templated)
    """

    template_fields: Sequence[str] = ("source", "recovery", "backup", "plan")

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def execute(self, context: Any) -> dict[str, Any]:
        """Compare."""
        plan = Plan.model_validate(self.plan)
        comparison = compare_beside(self.asked, plan, self.stored, self.target, self.reporter)
        return comparison.model_dump(mode="json")


class SwapOperator(ChosenOperator):
    """Put the proven copy in the place of the target; what the target held stays beside it.

    Single tables are put beside those of a target that holds something, and displace nothing.

    .. code-block:: python

        SwapOperator(task_id="swap", …, plan=plan.output, comparison=compare.output)

    :param plan: what PlanRecoveryOperator returned. (templated)
    :param comparison: what CompareBesideOperator returned. (templated)
    """

    template_fields: Sequence[str] = ("source", "recovery", "backup", "plan", "comparison")

    def __init__(self, *, plan: Any, comparison: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.comparison = comparison

    def execute(self, context: Any) -> dict[str, Any]:
        """Swap."""
        plan, comparison = Plan.model_validate(self.plan), Comparison.model_validate(self.comparison)
        swapped = put_in_place(
            self.asked, plan, comparison, self.stored, self.target, self.reporter, self._cancellation
        )
        return swapped.model_dump(mode="json")


class RecoveryReportOperator(RecoveryOperator):
    """Say and record what was asked for, approved, done and verified; then fail if it is not what was asked for.

    Returns the key of the evidence record; a list leaves none.

    .. code-block:: python

        RecoveryReportOperator(task_id="report", trigger_rule="all_done", …)

    :param found: what the steps before returned, by name; ``None`` for those that did not run. (templated)
    """

    template_fields: Sequence[str] = ("source", "recovery", "found")
    ui_color = "#f0e6d2"

    def __init__(self, *, found: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.found = found

    def execute(self, context: Any) -> str | None:
        """Record, and fail if the recovery has."""
        if not self.recovery:
            self._refused(context)
        asked, found = self.asked, self.found
        if asked.request.mode == "list":
            if found["listed"] is None:
                raise RecoveryFailed("The backups were not listed.", "Look at the task list_backups.")
            return None
        result = judge(
            asked,
            datetime.now(UTC),
            plan=Plan.model_validate(found["plan"]) if found["plan"] else None,
            approval=approval_of(found["approval"]),
            safety_backup=SafetyBackup.model_validate(found["safety_backup"]) if found["safety_backup"] else None,
            restoration=Restoration.model_validate(found["restoration"]) if found["restoration"] else None,
            comparison=Comparison.model_validate(found["comparison"]) if found["comparison"] else None,
            swapped=Swapped.model_validate(found["swapped"]) if found["swapped"] else None,
            accounts=CreatedAccounts.model_validate(found["accounts"]) if found["accounts"] else None,
        )
        key = record_recovery(result, self.reader_vault, self.writer_vault, self.reporter)
        if result.swapped and not (result.swapped.before or asked.request.tables):
            self.reporter.line(f"The events of {asked.database} are disabled; enable those that shall run there")
        result.raise_if_failed()
        return key

    def _refused(self, context: Any) -> None:
        """The request was not sound: that, too, is recorded."""
        dag_run = context["dag_run"]
        why = self.found["refusal"] or "see the task validate_request"
        facts = {
            "failures": [f"the request was refused: {why}"],
            "requested_by": dag_run.triggering_user_name or "unknown",
        }
        evidence.append(self.reader_vault, self.writer_vault, "recovery", self.source[:63], "failed", facts)
        raise RecoveryFailed("The request was refused; nothing was done.", "The task validate_request says why.")
