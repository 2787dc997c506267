"""Retention in a real bucket: the plan is carried out exactly, and nothing else is touched."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from include.backup_engine import evidence
from include.backup_engine.__main__ import main
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.sidecar import seal
from include.backup_engine.deletion import Deletions, carry_out
from include.backup_engine.errors import RetentionRefused, StoreRefused
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.names import SIDECAR_SUFFIX, BackupName, encryption_context
from include.backup_engine.policy import Policy, load_policy
from include.backup_engine.report import Reporter
from include.backup_engine.retention import RetentionPlan
from include.backup_engine.retention_survey import plan_retention, plan_safety_retention
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import ObjectVersion, Vault
from tests.servers.localstack import Aws
from tests.unit.crypto.examples import make_v2

SOURCE = "surgicase"
ROLES = ("WRITER", "READER", "RETENTION")
FOLDER = f"private/db_backups/{SOURCE}/"
DAY = timedelta(days=1)
NIGHT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
LATER = NIGHT + 3 * DAY
"""Leftovers are stored now; three days later they are old enough to be swept."""


def name(age: timedelta) -> BackupName:
    return BackupName(NIGHT - age)


@dataclass
class Shelf:
    """A bucket with backups that nobody needed a database for: genuine data keys, messages and sidecars."""

    policy: Policy
    keyring: Keyring
    vault: Vault
    file: Path
    ids: dict[str, str] = field(default_factory=dict)

    def put(self, key: str, body: bytes = b"") -> None:
        self.vault.client.put_object(Bucket=self.vault.bucket, Key=key, Body=body)

    def add(self, age: timedelta, *, drilled: bool = False, verified: bool = True, source: str = SOURCE) -> str:
        """A backup taken ``age`` before tonight's; returns the dump's key."""
        backup, backup_id = name(age), str(uuid.uuid4())
        context = encryption_context(source, backup, backup_id)
        folder = f"{self.vault.prefix}{source}/"
        key = self.keyring.generate(self.policy.vault.data_key_id, context)
        message, sidecar = make_v2(b"dump", key, context, backup)
        self.put(folder + backup.object_name, message)
        self.put(folder + backup.sidecar_name, seal(sidecar.model_copy(update={"source": source}), key))
        if verified:
            self.record("backup", {"backup": backup.stem, "backup_id": backup_id}, source)
        if drilled:
            self.record("drill", {"picked": {"backup": backup.object_name, "backup_id": backup_id}})
        self.ids[backup.stem] = backup_id
        return folder + backup.object_name

    def record(self, kind: evidence.Kind, facts: dict[str, object], source: str = SOURCE) -> None:
        evidence.append(self.vault, self.vault, kind, source, "passed", facts)

    def plan(self, now: datetime | None = None) -> RetentionPlan:
        return plan_retention(SOURCE, self.policy, self.vault, self.keyring, now)

    def carry_out(self, plan: RetentionPlan) -> Deletions:
        return carry_out(plan, self.vault, self.vault, self.vault, Reporter())

    def names(self) -> list[str]:
        return [entry.name.stem for entry in Catalog(self.vault).entries(SOURCE) if entry.name]

    def versions(self) -> set[ObjectVersion]:
        return set(self.vault.versions(FOLDER))

    def deletions(self) -> list[evidence.EvidenceRecord]:
        return [record for record in evidence.checked(self.vault) if record.kind == "deletion"]


@pytest.fixture
def shelf(aws: Aws, tmp_path: Path) -> Shelf:
    bucket = aws.seed(bucket=f"retention-{uuid.uuid4().hex[:12]}", object_lock=True).bucket
    document = {
        "version": 1,
        "vault": {
            "bucket": bucket,
            "region": aws.region,
            "data_key_id": "alias/surgicase-backup",
            "sse_key_id": "alias/surgicase-backup-sse",
        },
        "sources": {SOURCE: {"conn_id": "unused", "database": "unused"}},
        "retention": {"daily": 2, "weekly": 0, "monthly": 0, "yearly": 0, "minimum": 1},
        "drill": {"rpo_target_hours": 100},
    }
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(document))
    policy, keyring = load_policy(file), Keyring(aws.kms)
    return Shelf(policy, keyring, Vault(aws.s3, with_sse_key_arn(policy.vault, keyring)), file)


@pytest.fixture
def nights(shelf: Shelf) -> Shelf:
    """Tonight's, and five before it; that of last night has passed a drill."""
    for age in range(5, -1, -1):
        shelf.add(age * DAY, drilled=age == 1)
    return shelf


def test_exactly_the_planned_goes_and_every_version_of_it(nights: Shelf) -> None:
    key = FOLDER + name(3 * DAY).object_name
    body = nights.vault.get(key + SIDECAR_SUFFIX, max_bytes=10**6)
    nights.put(key + SIDECAR_SUFFIX, body)  # as a re-wrap does: the same key, one more version
    plan, before = nights.plan(), nights.versions()
    doomed = {decision.key for decision in plan.of("delete")}
    assert doomed == {FOLDER + name(age * DAY).object_name for age in (2, 3, 4, 5)}
    assert nights.versions() == before, "a plan changes nothing"

    done = nights.carry_out(plan)

    assert done.deleted == [name(age * DAY).stem for age in (5, 4, 3, 2)]
    assert (done.refused, done.aborted_uploads) == ({}, [])
    assert nights.versions() == {
        version for version in before if version.key.removesuffix(SIDECAR_SUFFIX) not in doomed
    }
    assert nights.names() == [name(timedelta()).stem, name(DAY).stem]
    assert nights.plan().of("delete") == []


def test_each_deletion_is_in_the_evidence_whose_chain_holds(nights: Shelf) -> None:
    before = {version.version_id: version.key for version in nights.versions()}
    nights.carry_out(nights.plan())
    records = nights.deletions()
    assert [record.facts["backup"] for record in records] == [name(age * DAY).stem for age in (5, 4, 3, 2)]
    for record in records:
        assert record.outcome == "passed"
        assert record.facts["backup_id"] == nights.ids[record.facts["backup"]]
        assert name(DAY).stem in record.facts["reason"]
        assert [before[version["version_id"]] for version in record.facts["versions"]] == [
            FOLDER + record.facts["backup"] + ".sql.gz.encrypted.encryption_info",
            FOLDER + record.facts["backup"] + ".sql.gz.encrypted",
        ]
    assert evidence.check_chain(nights.vault) == 6 + 1 + 4


def test_locked_held_and_legally_held_ones_stay(nights: Shelf) -> None:
    client, bucket = nights.vault.client, nights.vault.bucket
    lock, hold, short, whole = (FOLDER + name(age * DAY).object_name for age in (2, 3, 4, 5))
    client.put_object_retention(
        Bucket=bucket, Key=lock, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + DAY}
    )
    client.put_object_legal_hold(Bucket=bucket, Key=hold + SIDECAR_SUFFIX, LegalHold={"Status": "ON"})
    nights.put(f"{FOLDER}{name(4 * DAY).stem}.hold", b"court order")
    nights.put(f"{whole}.hold")
    nights.put(f"{FOLDER}db_backup_2026.hold")
    plan = nights.plan()
    reasons = {decision.key: decision.reason for decision in plan.decisions}
    assert "locked (COMPLIANCE) until" in reasons[lock]
    assert reasons[hold] == "under legal hold"
    assert reasons[short] == f"held by {FOLDER}{name(4 * DAY).stem}.hold"
    assert reasons[whole] == f"held by {whole}.hold"
    assert plan.of("delete") == []
    assert plan.stray_holds == [f"{FOLDER}db_backup_2026.hold"]


def test_what_is_locked_held_or_changed_after_the_plan_is_refused_and_reported(nights: Shelf) -> None:
    plan, before = nights.plan(), nights.versions()
    client, bucket = nights.vault.client, nights.vault.bucket
    old, held, changed, gone = (FOLDER + name(age * DAY).object_name for age in (2, 3, 4, 5))
    # The lock is on a version that no reader gets any more.
    [first] = nights.vault.versions(old + SIDECAR_SUFFIX)
    client.put_object_legal_hold(Bucket=bucket, Key=first.key, VersionId=first.version_id, LegalHold={"Status": "ON"})
    nights.put(f"{FOLDER}{name(3 * DAY).stem}.hold")
    nights.put(changed, nights.vault.get(changed, max_bytes=10**6))
    nights.put(f"{gone}.hold")
    client.delete_object(Bucket=bucket, Key=f"{gone}.hold")  # lifted again: a marker hides it
    done = nights.carry_out(plan)
    assert done.deleted == [name(5 * DAY).stem]
    assert done.refused == {
        name(4 * DAY).stem: "It has changed since it was planned.",
        name(3 * DAY).stem: "It is held by now.",
        name(2 * DAY).stem: f"A version of {first.key} is under legal hold.",
    }
    still = {version.version_id for version in nights.versions()}
    assert {version.version_id for version in before if version.key.startswith((old, held, changed))} <= still
    assert [record.facts["backup"] for record in nights.deletions()] == [name(5 * DAY).stem]


def test_a_crash_between_sidecar_and_dump_leaves_no_backup_and_the_next_run_finishes(
    nights: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = Vault.delete_version

    def crash(vault: Vault, version: ObjectVersion) -> None:
        if not version.key.endswith(SIDECAR_SUFFIX):
            raise SystemExit
        delete(vault, version)

    with monkeypatch.context() as patch:
        patch.setattr(Vault, "delete_version", crash)
        with pytest.raises(SystemExit):
            nights.carry_out(nights.plan())
    entries = {entry.key: entry.state for entry in Catalog(nights.vault).entries(SOURCE)}
    half = FOLDER + name(5 * DAY).object_name
    assert entries.pop(half) == "incomplete"
    assert set(entries.values()) == {"complete"}
    assert [record.facts["backup"] for record in nights.deletions()] == [name(5 * DAY).stem]

    done = nights.carry_out(nights.plan(LATER))

    assert done.deleted == [name(age * DAY).stem for age in (5, 4, 3, 2)]
    assert {version.key.removesuffix(SIDECAR_SUFFIX) for version in nights.versions()} == {
        FOLDER + name(age * DAY).object_name for age in (1, 0)
    }
    assert "left by a killed attempt" in nights.deletions()[1].facts["reason"]
    assert evidence.check_chain(nights.vault) == 7 + 5


def test_a_deletion_that_s3_refuses_is_recorded_as_failed(nights: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    key = FOLDER + name(5 * DAY).object_name
    plan = nights.plan()
    nights.vault.client.put_object_legal_hold(Bucket=nights.vault.bucket, Key=key, LegalHold={"Status": "ON"})
    monkeypatch.setattr(Vault, "lock", lambda *_: None)  # locked in the moment after it was looked at
    with pytest.raises(StoreRefused, match="AccessDenied"):
        nights.carry_out(plan)
    assert [record.outcome for record in nights.deletions()] == ["passed", "failed"]
    assert "AccessDenied" in nights.deletions()[1].facts["failures"][0]
    assert FOLDER + name(4 * DAY).object_name in {entry.key for entry in Catalog(nights.vault).entries(SOURCE)}


def test_leftovers_are_swept_when_they_are_old(nights: Shelf) -> None:
    dump = FOLDER + BackupName(NIGHT - 7 * DAY).object_name
    nights.put(dump, b"half")
    nights.put(f"{FOLDER}notes.encrypted", b"not ours")
    nights.vault.client.create_multipart_upload(Bucket=nights.vault.bucket, Key=dump)
    nights.vault.client.create_multipart_upload(Bucket=nights.vault.bucket, Key="elsewhere")
    young = nights.plan()
    assert dump not in {decision.key for decision in young.of("delete")}
    assert young.uploads == []
    done = nights.carry_out(nights.plan(LATER))
    assert done.deleted[0] == name(7 * DAY).stem
    assert done.aborted_uploads == [dump]
    assert nights.vault.versions(dump) == ()
    assert [upload.key for upload in nights.vault.unfinished_uploads("")] == ["elsewhere"]
    assert list(nights.vault.list(f"{FOLDER}notes")) != []
    assert nights.deletions()[-1].facts["upload"]["key"] == dump


def test_a_dump_whose_sidecar_someone_has_hidden_is_no_leftover(nights: Shelf) -> None:
    key = FOLDER + name(4 * DAY).object_name
    nights.vault.client.delete_object(Bucket=nights.vault.bucket, Key=key + SIDECAR_SUFFIX)
    decision = next(decision for decision in nights.plan(LATER).decisions if decision.key == key)
    assert decision.action == "ignore"
    assert "a version of it is still there" in decision.reason


def test_p16_forged_foreign_and_original_ones_neither_count_nor_go(nights: Shelf) -> None:
    forged = nights.add(timedelta(hours=-1) / 60, drilled=True)
    sidecar = nights.vault.get(forged + SIDECAR_SUFFIX, max_bytes=10**6)
    nights.put(forged + SIDECAR_SUFFIX, sidecar.replace(b'"attempt": 1', b'"attempt": 2'))
    original = "private/db_backups/" + BackupName(NIGHT - 400 * DAY).object_name
    for suffix in ("", SIDECAR_SUFFIX):
        nights.put(original + suffix, b"{}")
    plan = nights.plan()
    assert "does not count" in str(plan.blocked)
    assert (plan.decisions[0].action, plan.decisions[0].key) == ("ignore", forged)
    assert "altered" in plan.decisions[0].reason
    assert original not in {decision.key for decision in plan.decisions}
    with pytest.raises(RetentionRefused):
        nights.carry_out(plan)
    assert nights.deletions() == []


def test_a_drill_that_failed_later_takes_the_proof_away(nights: Shelf) -> None:
    facts = {"picked": {"backup_id": nights.ids[name(DAY).stem]}}
    evidence.append(nights.vault, nights.vault, "drill", SOURCE, "failed", facts)
    assert nights.plan().of("delete") == []


def test_evidence_of_another_source_proves_nothing(shelf: Shelf) -> None:
    for age in range(5, -1, -1):
        shelf.add(age * DAY)
    facts = {"picked": {"backup_id": shelf.ids[name(DAY).stem]}}
    evidence.append(shelf.vault, shelf.vault, "drill", "other", "passed", facts)
    plan = shelf.plan()
    assert (plan.blocked, plan.of("delete")) == (None, [])


def test_broken_evidence_blocks_everything(nights: Shelf) -> None:
    second = sorted(item.key for item in nights.vault.list("private/db_backups/evidence/"))[1]
    nights.vault.client.delete_object(Bucket=nights.vault.bucket, Key=second)
    assert "the evidence cannot be relied on: The evidence chain breaks" in str(nights.plan().blocked)


# Safety backups ---------------------------------------------------------------------------------------------


def test_old_safety_backups_go_with_the_retention_of_their_source(nights: Shelf) -> None:
    made = [nights.add(age * DAY, source=f"{SOURCE}-safety") for age in (1, 20, 30, 40)]
    nights.add(50 * DAY, source=f"{SOURCE}-safety", verified=False)
    hold = f"{made[2].partition('.sql')[0]}.hold"
    nights.put(hold)
    # They were stored now: so it is the retention of half a year later, when a night is still thought recent.
    policy = nights.policy.model_copy(
        update={"drill": nights.policy.drill.model_copy(update={"rpo_target_hours": 1e4})}
    )
    main = plan_retention(SOURCE, policy, nights.vault, nights.keyring, NIGHT + 180 * DAY)
    assert main.blocked is None
    assert {decision.key for decision in main.decisions}.isdisjoint(made)

    safety = plan_safety_retention(main, policy, nights.vault, nights.keyring)

    assert safety is not None
    assert [(decision.action, decision.reason) for decision in safety.decisions] == [
        ("keep", "the newest"), ("delete", "older than 90 days"), ("keep", f"held by {hold}"),
        ("delete", "older than 90 days"), ("delete", "older than 90 days"),
    ]  # fmt: skip
    before = nights.versions()
    assert nights.carry_out(safety).deleted == [name(age * DAY).stem for age in (50, 40, 20)]
    assert nights.versions() == before, "another source's are left alone"
    assert {record.source for record in nights.deletions()} == {f"{SOURCE}-safety"}
    left = [entry.key for entry in Catalog(nights.vault).entries(f"{SOURCE}-safety")]
    assert left == [made[0], made[2]]
    young = plan_safety_retention(nights.plan(), nights.policy, nights.vault, nights.keyring)
    assert young is not None and young.of("delete") == []


def test_a_source_without_safety_backups_has_no_plan_for_them(nights: Shelf) -> None:
    assert plan_safety_retention(nights.plan(), nights.policy, nights.vault, nights.keyring) is None


# On the command line ----------------------------------------------------------------------------------------


@pytest.fixture
def shell(nights: Shelf, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("BACKUP_POLICY", str(nights.file))
    for role in ROLES:
        monkeypatch.setenv(f"AIRFLOW_CONN_AWS_BACKUP_{role}", aws.airflow_connection())
    return nights


def test_the_command_only_plans(shell: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    before = shell.versions()
    assert main(["retention"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:6]] == [
        ["keep" if age < 2 else "delete", name(age * DAY).stem] for age in range(6)
    ]
    assert lines[-1] == "Retention of surgicase: keep 2, delete 4, ignore 0, abort 0 uploads"
    assert shell.versions() == before


def test_the_command_deletes_when_told_so(shell: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retention", "--apply", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["applied"]["deleted"] == [name(age * DAY).stem for age in (5, 4, 3, 2)]
    assert (document["safety_plan"], document["safety_applied"]) == (None, None)
    assert [record.facts["backup"] for record in shell.deletions()] == document["applied"]["deleted"]
    assert RetentionPlan.model_validate(document["plan"]).of("delete")[0].name == name(2 * DAY).stem
    assert shell.names() == [name(timedelta()).stem, name(DAY).stem]


def test_the_command_looks_at_the_safety_backups_of_the_source_too(
    shell: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.add(100 * DAY, source=f"{SOURCE}-safety")
    assert main(["retention", "--apply", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [decision["reason"] for decision in document["safety_plan"]["decisions"]] == ["the newest"]
    assert document["safety_applied"]["deleted"] == []
    assert main(["retention", "--apply"]) == 0
    out = capsys.readouterr().out
    assert "Retention of surgicase-safety: keep 1, delete 0" in out
    assert out.endswith("surgicase-safety: deleted 0, refused 0, aborted 0 uploads\n")
    assert main(["retention", "--source", f"{SOURCE}-safety"]) == 1


def test_without_its_connection_nothing_is_deleted(
    shell: Shelf, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_AWS_BACKUP_RETENTION")
    before = shell.versions()
    assert main(["retention", "--apply"]) == 1
    assert "aws_backup_retention is not defined" in capsys.readouterr().err
    assert shell.versions() == before


def test_the_command_refuses_to_delete_while_the_plan_is_blocked(
    shell: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.add(timedelta(minutes=-1), verified=False)
    assert main(["retention"]) == 0
    assert main(["retention", "--apply"]) == 1
    assert "RetentionRefused: Nothing was deleted: no evidence says" in capsys.readouterr().err
