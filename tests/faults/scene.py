"""One backup that is about to fail, and the question what a failed one has left behind."""

from __future__ import annotations

import os
import re
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import BackupError
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName
from include.backup_engine.policy import Policy
from include.backup_engine.records import Chain
from include.backup_engine.report import Reporter
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from tests.demo.surgicase import connector
from tests.faults.gate import Gate
from tests.faults.processes import dump_programs
from tests.integration.store.clients import s3_client
from tests.servers.database import Database
from tests.servers.localstack import Aws
from tests.servers.processes import ROOT, wait_until

SOURCE = "clinic"
_PASSWORD = "s3cret-of-the-backup-account"
_MIDDLE = 9_000_000  # bytes from the server: the dump is in the table images, and a part has gone to S3

on_every_server = pytest.mark.parametrize(
    "scene",
    ["fragile_server", "fragile_mariadb_11", "fragile_mysql"],
    ids=["mariadb", "mariadb-11", "mysql"],
    indirect=True,
)


class Scene:
    """A source with the tables ``appointments``, ``images`` (24 MB that do not compress) and ``visits``, and a vault.

    :ivar source_gate: stands between us and the database server.
    :ivar store_gate: stands between us and S3.
    :ivar temporary: the only folder where this process would put temporary files.
    """

    def __init__(self, server: Database, aws: Aws, source_gate: Gate, store_gate: Gate, temporary: Path) -> None:
        self.database = self.account = f"faults_{uuid.uuid4().hex[:12]}"
        self.server = server
        self.aws = aws
        self.source_gate = source_gate
        self.store_gate = store_gate
        self.temporary = temporary
        key = f"alias/{self.database}"
        seeded = aws.seed(self.database.replace("_", "-"), data_key=key, sse_key=f"{key}-sse")
        self.policy = Policy.model_validate(
            {
                "version": 1,
                "vault": {
                    "bucket": seeded.bucket,
                    "region": aws.region,
                    "data_key_id": seeded.data_key_arn,
                    "sse_key_id": seeded.sse_key_arn,
                },
                "sources": {SOURCE: {"conn_id": "clinic", "database": self.database}},
            }
        )
        self.keyring = Keyring(aws.kms)
        self.vault = Vault(s3_client(aws.url), self.policy.vault)
        self.endpoint = Endpoint("127.0.0.1", source_gate.port, self.account, _PASSWORD)
        self.name = BackupName(datetime.now(UTC))
        self.cancellation = Cancellation()
        self._pool = ThreadPoolExecutor(1)
        self._create_source()

    def close(self) -> None:
        """Remove the source."""
        self.source_gate.cut()  # so that a backup that a failed test has left hanging ends
        self._pool.shutdown()
        self.server.sql(f"DROP DATABASE {self.database}; DROP USER IF EXISTS {self.account}")

    def sql(self, statements: str, *arguments: object) -> list[tuple[object, ...]]:
        """Run statements in the source as its administrator, who waits for no lock longer than two seconds."""
        patience = "SET lock_wait_timeout = 2, innodb_lock_wait_timeout = 2;"
        return self.server.sql(patience + statements, *arguments, database=self.database)

    def _create_source(self) -> None:
        self.server.sql(f"CREATE DATABASE {self.database}")
        for table in ("appointments", "images", "visits"):
            self.sql(f"CREATE TABLE {table} (id INT AUTO_INCREMENT PRIMARY KEY, content LONGBLOB)")
        numbers = ", ".join(f"({number})" for number in range(1, 1001))
        for table in ("appointments", "visits"):
            self.sql(f"INSERT INTO {table} (content) VALUES {numbers}")
        self.sql(
            "SET group_concat_max_len = 1000000;"
            "INSERT INTO images (content) SELECT GROUP_CONCAT(RANDOM_BYTES(1000) SEPARATOR '')"
            " FROM appointments, (SELECT id AS image FROM visits LIMIT 24) AS images GROUP BY image"
        )
        self.grant()

    def grant(self) -> None:
        """Give the backup's account the privileges that it shall have."""
        text = (ROOT / "include" / "sql" / "backup_account.sql").read_text().replace("surgicase", self.database)
        text = text.replace("'backup'", self.account).replace("change-me", _PASSWORD).replace("REQUIRE SSL", "")
        # One by one: what is only for the other flavour is nothing, and nothing between two semicolons is an error.
        for statement in filter(str.strip, re.sub(r"^--.*$", "", text, flags=re.MULTILINE).split(";")):
            self.server.sql(statement)

    # The backup -------------------------------------------------------------------------------------------

    def back_up(self, store: str | None = None) -> bytes:
        """Make the backup, always of the same name, between what is behind the gates.

        :param store: another address of the store.
        """
        job = BackupJob(self.policy, SOURCE, self.name, Chain(sequence=1))
        vault = Vault(s3_client(store or f"http://127.0.0.1:{self.store_gate.port}"), self.policy.vault)
        return back_up(job, self.endpoint, self.keyring, vault, Reporter(), self.cancellation)

    def start(self) -> Future[bytes]:
        """Make a backup in another thread."""
        return self._pool.submit(self.back_up)

    @contextmanager
    def backup_in_the_middle(self) -> Iterator[Future[bytes]]:
        """A backup whose dump stands still in the middle of a table; it goes on when the block ends."""
        self.source_gate.hold(after=_MIDDLE)
        backup = self.start()
        try:
            self.source_gate.wait_until_held()
            # What the server has sent may still lie in sockets, all of it before anything is read.
            wait_until(lambda: self.uploads() == 1, 60, "the upload does not begin")
            yield backup
        finally:
            self.source_gate.release()

    @contextmanager
    def visits_locked_for_the_census(self) -> Iterator[None]:
        """In the block, the census of a backup that was started in it comes to stand at the table ``visits``."""
        administrator = connector(str(self.server.endpoint.socket))()
        with administrator, administrator.cursor() as cursor:
            lock = f"LOCK TABLES {self.database}.visits WRITE"
            # Its own fingerprint is held until then: that of another table may be asked for at the same time.
            fingerprint = f" FROM `{self.database}`.`visits`".encode()
            self.source_gate.before = (fingerprint, lambda: cursor.execute(lock))
            yield
            assert self.source_gate.before is None

    def stop(self) -> None:
        """Ask the backup to stop."""
        stopped, self.cancellation = self.cancellation, Cancellation()
        stopped.request()

    def connections(self, statement: str = "%") -> list[int]:
        """The connections that the backup has on the source, those that run a statement like this."""
        found = self.server.sql(
            "SELECT id FROM information_schema.processlist WHERE user = %s AND COALESCE(info, '') LIKE %s",
            self.account,
            statement,
        )
        return [int(number) for (number,) in found]

    def connection(self, statement: str) -> int:
        """The one connection that runs a statement like this, once there is one."""
        wait_until(lambda: bool(self.connections(statement)), 10, f"nothing runs {statement}")
        [found] = self.connections(statement)
        return found

    # What it leaves behind --------------------------------------------------------------------------------

    def states(self) -> list[str]:
        """The state of each backup as the catalogue shows it."""
        return [entry.state for entry in Catalog(self.vault).entries(SOURCE)]

    def uploads(self) -> int:
        """How many multipart uploads are open."""
        return len(list(self.vault.unfinished_uploads(self.vault.prefix)))

    def assert_no_trace(self, *, objects: int = 0, uploads: int = 0) -> None:
        """No process, connection, lock, file, upload or object of the backup is left, and the next one succeeds.

        :param objects: encrypted dumps without sidecar, which could not be prevented.
        :param uploads: open multipart uploads, which could not be aborted.
        """
        assert dump_programs(os.getpid()) == []
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("census")] == []
        assert list(self.temporary.iterdir()) == []
        wait_until(lambda: not self.connections(), 5, "the source keeps connections of the failed backup")
        for table in ("appointments", "images", "visits"):
            self.sql(f"INSERT INTO {table} (content) VALUES ('written'); ALTER TABLE {table} COMMENT 'altered'")
        assert self.states() == ["incomplete"] * objects
        assert self.uploads() == uploads
        self.back_up()
        assert self.states() == ["complete"]
        assert self.uploads() == 0


def failure_of(backup: Future[bytes]) -> BackupError:
    """The error that a backup ended with: one of ours, in two sentences, with nothing behind it that quotes data."""
    error = backup.exception(timeout=120)
    assert isinstance(error, BackupError), error
    assert error.cause.endswith(".") and error.remedy.endswith(".")
    behind = None if error.__suppress_context__ else error.__context__
    assert error.__cause__ is None and isinstance(behind, BackupError | None)
    assert _PASSWORD not in str(error)
    return error
