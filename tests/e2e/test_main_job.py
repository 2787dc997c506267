"""The whole job through the scheduler, while an application changes the source, and what stock tools make of it."""

from __future__ import annotations

import gzip
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_encryption_sdk  # type: ignore[import-untyped]  # ships no types
import pytest
from aws_encryption_sdk import CommitmentPolicy, StrictAwsKmsMasterKeyProvider

from include.backup_engine import evidence
from include.backup_engine.compare import compare_with_snapshot
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.report import Reporter
from include.backup_engine.store.catalog import Catalog, Entry
from tests.demo.stack import SOURCE, Stack
from tests.demo.summary import summarise
from tests.demo.surgicase import connector, writer
from tests.interop.test_cli import as_arguments, cli
from tests.servers.airflow import Airflow
from tests.servers.processes import find_program
from tests.servers.statsd import StatsD


@dataclass
class Night:
    """A finished run of nightly_backup."""

    run_id: str
    transactions: int
    entry: Entry
    ciphertext: bytes


@pytest.fixture(scope="module")
def night(airflow: Airflow, demo_stack: Stack) -> Iterator[Night]:
    """One run, with a writer on the source from before its start until after its end."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        changes = pool.submit(writer, connector(str(demo_stack.source.endpoint.socket)), SOURCE, stop, 300)
        try:
            run_id = airflow.succeed("nightly_backup")
        finally:
            stop.set()
    vault = demo_stack.vault()
    entry = Catalog(vault).find(SOURCE, "latest")
    yield Night(run_id, changes.result(), entry, b"".join(vault.read(entry.key)))


def test_p37_the_drill_proves_the_snapshot_although_the_source_moved_on(
    night: Night, airflow: Airflow, demo_stack: Stack, metrics: StatsD
) -> None:
    assert night.transactions > 100
    airflow.succeed("restore_drill")
    lines, unproven = summarise(demo_stack.vault(), ("backup", "drill"))
    assert unproven == []
    assert any("0 differences" in line for line in lines)
    sent = {
        line.split(":")[0].removeprefix("airflow.mysql_backup."): line
        for line in metrics.lines
        if "mysql_backup" in line
    }
    assert {"size_bytes", "duration_seconds", "rows", "drill.rto_seconds", "drill.rpo_seconds", "drill.passed"} <= set(
        sent
    )
    kinds = [record.kind for _, _, record in evidence.records(demo_stack.vault())]
    assert kinds[-1] == "drill"


def test_the_task_log_tells_the_story(night: Night, airflow: Airflow) -> None:
    lines = airflow.task_logs("nightly_backup", night.run_id, "stream.backup", map_index=0)
    told: dict[str, Any] = {}
    for line in lines:
        told[str(line["event"]).split(" db_backup_")[0]] = line
    sidecar = night.entry.sidecar
    assert sidecar is not None
    assert told["Data key generated"]["kms_key"] == sidecar.kms_key_id
    assert told["Data key generated"]["request_id"]
    assert told["Snapshot is open in all connections"]["method"] == "global_read_lock"
    assert told["Stored"]["sse"] == "aws:kms"
    assert told["Stored"]["checksum"]
    assert told["Stored"]["request_id"]
    assert "::group::Dump, compress, encrypt, upload" in told
    summary = told["Backup"]
    assert "45 tables" in summary["event"]
    assert {"stored", "seconds", "rate", "fingerprints", "fingerprint_seconds", "peak_memory"} <= summary.keys()


def test_stock_tools_open_what_the_dag_made_and_restore_it(
    night: Night, demo_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar = night.entry.sidecar
    assert sidecar is not None and sidecar.facts is not None and night.entry.name is not None
    for name, value in (
        ("AWS_ENDPOINT_URL", demo_stack.aws.url),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", demo_stack.aws.region),
    ):
        monkeypatch.setenv(name, value)
    key = sidecar.kms_key_id

    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
    by_sdk, _ = client.decrypt(source=night.ciphertext, key_provider=StrictAwsKmsMasterKeyProvider(key_ids=[key]))

    message, dump = tmp_path / night.entry.name.object_name, tmp_path / "dump.sql.gz"
    message.write_bytes(night.ciphertext)
    context = as_arguments({"object-name": night.entry.name.object_name})
    said = cli("--decrypt", message, dump, "--wrapping-keys", f"key={key}", *context)
    assert dump.exists(), said
    assert dump.read_bytes() == by_sdk

    scratch, database = demo_stack.scratch, "stock_tools"
    scratch.sql(
        "CREATE USER IF NOT EXISTS surgicase_app@'%' ACCOUNT LOCK; GRANT ALL ON `stock_tools`.* TO surgicase_app@'%';"
        f"CREATE DATABASE {database} CHARACTER SET {sidecar.facts.census.charset}"
        f" COLLATE {sidecar.facts.census.collation}"
    )
    try:
        loaded = subprocess.run(
            [find_program("mariadb"), "--no-defaults", "--comments", "--binary-mode", "-uroot",
             f"--socket={scratch.endpoint.socket}", database],
            input=gzip.decompress(dump.read_bytes()),
            capture_output=True,
        )  # fmt: skip
        assert loaded.returncode == 0, loaded.stderr[-500:]
        endpoint = Endpoint(unix_socket=str(scratch.endpoint.socket), user="root")
        comparison = compare_with_snapshot(sidecar.facts.census, endpoint, database, Reporter(), events_disabled=False)
        assert comparison.findings == []
        assert comparison.not_compared == []
    finally:
        scratch.sql(f"DROP DATABASE {database}")
