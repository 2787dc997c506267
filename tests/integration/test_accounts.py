"""Accounts beside a backup: stored encrypted, bound to it, read back by every verification, gone when it is."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from include.backup_engine import evidence
from include.backup_engine.__main__ import main
from include.backup_engine.accounts import open_accounts
from include.backup_engine.crypto.sidecar import Sidecar
from include.backup_engine.deletion import carry_out
from include.backup_engine.errors import AccountsMissing, ContentIncomplete, PreflightError, StoredCopyDiffers
from include.backup_engine.preflight import preflight
from include.backup_engine.report import Reporter
from include.backup_engine.retention_survey import plan_retention
from include.backup_engine.rewrap import Rewrapper, rewrap
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.verify import verify
from tests.integration.keyed import DATABASE, Site
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB

PASSWORD = "Pa55-of-kept-nurse"
OWNED = f"CREATE DEFINER = kept_nurse@'%' PROCEDURE {DATABASE}.tidy() SELECT 1"


@pytest.fixture(scope="module")
def site(aws: Aws, mariadb_source: MariaDB) -> Iterator[Site]:
    mariadb_source.sql(f"CREATE USER kept_nurse@'%' IDENTIFIED BY '{PASSWORD}'; CREATE ROLE kept_role")
    site = Site.new(aws, mariadb_source)
    mariadb_source.sql(f"{OWNED}; GRANT SELECT ON {DATABASE}.* TO kept_role; GRANT kept_role TO kept_nurse@'%'")
    site.document["sources"]["clinic"]["accounts"] = True
    yield site
    mariadb_source.sql("DROP USER kept_nurse@'%'; DROP ROLE kept_role")


@pytest.fixture(scope="module")
def night(site: Site) -> str:
    return site.back_up()


@pytest.fixture(scope="module")
def secret(site: Site) -> str:
    [[digest]] = site.server.sql(f"SELECT PASSWORD('{PASSWORD}')")
    return str(digest)


def key_of(site: Site, night: str) -> str:
    return site.entry(night).key + ".accounts"


def test_they_are_stored_and_opened_with_the_backup_s_key(site: Site, night: str, secret: str) -> None:
    sidecar = site.entry(night).sidecar
    assert isinstance(sidecar, Sidecar) and sidecar.accounts
    stored = site.vault.head(key_of(site, night))
    assert (stored.sse, stored.version_id) == ("aws:kms", sidecar.accounts.version_id)
    assert sidecar.accounts.message_id != sidecar.iv
    found = open_accounts(site.opened(night), site.policy(), site.keyring)
    assert (len(found.accounts), found.roles) == (sidecar.accounts.accounts, sidecar.accounts.roles)
    [nurse] = [account for account in found.accounts if account.user == "kept_nurse"]
    assert nurse.privileges == ["`kept_role`"]
    assert secret in nurse.create
    assert secret not in repr(found)


def test_the_catalogue_does_not_take_them_for_a_backup(site: Site, night: str) -> None:
    assert site.entry(night).state == "complete"
    assert all(not entry.key.endswith(".accounts") for entry in Catalog(site.vault).entries("clinic"))


def test_no_log_and_no_clear_object_has_a_hash(site: Site, secret: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        night = site.back_up(reporter=Reporter(logging.getLogger("canary")))
        site.verify(night)
    assert "Accounts read" in caplog.text
    assert secret not in caplog.text and secret[1:].lower() not in caplog.text.lower()
    raw = site.entry(night).raw_sidecar
    assert raw and secret.encode() not in raw and b"kept_role" not in raw
    assert secret.encode() not in b"".join(site.vault.read(key_of(site, night)))


def test_a_verification_reads_them_and_names_code_without_an_owner(
    site: Site, night: str, caplog: pytest.LogCaptureFixture
) -> None:
    verification = verify(site.opened(night), site.policy(), site.keyring, Reporter())
    accounts = site.opened(night).facts.accounts  # type: ignore[union-attr]  # it is ours
    assert accounts and verification.accounts == accounts.accounts
    site.server.sql("DROP USER kept_nurse@'%'")
    try:
        later = site.back_up()
    finally:
        site.server.sql(f"CREATE USER kept_nurse@'%' IDENTIFIED BY '{PASSWORD}'; GRANT kept_role TO kept_nurse@'%'")
    with caplog.at_level(logging.WARNING):
        site.verify(later)
    assert "not among them: kept_nurse@%" in caplog.text


def test_those_of_another_night_are_not_taken(site: Site, night: str) -> None:
    other, key = site.back_up(), key_of(site, night)
    good = b"".join(site.vault.read(key))
    for body in (b"".join(site.vault.read(key_of(site, other))), good[:-1], good[:-20] + b"x" + good[-19:]):
        broken = _without_pin(site, night, body)
        with pytest.raises(StoredCopyDiffers, match="not those that were stored with it"):
            open_accounts(broken, site.policy(), site.keyring)
        verification = verify(broken, site.policy(), site.keyring, Reporter())
        assert verification.tables == 1  # the database is good, whatever became of the accounts
        with pytest.raises(ContentIncomplete, match="not those that were stored with it"):
            verification.require_accounts()


def _without_pin(site: Site, night: str, body: bytes):  # type: ignore[no-untyped-def]  # a StoredBackup
    """The backup as it is read from a replica, whose versions are others, with another object in place of ours."""
    opened = site.opened(night)
    opened.beside = lambda name, version, limit: body  # type: ignore[method-assign]  # stands for a replica
    return opened


def test_when_they_are_gone_the_verification_says_so(site: Site) -> None:
    night = site.back_up()
    for version in site.vault.versions(key_of(site, night)):
        site.vault.delete_version(version)
    verification = verify(site.opened(night), site.policy(), site.keyring, Reporter())
    assert verification.accounts is None
    assert verification.accounts_problem == f"The accounts that were kept with {night} are gone."


def test_a_backup_without_them_says_so(site: Site, aws: Aws, mariadb_source: MariaDB) -> None:
    plain = Site.new(aws, mariadb_source)
    mariadb_source.sql(OWNED)
    night = plain.back_up()
    assert "accounts" not in json.loads(plain.entry(night).raw_sidecar or b"")
    with pytest.raises(AccountsMissing):
        open_accounts(plain.opened(night), plain.policy(), plain.keyring)
    assert verify(plain.opened(night), plain.policy(), plain.keyring, Reporter()).accounts is None


def test_a_rewrapped_backup_opens_them_with_the_new_key(site: Site, night: str, aws: Aws) -> None:
    new = site.key(aws)
    policy = site.policy(further_data_key_ids=[new])
    rewrapper = Rewrapper(site.keyring, site.vault, site.vault)
    rewrap(site.entry(night), "clinic", new, policy, site.vault, site.keyring, Reporter(), rewrapper)
    only = site.policy(allowed_data_keys=[new])
    assert open_accounts(site.opened(night, new), only, site.keyring).accounts


def test_preflight_names_the_missing_grant(site: Site, mariadb_source: MariaDB) -> None:
    mariadb_source.sql(
        "CREATE USER kept_backup@'%' IDENTIFIED BY 'x'; GRANT RELOAD ON *.* TO kept_backup@'%';"
        f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {DATABASE}.* TO kept_backup@'%';"
        "GRANT SELECT ON mysql.proc TO kept_backup@'%'"
    )
    where = mariadb_source.endpoint
    low = replace(site.root, host=where.host, port=where.port, unix_socket=None, user="kept_backup", password="x")

    def check() -> None:
        preflight("clinic", site.policy(), low, site.vault, site.keyring, site.keyring, Reporter())

    try:
        with pytest.raises(PreflightError) as refused:
            check()
        assert refused.value.remedy == "GRANT SELECT ON mysql.* TO the account, or set accounts: false."
        mariadb_source.sql("GRANT SELECT ON mysql.* TO kept_backup@'%'")
        check()
    finally:
        mariadb_source.sql("DROP USER kept_backup@'%'")


def test_retention_deletes_them_with_their_backup(aws: Aws, site: Site) -> None:
    own = Site.new(aws, site.server)
    site.server.sql(OWNED)
    own.document["sources"]["clinic"]["accounts"] = True
    own.document["retention"] = {"daily": 1, "weekly": 0, "monthly": 0, "yearly": 0, "minimum": 1}
    first, last = own.back_up(), own.back_up()
    for night in (first, last):
        backup_id = own.opened(night).facts.backup_id  # type: ignore[union-attr]  # it is ours
        for kind, facts in (("backup", {"backup_id": backup_id}), ("drill", {"picked": {"backup_id": backup_id}})):
            evidence.append(own.vault, own.vault, kind, "clinic", "passed", facts)  # type: ignore[arg-type]
    policy, now = own.policy(), own.entry(last).taken_at + timedelta(hours=1)
    keys = {night: key_of(own, night) for night in (first, last)}
    plan = plan_retention("clinic", policy, own.vault, own.keyring, now)
    assert carry_out(plan, own.vault, own.vault, own.vault, Reporter()).deleted
    assert own.vault.versions(keys[first]) == ()
    assert len(own.vault.versions(keys[last])) == 1
    assert own.vault.versions(keys[first].removesuffix(".accounts")) == ()


@pytest.fixture
def desk(
    site: Site, mariadb_scratch: MariaDB, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., int]]:
    """The command line, with an administrator of another server as its target."""
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(site.document))
    extra = {"unix_socket": str(mariadb_scratch.endpoint.socket)}
    new_server = {"conn_type": "mysql", "host": "localhost", "login": "root", "extra": extra}
    low = {"conn_type": "mysql", "host": "127.0.0.1", "port": mariadb_scratch.endpoint.port, "login": "kept_low",
           "password": "x"}  # fmt: skip
    for name, value in (("NEW", json.dumps(new_server)), ("LOW", json.dumps(low))):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", value)
    for role in ("READER", "WRITER"):
        monkeypatch.setenv(f"AIRFLOW_CONN_AWS_BACKUP_{role}", site.aws.airflow_connection())
    monkeypatch.setenv("BACKUP_POLICY", str(file))
    mariadb_scratch.sql(
        "CREATE USER kept_low@'%' IDENTIFIED BY 'x'; GRANT ALL ON `clinic\\_%`.* TO kept_low@'%';"
        "GRANT SELECT ON mysql.user TO kept_low@'%'; SET GLOBAL log_bin_trust_function_creators = 1"
    )
    yield lambda *arguments: main(["accounts" if arguments[0] == "accounts" else "recover", *arguments[1:]])
    mariadb_scratch.sql(
        "DROP USER IF EXISTS kept_low@'%', kept_nurse@'%'; DROP ROLE IF EXISTS kept_role;"
        "DROP DATABASE IF EXISTS clinic_new"
    )


def test_the_command_line_names_them_and_writes_them_down(
    site: Site, night: str, secret: str, desk: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "accounts.sql"
    assert desk("accounts", night, "--output", str(file), "--json") == 0
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert {"name": "kept_nurse@%", "role": False, "privileges": ["`kept_role`"]} in answer["accounts"]
    assert secret not in shown.out + shown.err
    assert file.stat().st_mode & 0o777 == 0o600
    lines = file.read_text().splitlines()
    assert f"CREATE USER `kept_nurse`@`%` IDENTIFIED BY PASSWORD '{secret}';" in lines
    assert lines.index("CREATE ROLE `kept_role`;") < lines.index("GRANT `kept_role` TO `kept_nurse`@`%`;")
    assert desk("accounts", night) == 0
    assert "kept_role (role)\n  SELECT ON `keyed`.*\n" in capsys.readouterr().out


def test_recover_brings_them_to_a_new_server_if_asked(
    site: Site, night: str, secret: str, desk: Callable[..., int], capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture, mariadb_scratch: MariaDB,
) -> None:  # fmt: skip
    to = (night, "--target-database", "clinic_new", "--accounts", "--target-conn-id")
    assert desk("recover", *to, "low", "--json") == 1
    refused = capsys.readouterr()
    plan = json.loads(refused.out)["plan"]
    assert {"kept_role", "kept_nurse@%"} <= set(plan["accounts"])
    assert any("to create the accounts, this one lacks CREATE USER ON *.*" in blocker for blocker in plan["blockers"])
    assert any("root@localhost" in note and "left alone" in note for note in plan["notes"])
    assert mariadb_scratch.sql("SELECT user FROM mysql.user WHERE user LIKE 'kept\\_n%%'") == []
    assert desk("recover", *to, "new", "--restore", "--json") == 0
    done = capsys.readouterr()
    accounts = json.loads(done.out)["accounts"]
    assert {"kept_role", "kept_nurse@%"} <= set(accounts["created"])
    assert accounts["refused"] == {}
    [[created]] = mariadb_scratch.sql("SHOW CREATE USER kept_nurse@'%'")
    assert secret in created
    assert ("GRANT `kept_role` TO `kept_nurse`@`%`",) in mariadb_scratch.sql("SHOW GRANTS FOR kept_nurse@'%'")
    assert mariadb_scratch.sql("SELECT user FROM mysql.roles_mapping WHERE role = 'kept_role'") == [("kept_nurse",)]
    assert secret not in refused.out + refused.err + done.out + done.err + caplog.text
    records = site.records("recovery")
    assert records[-1].facts["accounts"]["created"] == accounts["created"]
    for name in accounts["created"]:
        user, at, host = name.rpartition("@")
        if user not in ("kept_nurse", ""):
            mariadb_scratch.sql(f"DROP USER IF EXISTS `{user}`@`{host}`" if at else f"DROP ROLE `{name}`")
