"""Which keys the backups need, and what is lost with one: told of a bucket whose keys and backups are known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, timedelta
from pathlib import Path

import pytest
import yaml

from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.sidecar import parse, wrapped_copies
from include.backup_engine.errors import BackupError, KeyUnavailable, PreflightError
from include.backup_engine.key_report import KeyReport, key_warnings, report_keys
from include.backup_engine.policy import Policy
from include.backup_engine.preflight import preflight
from include.backup_engine.report import Reporter
from include.backup_engine.staged import dump_to_staging, encrypt_staged, upload_staged
from tests.integration.keyed import EVERY_SERVER, FIRST_NIGHT, OTHER_ACCOUNT, OTHER_REGION, Site, kms_client
from tests.servers.localstack import Aws
from tests.servers.processes import ROOT, free_port

AFTER = FIRST_NIGHT + timedelta(days=400)


class Keys(Site):
    """A site with keys of its own: here, abroad, and S3's."""

    here: str
    abroad: str
    sse: str

    def report(self, policy: Policy | None = None) -> KeyReport:
        return report_keys(policy or self.policy(), self.vault, self.keyring, AFTER)

    def lost(self, key: str) -> list[str]:
        return [name.removeprefix("clinic/") for name in self.report().of(key, self.keyring).lost_data_keys]

    def check(self, policy: Policy, keyring: Keyring | None = None) -> list[str]:
        """The warnings of a preflight, which passes."""
        said: list[str] = []
        reporter = Reporter()
        reporter.warn = lambda text, **_: said.append(text)  # type: ignore[method-assign]  # a log to look into
        keys = keyring or self.keyring
        preflight("clinic", policy, self.root, self.vault, keys, keys, reporter)
        return said


@pytest.fixture
def site(aws: Aws, request: pytest.FixtureRequest) -> Keys:
    server = request.getfixturevalue(EVERY_SERVER[getattr(request, "param", "mariadb")])
    here, abroad, sse = Site.key(aws), Site.key(aws, OTHER_REGION), Site.key(aws)
    site = Keys.new(aws, server, data_key_id=here, sse_key_id=sse, further_data_key_ids=[abroad])
    site.here, site.abroad, site.sse = here, abroad, sse
    return site


# The report ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", EVERY_SERVER, indirect=True)
def test_p40_figures_of_a_known_bucket(site: Keys) -> None:
    alone = site.back_up(further_data_key_ids=[])
    original = site.back_up("v1", further_data_key_ids=[])
    both = site.back_up()
    elsewhere = site.back_up(data_key_id=site.abroad, further_data_key_ids=[], allowed_data_keys=[site.abroad])
    sizes = {name: site.entry(name).size or 0 for name in (alone, original, both, elsewhere)}

    report = site.report()

    assert (report.backups, report.unproven) == (4, {})
    uses = {use.key.arn: use for use in report.keys}
    assert set(uses) == {site.here, site.abroad, site.sse}
    here, abroad, sse = uses[site.here], uses[site.abroad], uses[site.sse]
    assert (here.data_keys, here.bytes) == (3, sizes[alone] + sizes[original] + sizes[both])
    assert (abroad.data_keys, abroad.bytes) == (2, sizes[both] + sizes[elsewhere])
    assert (sse.data_keys, sse.bytes, sse.sse, sse.lost_data_keys) == (0, 0, 4, [])
    assert (here.oldest, here.newest) == (FIRST_NIGHT + timedelta(days=1), FIRST_NIGHT + timedelta(days=3))
    assert (here.oldest_days, abroad.oldest_days, sse.oldest_days) == (399, 397, None)
    assert sorted(here.lost) == [f"clinic/{alone}", f"clinic/{original}"]
    assert abroad.lost == [f"clinic/{elsewhere}"]
    assert sorted(sse.lost) == sorted(f"clinic/{name}" for name in sizes)
    for use in uses.values():
        assert (use.key.state, use.key.origin, use.key.rotation, use.key.rotated_at) == (
            "Enabled",
            "AWS_KMS",
            False,
            None,
        )
        assert use.key.created is not None and use.key.created.astimezone(UTC).year >= 2026
    text = "\n".join(here.lines())
    assert "data keys of 3 backups" in text and "399 days old" in text and "2 backups are lost" in text


def test_a_copy_under_a_key_that_is_about_to_go_is_no_other_copy(site: Keys) -> None:
    both = site.back_up()
    assert site.lost(site.here) == site.lost(site.abroad) == []
    kms_client(site.aws, OTHER_REGION).disable_key(KeyId=site.abroad)
    assert site.lost(site.here) == []  # it can be enabled again
    site.lose(site.abroad)
    assert site.lost(site.here) == [both]
    assert site.lost(site.abroad) == []
    use = site.report().of(site.abroad, site.keyring)
    assert use.key.state == "PendingDeletion"
    assert use.key.deletion_date is not None
    assert f"PendingDeletion on {use.key.deletion_date:%Y-%m-%d}" in "\n".join(use.lines())


def test_a_key_may_be_named_in_every_way(site: Keys) -> None:
    site.back_up(further_data_key_ids=[])
    kms = site.aws.kms
    alias = f"alias/report-{os.urandom(4).hex()}"
    kms.create_alias(AliasName=alias, TargetKeyId=site.here)
    kms.enable_key_rotation(KeyId=site.here)
    report = site.report()
    for name in (site.here, site.here.rpartition("/")[2], alias):
        use = report.of(name, site.keyring)
        assert (use.key.arn, use.key.aliases, use.key.rotation, len(use.lost)) == (site.here, (alias,), True, 1)
    unused = Site.key(site.aws)
    assert (report.of(unused, site.keyring).lost, report.of(unused, site.keyring).data_keys) == ([], 0)
    with pytest.raises(KeyUnavailable):
        report.of("alias/no-such-alias", site.keyring)


def test_only_authentic_sidecars_count(site: Keys) -> None:
    """Somebody who writes the bucket claims a second copy, so that the first key is taken for superfluous."""
    name, good = site.back_up(further_data_key_ids=[]), site.back_up(further_data_key_ids=[])
    document = json.loads(site.entry(name).raw_sidecar or b"")
    document["encrypted_data_keys"].append(document["encrypted_data_keys"][0] | {"key_arn": site.abroad})
    key = site.entry(name).sidecar_key
    site.aws.s3.put_object(Bucket=site.vault.bucket, Key=key, Body=json.dumps(document).encode())
    report = site.report()
    assert report.backups == 1
    assert "fails authentication" in report.unproven[f"clinic/{name}"]
    assert site.lost(site.here) == [good]
    assert site.abroad not in {use.key.arn for use in report.keys}


def test_a_backup_whose_key_is_gone_already_is_counted_and_named(site: Keys) -> None:
    name = site.back_up(further_data_key_ids=[])
    site.lose(site.here)
    report = site.report()
    assert "PendingDeletion" in report.unproven[f"clinic/{name}"]
    assert site.lost(site.here) == [name]


def test_how_a_key_is_retired(site: Keys, tmp_path: Path) -> None:
    """As docs/operations.md says: name the new one, rewrap, see that nothing is lost, schedule the deletion."""
    site.back_up(further_data_key_ids=[])
    site.back_up("v1", further_data_key_ids=[])
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(site.document))
    connections = {
        f"AIRFLOW_CONN_AWS_BACKUP_{role}": site.aws.airflow_connection() for role in ("READER", "WRITER", "REWRAP")
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "include.backup_engine", *arguments],
            cwd=ROOT, env={"PATH": os.environ["PATH"], "BACKUP_POLICY": str(policy)} | connections,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    before = run("keys", "--if-deleted", site.here)
    assert before.count("no other key opens it") == 2
    assert before.endswith(f"2 backups are lost if {site.here} is deleted\n")
    run("rewrap", "--all", "--to", site.abroad, "--apply")
    assert run("keys", "--if-deleted", site.here) == f"0 backups are lost if {site.here} is deleted\n"
    assert len(json.loads(run("keys", "--if-deleted", site.sse, "--json"))["lost"]) == 2
    site.lose(site.here)
    assert json.loads(run("keys", "--json"))["backups"] == 2
    assert "2 backups are lost if it is deleted" in run("keys")
    for entry in ("latest", (FIRST_NIGHT + timedelta(days=1, hours=1)).isoformat()):
        site.verify(entry)


# Every night --------------------------------------------------------------------------------------------------


def test_a_key_that_backups_need_and_that_goes_is_told_loudly(site: Keys) -> None:
    site.back_up(further_data_key_ids=[])
    site.back_up()

    def said() -> list[str]:
        return key_warnings("clinic", site.vault, site.keyring)

    assert said() == []
    site.aws.kms.disable_key(KeyId=site.here)
    [told] = said()
    assert told.startswith(
        f"THE KMS KEY {site.here} IS DISABLED. It opens 2 backups of clinic, 1 of them have no other key"
    )
    site.lose(site.here)
    site.lose(site.abroad)
    assert sorted(line.split(" (")[0].partition("It opens ")[2].split(".")[0] for line in said()) == [
        "1 backups of clinic, 1 of them have no other key",
        "2 backups of clinic, 2 of them have no other key",
    ]
    assert all("IS PENDINGDELETION and will be deleted on " in line for line in said())


def test_preflight_names_a_further_key_that_cannot_be_used(site: Keys) -> None:
    assert site.check(site.policy()) == []
    foreign = Site.key(site.aws, account=OTHER_ACCOUNT)
    assert site.check(site.policy(further_data_key_ids=[site.abroad, foreign])) == []
    missing = site.abroad[:-12] + "0" * 12
    with pytest.raises(PreflightError) as caught:
        site.lose(foreign)
        site.check(site.policy(further_data_key_ids=[missing, site.abroad, foreign]))
    assert f"(1) The KMS key {missing} does not exist" in caught.value.cause
    assert f"(2) The KMS key {foreign} is in state PendingDeletion" in caught.value.cause
    assert "cancel its deletion" in caught.value.remedy
    kms = site.aws.kms
    alias = f"alias/twice-{os.urandom(4).hex()}"
    kms.create_alias(AliasName=alias, TargetKeyId=site.here)
    with pytest.raises(BackupError, match="is in further_data_key_ids and also"):
        site.check(site.policy(data_key_id=alias, further_data_key_ids=[site.here]))


def test_p19_one_key_for_both_is_refused(site: Keys) -> None:
    """By whatever name: else the writer, who must use the SSE key, could open backups."""
    policy = site.policy(data_key_id=site.sse.rpartition("/")[2], further_data_key_ids=[], allowed_data_keys=[])
    with pytest.raises(PreflightError, match="data_key_id and sse_key_id are the same KMS key"):
        site.check(policy)


def test_p20_a_backup_asks_kms_for_one_data_key(site: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    kms = site.aws.kms
    kms.meta.events.register("before-call.kms", lambda model, **_: asked.append(model.name))
    monkeypatch.setattr(type(site), "keyring", Keyring(kms))
    site.back_up(further_data_key_ids=[])
    assert asked.count("GenerateDataKey") == 1
    assert "Decrypt" not in asked
    assert len(asked) < 6


def test_a_region_that_is_down_costs_its_copy_and_not_the_backup(
    site: Keys, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    down = Aws(f"http://127.0.0.1:{free_port()}", OTHER_REGION)
    half = Keyring(site.aws.kms, lambda _: down.kms)
    [warning] = site.check(site.policy(), half)
    assert f"cannot be reached for kms:Encrypt on {site.abroad}" in warning
    with monkeypatch.context() as patch:
        patch.setattr(Keys, "keyring", half)
        name = site.back_up()
    assert f"The backup has no copy of its data key under {site.abroad}" in caplog.text
    sidecar = site.entry(name).sidecar
    assert sidecar is not None
    assert [copy.key_arn for copy in wrapped_copies(sidecar)] == [site.here]
    assert site.lost(site.here) == [name]


def test_staged_backups_have_every_key_too(site: Keys, tmp_path: Path) -> None:
    policy = site.policy()
    source = policy.source("clinic").model_copy(update={"staging_dir": tmp_path})
    job = site.job(policy.model_copy(update={"sources": {"clinic": source}}))
    dump_to_staging(job, site.root, Reporter(), Cancellation())
    encrypt_staged(job, site.keyring, Reporter())
    upload_staged(job, site.vault, Reporter(), Cancellation())
    assert [copy.key_arn for copy in wrapped_copies(parse(site.entry().raw_sidecar or b""))] == [site.here, site.abroad]
    site.lose(site.here)
    site.verify(job.name.stem)
