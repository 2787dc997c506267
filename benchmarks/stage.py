"""What all contestants of one shape run on: two database servers, S3 and KMS, and an environment for scripts."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.shapes import SHAPES
from include.backup_engine.records import Flavour
from tests.demo.stack import demo_policy
from tests.demo.surgicase import connector
from tests.servers.database import Database, Tree
from tests.servers.environments import aws_command_line
from tests.servers.localstack import LocalStack
from tests.servers.mariadb import MariaDB
from tests.servers.mysql import MySQL
from tests.servers.processes import ROOT

DATABASE = "bench"
RESTORED = "bench_restored"
SERVERS: Mapping[Flavour, type[MariaDB] | type[MySQL]] = {"mariadb": MariaDB, "mysql": MySQL}
_PROGRAMS: Mapping[Flavour, tuple[str, str, str]] = {
    "mariadb": ("mariadb-dump", "mariadb", ""),
    "mysql": ("mysqldump", "mysql", "--set-gtid-purged=OFF --column-statistics=0"),
}
"""The dump program, the client, and options of the dump that only one flavour has: so that it can be loaded."""
_MIB = 1 << 20


@dataclass(frozen=True)
class Stage:
    """The running parts.

    :param environment: what every contestant gets: where servers and bucket are, and the product's connections.
    """

    work: Path
    server: Flavour
    source: Database
    target: Database
    localstack: LocalStack
    bucket: str
    environment: dict[str, str]

    def stored_bytes(self, prefix: str) -> int:
        """Bytes of the objects under a prefix."""
        pages = self.localstack.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return sum(item["Size"] for page in pages for item in page.get("Contents", []))

    def empty_bucket(self) -> None:
        """Delete every version of every object: the sink lies on this machine's disk."""
        s3 = self.localstack.aws.s3
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket):
            for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=self.bucket, Key=item["Key"], VersionId=item["VersionId"])


@contextmanager
def source(folder: Path, server: Flavour, shape: str, size_mb: int) -> Iterator[Database]:
    """A server with a shape's data, which are generated once per folder, flavour and size, and then kept.

    :param size_mb: size of the data in 10^6 bytes; the buffer pool is as large, from 64 MiB to 1 GiB.
    """
    home = _home(folder, server, shape, size_mb)
    complete = home / "complete"
    if not complete.exists():
        shutil.rmtree(home, ignore_errors=True)
        # Without a binary log, which would be larger than the data.
        with SERVERS[server](home / "source", buffer_pool=_buffer_pool(size_mb), binary_log=False) as running:
            SHAPES[shape](connector(str(running.endpoint.socket)), DATABASE, size_mb)
        complete.touch()
    with SERVERS[server](home / "source", buffer_pool=_buffer_pool(size_mb)) as running:
        yield running


@contextmanager
def stage(folder: Path, server: Flavour, shape: str, size_mb: int) -> Iterator[Stage]:
    """Start the parts."""
    home = _home(folder, server, shape, size_mb)
    with ExitStack() as parts:
        running = parts.enter_context(source(folder, server, shape, size_mb))
        work = home / "work"
        for temporary in (work, home / "target"):
            shutil.rmtree(temporary, ignore_errors=True)
            parts.callback(shutil.rmtree, temporary, ignore_errors=True)
        work.mkdir()
        options = ["--local-infile=ON"]  # for the floor LOAD DATA
        made = SERVERS[server](home / "target", options=options, buffer_pool=_buffer_pool(size_mb), binary_log=False)
        target = parts.enter_context(made)
        localstack = parts.enter_context(LocalStack(home / "localstack"))
        vault = localstack.aws.seed()
        environment = _base(work, server) | _servers(work, running, target) | _sink(work, localstack)
        environment |= {"BUCKET": vault.bucket, "SSE_KEY": vault.sse_key_arn, "CORES": str(os.cpu_count() or 1)}
        yield Stage(work, server, running, target, localstack, vault.bucket, environment)


def _home(folder: Path, server: Flavour, shape: str, size_mb: int) -> Path:
    return folder / f"{server}-{shape}-{size_mb}"


def _buffer_pool(size_mb: int) -> int:
    return min(max(size_mb * _MIB, 64 * _MIB), 1024 * _MIB)


def _base(work: Path, server: Flavour) -> dict[str, str]:
    programs = work / "bin"
    programs.mkdir()
    tools = aws_command_line()
    # By its interpreter: a script in a folder with a long or spaced name cannot start by itself.
    found = {"aws": f'"{tools}/bin/python" "{tools}/bin/aws"'}
    dump, client, options = _PROGRAMS[server]
    if server == "mysql":  # of the server's own tree: others may stand on the PATH under these names
        found |= {name: f'"{Tree.of("mysql").program(name)}"' for name in (dump, client)}
    for name, command in found.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    own = os.environ.get("PATH", os.defpath)
    return {
        "PATH": os.pathsep.join([str(programs), str(ROOT / ".venv" / "bin"), own, "/usr/sbin"]),
        "HOME": str(work),
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "WORK": str(work),
        "DATABASE": DATABASE,
        "RESTORED": RESTORED,
        "FLAVOUR": server,
        "DUMP": dump,
        "DUMP_OPTIONS": options,
        "CLIENT": client,
    }


def _servers(work: Path, source: Database, target: Database) -> dict[str, str]:
    """All go in by the socket, as root: no contestant pays for TLS to the server, none lacks a privilege."""
    found: dict[str, str] = {}
    for name, server in (("SOURCE", source), ("TARGET", target)):
        socket = str(server.endpoint.socket)
        file = work / f"{name.lower()}.cnf"
        file.write_text(f"[client]\nuser=root\nsocket={socket}\n")
        connection = {"conn_type": "mysql", "host": "localhost", "login": "root", "extra": {"unix_socket": socket}}
        found |= {f"{name}_CNF": str(file), f"{name}_SOCKET": socket}
        found[f"AIRFLOW_CONN_{name}_MYSQL"] = json.dumps(connection)
    return found


def _sink(work: Path, localstack: LocalStack) -> dict[str, str]:
    """Bucket, keys and the product's policy: the shipped one, for another source."""
    secret = work / "secret"
    secret.write_text(secrets.token_urlsafe(32))
    source = {"conn_id": "source_mysql", "database": DATABASE}
    others = {"unhashed": source | {"fingerprints": "off"}, "parallel": source | {"parallel": 2}}
    policy = demo_policy() | {"sources": {"bench": source, **others}}
    (work / "policy.yaml").write_text(yaml.safe_dump(policy))
    aws = localstack.aws
    return {
        "SECRET": str(secret),
        "BACKUP_POLICY": str(work / "policy.yaml"),
        "AIRFLOW_CONN_AWS_BACKUP_WRITER": aws.airflow_connection(),
        "AIRFLOW_CONN_AWS_BACKUP_READER": aws.airflow_connection(),
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_DEFAULT_REGION": aws.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "RESTIC_REPOSITORY": f"s3:{aws.url}/surgicase-backups/peers/restic",
        "RESTIC_PASSWORD_FILE": str(secret),
    }
