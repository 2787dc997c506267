"""A task that is killed in Airflow: nothing of it works on, and the next attempt makes exactly one backup."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from include.backup_engine import evidence
from include.backup_engine.names import BackupName
from include.backup_engine.store.catalog import Catalog
from tests.demo.stack import SOURCE, Stack
from tests.faults.detour import detour, scratch_by, source_by
from tests.faults.gate import Gate
from tests.faults.processes import dump_programs
from tests.servers.airflow import Airflow
from tests.servers.mariadb import MariaDB
from tests.servers.processes import wait_until

_MIDDLE = 5_000_000  # bytes after which a dump or a load of the demo's 20 MB stands still
_KILL_SECONDS = 60.0  # 5 until the task's next heartbeat, 5 that Airflow leaves to on_kill, and a busy machine


@pytest.fixture
def source_gate(demo_stack: Stack, airflow: Airflow) -> Iterator[Gate]:
    """Stands between the tasks and the source."""
    with (
        Gate(demo_stack.source.endpoint.port) as gate,
        detour(demo_stack, airflow, source=source_by(demo_stack, gate)),
    ):
        yield gate


@pytest.fixture
def scratch_gate(demo_stack: Stack, airflow: Airflow) -> Iterator[Gate]:
    """Stands between the tasks and the scratch server."""
    with (
        Gate(demo_stack.scratch.endpoint.port) as gate,
        detour(demo_stack, airflow, scratch=scratch_by(demo_stack, gate)),
    ):
        yield gate


def complete(stack: Stack) -> list[str]:
    return [str(entry.name) for entry in Catalog(stack.vault()).entries(SOURCE) if entry.state == "complete"]


def uploads(stack: Stack) -> int:
    return len(list(stack.vault().unfinished_uploads(stack.policy.vault.prefix)))


def connections(server: MariaDB, account: str) -> int:
    return len(server.sql("SELECT 1 FROM information_schema.processlist WHERE user = %s", account))


def drill_databases(stack: Stack) -> list[object]:
    return [name for (name,) in stack.scratch.sql("SHOW DATABASES LIKE 'drill\\_%'")]


def name_of(airflow: Airflow, run_id: str) -> str:
    """The name that the backup of this run has, whichever attempt makes it."""
    run = airflow.api("GET", f"/dags/nightly_backup/dagRuns/{quote(run_id, safe='')}")
    return str(BackupName(datetime.fromisoformat(run["run_after"])))


def set_failed(airflow: Airflow, dag_id: str, run_id: str, task_id: str) -> None:
    """As somebody does it in the UI."""
    path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/0"
    airflow.api("PATCH", path, {"new_state": "failed"})


def test_a_backup_that_is_set_to_failed(demo_stack: Stack, airflow: Airflow, source_gate: Gate) -> None:
    before = complete(demo_stack)
    source_gate.hold(after=_MIDDLE)
    run = airflow.trigger("nightly_backup")
    source_gate.wait_until_held(120)
    wait_until(lambda: uploads(demo_stack) == 1, 60, "the upload does not begin")
    assert dump_programs(airflow.pid)
    set_failed(airflow, "nightly_backup", run, "stream.backup")

    def nothing_left() -> bool:
        working = dump_programs(airflow.pid) or uploads(demo_stack)
        return not working and not connections(demo_stack.source, "backup")

    wait_until(nothing_left, _KILL_SECONDS, "the killed backup goes on")
    source_gate.release()
    assert airflow.wait("nightly_backup", run) == "failed"
    assert complete(demo_stack) == before


def test_the_process_of_a_backup_is_killed(demo_stack: Stack, airflow: Airflow, source_gate: Gate) -> None:
    before = complete(demo_stack)
    source_gate.hold(after=_MIDDLE)
    run = airflow.trigger("nightly_backup")
    source_gate.wait_until_held(120)
    wait_until(lambda: uploads(demo_stack) == 1, 60, "the upload does not begin")
    [dump] = dump_programs(airflow.pid)
    status = Path(f"/proc/{dump}/status").read_text()
    task = int(status.partition("PPid:")[2].split()[0])
    os.kill(task, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{dump}").exists(), 20, "the dump program outlives its task")
    source_gate.release()

    def attempt_is_over() -> bool:
        return airflow.task_states("nightly_backup", run)["stream.backup[0]"] == "up_for_retry"

    wait_until(attempt_is_over, 120, "the killed attempt does not end", every=0.5)
    assert complete(demo_stack) == before
    assert uploads(demo_stack) == 1  # nobody could abort it

    airflow.api(
        "POST",
        "/dags/nightly_backup/clearTaskInstances",
        {"dry_run": False, "dag_run_id": run, "task_ids": [["stream.backup", 0]], "only_failed": False},
    )
    assert airflow.wait("nightly_backup", run) == "success"
    [made] = set(complete(demo_stack)) - set(before)
    assert made == name_of(airflow, run)
    assert len(complete(demo_stack)) == len(before) + 1
    assert uploads(demo_stack) == 0


def test_a_restore_that_is_set_to_failed(demo_stack: Stack, airflow: Airflow, scratch_gate: Gate) -> None:
    if not complete(demo_stack):
        airflow.succeed("nightly_backup")
    scratch_gate.hold(after=_MIDDLE)
    run = airflow.trigger("restore_drill")
    scratch_gate.wait_until_held(120)
    assert drill_databases(demo_stack)
    set_failed(airflow, "restore_drill", run, "drill.restore")

    def nothing_left() -> bool:
        return not drill_databases(demo_stack) and not connections(demo_stack.scratch, "drill")

    wait_until(nothing_left, _KILL_SECONDS, "the killed restore goes on")
    scratch_gate.release()
    assert airflow.wait("restore_drill", run) == "failed"
    assert airflow.task_states("restore_drill", run)["drill.scratch_is_gone[0]"] == "success"
    _, _, record = list(evidence.records(demo_stack.vault()))[-1]
    assert (record.kind, record.outcome) == ("drill", "failed")
