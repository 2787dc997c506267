"""disaster_recovery through the scheduler and the REST API, with the configurations that the runbook shows."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from tests.demo.stack import SOURCE
from tests.e2e.recovery_site import DAG, EXAMPLES, Site
from tests.servers.airflow import ApiError


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


def test_a_request_that_is_not_understood_is_refused_before_anything_is_done(site: Site) -> None:
    before = site.databases()
    with pytest.raises(ApiError) as refused:
        site.run(EXAMPLES["restore"] | {"source": "surgicaze"})
    assert refused.value.status == 400
    run_id = site.run(EXAMPLES["restore"] | {"target_databse": "elsewhere"})  # Airflow itself takes any other key
    state, tasks = site.wait(run_id)
    assert (state, tasks["validate_request"], tasks["plan"]) == ("failed", "failed", "upstream_failed")
    log = json.dumps(site.airflow.task_logs(DAG, run_id, "validate_request"))
    assert "The parameter target_databse is unknown. Remedy: Use only: source, backup, mode" in log
    record = site.last_record()
    assert (record.kind, record.outcome) == ("recovery", "failed")
    assert record.facts["failures"] == ["the request was refused: The parameter target_databse is unknown."]
    assert record.facts["requested_by"] == "admin"
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
    with site.rules(four_eyes=True):
        alone = site.run(EXAMPLES["overwrite"])
        site.answer(alone, "Approve", "nobody else is awake")
        state, tasks = site.wait(alone)
    assert (state, tasks["approve"], tasks["swap"]) == ("failed", "failed", "upstream_failed")
    [failure] = site.last_record().facts["failures"]
    assert failure.endswith("not approved by admin: recovery.four_eyes asks for two persons, and admin started the run")
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
    with site.rules(approvers=["admin", "colleague"], four_eyes=True):
        run_id = site.run(EXAMPLES["overwrite"])
        for user in ("viewer", "admin"):  # who may not answer anything, and who has asked
            with pytest.raises(ApiError) as refused:
                site.answer(run_id, "Approve", "the ward agreed", user=user)
            assert refused.value.status == 403
        site.answer(run_id, "Approve", "the ward agreed", user="colleague")
        state, tasks = site.wait(run_id)
    assert state == "success", tasks
    assert site.differences(site.snapshot, SOURCE) == []
    record = site.last_record()
    facts = record.facts
    assert (record.kind, record.outcome) == ("recovery", "passed")
    assert (facts["approval"]["responder"], facts["approval"]["reason"]) == ("colleague", "the ward agreed")
    assert facts["recovery"]["request"]["reason"].startswith("ticket 4711")
    assert site.differences(damaged, facts["swapped"]["before"]) == []
    back = site.run(EXAMPLES["back"])
    site.answer(back, "Approve", "it was the wrong night")
    state, tasks = site.wait(back)
    assert state == "success", tasks
    assert site.differences(damaged, SOURCE) == []
    for name in site.databases() - names:
        site.stack.source.sql(f"DROP DATABASE `{name}`")
