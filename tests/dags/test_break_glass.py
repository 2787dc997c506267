"""Every second drill of a source opens its backup with the break-glass file, too, and fails if that reads otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from include.backup_engine import break_glass, evidence
from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import Cancelled
from include.backup_engine.policy import load_policy
from include.backup_engine.report import Reporter
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.stored import open_stored
from tests.dags.conftest import Plant
from tests.servers.localstack import Aws
from tests.servers.processes import wait_until

# What the file must not get to see, and where it shows what it did.
_SPY = """
import json, os, pathlib, sys
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps([sys.argv, dict(os.environ)]))
"""


def drill(plant: Plant) -> tuple[str, dict[str, Any]]:
    """Run one; its outcome, and the facts that it left."""
    run = plant.run_streamed("restore_drill")
    *_, (_, _, record) = evidence.records(plant.vault)
    assert (record.kind, record.source) == ("drill", "streamed")
    assert (run.state == "success") is (record.outcome == "passed"), record.facts["failures"]
    assert "sha256" not in json.dumps(record.facts)  # a digest of the plaintext would be a fingerprint of patient data
    return record.outcome, record.facts


def test_every_second_drill(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plant.run("nightly_backup").state == "success"
    outcome, facts = drill(plant)
    if facts["break_glass"] is None:  # other tests have drilled before, or not
        outcome, facts = drill(plant)
    assert (outcome, facts["break_glass"], facts["failures"]) == ("passed", "matched", [])
    outcome, facts = drill(plant)
    assert (outcome, facts["break_glass"], facts["failures"]) == ("passed", None, [])

    spy = tmp_path / "spy.py"
    monkeypatch.setattr(break_glass, "PROGRAM", spy)
    spy.write_text(f"{_SPY}print('{'0' * 64} 1')")
    outcome, facts = drill(plant)
    assert (outcome, facts["break_glass"]) == ("failed", None)
    assert facts["failures"] == ["the break-glass file releases other bytes than the engine"]
    argv, environment = json.loads(spy.with_suffix(".json").read_text())
    assert argv[1].startswith(f"s3://{plant.vault.bucket}/private/db_backups/streamed/db_backup_")
    assert "?versionId=" in argv[1]
    assert [name for name in environment if name.startswith(("AIRFLOW", "BACKUP"))] == []
    assert (environment["AWS_ACCESS_KEY_ID"], environment["AWS_CONFIG_FILE"]) == ("test", "/dev/null")

    monkeypatch.undo()  # due again, because the one before has failed
    outcome, facts = drill(plant)
    assert (outcome, facts["break_glass"]) == ("passed", "matched")


@pytest.mark.parametrize(
    ("ending", "problem"),
    [
        ("sys.exit(4)", "cannot have the data key opened by KMS"),
        ("sys.exit(5)", "finds that this is not the backup that was made"),
        ("raise SystemError", "ended with exit code 1"),
        ("os.kill(os.getpid(), 9)", "ended with exit code -9"),
    ],
)
def test_how_it_ends_is_told(
    plant: Plant, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, problem: str
) -> None:
    policy, keyring = load_policy(), Keyring(aws.kms)
    backup = open_stored(Catalog(plant.vault).find("streamed", "latest"), "streamed", policy, plant.vault, keyring)
    program = tmp_path / "program.py"
    program.write_text(_SPY + ending)
    monkeypatch.setattr(break_glass, "PROGRAM", program)
    result = break_glass.open_with_break_glass(backup, "streamed", {}, Reporter(), Cancellation())
    assert (result.due, result.matched, result.problem) == (True, False, problem)


@pytest.mark.parametrize("source", ["streamed", "staged", "original"])
def test_it_reads_every_format(plant: Plant, aws: Aws, source: str) -> None:
    policy, keyring = load_policy(plant.staging.parent / "all.yaml"), Keyring(aws.kms)
    backup = open_stored(Catalog(plant.vault).find(source, "latest"), source, policy, plant.vault, keyring)
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": aws.url}
    result = break_glass.open_with_break_glass(backup, source, credentials, Reporter(), Cancellation())
    assert (result.due, result.matched, result.problem) == (True, True, None)


def test_a_task_that_is_killed_ends_it(plant: Plant, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, keyring = load_policy(plant.staging.parent / "all.yaml"), Keyring(aws.kms)
    backup = open_stored(Catalog(plant.vault).find("streamed", "latest"), "streamed", policy, plant.vault, keyring)
    program = tmp_path / "program.py"
    program.write_text("import os, time\nopen(__file__ + '.pid', 'w').write(str(os.getpid()))\ntime.sleep(300)")
    monkeypatch.setattr(break_glass, "PROGRAM", program)
    cancellation = Cancellation()
    pid = program.with_name("program.py.pid")

    def stop_when_it_runs() -> None:
        wait_until(lambda: pid.exists() and pid.read_text() != "", 60, "the program does not run")
        cancellation.request()

    Thread(target=stop_when_it_runs).start()
    with pytest.raises(Cancelled):
        break_glass.open_with_break_glass(backup, "streamed", {}, Reporter(), cancellation)
    assert not Path("/proc", pid.read_text()).exists()
