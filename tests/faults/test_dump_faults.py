"""A backup that dies half-way says what happened and leaves nothing behind: no process, no lock, no trace in S3."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from include.backup_engine.errors import (
    Cancelled,
    DumpFailed,
    KeyUnavailable,
    PreflightError,
    SchemaChanged,
    SourceUnavailable,
    StoreError,
    StoreRefused,
)
from include.backup_engine.preflight import preflight
from include.backup_engine.report import Reporter
from tests.faults.processes import dump_programs
from tests.faults.scene import SOURCE, Scene, failure_of, on_every_server

on_a_server_of_its_own = pytest.mark.parametrize("scene", ["fragile_server"], indirect=True)
_COUNTS_VISITS = "SELECT COUNT(*)%`visits`%"
_PAGE = 16 * 1024  # of InnoDB


# The source -----------------------------------------------------------------------------------------------


@on_every_server
def test_p13_the_dump_program_is_killed(scene: Scene) -> None:
    with scene.backup_in_the_middle() as backup:
        [dump] = dump_programs(os.getpid())
        os.kill(dump, signal.SIGKILL)
    error = failure_of(backup)
    assert type(error) is DumpFailed and "killed by signal 9" in error.cause
    scene.assert_no_trace()


@on_every_server
def test_p13_the_source_server_is_killed(scene: Scene) -> None:
    with scene.backup_in_the_middle() as backup:
        scene.server.kill9()
    error = failure_of(backup)
    assert isinstance(error, DumpFailed | SourceUnavailable) and "error 2013" in error.cause and error.retryable
    scene.server.start()
    scene.assert_no_trace()


@on_every_server
def test_p13_the_connection_of_the_dump_is_killed(scene: Scene) -> None:
    with scene.backup_in_the_middle() as backup:
        scene.sql(f"KILL {scene.connection('%SQL_NO_CACHE%')}")
    error = failure_of(backup)
    assert type(error) is DumpFailed and "error 2013, at images" in error.cause
    scene.assert_no_trace()


def test_a_failing_census_stops_the_dump_early(scene: Scene) -> None:
    with scene.visits_locked_for_the_census():  # so the dump cannot come to its end
        with scene.backup_in_the_middle() as backup:
            scene.sql(f"KILL {scene.connection(_COUNTS_VISITS)}")
        error = failure_of(backup)
    assert type(error) is SourceUnavailable and "`visits`" in error.cause
    scene.assert_no_trace()


def test_a_stop_does_not_wait_for_a_query(scene: Scene) -> None:
    with scene.visits_locked_for_the_census(), scene.backup_in_the_middle() as backup:
        assert scene.connection(_COUNTS_VISITS)
        asked = time.monotonic()
        scene.stop()
        error = failure_of(backup)
        assert time.monotonic() - asked < 4  # Airflow leaves five seconds
    assert type(error) is Cancelled
    scene.assert_no_trace()


def test_the_account_loses_its_privileges(scene: Scene) -> None:
    with scene.backup_in_the_middle() as backup:
        scene.server.sql(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {scene.account}")
    error = failure_of(backup)
    # The dump program notices it, or the census does.
    assert type(error) is PreflightError and re.search("error 1044|may not see it", error.cause)
    scene.grant()
    scene.assert_no_trace()


def test_p26_a_broken_view(scene: Scene) -> None:
    scene.sql("CREATE TABLE parts (id INT); CREATE VIEW parts_in_use AS SELECT id FROM parts; DROP TABLE parts")
    with pytest.raises(PreflightError, match="view parts_in_use is broken"):
        preflight(SOURCE, scene.policy, scene.endpoint, scene.vault, scene.keyring, scene.keyring, Reporter())
    error = failure_of(scene.start())
    assert type(error) is DumpFailed and "error 1356, at parts_in_use" in error.cause
    scene.sql("DROP VIEW parts_in_use")
    scene.assert_no_trace()


@on_a_server_of_its_own
def test_a_damaged_table(scene: Scene) -> None:
    scene.server.stop()
    table = scene.server.folder / "data" / scene.database / "visits.ibd"
    intact = table.read_bytes()
    table.write_bytes(intact[: 4 * _PAGE] + os.urandom(_PAGE) + intact[5 * _PAGE :])
    scene.server.start()
    error = failure_of(scene.start())
    assert isinstance(error, DumpFailed | SourceUnavailable) and "visits" in error.cause
    scene.server.stop()
    table.write_bytes(intact)
    scene.server.start()
    scene.assert_no_trace()


@on_a_server_of_its_own
@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("CREATE TABLE surprise (id INT)", "surprise"),
        ("ALTER TABLE appointments ADD note TEXT", "appointments"),
        ("ALTER TABLE visits ADD note TEXT", "visits"),
        ("TRUNCATE TABLE visits", "visits"),
        ("RENAME TABLE visits TO surprise", "visits"),
    ],
)
def test_p28_the_schema_changes(scene: Scene, statement: str, table: str) -> None:
    with scene.backup_in_the_middle() as backup:  # appointments are dumped, visits are not
        scene.sql(statement)
    error = failure_of(backup)
    assert type(error) is SchemaChanged and error.retryable and table in error.cause
    scene.sql("DROP TABLE IF EXISTS surprise; CREATE TABLE IF NOT EXISTS visits LIKE appointments")
    scene.assert_no_trace()


# Keys and store -------------------------------------------------------------------------------------------


def test_the_data_key_is_disabled(scene: Scene) -> None:
    key = scene.policy.vault.data_key_id
    scene.aws.kms.disable_key(KeyId=key)
    error = failure_of(scene.start())
    assert type(error) is KeyUnavailable and f"{key} is in state Disabled" in error.cause
    scene.aws.kms.enable_key(KeyId=key)
    scene.assert_no_trace()


def test_the_sse_key_is_disabled(scene: Scene) -> None:
    key = scene.policy.vault.sse_key_id
    scene.aws.kms.disable_key(KeyId=key)
    error = failure_of(scene.start())
    assert type(error) is StoreRefused and "DisabledException" in error.cause and "SSE key" in error.remedy
    scene.aws.kms.enable_key(KeyId=key)
    scene.assert_no_trace()


@on_every_server
def test_p14_the_sse_key_is_disabled_before_the_sidecar(scene: Scene) -> None:
    key = scene.policy.vault.sse_key_id
    with scene.backup_in_the_middle() as backup:
        scene.aws.kms.disable_key(KeyId=key)
    error = failure_of(backup)
    assert type(error) is StoreRefused and "DisabledException" in error.cause
    scene.aws.kms.enable_key(KeyId=key)
    scene.assert_no_trace(objects=1)


def test_s3_cannot_be_reached_any_more(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    with scene.backup_in_the_middle() as backup:
        scene.store_gate.cut()
    error = failure_of(backup)
    assert type(error) is StoreError and error.retryable
    assert any("could not be aborted" in note for note in error.__notes__)
    scene.store_gate.release()
    scene.assert_no_trace(uploads=1)


def test_s3_stands_still_for_longer_than_the_source_waits_for_a_client(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("include.backup_engine.store.multipart._PATIENCE_SECONDS", 1)
    monkeypatch.setattr("include.backup_engine.store.multipart._SLOW_BYTES_PER_SECOND", 1e9)
    scene.sql("INSERT INTO images (content) SELECT REVERSE(content) FROM images")
    scene.sql("INSERT INTO images (content) SELECT RIGHT(content, 999000) FROM images")  # what no buffer holds: 96 MB
    [[seconds]] = scene.sql("SELECT @@GLOBAL.net_write_timeout")
    scene.sql("SET GLOBAL net_write_timeout = 1")
    try:
        scene.store_gate.hold(after=1_000_000)
        backup = scene.start()
        scene.store_gate.wait_until_held()
        time.sleep(6)
        scene.store_gate.release()
        backup.result(timeout=120)
    finally:
        scene.sql(f"SET GLOBAL net_write_timeout = {seconds}")
    assert scene.states() == ["complete"]
    told = [record.getMessage() for record in caplog.records]
    assert any(
        re.search(r"S3 has acknowledged no part of \S+ for \d+ s: the backup stands still", text) for text in told
    )
    assert any("S3 goes on after" in text for text in told)
