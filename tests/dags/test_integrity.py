"""What must hold for every DAG of this package, whoever adds one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.servers.processes import ROOT

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import BundleDagBag

DAG_IDS = ("nightly_backup", "restore_drill", "disaster_recovery")


def test_no_import_errors(dagbag: BundleDagBag) -> None:
    assert dagbag.import_errors == {}
    assert set(DAG_IDS) <= set(dagbag.dags)


def test_parsing_is_quick(dagbag: BundleDagBag) -> None:
    from airflow.dag_processing.dagbag import BundleDagBag as Bag

    started = time.monotonic()  # Airflow itself is imported by now, as in the DAG processor
    Bag(ROOT / "dags", bundle_path=ROOT / "dags", bundle_name="dags-folder")
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_conventions(dagbag: BundleDagBag, dag_id: str) -> None:
    dag = dagbag.dags[dag_id]
    assert dag.tags
    assert dag.description
    assert dag.doc_md
    assert dag.catchup is False
    assert dag.max_active_runs == 1
    assert dag.dagrun_timeout is not None
    for task in dag.tasks:
        assert task.owner != "airflow", task.task_id
        assert task.execution_timeout is not None, task.task_id
        assert task.retry_policy is not None, task.task_id
        assert not task.on_failure_fail_dagrun, f"{task.task_id}: a flagged teardown hides failures"


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_template_fields_exist(dagbag: BundleDagBag, dag_id: str) -> None:
    from airflow.sdk.definitions.mappedoperator import MappedOperator

    for task in dagbag.dags[dag_id].tasks:
        if not isinstance(task, MappedOperator):
            assert [field for field in task.template_fields if not hasattr(task, field)] == [], task.task_id


def test_the_drill_ends_in_the_task_that_fails_it(dagbag: BundleDagBag) -> None:
    leaves = [task.task_id for task in dagbag.dags["restore_drill"].leaves]
    assert leaves == ["drill.record_evidence"]


def test_a_recovery_ends_in_the_task_that_fails_it_and_is_never_tried_again(dagbag: BundleDagBag) -> None:
    dag = dagbag.dags["disaster_recovery"]
    assert [task.task_id for task in dag.leaves] == ["report"]
    assert {task.retries for task in dag.tasks} == {0}


def test_nothing_but_an_approval_leads_to_an_overwrite(dagbag: BundleDagBag) -> None:
    dag = dagbag.dags["disaster_recovery"]
    approve = dag.get_task("approve")
    assert approve.defaults == ["Reject"]
    assert approve.response_timeout.total_seconds() == 3600
    assert approve.downstream_task_ids == {"safety_backup"}
    assert dag.get_task("swap").upstream_task_ids >= {"compare", "plan"}
