"""Periodically: restore the newest backup into a scratch database, and prove it equal to what the source held.

pick → create scratch → restore → compare → drop scratch → show that it is gone → break glass → evidence. The last
task fails the run when anything was not shown, after it has written that down. Break glass, in every second drill,
shows that the single-file decryptor for the day without Airflow releases what the engine's own reader releases.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, TriggerRule, task_group
from backup_airflow.operators.drill import (
    BreakGlassOperator,
    CompareWithSnapshotOperator,
    CreateScratchDatabaseOperator,
    DropScratchDatabaseOperator,
    PickBackupOperator,
    RestoreBackupOperator,
    ScratchIsGoneOperator,
)
from backup_airflow.operators.evidence import RecordDrillEvidenceOperator

from include.backup_engine.policy import load_policy

policy = load_policy()


@task_group
def drill(source: str) -> None:
    """One source's drill."""
    pick = PickBackupOperator(task_id="pick_backup", source=source, backup="{{ params.backup }}")
    picked: dict[str, Any] = {"source": source, "picked": pick.output}
    create = CreateScratchDatabaseOperator(task_id="create_scratch", **picked)
    restore = RestoreBackupOperator(task_id="restore", **picked)
    compare = CompareWithSnapshotOperator(task_id="compare", **picked)
    drop = DropScratchDatabaseOperator(task_id="drop_scratch", **picked)
    gone = ScratchIsGoneOperator(task_id="scratch_is_gone", **picked)
    break_glass = BreakGlassOperator(task_id="break_glass", **picked)
    record = RecordDrillEvidenceOperator(
        task_id="record_evidence",
        trigger_rule=TriggerRule.ALL_DONE,
        restoration=restore.output,
        compared=compare.output,
        scratch_is_gone=gone.output,
        break_glass=break_glass.output,
        **picked,
    )
    create >> restore >> compare >> drop.as_teardown(setups=create) >> gone >> break_glass >> record


with DAG(
    dag_id="restore_drill",
    description="Restore the newest backup and prove it equal to its source",
    doc_md=__doc__,
    schedule=CronTriggerTimetable(policy.drill.cron, timezone=policy.schedule.timezone),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=24),
    default_args={"owner": "backup", "retries": 1, "execution_timeout": timedelta(hours=20)},
    params={
        "backup": Param(
            "latest",
            type="string",
            title="Backup",
            description="latest, a backup's name, or an ISO time: the newest backup at or before it",
        )
    },
    tags=["backup", "drill"],
):
    drill.expand(source=list(policy.sources))
