"""The runbook is right: every command in it is run, in its order, against what it is for, and must achieve it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import compare_with_snapshot
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.sidecar import BackupFacts
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import SIDECAR_SUFFIX, BackupName
from include.backup_engine.policy import load_policy
from include.backup_engine.records import Chain
from include.backup_engine.report import Reporter
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from tests.demo.surgicase import connector, generate
from tests.servers.environments import aws_command_line
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB
from tests.servers.processes import ROOT

DOCUMENTS = (ROOT / "docs" / "runbook.md", ROOT / "include" / "break_glass" / "README.md")
DATABASE = "runbook"
RESTORED = f"{DATABASE}_restored"
NURSE = "runbook_nurse"
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_RUN = re.compile(r"console run=(?P<name>[a-z0-9-]+)")


def blocks() -> dict[str, str]:
    """The commands of the documents, by name, in their order."""
    found: dict[str, str] = {}
    for document in DOCUMENTS:
        for fence in _FENCE.finditer(document.read_text()):
            named = _RUN.fullmatch(fence["info"])
            if fence["info"].startswith("json trigger="):
                continue  # configurations of disaster_recovery, which tests/e2e runs
            assert named, f"{document.name} has commands that no test runs: {fence['text']}"
            assert named["name"] not in found
            found[named["name"]] = fence["text"]
    return found


@dataclass
class World:
    """What the runbook is for: a server and the one that replaces it, a bucket and its replica, one backup."""

    server: MariaDB
    new_server: MariaDB
    aws: Aws
    bucket: str
    key: str
    facts: BackupFacts
    work: Path
    environment: dict[str, str]
    output: str = ""
    kept: dict[str, object] = field(default_factory=dict)

    def run(self, script: str) -> None:
        """As somebody would who pastes it, but stopping at the first command that fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.output = done.stdout
        assert done.returncode == 0, done.stdout + done.stderr

    def equal(self, server: MariaDB, database: str, *, events_disabled: bool) -> bool:
        """Whether a database is what the backup's source was."""
        endpoint = Endpoint(unix_socket=str(server.endpoint.socket), user="root")
        comparison = compare_with_snapshot(
            self.facts.census, endpoint, database, Reporter(), events_disabled=events_disabled
        )
        assert comparison.findings == []
        return comparison.equal

    def checksums(self, table: str, *databases: str) -> set[object]:
        return {self.server.sql(f"CHECKSUM TABLE `{database}`.`{table}`")[0][1] for database in databases}


def _option_file(path: Path, server: MariaDB) -> Path:
    path.write_text(f"[client]\nuser=root\nsocket={server.endpoint.socket}\n")
    return path


def _connection(server: MariaDB) -> str:
    extra = {"unix_socket": str(server.endpoint.socket)}
    return json.dumps({"conn_type": "mysql", "host": "localhost", "login": "root", "extra": extra})


def _programs(folder: Path) -> str:
    """A PATH with this environment's python, and AWS's command line, which cannot share it."""
    tools = aws_command_line()
    folder.mkdir()
    # By its interpreter: a script in a folder with a long or spaced name cannot start by itself.
    (folder / "aws").write_text(f'#!/bin/sh\nexec "{tools}/bin/python" "{tools}/bin/aws" "$@"\n')
    (folder / "aws").chmod(0o755)
    return os.pathsep.join([str(folder), str(ROOT / ".venv" / "bin"), os.environ["PATH"]])


@pytest.fixture(scope="module")
def world(
    mariadb_source: MariaDB, mariadb_scratch: MariaDB, aws: Aws, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder, suffix = tmp_path_factory.mktemp("runbook"), os.urandom(4).hex()
    key_arn = aws.kms.create_key()["KeyMetadata"]["Arn"]
    aws.kms.create_alias(AliasName=f"alias/runbook-{suffix}", TargetKeyId=key_arn)
    elsewhere = Aws(aws.url, "eu-west-1")
    replica = elsewhere.kms.create_key()["KeyMetadata"]["Arn"]
    bucket = aws.seed(bucket=f"runbook-{suffix}", data_key=f"alias/runbook-{suffix}").bucket
    replica_bucket = elsewhere.seed(bucket=f"runbook-{suffix}-replica")
    document = yaml.safe_load((ROOT / "include" / "policy.yaml").read_text())
    document["vault"] |= {
        "bucket": bucket,
        "data_key_id": f"alias/runbook-{suffix}",
        "further_data_key_ids": [replica],
    }
    document["sources"] = {"surgicase": {"conn_id": "surgicase_mysql", "database": DATABASE, "accounts": True}}
    policy_file = folder / "policy.yaml"
    policy_file.write_text(yaml.safe_dump(document))
    there = {
        "bucket": replica_bucket.bucket,
        "region": elsewhere.region,
        "data_key_id": replica,
        "further_data_key_ids": [key_arn],
        "sse_key_id": replica_bucket.sse_key_arn,
        "reader_conn_id": "aws_replica_reader",
    }
    replica_policy = folder / "replica-policy.yaml"
    replica_policy.write_text(yaml.safe_dump(document | {"vault": document["vault"] | there}))
    policy, keyring = load_policy(policy_file), Keyring(aws.kms, lambda region: Aws(aws.url, region).kms)
    vault = Vault(aws.s3, with_sse_key_arn(policy.vault, keyring))

    generate(connector(str(mariadb_source.endpoint.socket)), DATABASE, 5)
    mariadb_source.sql(
        f"CREATE USER {NURSE}@'%' IDENTIFIED BY 'Pa55-nurse'; GRANT SELECT ON {DATABASE}.* TO {NURSE}@'%'"
    )
    name = BackupName(datetime.now(UTC))
    endpoint = Endpoint(unix_socket=str(mariadb_source.endpoint.socket), user="root")
    back_up(
        BackupJob(policy, "surgicase", name, Chain(sequence=1)), endpoint, keyring, vault, Reporter(), Cancellation()
    )
    entry = Catalog(vault).find("surgicase", "latest")
    assert entry.sidecar is not None and entry.sidecar.facts is not None
    for key in (entry.key, entry.sidecar_key, f"{entry.key}.accounts"):  # what S3's replication does
        body = aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        elsewhere.s3.put_object(Bucket=replica_bucket.bucket, Key=key, Body=body)

    home, work = folder / "home", folder / "work"
    home.mkdir()
    _option_file(home / ".my.cnf", mariadb_source)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "PYTHONPATH"))}
    environment |= {
        "PATH": _programs(folder / "bin"),
        "HOME": str(home),
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_DEFAULT_REGION": aws.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AIRFLOW_CONN_AWS_BACKUP_READER": aws.airflow_connection(),
        "AIRFLOW_CONN_RECOVERY_MYSQL": _connection(mariadb_source),
        "AIRFLOW_CONN_NEW_SERVER_MYSQL": _connection(mariadb_scratch),
        "BACKUP_POLICY": str(policy_file),
        "NEW_SERVER_CNF": str(_option_file(folder / "new_server.cnf", mariadb_scratch)),
        "SOURCE": "surgicase",
        "DATABASE": DATABASE,
        "TABLE": "cases",
        "BACKUP": name.stem,
        "BUCKET": bucket,
        "PREFIX": policy.vault.prefix,
        "KEY_ARN": key_arn,
        "REPLICA_BUCKET": replica_bucket.bucket,
        "REPLICA_POLICY": str(replica_policy),
        "AIRFLOW_CONN_AWS_REPLICA_READER": elsewhere.airflow_connection(),
        "REPLICA_KEY_ARN": replica,
        "WORK": str(work),
    }
    yield World(mariadb_source, mariadb_scratch, aws, bucket, entry.key, entry.sidecar.facts, work, environment)
    for server in (mariadb_source, mariadb_scratch):
        server.sql(f"DROP USER IF EXISTS {NURSE}@'%'")
        for database in (DATABASE, RESTORED, "readme"):
            server.sql(f"DROP DATABASE IF EXISTS `{database}`")


# What is lost before a block is run, and what must be true afterwards.


def _lose_table(world: World) -> None:
    world.kept["triggers"] = world.server.sql(f"SHOW TRIGGERS FROM {DATABASE} LIKE 'cases'")
    world.server.sql(f"SET foreign_key_checks = 0; DROP TABLE {DATABASE}.cases")
    assert world.kept["triggers"]


def _lose_rows(world: World) -> None:
    world.environment["TABLE"] = "audit_log"
    world.server.sql(f"DELETE FROM {DATABASE}.audit_log ORDER BY id LIMIT 50")


def _drop(*databases: str) -> Callable[[World], None]:
    def drop(world: World) -> None:
        for database in databases:
            world.server.sql(f"DROP DATABASE IF EXISTS {database}")

    return drop


def _decoy(world: World) -> None:
    key = world.key + "-deleted"
    world.aws.s3.put_object(Bucket=world.bucket, Key=key, Body=b"x")
    world.aws.s3.delete_object(Bucket=world.bucket, Key=key)


def _overwrite(world: World) -> None:
    world.aws.s3.put_object(Bucket=world.bucket, Key=world.key, Body=os.urandom(1000))
    world.aws.s3.delete_object(Bucket=world.bucket, Key=world.key + SIDECAR_SUFFIX)


def _prepare_readme(world: World) -> None:
    file = world.work.parent / world.key.rsplit("/", 1)[-1]
    for suffix in ("", SIDECAR_SUFFIX):
        body = world.aws.s3.get_object(Bucket=world.environment["REPLICA_BUCKET"], Key=world.key + suffix)["Body"]
        file.with_name(file.name + suffix).write_bytes(body.read())
    census = world.facts.census
    world.server.sql(f"CREATE DATABASE readme CHARACTER SET {census.charset} COLLATE {census.collation}")
    world.environment |= {"FILE": str(file), "EMPTY_DATABASE": "readme"}


def _table_is_back(world: World) -> None:
    assert len(world.checksums("cases", DATABASE, RESTORED)) == 1
    shown = world.server.sql(f"SHOW TRIGGERS FROM {DATABASE} LIKE 'cases'")
    expected = world.kept["triggers"]
    assert isinstance(expected, list)
    assert [row[:5] for row in shown] == [row[:5] for row in expected]


def _rows_are_back(world: World) -> None:
    tables = [str(name) for (name,) in world.server.sql(f"SHOW TABLES FROM {DATABASE} LIKE 'audit\\_log%'")]
    live, copy = tables
    assert copy.startswith("audit_log_restored_2")
    [(_, restored), (_, expected)] = world.server.sql(f"CHECKSUM TABLE {DATABASE}.{live}, {DATABASE}.{copy}")
    assert restored == expected
    assert world.output.count(str(expected)) == 2


def _events_are_as_in_the_source(world: World) -> None:
    shown = world.new_server.sql(
        "SELECT event_name, status FROM information_schema.events WHERE event_schema = %s", DATABASE
    )
    assert dict(shown) == {item.name: item.status for item in world.facts.census.objects if item.kind == "event"}


def _server_is_back(world: World) -> None:
    assert world.equal(world.new_server, DATABASE, events_disabled=True)
    shown = [server.sql(f"SHOW GRANTS FOR {NURSE}@'%'") for server in (world.server, world.new_server)]
    assert shown[0] == shown[1]
    assert "accounts are created, with the passwords they had" in world.output


def _decrypted(world: World) -> None:
    dump = world.work / "dump.sql.gz"
    assert dump.stat().st_size == world.facts.stream.compressed_bytes
    assert sorted(world.work.iterdir()) == [dump]
    shutil.rmtree(world.work)


def _region_is_prepared(world: World) -> None:
    _says("0 backups are lost if")(world)
    _says("is good:")(world)


def _lose_key(world: World) -> None:
    world.aws.kms.disable_key(KeyId=world.environment["KEY_ARN"])


def _decrypted_there(world: World) -> None:
    _decrypted(world)
    world.aws.kms.enable_key(KeyId=world.environment["KEY_ARN"])


def _readme_has_loaded(world: World) -> None:
    tables = world.server.sql("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'readme'")
    assert tables == [(45 + 7 + 1,)]
    assert not world.work.exists()


def _delete_somebody(world: World) -> None:
    """A person was deleted after the backup; what was recovered has the person again."""
    world.environment |= {"TABLE": "patients", "RECOVERED": DATABASE, "OLD": f"{DATABASE}_old"}
    world.server.sql(
        f"CREATE DATABASE {DATABASE}_old;"
        f"CREATE TABLE {DATABASE}_old.patients (PRIMARY KEY (id)) SELECT id FROM {DATABASE}.patients WHERE id <> 7"
    )


def _delete_by_statement(world: World) -> None:
    for key in (world.key, world.key + SIDECAR_SUFFIX):  # the attacker of the story before has them no more
        body = world.aws.s3.get_object(Bucket=world.environment["REPLICA_BUCKET"], Key=key)["Body"].read()
        world.aws.s3.put_object(Bucket=world.bucket, Key=key, Body=body)
    world.server.sql(
        f"DROP DATABASE {DATABASE}_old; USE {DATABASE}; DROP TRIGGER patients_no_delete;"
        "SET foreign_key_checks = 0; DELETE FROM patients WHERE id = 9"
    )


def _lists(*keys: int) -> Callable[[World], bool]:
    return lambda world: world.output.split() == [str(key) for key in keys]


def _says(text: str) -> Callable[[World], None]:
    def says(world: World) -> None:
        assert text in world.output, world.output

    return says


def _loaded(world: World) -> None:
    assert world.equal(world.server, DATABASE, events_disabled=False)
    assert not world.work.exists()


def _nothing(world: World) -> None:
    """No need."""


STORY: dict[str, tuple[Callable[[World], None], Callable[[World], object]]] = {
    "at-hand": (_nothing, _says("Dry run:")),
    "lost-table-1": (_lose_table, lambda world: world.server.sql(f"SHOW TABLES FROM {RESTORED}") == [("cases",)]),
    "lost-table-2": (_nothing, _table_is_back),
    "lost-table-3": (_nothing, lambda world: world.server.sql(f"SHOW DATABASES LIKE '{RESTORED}'") == []),
    "lost-rows": (_lose_rows, _rows_are_back),
    "lost-database": (_drop(DATABASE), lambda world: world.equal(world.server, RESTORED, events_disabled=True)),
    "lost-server": (_nothing, _server_is_back),
    "lost-server-events": (_nothing, _events_are_as_in_the_source),
    "region-prepared": (_nothing, _region_is_prepared),
    "lost-region": (_lose_key, _says("Dry run:")),
    "lost-region-break-glass": (_nothing, _decrypted_there),
    "lost-airflow": (_nothing, _says("is good:")),
    "break-glass": (_drop(DATABASE, RESTORED), _loaded),
    "ransomware-look": (_decoy, _says("-deleted\t")),
    "ransomware-verify": (_nothing, _says("is good:")),
    "ransomware-old-version": (_overwrite, _decrypted),
    "came-back": (_delete_somebody, _lists(7)),
    "deleted-in-the-log": (_delete_by_statement, _lists(9)),
    "break-glass-readme": (_prepare_readme, _readme_has_loaded),
}


AFTERWARDS = ("came-back", "deleted-in-the-log")


@pytest.mark.parametrize("name", [name for name in blocks() if name not in AFTERWARDS])
def test_the_commands_do_what_they_are_for(world: World, name: str) -> None:
    follow(world, name)


@pytest.mark.parametrize("name", AFTERWARDS)
def test_p38_who_was_deleted_since_the_backup_is_listed(world: World, name: str) -> None:
    follow(world, name)


def follow(world: World, name: str) -> None:
    prepare, check = STORY[name]
    prepare(world)
    world.run(blocks()[name])
    assert check(world) in (None, True), world.output


def test_no_story_is_told_of_commands_that_are_gone() -> None:
    assert list(STORY) == list(blocks())


def test_every_variable_is_explained() -> None:
    for document in DOCUMENTS:
        text = document.read_text()
        commands = "\n".join(fence["text"] for fence in _FENCE.finditer(text))
        own = set(re.findall(r"^([A-Z_]+)=", commands, re.MULTILINE))
        for name in set(re.findall(r"\$\{?([A-Z_]+)", commands)) - own:
            assert f"`{name}`" in text, f"{document.name} does not say what {name} is"
