"""An overwrite whose tasks are killed one after the other: until the rename its target is what it was, cleared tasks
go on where they were killed, and the next run needs no cleaning up.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from include.backup_engine.store.catalog import Catalog
from tests.demo.stack import SOURCE, Stack, create_account
from tests.e2e.recovery_site import DAG, EXAMPLES, Site
from tests.faults.gate import Gate
from tests.faults.processes import descendants
from tests.servers.airflow import Airflow

_CONNECTION = "recovery_by_gate"
_OVERWRITE = EXAMPLES["overwrite"] | {"target_conn_id": _CONNECTION}


@pytest.fixture
def gate(demo_stack: Stack) -> Iterator[Gate]:
    """Stands between the recoveries and the target's server."""
    with Gate(demo_stack.source.endpoint.port) as gate:
        yield gate


@pytest.fixture
def site(airflow: Airflow, demo_stack: Stack, gate: Gate) -> Iterator[Site]:
    """A target, and a backup of it; recoveries reach it through the gate, and in clear, so that it sees statements."""
    server = demo_stack.source
    create_account(server, "recovery_account.sql", "recovery", "recovery-secret")
    server.sql(
        "ALTER USER recovery@'%' REQUIRE NONE;"
        "SET GLOBAL log_bin_trust_function_creators = 1;"
        "GRANT SELECT, EXECUTE ON `surgicase\\_before\\_%`.* TO surgicase_app@'%'"
    )
    connection = {
        "connection_id": _CONNECTION, "conn_type": "mysql", "host": "127.0.0.1", "port": gate.port,
        "login": "recovery", "password": "recovery-secret", "extra": '{"ssl_mode": "DISABLED"}',
    }  # fmt: skip
    airflow.api("POST", "/connections", connection)
    if not any(entry.state == "complete" for entry in Catalog(demo_stack.vault()).entries(SOURCE)):
        airflow.succeed("nightly_backup")
    yield Site(airflow, demo_stack)
    airflow.api("DELETE", f"/connections/{_CONNECTION}")
    server.sql("ALTER USER recovery@'%' REQUIRE SSL")


class KilledRun:
    """One overwrite whose tasks are killed, and its target, which must not change by that."""

    def __init__(self, site: Site, gate: Gate) -> None:
        self._site, self._gate = site, gate
        self._target = site.census(SOURCE)
        self._killed: list[str] = []
        self.run = site.run(_OVERWRITE)

    def clear(self, task: str) -> None:
        """Have this task, and all that follows it, done again."""
        what = {"dag_run_id": self.run, "task_ids": [task], "include_downstream": True, "dry_run": False}
        self._site.airflow.api("POST", f"/dags/{DAG}/clearTaskInstances", what)

    def kill_at(self, task: str, statement: str) -> None:
        """SIGKILL the process of a task when it sends a statement with this text; the server gets it all the same."""
        path = f"/dags/{DAG}/dagRuns/{quote(self.run, safe='')}/taskInstances/{task}"

        def kill() -> None:
            process = self._site.airflow.api("GET", path)["pid"]
            assert process in descendants(self._site.airflow.pid), f"{task} has no process"
            os.kill(process, signal.SIGKILL)
            self._killed.append(task)

        self._gate.before = (statement.encode(), kill)

    def assert_killed(self, task: str) -> None:
        """The kill has failed the task and the run, that is on record, and the target is what it was."""
        state, tasks = self._site.wait(self.run)
        assert self._killed[-1:] == [task]
        assert (state, tasks[task], tasks["report"]) == ("failed", "failed", "failed"), tasks
        assert self._site.differences(self._target, SOURCE) == []
        record = self._site.last_record()
        assert (record.kind, record.outcome) == ("recovery", "failed")


def unfinished_uploads(stack: Stack) -> int:
    return len(list(stack.vault().unfinished_uploads(stack.policy.vault.prefix)))


def test_the_process_of_every_step_is_killed(site: Site, gate: Gate) -> None:
    site.stack.source.sql("DELETE FROM audit_log LIMIT 5", database=SOURCE)
    damaged, names = site.census(SOURCE), site.databases()
    assert site.differences(site.snapshot, SOURCE) != []

    def kinds_left() -> list[str]:
        return sorted(name.removeprefix(SOURCE).split("_")[1] for name in site.databases() - names)

    killed = KilledRun(site, gate)
    killed.kill_at("plan", "SUM(table_rows)")
    killed.assert_killed("plan")

    killed.clear("plan")
    site.wait_for_question(killed.run)
    killed.kill_at("safety_backup", "FROM `patients`")  # as only the dump program writes it
    site.answer(killed.run, "Approve", "the ward agreed")
    killed.assert_killed("safety_backup")
    assert unfinished_uploads(site.stack) == 1  # nobody could abort it
    assert kinds_left() == []

    killed.kill_at("restore_beside", "INSERT INTO `cases`")
    killed.clear("safety_backup")
    killed.assert_killed("restore_beside")
    assert unfinished_uploads(site.stack) == 0
    assert kinds_left() == ["incoming"]

    killed.kill_at("compare", "SELECT COUNT(*), COUNT(")  # a fingerprint
    killed.clear("restore_beside")
    killed.assert_killed("compare")
    assert kinds_left() == ["incoming"]

    killed.kill_at("swap", "INSERT INTO `surgicase_before_")  # its journal, before it touches the target
    killed.clear("compare")
    killed.assert_killed("swap")
    assert kinds_left() == ["before", "incoming"]

    again = site.run(_OVERWRITE)
    site.answer(again, "Approve", "the ward agreed")
    state, tasks = site.wait(again)
    assert state == "success", tasks
    assert site.differences(site.snapshot, SOURCE) == []
    record = site.last_record()
    assert (record.kind, record.outcome) == ("recovery", "passed")
    before = record.facts["swapped"]["before"]
    assert site.differences(damaged, before) == []
    assert site.databases() - names == {before}
    site.stack.source.sql(f"DROP DATABASE `{before}`")
