"""Evidence: the last task of a backup and of a drill writes down what was shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from backup_airflow.operators.base import BackupOperator
from backup_airflow.reporting import gauge
from include.backup_engine import evidence
from include.backup_engine.anomalies import judge_stored
from include.backup_engine.break_glass import BreakGlass
from include.backup_engine.compare import Comparison
from include.backup_engine.drill import PickedBackup, judge
from include.backup_engine.errors import DrillFailed
from include.backup_engine.names import BackupName
from include.backup_engine.restore import Restoration
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.verify import Verification


class RecordBackupEvidenceOperator(BackupOperator):
    """Record a verified backup: what it holds, how it was made, what was read back, what is abnormal about it.

    Fails then if the policy wants that of an abnormal backup; the backup is kept. Returns the record's key.

    .. code-block:: python

        RecordBackupEvidenceOperator(task_id="record_evidence", source="surgicase", verification=verify.output)

    :param verification: what VerifyBackupOperator returned. (templated)
    """

    template_fields: Sequence[str] = ("source", "verification")
    ui_color = "#f0e6d2"

    def __init__(self, *, verification: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verification = verification

    def execute(self, context: Any) -> str:
        """Record."""
        verification = Verification.model_validate(self.verification)
        entry = Catalog(self.reader_vault).find(self.source, verification.name)
        judgement = judge_stored(
            self.source, BackupName.parse(verification.name), self.policy, self.reader_vault, self.reader_keyring,
            self.reporter,
        )  # fmt: skip
        judgement.tell(verification.name, self.reporter)
        key, _ = evidence.append(
            self.reader_vault,
            self.writer_vault,
            "backup",
            self.source,
            "passed",
            evidence.backup_facts(entry, verification) | {"usual": judgement.model_dump(mode="json")},
        )
        self.reporter.line(f"Evidence of {verification.name} recorded", key=key)
        facts = entry.sidecar.facts if entry.sidecar else None
        if facts:
            gauge("duration_seconds", facts.timings.total, self.source)
            gauge("rows", facts.census.rows, self.source)
        gauge("anomalies", len(judgement.anomalies), self.source)
        judgement.raise_if_refused(verification.name, self.policy.anomalies)
        return key


class RecordDrillEvidenceOperator(BackupOperator):
    """Record what a drill has shown, also when it has failed; then fail if it has. Returns the record's key.

    .. code-block:: python

        RecordDrillEvidenceOperator(
            task_id="record_evidence", source=…, picked=…, restoration=…, compared=…, scratch_is_gone=…,
            break_glass=…, trigger_rule="all_done",
        )

    :param picked: what PickBackupOperator returned. (templated)
    :param restoration: what RestoreBackupOperator returned, if it did. (templated)
    :param compared: what CompareWithSnapshotOperator returned, if it did. (templated)
    :param scratch_is_gone: what ScratchIsGoneOperator returned, if it did. (templated)
    :param break_glass: what BreakGlassOperator returned, if it did. (templated)
    """

    template_fields: Sequence[str] = ("source", "picked", "restoration", "compared", "scratch_is_gone", "break_glass")
    ui_color = "#f0e6d2"

    def __init__(
        self, *, picked: Any, restoration: Any, compared: Any, scratch_is_gone: Any, break_glass: Any, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.picked = picked
        self.restoration = restoration
        self.compared = compared
        self.scratch_is_gone = scratch_is_gone
        self.break_glass = break_glass

    def execute(self, context: Any) -> str:
        """Record, and fail if the drill has."""
        if not self.picked:
            failures = ["no backup could be picked"]
            evidence.append(
                self.reader_vault, self.writer_vault, "drill", self.source, "failed", {"failures": failures}
            )
            raise DrillFailed(f"Nothing was drilled: {failures[0]}.", "Look at the task pick_backup.")
        compared = self.compared or {}
        result = judge(
            PickedBackup.model_validate(self.picked),
            Restoration.model_validate(self.restoration) if self.restoration else None,
            Comparison.model_validate(compared["comparison"]) if compared else None,
            datetime.fromisoformat(compared["compared_at"]) if compared else None,
            bool(self.scratch_is_gone),
            self.policy.drill,
            BreakGlass.model_validate(self.break_glass) if self.break_glass else None,
        )
        key, _ = evidence.append(
            self.reader_vault,
            self.writer_vault,
            "drill",
            self.source,
            "passed" if result.passed else "failed",
            result.model_dump(mode="json"),
        )
        if result.rto_seconds is not None:
            gauge("drill.rto_seconds", result.rto_seconds, self.source)
        gauge("drill.rpo_seconds", result.rpo_seconds, self.source)
        gauge("drill.passed", int(result.passed), self.source)
        self.reporter.line(
            f"Drill of {result.picked.backup} {'passed' if result.passed else 'FAILED'}",
            compared=result.comparison.summary() if result.comparison else None,
            rto_seconds=result.rto_seconds,
            rpo_seconds=result.rpo_seconds,
            break_glass=result.break_glass,
            evidence=key,
        )
        result.raise_if_failed()
        return key
