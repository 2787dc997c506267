"""disaster_recovery through the scheduler and the REST API, with the configurations that the runbook shows."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.demo.stack import SOURCE
from tests.e2e.recovery_site import DAG, EXAMPLES, Site


def test_list_and_plan_change_nothing(site: Site) -> None:
    before = site.databases()
    listing = site.run(EXAMPLES["list"])
    state, tasks = site.wait(listing)
    assert (state, tasks["list_backups"], tasks["plan"]) == ("success", "success", "skipped")
    lines = [str(line["event"]) for line in site.airflow.task_logs(DAG, listing, "list_backups")]
    assert any(line.startswith("db_backup_") and line.endswith(": complete") for line in lines)
    run_id = site.run(EXAMPLES["plan"])
    state, tasks = site.wait(run_id)
    assert (state, tasks["plan"], tasks["swap"]) == ("success", "success", "skipped")
    lines = [str(line["event"]) for line in site.airflow.task_logs(DAG, run_id, "plan")]
    assert any(line.startswith("+ surgicase_restored: 45 tables") for line in lines)
    assert site.databases() == before


def test_a_restore_makes_a_new_database_equal_to_the_snapshot(site: Site) -> None:
    state, tasks = site.wait(site.run(EXAMPLES["restore"]))
    assert state == "success", tasks
    assert (tasks["approve"], tasks["safety_backup"]) == ("skipped", "skipped")
    assert site.differences(site.snapshot, "surgicase_restored") == []
    record = site.last_record()
    assert (record.kind, record.outcome) == ("recovery", "passed")
    assert record.facts["recovery"]["requested_by"] == "admin"
    site.stack.source.sql("DROP DATABASE surgicase_restored")


def test_a_rejection_and_silence_leave_the_target_as_it_is(site: Site) -> None:
    site.stack.source.sql("DELETE FROM audit_log LIMIT 5", database=SOURCE)
    before, names = site.census(SOURCE), site.databases()
    rejected = site.run(EXAMPLES["overwrite"])
    site.answer(rejected, "Reject", "the wrong night")
    state, tasks = site.wait(rejected)
    assert (state, tasks["approve"], tasks["swap"]) == ("failed", "failed", "upstream_failed")
    approval = site.last_record().facts["approval"]
    assert (approval["approved"], approval["responder"], approval["reason"]) == (False, "admin", "the wrong night")
    silent = site.run(EXAMPLES["overwrite"])
    site.wait_for_question(silent)
    with closing(sqlite3.connect(site.airflow.home / "airflow.db", timeout=60)) as metadata, metadata:
        # An hour passes.
        metadata.execute(
            "UPDATE task_instance SET trigger_timeout = '2026-01-01 00:00:00.000000'"
            " WHERE task_id = 'approve' AND state = 'awaiting_input'"
        )
    state, tasks = site.wait(silent)
    assert (state, tasks["approve"], tasks["swap"]) == ("failed", "failed", "upstream_failed")
    record = site.last_record()
    assert (record.outcome, record.facts["approval"]["responder"]) == ("failed", None)
    assert record.facts["failures"] == ["the overwrite was not approved in time"]
    assert site.differences(before, SOURCE) == []
    assert site.databases() == names


def test_an_approved_overwrite_brings_the_snapshot_back_and_can_be_taken_back(site: Site) -> None:
    damaged, names = site.census(SOURCE), site.databases()
    assert site.differences(site.snapshot, SOURCE) != []
    run_id = site.run(EXAMPLES["overwrite"])
    site.answer(run_id, "Approve", "the ward agreed")
    state, tasks = site.wait(run_id)
    assert state == "success", tasks
    assert site.differences(site.snapshot, SOURCE) == []
    record = site.last_record()
    facts = record.facts
    assert (record.kind, record.outcome) == ("recovery", "passed")
    assert (facts["approval"]["responder"], facts["approval"]["reason"]) == ("admin", "the ward agreed")
    assert facts["recovery"]["request"]["reason"].startswith("ticket 4711")
    assert site.differences(damaged, facts["swapped"]["before"]) == []
    back = site.run(EXAMPLES["back"])
    site.answer(back, "Approve", "it was the wrong night")
    state, tasks = site.wait(back)
    assert state == "success", tasks
    assert site.differences(damaged, SOURCE) == []
    for name in site.databases() - names:
        site.stack.source.sql(f"DROP DATABASE `{name}`")
