"""The command line on real servers, run by a Python that has what the engine needs, and no Airflow.

Fields of its JSON may be added, and none is ever taken away.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard

from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName
from include.backup_engine.policy import Policy
from include.backup_engine.records import Chain
from include.backup_engine.report import Reporter
from include.backup_engine.store.s3 import Vault
from tests.servers.environments import make_environment
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB
from tests.servers.processes import ROOT

NEEDED = ["boto3", "cryptography", "isal", "zstandard", "xxhash", "pydantic", "pyyaml", "pymysql"]
DATABASE, PASSWORD = "cli_clinic", "s3cret passw0rd"
NIGHT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCHEMA = f"""
CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
USE {DATABASE};
CREATE TABLE patients (id int PRIMARY KEY, name varchar(40));
CREATE TABLE cases (id int PRIMARY KEY, patient int, CONSTRAINT f FOREIGN KEY (patient) REFERENCES patients (id));
INSERT INTO patients VALUES (1, 'Zoë'), (2, 'O''Neil');
INSERT INTO cases VALUES (10, 1), (11, 1), (12, NULL);
CREATE VIEW open_cases AS SELECT id FROM cases;
CREATE TRIGGER t BEFORE INSERT ON cases FOR EACH ROW SET NEW.id = NEW.id;
CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' ON COMPLETION PRESERVE ENABLE DO DELETE FROM cases
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the engine's requirements, in the versions of the lock file."""
    folder = tmp_path_factory.mktemp("environment")
    lock = (ROOT / "requirements.lock").read_text()
    pinned = [f"{name}=={version}" for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE)]
    wanted = [pin for pin in pinned if pin.partition("==")[0] in NEEDED]
    assert len(wanted) == len(NEEDED)
    (folder / "constraints.txt").write_text("\n".join(pinned))
    return make_environment(folder / "venv", "-c", str(folder / "constraints.txt"), *wanted)


@dataclass
class World:
    """Three backups of one database: of the original format, gzip and zstd, a day between each."""

    names: dict[str, BackupName]
    policy: Policy
    aws: Aws
    environment: dict[str, str]
    python: Path
    scratch: MariaDB

    def run(self, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command, which must exit with ``code``, and never tells a password or a traceback."""
        command = [self.python, "-m", "include.backup_engine", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def refused(self, *arguments: str | Path, code: int = 1) -> str:
        """Run a command that must fail; returns the error's name and cause."""
        done = self.run(*arguments, code=code)
        assert done.stdout == ""
        *_, error, remedy = done.stderr.splitlines()
        assert remedy.startswith("Remedy: ")
        return error

    def download(self, key: str, folder: Path) -> Path:
        """A backup's two objects as files; returns the encrypted dump."""
        name = self.names[key]
        for object_name in (name.object_name, name.sidecar_name):
            location = f"{self.policy.vault.prefix}clinic/{object_name}"
            self.aws.s3.download_file(self.policy.vault.bucket, location, str(folder / object_name))
        return folder / name.object_name

    def databases(self) -> set[str]:
        return {str(name) for (name,) in self.scratch.sql("SHOW DATABASES")}


@pytest.fixture(scope="module")
def world(
    python: Path, aws: Aws, mariadb_source: MariaDB, mariadb_scratch: MariaDB, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    mariadb_source.sql(SCHEMA)
    mariadb_scratch.sql("SET GLOBAL log_bin_trust_function_creators = 1")
    bucket = aws.seed(bucket=f"cli-{uuid.uuid4().hex[:12]}")
    source = {"conn_id": "clinic_mysql", "database": DATABASE}
    document = {
        "version": 1,
        "vault": {"bucket": bucket.bucket, "region": aws.region, "data_key_id": bucket.data_key_arn,
                  "sse_key_id": bucket.sse_key_arn},
        "sources": {"clinic": source},
    }  # fmt: skip
    policy = Policy.model_validate(document)
    folder = tmp_path_factory.mktemp("command-line")
    (folder / "policy.yaml").write_text(yaml.safe_dump(document))
    root = Endpoint(user="root", unix_socket=str(mariadb_source.endpoint.socket))
    keyring = Keyring(aws.kms)
    vault = Vault(aws.s3, with_sse_key_arn(policy.vault, keyring))
    names: dict[str, BackupName] = {}
    for day, (label, options) in enumerate(
        {"original": {"format": "v1"}, "gzip": {}, "zstd": {"compression": "zstd"}}.items()
    ):
        made = Policy.model_validate(document | {"sources": {"clinic": source | options}})
        names[label] = BackupName(NIGHT + timedelta(days=day), made.source("clinic").compression)
        job = BackupJob(made, "clinic", names[label], Chain(sequence=day + 1))
        back_up(job, root, keyring, vault, Reporter(), Cancellation())

    def as_root(server: MariaDB) -> str:
        return server.airflow_connection("root", "", unix_socket=str(server.endpoint.socket))

    mariadb_source.sql(f"CREATE OR REPLACE USER clinic@'%' IDENTIFIED BY '{PASSWORD}'")
    environment = {
        "PATH": os.environ["PATH"],
        "BACKUP_POLICY": str(folder / "policy.yaml"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "AIRFLOW_CONN_AWS_BACKUP_READER": aws.airflow_connection(),
        "AIRFLOW_CONN_CLINIC_MYSQL": as_root(mariadb_source),
        "AIRFLOW_CONN_SCRATCH_MYSQL": as_root(mariadb_scratch),
        "AIRFLOW_CONN_POWERLESS": mariadb_source.airflow_connection("clinic", PASSWORD),
    }
    yield World(names, policy, aws, environment, python, mariadb_scratch)
    mariadb_source.sql(f"DROP DATABASE {DATABASE}; DROP USER clinic@'%'")


def test_there_is_no_airflow(python: Path) -> None:
    done = subprocess.run([python, "-c", "import airflow"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "No module named 'airflow'" in done.stderr


def test_list(world: World) -> None:
    listed = world.json("list")
    assert [row["name"] for row in listed] == [world.names[label].stem for label in ("zstd", "gzip", "original")]
    for row in listed:
        assert row.keys() >= {
            *("name", "source", "key", "state", "problem", "taken_at", "size", "kms_key_id", "format_version"),
            *("verdict", "tables", "rows"),
        }
        assert (row["source"], row["state"], row["problem"]) == ("clinic", "complete", None)
        assert (row["verdict"], row["tables"], row["rows"]) == ("exact", 2, 5)
        assert row["kms_key_id"] == world.policy.vault.data_key_id
        assert row["size"] > 1000
    assert [row["format_version"] for row in listed] == [2, 2, 1]
    done = world.run("list")
    title, *lines = done.stdout.splitlines()
    assert title.split() == ["BACKUP", "SOURCE", "STATE", "SIZE", "AGE", "VERDICT", "LAST", "DRILL", "LOCKED", "TO",
                             "KMS", "KEY"]  # fmt: skip
    assert [line.split()[:3] for line in lines] == [[row["name"], "clinic", "complete"] for row in listed]
    assert done.stderr == "3 backups\n"
    assert world.run("list", "--limit", "2").stderr == "2 of 3 backups\n"
    assert [row["name"] for row in world.json("list", "--limit", "1")] == [world.names["zstd"].stem]


def test_show(world: World) -> None:
    name = world.names["gzip"]
    document = world.json("show", name.stem)
    assert document["object_name"] == name.object_name
    assert document["source"] == "clinic"
    assert document["database"] == DATABASE
    assert {"backup_id", "kms_key_id", "encrypted_data_key", "algorithm", "metadata", "census", "consistency",
            "stream", "ciphertext_sha256", "sidecar_mac", "chain", "listed"} <= document.keys()  # fmt: skip
    text = world.run("show", str(name.taken_at + timedelta(hours=1))).stdout  # the newest at that time
    first, _, tables = text.partition("\n\n")
    told = dict(line.split(maxsplit=1) for line in first.replace("last drill", "drill").splitlines())
    assert told["backup"] == f"{name.stem}, of clinic"
    assert told["taken"].startswith("2026-01-03 03:04:05 UTC, ")
    assert told["holds"] == f"database {DATABASE}: 2 tables, 5 rows, 3 objects"
    assert (told["drill"], told["locked"]) == ("none", "no")
    assert told["KMS"] == f"keys    {world.policy.vault.data_key_id}"
    assert [tuple(line.split()) for line in tables.splitlines()[1:]] == [
        ("table", "cases", "3"), ("table", "patients", "2"), ("view", "open_cases"), ("trigger", "t"), ("event", "e")
    ]  # fmt: skip


@pytest.mark.parametrize("label", ["original", "zstd"])
def test_verify(world: World, label: str) -> None:
    verified = world.json("verify", world.names[label].object_name)
    assert verified.keys() >= {
        *("name", "stored", "kms_key_id", "sql_bytes", "tables", "seconds", "bytes_per_second", "peak_memory_bytes"),
    }
    assert (verified["name"], verified["tables"]) == (world.names[label].stem, 2)
    assert verified["stored"]["sse"] == "aws:kms"


def test_verify_latest(world: World) -> None:
    assert world.run("verify", "latest").stdout.startswith(f"{world.names['zstd'].stem} is good: ")


def test_decrypt_from_the_bucket(world: World, tmp_path: Path) -> None:
    output = tmp_path / "clinic.sql.gz"
    done = world.run("decrypt", world.names["gzip"].stem, "--output", output)
    assert "authentic and complete" in done.stdout
    sql = gzip.decompress(output.read_bytes())
    assert b"(1,'Zo\xc3\xab'),\n(2,'O\\'Neil');" in sql
    assert sql.rstrip().splitlines()[-1].startswith(b"-- Dump completed")
    assert output.stat().st_mode & 0o777 == 0o600
    before = output.read_bytes()
    assert "exists" in world.refused("decrypt", world.names["gzip"].stem, "--output", output)
    assert output.read_bytes() == before
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("label", ["original", "zstd"])
def test_decrypt_a_local_file(world: World, label: str, tmp_path: Path) -> None:
    file, output = world.download(label, tmp_path), tmp_path / "clinic.sql"
    world.run("decrypt", file, "--output", output)
    data = output.read_bytes()
    sql = (
        gzip.decompress(data) if label == "original" else zstandard.ZstdDecompressor().decompressobj().decompress(data)
    )
    assert b"INSERT INTO `patients`" in sql


@pytest.mark.parametrize(
    ("label", "error"), [("original", "FrameTampered"), ("zstd", "FrameTampered"), ("gzip", "MessageTruncated")]
)
def test_a_damaged_local_file_is_refused_and_nothing_is_left(
    world: World, label: str, error: str, tmp_path: Path
) -> None:
    file, output = world.download(label, tmp_path), tmp_path / "clinic.sql"
    data = file.read_bytes()
    cut = error == "MessageTruncated"
    file.write_bytes(data[:-30] if cut else data[:-30] + bytes([data[-30] ^ 1]) + data[-29:])
    assert world.refused("decrypt", file, "--output", output, code=5).startswith(f"{error}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, file.name + ".encryption_info"])


def test_a_local_file_needs_its_sidecar(world: World, tmp_path: Path) -> None:
    file = world.download("gzip", tmp_path)
    (tmp_path / world.names["gzip"].sidecar_name).unlink()
    assert "beside" in world.refused("decrypt", file, "--output", tmp_path / "x")


def test_an_output_that_cannot_be_written(world: World, tmp_path: Path) -> None:
    error = world.refused("decrypt", "latest", "--output", tmp_path / "missing" / "x")
    assert "cannot be written: No such file or directory" in error


@pytest.mark.parametrize("selector", ["nonsense", "1999-01-01"])
def test_a_backup_that_is_not_there(world: World, selector: str) -> None:
    assert world.refused("verify", selector).startswith("BackupMissing: ")


def test_recovery_is_a_dry_run_unless_asked(world: World) -> None:
    before = world.databases()
    plan = world.json("recover", "latest", "--target-conn-id", "scratch_mysql")
    assert plan.keys() >= {"mode", "would_create", "verified"}
    assert (plan["mode"], plan["would_create"]) == ("dry_run", f"{DATABASE}_restored")
    assert plan["verified"]["name"] == world.names["zstd"].stem
    text = world.run("recover", world.names["gzip"].stem, "--target-database", "elsewhere").stdout
    assert (
        text == f"Dry run: {world.names['gzip'].stem} is good and would be restored into the new database elsewhere.\n"
    )
    assert world.databases() == before


@pytest.mark.parametrize("label", ["original", "gzip", "zstd"])
def test_restore(world: World, label: str) -> None:
    database = f"cli_{label}"
    command = ["recover", world.names[label].stem, "--restore", "--target-conn-id", "scratch_mysql"]
    try:
        done = world.json(*command, "--target-database", database)
        assert done.keys() >= {"mode", "restored", "comparison"}
        assert (done["mode"], done["restored"]["database"]) == ("restore", database)
        assert (done["restored"]["events_disabled"], done["restored"]["definers_mapped"]) == (1, 3)
        assert done["comparison"]["findings"] == done["comparison"]["not_compared"] == []
        assert (done["comparison"]["tables"], done["comparison"]["rows"]) == (2, 5)
        assert world.scratch.sql("SELECT name FROM patients ORDER BY id", database=database) == [("Zoë",), ("O'Neil",)]
    finally:
        world.scratch.sql(f"DROP DATABASE IF EXISTS {database}")


def test_a_database_that_exists_is_never_a_target(world: World) -> None:
    command = ["recover", "latest", "--restore", "--target-database"]
    for arguments in ([DATABASE], ["mysql", "--target-conn-id", "scratch_mysql"]):
        assert world.refused(*command, *arguments).startswith("RequestRefused: ")


@pytest.mark.parametrize("label", ["original", "gzip", "zstd"])
def test_a_single_table_comes_into_a_new_database_or_beside_what_is_there(world: World, label: str) -> None:
    database = f"cli_table_{label}"
    plan = world.json("recover", world.names[label].stem, "--table", "cases")
    assert plan["verified"]["excerpt"]["tables"] == ["cases"]
    command = ["recover", world.names[label].stem, "--restore", "--target-conn-id", "scratch_mysql"]
    command += ["--target-database", database, "--table", "cases"]
    try:
        done = world.run(*command)
        assert done.stdout == f"cases of {world.names[label].stem} is restored into {database}.\n"
        assert "foreign keys of table cases refer to patients" in done.stderr
        assert world.scratch.sql("SHOW TRIGGERS", database=database)[0][0] == "t"
        done = world.json(*command, "--table", "patients")
        assert done["comparison"]["findings"] == []
        assert sorted(done["copies"]) == ["cases", "patients"]
        tables = {str(name) for (name,) in world.scratch.sql("SHOW TABLES", database=database)}
        assert tables == {"cases", *done["copies"].values()}
        copy = done["copies"]["cases"]
        assert world.scratch.sql(f"SELECT COUNT(*) FROM {copy}", database=database) == [(3,)]
        assert not any(name.startswith(f"{database}_incoming") for name in world.databases())
    finally:
        world.scratch.sql(f"DROP DATABASE IF EXISTS {database}")


def test_a_single_table_is_refused_by_name(world: World) -> None:
    error = world.refused("recover", "latest", "--table", "case")
    assert error == "RequestRefused: The backup holds no table 'case'."
    command = ["recover", "latest", "--restore", "--target-conn-id", "scratch_mysql", "--table", "cases"]
    assert "mysql cannot be a target" in world.refused(*command, "--target-database", "mysql")


def test_an_account_that_may_not_restore(world: World) -> None:
    error = world.refused("recover", "latest", "--restore", "--target-conn-id", "powerless")
    assert error.startswith("RequestRefused: The plan has blockers: the account lacks CREATE")
