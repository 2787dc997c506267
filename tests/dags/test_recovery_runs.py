"""disaster_recovery for real, in this process: the database, S3 and KMS are real, the approver is not."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from backup_airflow.operators.approval import ApproveOverwriteOperator
from backup_airflow.operators.recovery import CompareBesideOperator

from include.backup_engine import evidence
from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import compare_census
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.evidence import EvidenceRecord
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName
from include.backup_engine.policy import load_policy
from include.backup_engine.records import Census, Chain
from include.backup_engine.report import Reporter
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from tests.demo.stack import create_account
from tests.demo.surgicase import connector, generate
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB
from tests.servers.processes import ROOT

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

LIVE = "ward"
OVERWRITE = {
    "mode": "restore", "target_database": LIVE, "overwrite": True, "confirm": LIVE, "reason": "rows were lost",
}  # fmt: skip


@dataclass
class Ward:
    """A server with a live database, its backup, and the DAG to run."""

    server: MariaDB
    vault: Vault
    snapshot: Census
    run: Callable[..., DagRun]

    def census(self, database: str) -> Census:
        root = Endpoint(unix_socket=str(self.server.endpoint.socket), user="root").connect(database)
        with root:
            return add_fingerprints([root], database, take_census(root, "mariadb", database))

    def differences(self, expected: Census, database: str) -> list[str]:
        return compare_census(expected, self.census(database), events_disabled=False)[0]

    def databases(self) -> set[str]:
        return {str(name) for (name,) in self.server.sql(f"SHOW DATABASES LIKE '{LIVE}%'")}

    def last_record(self) -> EvidenceRecord:
        return [record for _, _, record in evidence.records(self.vault)][-1]


@pytest.fixture(scope="module")
def ward(aws: Aws, airflow_db: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = tmp_path_factory.mktemp("ward")
    with MariaDB(folder / "server") as server, pytest.MonkeyPatch.context() as patch:
        generate(connector(str(server.endpoint.socket)), LIVE, 5)
        create_account(server, "recovery_account.sql", "recovery", "recovery-secret", database=LIVE)
        server.sql("ALTER USER recovery@'%' REQUIRE NONE; SET GLOBAL log_bin_trust_function_creators = 1")
        server.sql(f"GRANT SELECT, EXECUTE ON `{LIVE}\\_before\\_%`.* TO surgicase_app@'%'")
        document = yaml.safe_load((ROOT / "include" / "policy.yaml").read_text())
        document["vault"]["bucket"] = aws.seed(bucket=f"ward-{uuid.uuid4().hex[:12]}").bucket
        document["sources"] = {LIVE: {"conn_id": "recovery_mysql", "database": LIVE, "accounts": True}}
        server.sql(
            "CREATE USER ward_nurse@'%' IDENTIFIED BY 'Pa55-of-ward-nurse'; CREATE ROLE ward_role;"
            f"GRANT SELECT ON `{LIVE}`.cases TO ward_nurse@'%'; GRANT ward_role TO ward_nurse@'%';"
            "CREATE USER ward_admin@'%' IDENTIFIED BY 'admin-secret';"
            "GRANT ALL ON *.* TO ward_admin@'%' WITH GRANT OPTION"
        )
        file: Path = folder / "policy.yaml"
        file.write_text(yaml.safe_dump(document))
        patch.setenv("AIRFLOW_CONN_RECOVERY_MYSQL", server.airflow_connection("recovery", "recovery-secret"))
        patch.setenv("AIRFLOW_CONN_ADMIN_MYSQL", server.airflow_connection("ward_admin", "admin-secret"))
        patch.setenv("AIRFLOW_CONN_AWS_BACKUP_WRITER", aws.airflow_connection())
        patch.setenv("AIRFLOW_CONN_AWS_BACKUP_READER", aws.airflow_connection())
        patch.setenv("BACKUP_POLICY", str(file))
        policy, keyring = load_policy(file), Keyring(aws.kms)
        vault = Vault(aws.s3, with_sse_key_arn(policy.vault, keyring))
        root = Endpoint(unix_socket=str(server.endpoint.socket), user="root")
        job = BackupJob(policy, LIVE, BackupName(datetime(2026, 11, 1, 2, tzinfo=UTC)), Chain(sequence=1))
        back_up(job, root, keyring, vault, Reporter(), Cancellation())
        entry = Catalog(vault).find(LIVE, "latest")
        assert entry.sidecar is not None and entry.sidecar.facts is not None

        def run(**conf: object) -> DagRun:
            # Read anew each time: dag.test() leaves one run's configuration in the parameters of the next.
            bag = BundleDagBag(ROOT / "dags", bundle_path=ROOT / "dags", bundle_name="dags-folder")
            assert bag.import_errors == {}
            return bag.dags["disaster_recovery"].test(run_conf={"source": LIVE} | conf)

        yield Ward(server, vault, entry.sidecar.facts.census, run)


def _states(run: DagRun) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


def _answer(patch: pytest.MonkeyPatch, option: str, reason: str, user: dict[str, str] | None) -> None:
    """Answer at once, as the API or the scheduler would."""

    def execute(self: ApproveOverwriteOperator, context: Any) -> Any:
        event = {
            "chosen_options": [option], "params_input": {"approval_reason": reason}, "responded_by_user": user,
            "responded_at": datetime.now(UTC), "timedout": user is None,
        }  # fmt: skip
        return self.execute_complete(context, event)

    patch.setattr(ApproveOverwriteOperator, "execute", execute)


GRACE = {"id": "7", "name": "grace"}


@pytest.fixture
def damaged(ward: Ward) -> Census:
    """The live database after a bad day."""
    ward.server.sql(
        "SET foreign_key_checks = 0; DELETE FROM audit_log LIMIT 10;"
        "CREATE OR REPLACE TABLE extra (id INT PRIMARY KEY);"
        "CREATE OR REPLACE VIEW v_urgent_cases AS SELECT id FROM cases; DROP TRIGGER IF EXISTS cases_touch_audit",
        database=LIVE,
    )
    return ward.census(LIVE)


def test_list_lists_and_leaves_no_evidence(ward: Ward) -> None:
    run = ward.run(mode="list")
    assert run.state == "success", _states(run)
    assert _states(run)["list_backups"] == _states(run)["report"] == "success"
    assert _states(run)["choose_backup"] == _states(run)["restore_beside"] == _states(run)["swap"] == "skipped"
    assert list(evidence.records(ward.vault)) == []


def test_a_dry_run_plans_and_changes_nothing(ward: Ward) -> None:
    before = ward.census(LIVE)
    run = ward.run()
    assert run.state == "success", _states(run)
    assert _states(run)["restore_beside"] == _states(run)["swap"] == "skipped"
    assert ward.databases() == {LIVE}
    assert ward.differences(before, LIVE) == []
    record = ward.last_record()
    assert (record.kind, record.outcome) == ("recovery", "passed")
    assert record.facts["recovery"]["request"]["mode"] == "dry_run"
    assert record.facts["swapped"] is None
    plan = record.facts["plan"]
    assert plan["blockers"] == []
    assert plan["counts"]["table"] == 45
    assert plan["verified"]["longest_statement"] > 1000
    assert any("max_allowed_packet" in note for note in plan["notes"])


def test_a_plan_with_blockers_fails_the_run_and_names_them(ward: Ward) -> None:
    run = ward.run(mode="restore", target_database="elsewhere")
    assert run.state == "failed"
    assert _states(run)["restore_beside"] == "skipped"
    assert any("CREATE ON `elsewhere`.*" in failure for failure in ward.last_record().facts["failures"])


def test_a_restore_makes_a_new_database_equal_to_the_snapshot(ward: Ward) -> None:
    run = ward.run(mode="restore")
    assert run.state == "success", _states(run)
    assert _states(run)["approve"] == _states(run)["safety_backup"] == "skipped"
    assert ward.databases() == {LIVE, f"{LIVE}_restored"}
    assert ward.differences(ward.snapshot, f"{LIVE}_restored") == []
    record = ward.last_record()
    assert (record.kind, record.outcome) == ("recovery", "passed")
    assert record.facts["comparison"]["findings"] == []
    assert record.facts["swapped"]["events_enabled"] == []
    again = ward.run(mode="restore")
    assert again.state == "failed"
    assert any("exists and holds" in failure for failure in ward.last_record().facts["failures"])
    ward.server.sql(f"DROP DATABASE {LIVE}_restored")


def test_an_approved_overwrite_restores_and_keeps_the_old_content_and_can_be_taken_back(
    ward: Ward, damaged: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answer(monkeypatch, "Approve", "the ward agreed", GRACE)
    run = ward.run(**OVERWRITE)
    assert run.state == "success", _states(run)
    assert ward.differences(ward.snapshot, LIVE) == []
    facts = ward.last_record().facts
    before = facts["swapped"]["before"]
    assert ward.differences(damaged, before) == []
    assert facts["approval"]["responder"] == "grace"
    assert facts["approval"]["reason"] == "the ward agreed"
    assert facts["recovery"]["request"]["reason"] == "rows were lost"
    assert facts["swapped"]["events_enabled"] == ["one_shot", "purge_sessions"]
    safety = facts["safety_backup"]
    assert safety["source"] == f"{LIVE}-safety"
    back = ward.run(**OVERWRITE | {"source": f"{LIVE}-safety", "backup": safety["backup"]})
    assert back.state == "success", _states(back)
    assert ward.differences(damaged, LIVE) == []
    for name in ward.databases() - {LIVE}:
        ward.server.sql(f"DROP DATABASE `{name}`")


def test_accounts_come_back_only_on_request_and_what_exists_is_left_alone(
    ward: Ward, caplog: pytest.LogCaptureFixture
) -> None:
    server = ward.server
    before = server.sql("SHOW CREATE USER ward_nurse@'%'"), server.sql("SHOW GRANTS FOR ward_nurse@'%'")
    server.sql("DROP USER ward_nurse@'%'; DROP ROLE ward_role; ALTER USER surgicase_app@'%' ACCOUNT LOCK")
    run = ward.run(mode="restore", target_conn_id="admin_mysql")
    assert run.state == "success", _states(run)
    assert server.sql("SELECT 1 FROM mysql.user WHERE user = 'ward_nurse'") == []
    assert ward.last_record().facts["accounts"] is None
    server.sql(f"DROP DATABASE {LIVE}_restored")
    run = ward.run(mode="restore", target_conn_id="admin_mysql", accounts=True)
    assert run.state == "success", _states(run)
    assert (server.sql("SHOW CREATE USER ward_nurse@'%'"), server.sql("SHOW GRANTS FOR ward_nurse@'%'")) == before
    assert "ACCOUNT LOCK" in server.sql("SHOW CREATE USER surgicase_app@'%'")[0][0]
    facts = ward.last_record().facts
    assert facts["plan"]["accounts"] == facts["accounts"]["created"] == ["ward_role", "ward_nurse@%"]
    assert facts["accounts"]["refused"] == {}
    [[digest]] = server.sql("SELECT PASSWORD('Pa55-of-ward-nurse')")
    assert digest not in caplog.text and digest not in str(facts)
    server.sql(f"ALTER USER surgicase_app@'%' ACCOUNT UNLOCK; DROP DATABASE {LIVE}_restored")


@pytest.mark.parametrize(
    ("option", "reason", "user", "said"),
    [
        ("Reject", "not today", GRACE, "not approved by grace"),
        ("Reject", "", None, "not approved in time"),
        ("Approve", " ", GRACE, "not approved by grace"),
    ],
)
def test_without_a_yes_that_has_a_reason_nothing_is_touched(
    ward: Ward, damaged: Census, monkeypatch: pytest.MonkeyPatch, option: str, reason: str, user: Any, said: str
) -> None:
    _answer(monkeypatch, option, reason, user)
    run = ward.run(**OVERWRITE)
    assert run.state == "failed"
    states = _states(run)
    assert states["approve"] == states["report"] == "failed"
    assert {states[name] for name in ("safety_backup", "restore_beside", "swap")} == {"upstream_failed"}
    assert ward.databases() == {LIVE}
    assert ward.differences(damaged, LIVE) == []
    record = ward.last_record()
    assert (record.kind, record.outcome) == ("recovery", "failed")
    assert any(said in failure for failure in record.facts["failures"])


def test_a_restored_copy_that_differs_is_not_swapped_in(
    ward: Ward, damaged: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = CompareBesideOperator.execute

    def tampered(self: CompareBesideOperator, context: Any) -> Any:
        ward.server.sql("SET foreign_key_checks = 0; DELETE FROM equipment LIMIT 1", database=self.asked.incoming)
        return compare(self, context)

    _answer(monkeypatch, "Approve", "go on", GRACE)
    monkeypatch.setattr(CompareBesideOperator, "execute", tampered)
    run = ward.run(**OVERWRITE)
    assert run.state == "failed"
    assert _states(run)["swap"] == "failed"
    assert ward.differences(damaged, LIVE) == []
    assert any("table equipment has" in failure for failure in ward.last_record().facts["failures"])
    for name in ward.databases() - {LIVE}:
        ward.server.sql(f"DROP DATABASE `{name}`")


@pytest.mark.parametrize(
    ("conf", "why"),
    [
        ({"targets": "everything"}, "The parameter targets is unknown."),
        (OVERWRITE | {"confirm": "wrd"}, "ward would be overwritten, and confirm is 'wrd'."),
        (OVERWRITE | {"reason": " "}, "An overwrite needs a reason, for the evidence."),
        (
            {
                "mode": "restore",
                "tables": ["patients"],
                "overwrite": True,
                "confirm": f"{LIVE}_restored",
                "reason": "x",
            },
            "Single tables are restored beside what exists",
        ),
    ],
)
def test_contradictory_requests_are_refused_and_recorded(ward: Ward, conf: dict[str, Any], why: str) -> None:
    before = ward.databases()
    run = ward.run(**conf)
    assert run.state == "failed"
    states = _states(run)
    assert states["validate_request"] == states["report"] == "failed"
    assert states["plan"] == "upstream_failed"
    assert ward.databases() == before
    [failure] = ward.last_record().facts["failures"]
    assert failure.startswith(f"the request was refused: {why}")
