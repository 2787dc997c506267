"""The product as a contestant: what its tasks do, in a process of its own and without Airflow around it."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.cancel import Cancellation
from include.backup_engine.commands.desk import Desk
from include.backup_engine.compare import compare_with_snapshot
from include.backup_engine.connections import connection_from_environment, mysql_endpoint
from include.backup_engine.crypto.sidecar import parse
from include.backup_engine.names import BackupName
from include.backup_engine.records import Chain
from include.backup_engine.report import Reporter
from include.backup_engine.restore import create_database, restore
from include.backup_engine.written import Written

SOURCE = "bench"


class Told(BaseModel):
    """What the product says about a step.

    :param seconds: of its stages.
    """

    seconds: dict[str, float]
    sql_bytes: int = 0


def backup(source: str = SOURCE) -> Told:
    """The task ``backup`` of nightly_backup."""
    desk, reporter = Desk(source), Reporter()
    endpoint = mysql_endpoint(connection_from_environment("source_mysql"))
    vault = desk.vault_as(desk.policy.vault.writer_conn_id)
    job = BackupJob(desk.policy, source, BackupName(datetime.now(UTC)), Chain(sequence=1))
    facts = parse(back_up(job, endpoint, desk.keyring, vault, reporter, Cancellation())).facts
    assert facts is not None
    return Told(
        seconds=reporter.seconds | {"Fingerprints": facts.fingerprint_seconds}, sql_bytes=facts.stream.sql_bytes
    )


def restore_latest() -> Told:
    """The tasks ``create_scratch`` and ``restore`` of restore_drill."""
    desk, reporter = Desk(SOURCE), Reporter()
    stored = desk.stored("latest")
    endpoint = mysql_endpoint(connection_from_environment("target_mysql"))
    restored = os.environ["RESTORED"]
    create_database(endpoint, restored, stored)
    restoration = restore(stored, endpoint, restored, desk.policy, desk.keyring, reporter, Cancellation())
    return Told(seconds=reporter.seconds, sql_bytes=restoration.sql_bytes)


def prove() -> Told:
    """The task ``compare`` of restore_drill."""
    desk, reporter = Desk(SOURCE), Reporter()
    facts = desk.stored("latest").facts
    assert facts is not None
    endpoint = mysql_endpoint(connection_from_environment("target_mysql"))
    written = Written.of(facts, desk.policy.drill.dump_again)
    comparison = compare_with_snapshot(
        facts.census, endpoint, os.environ["RESTORED"], reporter, events_disabled=True, written=written
    )
    if not comparison.equal:
        raise SystemExit(comparison.summary())
    return Told(seconds=reporter.seconds)


def main() -> None:
    """Run a step; what it tells goes to the file that ``TOLD`` names."""
    step, *source = sys.argv[1:]
    told = backup(*source) if step == "backup" else {"restore": restore_latest, "prove": prove}[step]()
    Path(os.environ["TOLD"]).write_text(told.model_dump_json())


if __name__ == "__main__":
    main()
