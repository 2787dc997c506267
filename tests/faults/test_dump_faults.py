"""A backup that dies half-way says what happened, and leaves nothing behind."""

from __future__ import annotations

import os
import signal

import pytest

from include.backup_engine.errors import (
    DumpFailed,
    KeyUnavailable,
    PreflightError,
    SchemaChanged,
    SourceUnavailable,
    StoreError,
    StoreRefused,
)
from tests.faults.processes import programs
from tests.faults.scene import DUMP_PROGRAM, Scene, failure_of


def test_the_dump_program_is_killed(scene: Scene) -> None:
    with scene.backup_in_the_middle() as backup:
        [dump] = programs(DUMP_PROGRAM, os.getpid())
        os.kill(dump, signal.SIGKILL)
    error = failure_of(backup)
    assert type(error) is DumpFailed and "killed by signal 9" in error.cause
    scene.assert_no_trace()


@pytest.mark.parametrize("scene", ["fragile_server"], indirect=True)
def test_the_source_server_is_killed(scene: Scene) -> None:
    with scene.backup_in_the_middle() as backup:
        scene.server.kill9()
    error = failure_of(backup)
    scene.server.start()
    print(repr(error))
    assert isinstance(error, DumpFailed | SourceUnavailable) and error.retryable
    scene.assert_no_trace()


def test_the_connection_of_the_dump_is_killed(scene: Scene) -> None:
    with scene.backup_in_the_middle() as backup:
        [dumping] = [number for number, statement in scene.connections() if "SQL_NO_CACHE" in statement]
        scene.sql(f"KILL {dumping}")
    error = failure_of(backup)
    print(repr(error))
    assert type(error) is DumpFailed and "error 2013" in error.cause
    scene.assert_no_trace()


def test_the_connection_of_the_census_is_killed(scene: Scene) -> None:
    with scene.backup_in_the_middle() as backup:
        [counting] = [number for number, statement in scene.connections() if "SQL_NO_CACHE" not in statement]
        scene.sql(f"KILL {counting}")
    error = failure_of(backup)
    print(repr(error))
    assert type(error) is SourceUnavailable
    scene.assert_no_trace()


def test_privileges_are_revoked(scene: Scene) -> None:
    with scene.backup_in_the_middle() as backup:
        scene.sql(f"REVOKE SELECT ON {scene.database}.* FROM {scene.account}")
    error = failure_of(backup)
    print(repr(error))
    scene.sql(f"GRANT SELECT ON {scene.database}.* TO {scene.account}")
    scene.assert_no_trace()


def test_a_broken_view(scene: Scene) -> None:
    scene.sql("CREATE TABLE parts (id INT); CREATE VIEW parts_view AS SELECT id FROM parts; DROP TABLE parts")
    error = failure_of(scene.start())
    print(repr(error))
    scene.sql("DROP VIEW parts_view")
    scene.assert_no_trace()


@pytest.mark.parametrize("statement", ["CREATE TABLE surprise (id INT)", "ALTER TABLE visits ADD note TEXT", "ALTER TABLE appointments ADD note TEXT",
   "DROP TABLE visits", "TRUNCATE TABLE visits"])
def test_the_schema_changes(scene: Scene, statement: str) -> None:
    with scene.backup_in_the_middle() as backup:
        print(scene.connections())
        try:
            scene.sql(statement)
        except Exception as e: print('DDL', e)
    error = failure_of(backup)
    print(repr(error))
    assert 0


def test_the_data_key_is_disabled(scene: Scene) -> None:
    scene.aws.kms.disable_key(KeyId=scene.policy.vault.data_key_id)
    error = failure_of(scene.start())
    print(repr(error))
    scene.aws.kms.enable_key(KeyId=scene.policy.vault.data_key_id)
    scene.assert_no_trace()


def test_the_sse_key_is_disabled(scene: Scene) -> None:
    scene.aws.kms.disable_key(KeyId=scene.policy.vault.sse_key_id)
    error = failure_of(scene.start())
    print(repr(error))
    scene.aws.kms.enable_key(KeyId=scene.policy.vault.sse_key_id)
    scene.assert_no_trace()


def test_the_sse_key_is_disabled_in_the_middle(scene: Scene) -> None:
    with scene.backup_in_the_middle() as backup:
        scene.aws.kms.disable_key(KeyId=scene.policy.vault.sse_key_id)
    error = failure_of(backup)
    print(repr(error))
    scene.aws.kms.enable_key(KeyId=scene.policy.vault.sse_key_id)
    scene.assert_no_trace(objects=1)


def test_s3_is_gone(scene: Scene) -> None:
    import time
    with scene.backup_in_the_middle() as backup:
        t=time.time()
        scene.store_gate.stop()
    error = failure_of(backup)
    print(repr(error), error.__notes__, time.time()-t)
    assert 0
