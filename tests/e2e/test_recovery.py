"""disaster_recovery through the scheduler and the REST API, with the configurations that the runbook shows."""

from __future__ import annotations

import json
import re
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from include.backup_engine import evidence
from include.backup_engine.compare import compare_census
from include.backup_engine.errors import BackupMissing
from include.backup_engine.evidence import EvidenceRecord
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.records import Census
from include.backup_engine.store.catalog import Catalog
from tests.demo.stack import SOURCE, Stack, create_account
from tests.servers.airflow import Airflow
from tests.servers.processes import ROOT, wait_until

DAG = "disaster_recovery"
EXAMPLES: dict[str, dict[str, Any]] = {
    name: json.loads(text)
    for name, text in re.findall(
        r"^```json trigger=(\w+)\n(.*?)^```$",
        (ROOT / "docs" / "runbook.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
}


@dataclass
class Site:
    """A running Airflow, the server that is recovered, and what its newest backup holds."""

    airflow: Airflow
    stack: Stack
    snapshot: Census

    def run(self, conf: dict[str, Any]) -> str:
        return self.airflow.trigger(DAG, conf)

    def wait(self, run_id: str) -> tuple[str, dict[str, str | None]]:
        return self.airflow.wait(DAG, run_id, 400), self.airflow.task_states(DAG, run_id)

    def wait_for_question(self, run_id: str) -> None:
        wait_until(
            lambda: self.airflow.task_states(DAG, run_id).get("approve") == "awaiting_input",
            240,
            "nobody is asked for approval",
            every=0.5,
        )

    def answer(self, run_id: str, option: str, reason: str) -> None:
        self.wait_for_question(run_id)
        # Airflow fails a task that is answered before its scheduler has heard from the executor that it is parked,
        # and no API tells when it has. No person is that quick.
        time.sleep(3)
        path = f"/dags/{DAG}/dagRuns/{urllib.parse.quote(run_id, safe='')}/taskInstances/approve/-1/hitlDetails"
        question = self.airflow.api("GET", path)
        assert "Plan: nothing speaks against it" in question["body"]
        body = {"chosen_options": [option], "params_input": {"approval_reason": reason}}
        self.airflow.api("PATCH", path, body)

    def census(self, database: str) -> Census:
        root = Endpoint(unix_socket=str(self.stack.source.endpoint.socket), user="root").connect(database)
        with root:
            return add_fingerprints(root, database, take_census(root, "mariadb", database))

    def differences(self, expected: Census, database: str) -> list[str]:
        return compare_census(expected, self.census(database), events_disabled=False)[0]

    def databases(self) -> set[str]:
        return {str(name) for (name,) in self.stack.source.sql(f"SHOW DATABASES LIKE '{SOURCE}%'")}

    def last_record(self) -> EvidenceRecord:
        [(_, _, record), *_] = evidence.records(self.stack.vault(), newest_first=True)
        return record


@pytest.fixture(scope="module")
def site(airflow: Airflow, demo_stack: Stack) -> Iterator[Site]:
    server, vault = demo_stack.source, demo_stack.vault()
    create_account(server, "recovery_account.sql", "recovery", "recovery-secret")
    server.sql(
        "SET GLOBAL log_bin_trust_function_creators = 1;"
        "GRANT SELECT, EXECUTE ON `surgicase\\_before\\_%`.* TO surgicase_app@'%'"
    )
    assert server.certificate is not None
    where = server.endpoint
    connection = {
        "connection_id": "recovery_mysql", "conn_type": "mysql", "host": where.host, "port": where.port,
        "login": "recovery", "password": "recovery-secret",
        "extra": json.dumps({"ssl": {"ca": str(server.certificate.authority)}}),
    }  # fmt: skip
    airflow.api("POST", "/connections", connection)
    try:
        entry = Catalog(vault).find(SOURCE, "latest")
    except BackupMissing:
        run_id = airflow.trigger("nightly_backup")
        assert airflow.wait("nightly_backup", run_id) == "success"
        entry = Catalog(vault).find(SOURCE, "latest")
    assert entry.sidecar is not None and entry.sidecar.facts is not None
    yield Site(airflow, demo_stack, entry.sidecar.facts.census)


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
