"""Re-wrapping: a new copy of the data key, the object untouched, and the old key can go."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.backup_engine import evidence
from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import compare_with_snapshot
from include.backup_engine.crypto.sidecar import parse, with_copy, wrapped_copies
from include.backup_engine.errors import (
    BackupChanged,
    EvidenceError,
    KeyUnavailable,
    RewrapRefused,
    SidecarTampered,
    StoreError,
)
from include.backup_engine.names import SIDECAR_SUFFIX, encryption_context
from include.backup_engine.report import Reporter
from include.backup_engine.restore import create_database, restore
from include.backup_engine.rewrap import Rewrapped, Rewrapper, key_to_wrap_for, rewrap
from include.backup_engine.store.s3 import ObjectVersion, Vault
from tests.integration.keyed import DATABASE, EVERY_SERVER, OTHER_ACCOUNT, OTHER_REGION, Site
from tests.interop.break_glass import decrypt_backup
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB
from tests.servers.processes import ROOT


class Shelf(Site):
    """A site whose policy names an old key and a new one."""

    @property
    def old_key(self) -> str:
        return str(self.document["vault"]["data_key_id"])

    @property
    def new_key(self) -> str:
        return str(self.document["vault"]["further_data_key_ids"][0])

    def rewrap(self, name: str = "latest", to: str = "", apply: bool = True, vault: Vault | None = None) -> Rewrapped:
        roles = Rewrapper(self.keyring, vault or self.vault, self.vault) if apply else None
        return rewrap(
            self.entry(name), "clinic", to or self.new_key, self.policy(), self.vault, self.keyring, Reporter(), roles
        )

    def versions(self, suffix: str = "") -> list[ObjectVersion]:
        key = self.entry().key + suffix
        return [version for version in self.vault.versions(key) if version.key == key]

    def sidecar(self) -> bytes:
        raw = self.entry().raw_sidecar
        assert raw is not None
        return raw

    def old_style(self, format: str = "v2") -> str:
        """A backup with one key, from before there was another."""
        return self.back_up(format, further_data_key_ids=[])


@pytest.fixture(params=["here", "abroad", "foreign"])
def shelf(aws: Aws, mariadb_source: MariaDB, request: pytest.FixtureRequest) -> Shelf:
    """The new key in the same region and account, in another region, in another account."""
    region = OTHER_REGION if request.param == "abroad" else aws.region
    account = OTHER_ACCOUNT if request.param == "foreign" else "test"
    return Shelf.new(aws, mariadb_source, further_data_key_ids=[Site.key(aws, region, account)])


@pytest.fixture
def near(aws: Aws, mariadb_source: MariaDB) -> Shelf:
    return Shelf.new(aws, mariadb_source, further_data_key_ids=[Site.key(aws)])


# What it does -------------------------------------------------------------------------------------------------


def test_p40_the_old_key_can_go(shelf: Shelf, tmp_path: Path) -> None:
    name = shelf.old_style()
    before, entry = shelf.versions(), shelf.entry()
    with pytest.raises(RewrapRefused, match="do not accept"):
        key_to_wrap_for(Site.key(shelf.aws), shelf.policy(), shelf.keyring)
    assert key_to_wrap_for(shelf.new_key, shelf.policy(), shelf.keyring) == shelf.new_key
    planned = shelf.rewrap(apply=False)
    assert (planned.state, planned.opened_with) == ("planned", shelf.old_key)
    assert (shelf.sidecar(), shelf.records("rewrap")) == (entry.raw_sidecar, [])

    done = shelf.rewrap()

    assert done.state == "done"
    assert done.way == (
        "kms:ReEncrypt" if shelf.new_key.split(":")[3:5] == shelf.old_key.split(":")[3:5] else "kms:Encrypt"
    )
    assert shelf.versions() == before, "the object is not touched"
    was, now = json.loads(entry.raw_sidecar or b""), json.loads(shelf.sidecar())
    assert [key["key_arn"] for key in now["encrypted_data_keys"]] == [shelf.old_key, shelf.new_key]
    assert {field for field in now if now[field] != was[field]} == {"encrypted_data_keys", "sidecar_mac"}
    assert shelf.rewrap().state == shelf.rewrap(apply=False).state == "already"
    assert len(shelf.versions(SIDECAR_SUFFIX)) == 2
    assert shelf.opened(name, shelf.old_key).facts  # both keys do

    shelf.lose(shelf.old_key)
    with pytest.raises(KeyUnavailable, match="PendingDeletion"):
        shelf.opened(name, shelf.old_key)
    shelf.verify(name)
    _restores(shelf, name)
    _opens_without_us(shelf, name, tmp_path)


@pytest.mark.parametrize("flavour", ["mariadb-11", "mysql"])
def test_p40_the_old_key_can_go_whatever_server_the_backup_is_of(
    aws: Aws, request: pytest.FixtureRequest, flavour: str
) -> None:
    server = request.getfixturevalue(EVERY_SERVER[flavour])
    shelf = Shelf.new(aws, server, further_data_key_ids=[Site.key(aws)])
    name = shelf.old_style()
    shelf.rewrap()
    shelf.lose(shelf.old_key)
    with pytest.raises(KeyUnavailable, match="PendingDeletion"):
        shelf.opened(name, shelf.old_key)
    _restores(shelf, name)


def _restores(shelf: Shelf, name: str) -> None:
    backup, target = shelf.opened(name), f"drill_{DATABASE}_{os.urandom(3).hex()}"
    try:
        create_database(shelf.root, target, backup)
        restore(backup, shelf.root, target, shelf.policy(), shelf.keyring, Reporter(), Cancellation())
        assert backup.facts is not None
        assert compare_with_snapshot(backup.facts.census, shelf.root, target, Reporter(), events_disabled=True).equal
    finally:
        shelf.server.sql(f"DROP DATABASE IF EXISTS {target}")


def _opens_without_us(shelf: Shelf, name: str, folder: Path) -> None:
    account = shelf.new_key.split(":")[4]
    entry, environment = shelf.entry(name), {"AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "test"}
    for suffix in ("", SIDECAR_SUFFIX):
        file = folder / (entry.key.rsplit("/", 1)[-1] + suffix)
        file.write_bytes(shelf.vault.get(entry.key + suffix, max_bytes=10**7))
    sidecar = folder / (entry.key.rsplit("/", 1)[-1] + SIDECAR_SUFFIX)
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in (environment | {"AWS_ENDPOINT_URL": shelf.aws.url}).items():
            patch.setenv(variable, value)
        arguments = [sidecar.with_name(sidecar.name.removesuffix(SIDECAR_SUFFIX)), "--sidecar", sidecar, "--digest"]
        for keys, code in (((shelf.new_key,), 0), ((shelf.old_key, shelf.new_key), 0), ((shelf.old_key,), 4)):
            named = [word for key in keys for word in ("--key-arn", key)]
            assert decrypt_backup(folder, *arguments, *named, "--source", "clinic").returncode == code


def test_the_original_format_changes_its_only_key(near: Shelf) -> None:
    name = near.old_style("v1")
    before = near.versions()
    done = near.rewrap()
    assert (done.state, done.way, near.versions()) == ("done", "kms:ReEncrypt", before)
    sidecar = parse(near.sidecar())
    assert [copy.key_arn for copy in wrapped_copies(sidecar)] == [sidecar.kms_key_id] == [near.new_key]
    near.lose(near.old_key)
    near.verify(name)
    assert near.rewrap().state == "already"


def test_what_the_original_system_made_is_refused(near: Shelf) -> None:
    near.old_style("v1")
    fields = ("kms_key_id", "encrypted_data_key", "iv", "auth_tag", "algorithm", "metadata", "encrypted_file_size")
    document = {field: json.loads(near.sidecar())[field] for field in fields}
    near.aws.s3.put_object(Bucket=near.vault.bucket, Key=near.entry().sidecar_key, Body=json.dumps(document).encode())
    with pytest.raises(RewrapRefused, match="original system"):
        near.rewrap()


def test_fields_of_a_later_release_survive(near: Shelf) -> None:
    """They are under the seal; whoever drops them destroys what a newer reader needs."""
    name = near.old_style()
    backup = near.opened(name)
    assert backup.facts is not None
    context = encryption_context("clinic", backup.name, backup.facts.backup_id)
    later, copy = json.loads(near.sidecar()) | {"of_a_later_release": {"number": 1.0}}, backup.opened.opened_with
    with near.keyring.unwrap([copy], context, [near.old_key]) as data_key:
        sealed = with_copy(json.dumps(later).encode(), copy, data_key)
    near.vault.replace(near.entry().sidecar_key, sealed, content_type="application/json", etag=_etag(near))
    assert near.rewrap().state == "done"
    assert json.loads(near.sidecar())["of_a_later_release"] == {"number": 1.0}


def _etag(shelf: Shelf) -> str:
    etag = shelf.vault.head(shelf.entry().sidecar_key).etag
    assert etag is not None
    return etag


def test_the_new_version_is_locked_as_the_policy_says(near: Shelf) -> None:
    near.document["vault"]["object_lock"] = {"mode": "GOVERNANCE", "days": 1}
    near.old_style()
    near.rewrap()
    assert len(near.versions(SIDECAR_SUFFIX)) == 2
    for version in near.versions(SIDECAR_SUFFIX):
        assert "GOVERNANCE" in (near.vault.lock(version.key, version.version_id) or "")


# What goes wrong ----------------------------------------------------------------------------------------------


class Meanwhile(Vault):
    """Somebody else is quicker, or the process dies, just before or after the sidecar is written."""

    before: Any = staticmethod(lambda: None)
    after: Any = staticmethod(lambda: None)

    def replace(self, *arguments: Any, **options: Any) -> Any:
        self.before()
        stored = super().replace(*arguments, **options)
        self.after()
        return stored


def test_of_two_at_once_one_loses_cleanly(near: Shelf) -> None:
    third = Site.key(near.aws)
    near.document["vault"]["further_data_key_ids"].append(third)
    name = near.old_style()
    vault = Meanwhile(near.aws.s3, near.vault.policy)
    vault.before = lambda: near.rewrap(to=third)
    with pytest.raises(BackupChanged, match="has been changed since it was read"):
        near.rewrap(vault=vault)
    assert [copy.key_arn for copy in wrapped_copies(parse(near.sidecar()))] == [near.old_key, third]
    assert sorted((record.outcome, record.facts["key_arn"]) for record in near.records("rewrap")) == sorted(
        [("passed", near.new_key), ("passed", third), ("failed", near.new_key)]
    )
    assert near.rewrap().state == "done"  # the loser tries again
    for key in (near.old_key, third, near.new_key):
        near.verify(name, key)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_halfway(near: Shelf, moment: str) -> None:
    name = near.old_style()
    vault = Meanwhile(near.aws.s3, near.vault.policy)

    def die() -> None:
        raise KeyboardInterrupt

    setattr(vault, moment, die)
    with pytest.raises(KeyboardInterrupt):
        near.rewrap(vault=vault)
    near.verify(name, near.old_key)
    next_night = near.back_up()
    assert evidence.check_links(near.vault, "clinic") == 1
    assert near.rewrap(name).state == ("done" if moment == "before" else "already")
    near.verify(name, near.new_key)
    near.verify(next_night)
    assert evidence.check_links(near.vault, "clinic") == 1


def test_a_write_that_fails_is_recorded(near: Shelf) -> None:
    near.old_style()
    before = near.sidecar()
    vault = Meanwhile(near.aws.s3, near.vault.policy)

    def fail() -> None:
        raise StoreError("S3 is gone.", "Wait.")

    vault.before = fail
    with pytest.raises(StoreError):
        near.rewrap(vault=vault)
    assert near.sidecar() == before
    assert [record.outcome for record in near.records("rewrap")] == ["passed", "failed"]
    assert near.records("rewrap")[1].facts["failures"] == ["S3 is gone."]


def test_a_tampered_sidecar_is_not_made_genuine(near: Shelf) -> None:
    near.old_style()
    document = json.loads(near.sidecar()) | {"database": "another"}
    near.aws.s3.put_object(Bucket=near.vault.bucket, Key=near.entry().sidecar_key, Body=json.dumps(document).encode())
    with pytest.raises(SidecarTampered):
        near.rewrap()
    assert near.records("rewrap") == []


# The chain ----------------------------------------------------------------------------------------------------


def test_the_chain_knows_what_a_rewrap_has_changed(near: Shelf) -> None:
    first, _, last = near.old_style(), near.old_style(), near.old_style()
    digest = hashlib.sha256(near.entry(first).raw_sidecar or b"").hexdigest()
    assert evidence.check_links(near.vault, "clinic") == 2
    done = near.rewrap(first)
    [record] = near.records("rewrap")
    assert (record.outcome, record.source) == ("passed", "clinic")
    assert record.facts["previous_sidecar_sha256"] == digest
    assert record.facts["sidecar_sha256"] == hashlib.sha256(near.entry(first).raw_sidecar or b"").hexdigest()
    assert record.facts["backup_id"] == done.backup_id
    assert evidence.check_links(near.vault, "clinic") == 2
    near.rewrap(last)
    near.back_up()  # follows from the sidecar as it is by then
    assert evidence.check_links(near.vault, "clinic") == 3
    sidecar = near.entry(first).sidecar_key
    near.aws.s3.put_object(Bucket=near.vault.bucket, Key=sidecar, Body=(near.entry(first).raw_sidecar or b"") + b" ")
    with pytest.raises(EvidenceError, match="was changed without a record"):
        evidence.check_links(near.vault, "clinic")
    near.aws.s3.delete_object(Bucket=near.vault.bucket, Key=sidecar)
    with pytest.raises(EvidenceError, match="was removed without a record"):
        evidence.check_links(near.vault, "clinic")


# The command --------------------------------------------------------------------------------------------------


@pytest.fixture
def run(near: Shelf, tmp_path: Path) -> Iterator[Any]:
    """The command line in a process of its own."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(near.document))
    environment = {"PATH": os.environ["PATH"], "BACKUP_POLICY": str(policy)} | {
        f"AIRFLOW_CONN_AWS_BACKUP_{role}": near.aws.airflow_connection() for role in ("READER", "WRITER", "REWRAP")
    }

    def run(*arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "include.backup_engine", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    yield run


def test_all_backups_of_a_source(near: Shelf, run: Any) -> None:
    names = [near.old_style(), near.old_style("v1"), near.back_up()]
    assert [
        line.split(" (")[0].split(maxsplit=1) for line in run("rewrap", "--all", "--to", near.new_key).splitlines()
    ] == [
        [names[0], "would be re-wrapped"],
        [names[1], "would be re-wrapped"],
        [names[2], "opens with it already"],
    ]
    assert near.records("rewrap") == []
    answer = json.loads(run("rewrap", "--all", "--to", near.new_key, "--apply", "--json"))
    assert [(item["backup"], item["state"]) for item in answer["backups"]] == list(
        zip(names, ["done", "done", "already"], strict=True)
    )
    assert (answer["failed"], len(near.records("rewrap"))) == ({}, 2)
    assert "opens with it already" in run("rewrap", names[0], "--to", near.new_key, "--apply")
    stranger = Site.key(near.aws)
    assert "RewrapRefused: Readers do not accept" in run("rewrap", "--all", "--to", stranger, "--apply", code=1)


def test_one_that_cannot_be_done_does_not_keep_the_others_from_it(near: Shelf, run: Any) -> None:
    bad, good = near.old_style(), near.old_style()
    document = json.loads(near.entry(bad).raw_sidecar or b"") | {"database": "another"}
    key = near.entry(bad).sidecar_key
    near.aws.s3.put_object(Bucket=near.vault.bucket, Key=key, Body=json.dumps(document).encode())
    said = run("rewrap", "--all", "--to", near.new_key, "--apply", code=1)
    assert "1 of 2 backups have no copy under" in said
    near.verify(good, near.new_key)
