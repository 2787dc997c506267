"""Both DAGs for real, in this process: MariaDB, S3 and KMS are real, only the scheduler is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from backup_airflow.operators.drill import CompareWithSnapshotOperator

from include.backup_engine import evidence
from include.backup_engine.store.catalog import Catalog
from tests.dags.conftest import DATABASE, Plant


@pytest.fixture(scope="module")
def backed_up(plant: Plant) -> Plant:
    """One run of nightly_backup over all sources."""
    assert plant.run("nightly_backup").state == "success"
    return plant


def _states(run: Any) -> dict[str, str]:
    return {f"{ti.task_id}[{ti.map_index}]": str(ti.state) for ti in run.get_task_instances()}


def test_every_source_has_one_complete_backup_in_its_format(backed_up: Plant) -> None:
    entries = {entry.source: entry for entry in Catalog(backed_up.vault).entries()}
    assert {source: entry.state for source, entry in entries.items()} == dict.fromkeys(
        ("streamed", "staged", "original"), "complete"
    )
    found = {source: (entry.key[-12 - len(".encrypted") :], entry.sidecar) for source, entry in entries.items()}
    versions = {source: sidecar.format_version for source, (_, sidecar) in found.items() if sidecar}
    assert versions == {"streamed": 2, "staged": 2, "original": 1}
    assert entries["staged"].key.endswith(".sql.zst.encrypted")


def test_staging_keeps_the_encrypted_copy_and_nothing_in_clear(backed_up: Plant) -> None:
    names = sorted(path.name for path in backed_up.staging.iterdir())
    assert [name[-len(".encrypted.encryption_info") :] for name in names if name.endswith(".encryption_info")]
    assert all(name.endswith((".encrypted", ".encryption_info", ".encrypted.accounts")) for name in names), names


def test_the_accounts_that_the_policy_asks_for_are_kept_and_read_back_by_backup_and_drill(backed_up: Plant) -> None:
    entry = Catalog(backed_up.vault).find("staged", "latest")
    recorded = entry.sidecar.facts.accounts if entry.sidecar and entry.sidecar.facts else None
    assert recorded is not None and recorded.accounts >= 2
    assert backed_up.vault.head(f"{entry.key}.accounts").size == recorded.ciphertext_bytes
    read_back = {
        record.source: record.facts["verification"]["accounts"]
        for _, _, record in evidence.records(backed_up.vault)
        if record.kind == "backup"
    }
    assert read_back == {"staged": recorded.accounts, "streamed": None, "original": None}


def test_backup_evidence_says_what_was_made_and_read_back(backed_up: Plant) -> None:
    records = [record for _, _, record in evidence.records(backed_up.vault) if record.kind == "backup"]
    assert {record.source for record in records} == {"streamed", "staged", "original"}
    for record in records:
        assert record.outcome == "passed"
        assert record.facts["counts"]["table"] == 45
        assert record.facts["consistency"]["verdict"] == "exact"
        assert record.facts["verification"]["stored"]["sse"] == "aws:kms"
        assert record.facts["verification"]["stored"]["sse_kms_key_id"] == backed_up.vault.policy.sse_key_id
    assert evidence.check_chain(backed_up.vault) >= 3


def test_a_drill_proves_every_source_equal(backed_up: Plant) -> None:
    run = backed_up.run("restore_drill")
    assert run.state == "success", _states(run)
    drills = [record for _, _, record in evidence.records(backed_up.vault) if record.kind == "drill"]
    assert {record.source for record in drills} == {"streamed", "staged", "original"}
    for record in drills:
        comparison = record.facts["comparison"]
        assert (comparison["findings"], comparison["not_compared"]) == ([], [])
        assert comparison["tables"] == 46  # 45 tables and a sequence
        assert comparison["rewritten"] == 45
        assert record.facts["scratch_is_gone"]
        assert (record.facts["restoration"]["verified"]["accounts"] is not None) == (record.source == "staged")
    assert backed_up.scratch.sql("SHOW DATABASES LIKE 'drill\\_%%'") == []


Tamper = Callable[[Any, str], None]


def _change_row(server: Any, database: str) -> None:
    server.sql(f"UPDATE `{database}`.patients SET address = CONCAT(address, '.') ORDER BY id LIMIT 1")


def _drop_row(server: Any, database: str) -> None:
    server.sql(f"SET foreign_key_checks = 0; DELETE FROM `{database}`.alarm_events LIMIT 1")


def _change_trigger(server: Any, database: str) -> None:
    [[name, table]] = server.sql(
        "SELECT trigger_name, event_object_table FROM information_schema.triggers WHERE trigger_schema = %s"
        " AND action_timing = 'BEFORE' LIMIT 1",
        database,
    )
    server.sql(
        f"DROP TRIGGER `{name}`; CREATE TRIGGER `{name}` AFTER INSERT ON `{table}` FOR EACH ROW DO 1", database=database
    )


def _change_event(server: Any, database: str) -> None:
    server.sql(f"ALTER EVENT `{database}`.purge_sessions ON SCHEDULE EVERY 2 DAY STARTS '2037-01-01 03:30:00'")


def _enable_event(server: Any, database: str) -> None:
    server.sql(f"ALTER EVENT `{database}`.purge_sessions ENABLE")


def _drop_view(server: Any, database: str) -> None:
    server.sql(f"DROP VIEW `{database}`.v_urgent_cases")


def _orphan(server: Any, database: str) -> None:
    server.sql(
        "SET foreign_key_checks = 0; DELETE FROM specialties WHERE id = (SELECT MIN(specialty_id) FROM surgeons)",
        database=database,
    )


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (_change_row, "table patients has the right number of rows but another content"),
        (_drop_row, "table alarm_events has "),
        (_change_trigger, "trigger "),
        (_change_event, "event purge_sessions has another definition"),
        (_enable_event, "event purge_sessions is enabled in the copy"),
        (_drop_view, "view v_urgent_cases is missing"),
        (_orphan, "rows without a parent"),
    ],
)
def test_a_drill_fails_and_names_what_differs(
    backed_up: Plant, monkeypatch: pytest.MonkeyPatch, tamper: Tamper, named: str
) -> None:
    compare = CompareWithSnapshotOperator.execute

    def tampered(self: CompareWithSnapshotOperator, context: Any) -> Any:
        tamper(backed_up.scratch, self.database)
        return compare(self, context)

    monkeypatch.setattr(CompareWithSnapshotOperator, "execute", tampered)
    assert backed_up.run_streamed("restore_drill").state == "failed"
    *_, (_, _, record) = evidence.records(backed_up.vault)
    assert (record.kind, record.outcome) == ("drill", "failed")
    assert any(named in failure for failure in record.facts["failures"]), record.facts["failures"]
    assert backed_up.scratch.sql("SHOW DATABASES LIKE 'drill\\_%%'") == []


def test_a_backup_that_is_finished_is_not_made_again(backed_up: Plant) -> None:
    from include.backup_engine.backup import BackupJob, finished_already
    from include.backup_engine.policy import load_policy
    from include.backup_engine.records import Chain
    from include.backup_engine.report import Reporter

    entry = Catalog(backed_up.vault).find("streamed", "latest")
    assert entry.name is not None
    job = BackupJob(load_policy(), "streamed", entry.name, Chain(sequence=1))
    assert finished_already(job, backed_up.vault, Reporter())


def test_the_source_is_not_touched(backed_up: Plant) -> None:
    found = backed_up.source.sql("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s", DATABASE)
    assert found[0][0] == 45 + 7 + 1


def test_a_staged_backup_that_is_stored_is_not_replaced(backed_up: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.backup_engine.backup import BackupJob
    from include.backup_engine.cancel import Cancellation
    from include.backup_engine.errors import BackupExists
    from include.backup_engine.policy import load_policy
    from include.backup_engine.records import Chain
    from include.backup_engine.report import Reporter
    from include.backup_engine.staged import upload_staged

    monkeypatch.setenv("BACKUP_POLICY", str(backed_up.staging.parent / "all.yaml"))
    entry = Catalog(backed_up.vault).find("staged", "latest")
    assert entry.name is not None
    stored = backed_up.vault.head(entry.key)
    job = BackupJob(load_policy(), "staged", entry.name, Chain(sequence=1))
    with pytest.raises(BackupExists):
        upload_staged(job, backed_up.vault, Reporter(), Cancellation())
    assert backed_up.vault.head(entry.key).version_id == stored.version_id
