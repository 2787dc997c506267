"""How a command ends: on a terminal, interrupted, unread, out of room; and the evidence that it leaves."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.backup_engine import evidence
from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.evidence import EvidenceRecord
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName
from include.backup_engine.policy import Policy
from include.backup_engine.records import Chain
from include.backup_engine.report import Reporter
from include.backup_engine.store.s3 import Vault
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB
from tests.servers.processes import ROOT

DATABASE = "cli_endings"
RESTORED = f"{DATABASE}_restored"
# Enough for a restore that takes seconds, so that there is time to interrupt it, and a line of progress to be seen.
SCHEMA = f"""
CREATE DATABASE {DATABASE};
USE {DATABASE};
CREATE TABLE bulk (id int PRIMARY KEY, text varchar(200)) SELECT seq AS id, REPEAT(SHA2(seq, 256), 3) AS text
  FROM seq_1_to_300000;
CREATE TABLE few (id int PRIMARY KEY) SELECT 1 AS id
"""
WRITER = "AIRFLOW_CONN_AWS_BACKUP_WRITER"


@dataclass
class Shell:
    """Where the commands run."""

    vault: Vault
    scratch: MariaDB
    environment: dict[str, str]
    options: dict[str, Any] = field(default_factory=lambda: {"cwd": ROOT, "stdin": subprocess.DEVNULL})

    def start(self, *arguments: str | Path, without: str = "", **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "include.backup_engine", *arguments]
        environment = {name: value for name, value in self.environment.items() if name != without}
        return subprocess.Popen(command, env=environment, text=True, **self.options | options)

    def run(self, *arguments: str | Path, code: int = 0, **options: Any) -> tuple[str, str]:
        """Run a command; returns what it has written to stdout and stderr."""
        process = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, err
        assert "Traceback" not in err
        return out, err

    def databases(self) -> set[str]:
        return {str(name) for (name,) in self.scratch.sql("SHOW DATABASES") if str(name).startswith(DATABASE)}

    def records(self) -> list[EvidenceRecord]:
        return list(evidence.checked(self.vault))


@pytest.fixture(scope="module")
def shell(
    aws: Aws, mariadb_source: MariaDB, mariadb_scratch: MariaDB, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    mariadb_source.sql(SCHEMA)
    bucket = aws.seed(bucket=f"endings-{uuid.uuid4().hex[:12]}")
    document = {
        "version": 1,
        "vault": {"bucket": bucket.bucket, "region": aws.region, "data_key_id": bucket.data_key_arn,
                  "sse_key_id": bucket.sse_key_arn},
        "sources": {"clinic": {"conn_id": "clinic_mysql", "database": DATABASE}},
    }  # fmt: skip
    policy, keyring = Policy.model_validate(document), Keyring(aws.kms)
    folder = tmp_path_factory.mktemp("endings")
    (folder / "policy.yaml").write_text(yaml.safe_dump(document))
    vault = Vault(aws.s3, with_sse_key_arn(policy.vault, keyring))
    root = Endpoint(user="root", unix_socket=str(mariadb_source.endpoint.socket))
    job = BackupJob(policy, "clinic", BackupName(datetime.now(UTC)), Chain(sequence=1))
    back_up(job, root, keyring, vault, Reporter(), Cancellation())
    environment = {
        "PATH": os.environ["PATH"],
        "BACKUP_POLICY": str(folder / "policy.yaml"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "AIRFLOW_CONN_AWS_BACKUP_READER": aws.airflow_connection(),
        WRITER: aws.airflow_connection(),
        "AIRFLOW_CONN_CLINIC_MYSQL": mariadb_scratch.airflow_connection(
            "root", "", unix_socket=str(mariadb_scratch.endpoint.socket)
        ),
    }
    yield Shell(vault, mariadb_scratch, environment)
    mariadb_source.sql(f"DROP DATABASE {DATABASE}")
    mariadb_scratch.sql(f"DROP DATABASE IF EXISTS {RESTORED}")


def _as_on_a_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _wait(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_control_c_ends_a_restore_and_leaves_no_database(shell: Shell) -> None:
    terminal, its_end = os.openpty()
    process = shell.start(
        "recover", "latest", "--restore", stdin=its_end, stdout=subprocess.PIPE, stderr=its_end,
        start_new_session=True, preexec_fn=_as_on_a_terminal,
    )  # fmt: skip
    os.close(its_end)
    try:
        # In the middle of the load, which no signal wakes up by itself.
        _wait(lambda: shell.scratch.sql(
            "SELECT 1 FROM information_schema.tables WHERE table_schema LIKE %s AND table_name = 'bulk'",
            f"{DATABASE}\\_restored\\_incoming\\_%",
        ))  # fmt: skip
        os.write(terminal, b"\x03")
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    told = _read(terminal)
    assert process.returncode == 130, told
    assert (out, "Interrupted.\r\n" in told, "Traceback" in told) == ("", True, False), told
    # The line at the bottom, which a quick machine does not get to show, is erased before anything else is told.
    bars = re.findall(
        r"\rChecked  \[[#.]{20}\] +\d+%  [\d.]+ \w+ of [\d.]+ MB  [\d.]+ \w+/s  \d+:\d\d left\x1b\[K(?=(.))", told
    )
    assert set(bars) <= {"\r"}, told
    assert told.count("Checked") == len(bars)
    assert shell.databases() == set()
    busy = "SELECT id FROM information_schema.processlist WHERE db LIKE %s"
    _wait(lambda: not shell.scratch.sql(busy, f"{DATABASE}%"))
    last = shell.records()[-1]
    assert (last.kind, last.outcome, last.facts["failures"]) == ("recovery", "failed", ["it was interrupted"])


def _read(terminal: int) -> str:
    """What was written to a terminal whose other end is closed."""
    pieces = []
    try:
        while piece := os.read(terminal, 1 << 16):
            pieces.append(piece)
    except OSError:  # EIO: that is how a terminal ends (pty(7))
        pass
    os.close(terminal)
    return b"".join(pieces).decode()


def test_a_recovery_leaves_its_evidence(shell: Shell) -> None:
    command = ["recover", "latest", "--restore", "--table", "few", "--json", "--reason", "shown in a test"]
    try:
        out, err = shell.run(*command)
        record = shell.records()[-1]
        assert json.loads(out)["evidence"].endswith(f"/{record.number:08d}.json")
        assert (record.kind, record.source, record.outcome) == ("recovery", "clinic", "passed")
        asked = record.facts["recovery"]
        assert (asked["request"]["tables"], asked["request"]["reason"]) == (["few"], "shown in a test")
        assert asked["requested_by"].endswith(" (command line)")
        assert (record.facts["failures"], record.facts["comparison"]["findings"]) == ([], [])
        assert "restore of clinic passed" in err

        out, err = shell.run("recover", "latest", "--restore", code=1)
        assert "RequestRefused: The plan has blockers: " in err
        record = shell.records()[-1]
        assert (record.outcome, out) == ("failed", "")
        assert "The plan has blockers" in record.facts["failures"][0]
    finally:
        shell.scratch.sql(f"DROP DATABASE IF EXISTS {RESTORED}")


def test_a_recovery_without_evidence_says_so_loudly(shell: Shell) -> None:
    before = len(shell.records())
    try:
        out, err = shell.run("recover", "latest", "--restore", "--table", "few", without=WRITER)
        assert "is restored into" in out
        assert "NO EVIDENCE WAS WRITTEN that this recovery has passed: The connection aws_backup_writer" in err
        assert len(shell.records()) == before
    finally:
        shell.scratch.sql(f"DROP DATABASE IF EXISTS {RESTORED}")


@pytest.mark.parametrize("command", [["list"], ["show", "latest", "--json"]])
def test_an_output_that_nobody_reads(shell: Shell, command: list[str]) -> None:
    process = shell.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    told = process.stderr.read()
    assert (process.wait(60), "Traceback" in told, "BrokenPipe" in told) == (141, False, False), told


def test_a_disk_that_is_full(shell: Shell, tmp_path: Path) -> None:
    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    output = tmp_path / "dump.sql.gz"
    out, err = shell.run("decrypt", "latest", "--output", output, code=1, preexec_fn=little_room)
    assert out == ""
    assert f"FileRefused: {output} could not be written: File too large." in err
    assert list(tmp_path.iterdir()) == []
