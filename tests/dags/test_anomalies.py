"""The night after somebody has emptied a table: told, recorded, and the task fails where the policy says so."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import yaml

from include.backup_engine import evidence
from include.backup_engine.policy import load_policy
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from tests.dags.conftest import Plant, runner
from tests.servers.localstack import Aws
from tests.servers.processes import ROOT

DATABASE = "dags_emptied"


def test_p15_a_table_that_was_emptied_is_told_recorded_and_fails_the_task_but_not_the_backup(
    plant: Plant, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    document = yaml.safe_load((ROOT / "include" / "policy.yaml").read_text())
    document["vault"]["bucket"] = aws.seed(bucket=f"dags-{uuid.uuid4().hex[:12]}").bucket
    document["sources"] = {"small": {"conn_id": "surgicase_mysql", "database": DATABASE}}
    document["anomalies"]["action"] = "fail"
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(document))
    run = runner(policy, monkeypatch)
    vault = Vault(aws.s3, load_policy(policy).vault)
    plant.source.sql(
        f"CREATE DATABASE {DATABASE}; CREATE TABLE {DATABASE}.visits (id INT PRIMARY KEY);"
        f"INSERT INTO {DATABASE}.visits VALUES (1), (2), (3);"
        f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {DATABASE}.* TO backup@'%'"
    )
    try:
        assert run("nightly_backup").state == "success"
        plant.source.sql(f"DELETE FROM {DATABASE}.visits")
        after = run("nightly_backup")
    finally:
        plant.source.sql(f"DROP DATABASE {DATABASE}")
    states = {ti.task_id: str(ti.state) for ti in after.get_task_instances()}
    assert (states["stream.verify"], states["stream.record_evidence"]) == ("success", "failed")
    assert states["stream.retention"] == "upstream_failed"

    assert [entry.state for entry in Catalog(vault).entries("small")] == ["complete"] * 2
    first, second = [record for record in evidence.checked(vault)]
    assert (first.outcome, first.facts["usual"]) == ("passed", {"compared_with": 0, "anomalies": []})
    assert (second.outcome, second.facts["usual"]["compared_with"]) == ("passed", 1)
    assert "table visits is empty; it had 3 rows" in second.facts["usual"]["anomalies"]
    told = capfd.readouterr().out
    assert "there is nothing to compare it with" in told
    assert "ABNORMAL" in told
