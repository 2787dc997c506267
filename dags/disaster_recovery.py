"""Bring a database back from a backup: by default only the plan, with `mode=restore` the database itself.

validate the request → choose the backup → **plan** (reads the whole backup back, changes nothing) → restore beside the
target → compare with the snapshot → swap → bring accounts, if asked for → report. Where something would be overwritten,
a person must approve it (Required Actions), and the target is backed up first. Until the swap the target is untouched;
after it, what was there stays as `<target>_before_<time>` until someone drops it. With `tables`, only these are read
and restored: into a new database, or beside the live tables under other names; nothing is overwritten. Steps and
examples: `docs/runbook.md`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, task
from backup_airflow.operators.accounts import BringAccountsOperator
from backup_airflow.operators.approval import ApproveOverwriteOperator
from backup_airflow.operators.recovery import (
    ChooseBackupOperator,
    CompareBesideOperator,
    ListBackupsOperator,
    PlanRecoveryOperator,
    RecoveryReportOperator,
    RestoreBesideOperator,
    SafetyBackupOperator,
    SwapOperator,
    ValidateRequestOperator,
)
from backup_airflow.retries import RETRY_BY_CAUSE

from include.backup_engine.names import SAFETY_SUFFIX
from include.backup_engine.plan import Plan
from include.backup_engine.policy import load_policy
from include.backup_engine.recovery import Recovery, next_step

policy = load_policy()
SAFETY = {f"{name}{SAFETY_SUFFIX}": f"{name}: what recoveries have overwritten" for name in policy.sources}
APPROVAL = "{{ ti.xcom_pull('approve', key='approval') | tojson }}"
WHAT, WHERE, OVERWRITING = "1. What to bring back", "2. Where to", "3. Only to overwrite a database that exists"

PARAMS = {
    "mode": Param(
        "dry_run", type="string", enum=["list", "dry_run", "restore"], section=WHAT, title="Mode",
        values_display={
            "list": "List the backups", "dry_run": "Plan only: nothing is changed", "restore": "Plan, then restore",
        },
        description="Not sure? Plan first, then trigger the same again as a restore.",
    ),
    "source": Param(
        next(iter(policy.sources)), type="string", enum=[*policy.sources, *SAFETY], section=WHAT,
        title="Source", values_display=SAFETY,
        description="The database's name in the policy, or what recoveries have overwritten there.",
    ),
    "backup": Param(
        "latest", type="string", minLength=1, section=WHAT, title="Backup",
        examples=["latest", "db_backup_20260102_030405", "2026-01-02T03:00:00+00:00"],
        description="latest; or a name such as db_backup_20260102_030405; or a time with its zone, such as"
        " 2026-01-02T03:00:00+00:00, for the newest backup at or before it.",
    ),
    "tables": Param(
        [], type=["null", "array"], items={"type": "string"}, section=WHAT, title="Tables",
        description="One name a line, such as audit_log; empty: everything. Only these are read and restored, with"
        " their triggers. A target database that exists gets them beside its own, as <table>_restored_<time>.",
    ),
    "accounts": Param(
        False, type="boolean", section=WHAT, title="Accounts, too",
        description="Also create the users, roles and grants of the source's server that the target lacks. The plan"
        " names them. Nothing that exists is altered. Only if the backup has them (policy: accounts).",
    ),
    "target_conn_id": Param(
        None, type=["null", "string"], section=WHERE, title="Connection of the target server",
        description="Such as recovery_mysql. Empty: the source's, whose account may only read.",
    ),
    "target_database": Param(
        None, type=["null", "string"], maxLength=64, section=WHERE, title="Target database",
        description="Empty: the source's database with _restored behind it, which touches nothing that exists.",
    ),
    "overwrite": Param(
        False, type="boolean", section=OVERWRITING, title="Overwrite the target",
        description="First a plan, then somebody's approval, then a backup of what is there, which is kept beside it.",
    ),
    "confirm": Param(
        None, type=["null", "string"], section=OVERWRITING, title="Target database again",
        description="Its name once more, letter by letter, as a confirmation.",
    ),
    "reason": Param(
        None, type=["null", "string"], section=OVERWRITING, title="Reason",
        description="What happened, or the ticket: for who approves, and for the evidence. No patient data.",
    ),
}  # fmt: skip

with DAG(
    dag_id="disaster_recovery",
    description="Plan a recovery; restore a backup beside its target, prove it, and swap it in",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=48),
    default_args={
        "owner": "backup", "retries": 0, "retry_policy": RETRY_BY_CAUSE, "execution_timeout": timedelta(hours=20),
    },
    params=PARAMS,
    tags=["backup", "recovery"],
):  # fmt: skip

    @task.branch
    def by_mode(recovery: Any) -> str:
        """List only, or go on to a plan."""
        return "list_backups" if recovery["request"]["mode"] == "list" else "choose_backup"

    @task.branch
    def after_plan(recovery: Any, plan: Any) -> str:
        """Stop here, ask for approval, or restore."""
        return next_step(Recovery.model_validate(recovery), Plan.model_validate(plan))

    validate = ValidateRequestOperator(task_id="validate_request", source="{{ params.source }}")
    common: dict[str, Any] = {"source": "{{ params.source }}", "recovery": validate.output}
    listed = ListBackupsOperator(task_id="list_backups", **common)
    choose = ChooseBackupOperator(task_id="choose_backup", **common)
    chosen = common | {"backup": choose.output}
    plan = PlanRecoveryOperator(task_id="plan", **chosen)
    approve = ApproveOverwriteOperator(
        task_id="approve",
        subject="Overwrite {{ ti.xcom_pull('validate_request')['database'] }}?",
        body="{{ ti.xcom_pull('plan')['question'] }}\n\nWithout an answer within one hour, nothing is touched.",
        response_timeout=timedelta(hours=1),
    )
    safety = SafetyBackupOperator(task_id="safety_backup", **common)
    restore = RestoreBesideOperator(
        task_id="restore_beside",
        # Without an overwrite, approval and safety backup are skipped. A rejection is a failure and stops here.
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        plan=plan.output,
        approval=APPROVAL,
        safety_backup=safety.output,
        **chosen,
    )
    compare = CompareBesideOperator(task_id="compare", plan=plan.output, **chosen)
    swap = SwapOperator(task_id="swap", plan=plan.output, comparison=compare.output, **chosen)
    bring = BringAccountsOperator(task_id="bring_accounts", plan=plan.output, **chosen)
    report = RecoveryReportOperator(
        task_id="report",
        trigger_rule=TriggerRule.ALL_DONE,
        found={
            "refusal": "{{ ti.xcom_pull('validate_request', key='refusal') or '' }}",
            "listed": listed.output,
            "plan": plan.output,
            "approval": APPROVAL,
            "safety_backup": safety.output,
            "restoration": restore.output,
            "comparison": compare.output,
            "swapped": swap.output,
            "accounts": bring.output,
        },
        **common,
    )

    # `restore` is named here, too, so that a list skips it: its trigger rule alone would let it run.
    by_mode(validate.output) >> [listed, choose, restore]
    after_plan(validate.output, plan.output) >> [approve, restore, report]
    approve >> safety >> restore >> compare >> swap >> bring >> report
