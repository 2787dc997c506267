"""Backups with keys of two regions, made and used by the DAGs, when the first key is lost."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import yaml
from backup_airflow.operators.retention import RetentionOperator
from backup_airflow.reporting import TaskReporter

from include.backup_engine import evidence
from include.backup_engine.crypto.sidecar import wrapped_copies
from include.backup_engine.policy import load_policy
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from tests.dags.conftest import DATABASE, Plant, runner
from tests.servers.localstack import Aws
from tests.servers.processes import ROOT


def test_a_drill_passes_and_the_night_warns_when_the_first_key_is_lost(
    plant: Plant, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = aws.kms.create_key()["KeyMetadata"]["Arn"]
    abroad = Aws(aws.url, "eu-west-1").kms.create_key()["KeyMetadata"]["Arn"]
    document = yaml.safe_load((ROOT / "include" / "policy.yaml").read_text())
    document["vault"] |= {
        "bucket": aws.seed(bucket=f"dags-{uuid.uuid4().hex[:12]}").bucket,
        "data_key_id": here,
        "further_data_key_ids": [abroad],
    }
    document["sources"] = {"keyed": {"conn_id": "surgicase_mysql", "database": DATABASE}}
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(document))
    run = runner(policy, monkeypatch)
    vault = Vault(aws.s3, load_policy(policy).vault)
    assert run("nightly_backup").state == "success"
    sidecar = Catalog(vault).find("keyed", "latest").sidecar
    assert sidecar is not None
    assert [copy.key_arn for copy in wrapped_copies(sidecar)] == [here, abroad]

    aws.kms.schedule_key_deletion(KeyId=here, PendingWindowInDays=7)
    for _ in range(2):  # of two, one uses the break-glass file
        assert run("restore_drill").state == "success"
    drills = [record.facts["break_glass"] for record in evidence.checked(vault) if record.kind == "drill"]
    assert sorted(drills, key=str) == [None, "matched"]

    said: list[str] = []
    monkeypatch.setattr(TaskReporter, "warn", lambda self, text, **_: said.append(text))
    RetentionOperator(task_id="retention", source="keyed").execute({})
    assert [text for text in said if text.startswith(f"THE KMS KEY {here} IS PENDINGDELETION and will be deleted on ")]
