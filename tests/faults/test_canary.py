"""Row data, passwords and data keys appear nowhere: no file, log, metadata database, argument list or environment.

Good runs and failing ones are watched. The failures are such that the servers and programs quote rows.
"""

from __future__ import annotations

import base64
import gzip
import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from include.backup_engine.crypto.sidecar import Sidecar
from include.backup_engine.store.catalog import Catalog
from tests.demo.stack import SOURCE, Stack
from tests.demo.surgicase import CANARY
from tests.faults.detour import detour, scratch_by, source_by
from tests.faults.gate import Gate
from tests.faults.watcher import Watcher
from tests.servers.airflow import Airflow
from tests.servers.processes import ROOT, find_program, wait_until

_KEY_IN_CLEAR = re.compile(rb'"Plaintext": ?"([A-Za-z0-9+/=]{44})"')  # KMS's answers to GenerateDataKey and Decrypt
_QUOTED_ROW = re.compile(rb"\xff\x6c\x06#45000[^\x00]*" + CANARY.encode())  # a server's error packet: error 1644


@dataclass
class Watched:
    """What was seen while the DAGs ran."""

    watcher: Watcher
    data_keys: set[bytes] = field(default_factory=set)
    quoted_rows: int = 0

    def see_kms(self, block: bytes) -> None:
        """Search for each data key from the moment on at which KMS hands it out."""
        for text in _KEY_IN_CLEAR.findall(block):
            key = base64.b64decode(text)
            self.data_keys.add(key)
            forms = {"as bytes": key, "in hex": key.hex().encode(), "in base64": text}
            self.watcher.needles |= {f"a data key {form}": needle for form, needle in forms.items()}

    def see_scratch(self, block: bytes) -> None:
        """Count the errors in which the scratch server quotes a row."""
        self.quoted_rows += len(_QUOTED_ROW.findall(block))


@pytest.fixture(scope="module")
def watched(demo_stack: Stack, airflow: Airflow) -> Iterator[Watched]:
    """A good night and drill, a drill whose load is refused, a backup whose dump breaks off."""
    aws_secret = secrets.token_urlsafe(30)
    backup_password, drill_password, _ = demo_stack.passwords
    needles = {
        "row data": CANARY.encode(),
        "a dump": b"-- Dumping data for table",
        "the backup account's password": backup_password.encode(),
        "the drill account's password": drill_password.encode(),
        "the secret key for AWS": aws_secret.encode(),
    }
    with (
        Watcher(needles, [demo_stack.folder, ROOT / ".run"], [airflow.pid]) as watcher,
        Gate(urlsplit(demo_stack.aws.url).port or 80) as aws_gate,
        Gate(demo_stack.source.endpoint.port) as source_gate,
        Gate(demo_stack.scratch.endpoint.port) as scratch_gate,
    ):
        watched = Watched(watcher)
        aws_gate.observe, scratch_gate.observe = watched.see_kms, watched.see_scratch
        endpoint = {"region_name": demo_stack.aws.region, "endpoint_url": f"http://127.0.0.1:{aws_gate.port}"}
        aws = {"conn_type": "aws", "login": "test", "password": aws_secret, "extra": endpoint}
        # Without TLS, so that the gate can see what the server says.
        scratch = scratch_by(demo_stack, scratch_gate) | {"extra": {"ssl_mode": "DISABLED"}}
        demo_stack.scratch.sql("ALTER USER 'drill'@'%' REQUIRE NONE")
        with detour(demo_stack, airflow, source=source_by(demo_stack, source_gate), scratch=scratch, aws=aws):
            for dag_id in ("nightly_backup", "restore_drill"):
                airflow.succeed(dag_id)
            drill_that_is_refused(demo_stack, airflow, scratch_gate)
            dump_that_breaks_off(demo_stack, airflow, source_gate)
        demo_stack.scratch.sql("ALTER USER 'drill'@'%' REQUIRE SSL")
        yield watched


def drill_that_is_refused(stack: Stack, airflow: Airflow, gate: Gate) -> None:
    """The scratch server refuses the patients, and says why: it quotes one."""

    def refuse() -> None:
        [[database]] = stack.scratch.sql("SHOW DATABASES LIKE 'drill\\_%'")
        stack.scratch.sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON patients FOR EACH ROW BEGIN"
            " DECLARE quoted VARCHAR(512) DEFAULT NEW.address;"
            f" IF quoted LIKE '%{CANARY}%' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = quoted; END IF; END",
            database=str(database),
        )

    gate.before = (b"\x03INSERT INTO `patients`", refuse)  # the statement; a text in a row is like it
    assert airflow.wait("restore_drill", airflow.trigger("restore_drill")) == "failed"


def dump_that_breaks_off(stack: Stack, airflow: Airflow, gate: Gate) -> None:
    """The server ends all connections in the middle of the dump."""
    gate.hold(after=5_000_000)
    run = airflow.trigger("nightly_backup")
    gate.wait_until_held(120)
    stack.source.sql("KILL USER backup")
    gate.release()
    wait_until(
        lambda: airflow.task_states("nightly_backup", run)["stream.backup[0]"] == "up_for_retry",
        60,
        "the backup does not fail",
        every=0.5,
    )
    airflow.api("PATCH", f"/dags/nightly_backup/dagRuns/{quote(run, safe='')}", {"state": "failed"})


def log_of(stack: Stack, task_id: str) -> str:
    """The task's log, of all its attempts in all runs."""
    logs = stack.folder / "airflow" / "home" / "logs"
    return "\n".join(path.read_text() for path in logs.rglob("attempt=*.log") if f"task_id={task_id}/" in str(path))


def test_the_failures_are_told_without_what_they_quote(demo_stack: Stack, watched: Watched) -> None:
    assert watched.quoted_rows == 1
    assert "(INSERT INTO `patients`) with error 1644" in log_of(demo_stack, "drill.restore")
    # By whichever connection notices it first: of the dump, or of the fingerprints.
    assert re.search(r"\((error (20\d\d|0)\b|it said nothing)", log_of(demo_stack, "stream.backup"))


def test_every_data_key_was_searched_for(demo_stack: Stack, watched: Watched) -> None:
    entry = Catalog(demo_stack.vault()).find(SOURCE, "latest")
    assert isinstance(entry.sidecar, Sidecar)
    wrapped = [key.wrapped() for key in entry.sidecar.encrypted_data_keys]
    arns = [key.key_arn for key in wrapped]
    with demo_stack.keyring().unwrap(wrapped, entry.sidecar.encryption_context, arns) as key:
        assert key.plaintext in watched.data_keys


def test_p32_p33_nothing_is_found(watched: Watched) -> None:
    assert "mariadb-dump" in watched.watcher.programs
    assert watched.watcher.findings == set()


def test_the_watcher_would_have_found_it(watched: Watched, tmp_path: Path) -> None:
    needles = watched.watcher.needles
    kept, deleted = tmp_path / "kept", tmp_path / "deleted"
    kept.mkdir()
    shell = Path(find_program("sh")).resolve()
    script = "exec 3<>deleted; rm deleted; cat >&3; sleep 60"
    password = needles["the backup account's password"].decode()
    with (
        subprocess.Popen([shell, "-c", script, password], cwd=tmp_path, stdin=subprocess.PIPE) as leaky,
        Watcher(needles, [kept], [leaky.pid]) as watcher,
    ):
        assert leaky.stdin is not None
        leaky.stdin.write(needles["a data key as bytes"])
        leaky.stdin.close()
        (kept / "log").write_text(f"{'a line':10000}{CANARY}")
        (kept / "dump").write_bytes(gzip.compress(b"rows"))
        expected = {
            f"a data key as bytes in {deleted} (deleted)",
            f"row data in {kept / 'log'}",
            f"compressed data in {kept / 'dump'}",
            f"the backup account's password in cmdline of {shell.name}",
        }
        wait_until(lambda: watcher.findings >= expected, 20, "the watcher did not find it")
        leaky.kill()
