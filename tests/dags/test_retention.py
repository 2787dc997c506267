"""The last task of nightly_backup: it plans, and deletes when policy and connection say so."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from backup_airflow.operators.retention import RetentionOperator

from include.backup_engine import evidence
from include.backup_engine.policy import load_policy
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from tests.dags.conftest import DATABASE, Plant, runner
from tests.servers.localstack import Aws
from tests.servers.processes import ROOT

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun


def _retention(run: DagRun) -> dict[str, Any]:
    [task] = [ti for ti in run.get_task_instances() if ti.task_id.endswith(".retention")]
    assert task.state == "success"
    found: dict[str, Any] = task.xcom_pull(task_ids=task.task_id, map_indexes=task.map_index)
    return found


def test_nights_and_a_drill_make_the_oldest_backup_superfluous(
    plant: Plant, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = yaml.safe_load((ROOT / "include" / "policy.yaml").read_text())
    document["vault"]["bucket"] = aws.seed(bucket=f"dags-{uuid.uuid4().hex[:12]}").bucket
    document["sources"] = {"kept": {"conn_id": "surgicase_mysql", "database": DATABASE}}
    document["retention"] = {"daily": 1, "weekly": 0, "monthly": 0, "yearly": 0, "minimum": 1}
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(document))
    run = runner(policy, monkeypatch)
    vault = Vault(aws.s3, load_policy(policy).vault)

    def names() -> list[str]:
        return [entry.name.stem for entry in Catalog(vault).entries("kept") if entry.name]

    first = _retention(run("nightly_backup"))
    assert first == {"blocked": None, "planned": [], "done": None, "safety": None}
    assert _retention(run("nightly_backup"))["planned"] == []  # nothing goes before a drill has proved a newer one
    assert run("restore_drill").state == "success"
    before = names()
    assert len(before) == 2

    planned = _retention(run("nightly_backup"))
    assert planned == {"blocked": None, "planned": [before[1]], "done": None, "safety": None}
    assert len(names()) == 3

    document["retention"]["apply"] = True
    policy.write_text(yaml.safe_dump(document))
    task = RetentionOperator(task_id="retention", source="kept")
    assert task.execute({})["done"] is None  # the connection that deletes is not defined
    assert len(names()) == 3

    monkeypatch.setenv("AIRFLOW_CONN_AWS_BACKUP_RETENTION", aws.airflow_connection())
    done = RetentionOperator(task_id="retention", source="kept").execute({})
    assert done["done"] == {"deleted": [before[1]], "refused": {}, "aborted_uploads": []}
    assert names()[1:] == [before[0]]
    assert [record.facts["backup"] for record in evidence.checked(vault) if record.kind == "deletion"] == [before[1]]


def test_retention_comes_last_and_only_after_success(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("the verification failed")

    from backup_airflow.operators.backup import VerifyBackupOperator

    monkeypatch.setattr(VerifyBackupOperator, "execute", fails)
    run = plant.run_streamed("nightly_backup")
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    assert states["stream.verify"] == "failed"
    assert states["stream.retention"] == "upstream_failed"
