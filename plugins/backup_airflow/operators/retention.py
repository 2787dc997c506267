"""Retention: the last task of a night deletes what newer, proved backups make superfluous, or only says so."""

from __future__ import annotations

from typing import Any

from backup_airflow.hooks.aws import vault_without_keys_of
from backup_airflow.operators.base import BackupOperator
from backup_airflow.reporting import gauge
from include.backup_engine.deletion import Deletions, carry_out
from include.backup_engine.errors import ConnectionMissing
from include.backup_engine.key_report import key_warnings
from include.backup_engine.retention import RetentionPlan
from include.backup_engine.retention_survey import plan_retention, plan_safety_retention


class RetentionOperator(BackupOperator):
    """Plan which backups of a source may go, log the plan, and carry it out if the policy says ``retention.apply``.

    So, too, for its safety backups.

    Deleting is done through ``vault.retention_conn_id`` alone; without that connection it only plans, and warns.
    Returns what was planned and what was done, by name; ``safety`` is None when there are no safety backups.

    .. code-block:: python

        RetentionOperator(task_id="retention", source="surgicase")
    """

    ui_color = "#f3d9d3"

    def execute(self, context: Any) -> dict[str, Any]:
        """Plan, and perhaps delete."""
        with self.reporter.stage("Plan"):
            plan = plan_retention(self.source, self.policy, self.reader_vault, self.reader_keyring)
            safety = plan_safety_retention(plan, self.policy, self.reader_vault, self.reader_keyring)
            plans = [plan, safety] if safety else [plan]
            for line in (line for each in plans for line in each.lines()):
                self.reporter.line(line)
        if plan.blocked:
            self.reporter.warn(f"Nothing may be deleted: {plan.blocked}")
        for warning in key_warnings(self.source, self.reader_vault, self.reader_keyring):
            self.reporter.warn(warning)
        done = {} if plan.blocked else self._done(plans)
        for each in plans:
            gauge("retention.kept", len(each.of("keep")), each.source)
            gauge("retention.deleted", len(done[each.source].deleted) if done else 0, each.source)
        return _told(plan, done) | {"safety": _told(safety, done) if safety else None}

    def _done(self, plans: list[RetentionPlan]) -> dict[str, Deletions]:
        if not self.policy.retention.apply:
            self.reporter.line("This was a plan: the policy says retention.apply: false")
            return {}
        try:
            deleter = vault_without_keys_of(self.policy.vault.retention_conn_id, self.reader_vault.policy)
        except ConnectionMissing as error:
            self.reporter.warn(f"This was a plan, nothing was deleted: {error}")
            return {}
        with self.reporter.stage("Delete"):
            return {
                plan.source: carry_out(plan, deleter, self.reader_vault, self.writer_vault, self.reporter)
                for plan in plans
            }


def _told(plan: RetentionPlan, done: dict[str, Deletions]) -> dict[str, Any]:
    return {
        "blocked": plan.blocked,
        "planned": [decision.name for decision in plan.of("delete")],
        "done": done[plan.source].model_dump() if done else None,
    }
