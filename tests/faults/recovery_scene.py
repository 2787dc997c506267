"""A live database that has moved on since its backup, and recoveries of it that do not come to their end."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.beside import JOURNAL, leftovers, tables_of
from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import compare_census
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName
from include.backup_engine.policy import Policy
from include.backup_engine.records import Census, Chain
from include.backup_engine.report import Reporter
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.stored import open_stored
from include.backup_engine.swap import Swapped
from tests.demo.stack import create_account
from tests.faults.bad_day import create, damage, flavour_of
from tests.faults.gate import Gate
from tests.faults.recovery_run import DATABASE, Order, recover
from tests.servers.database import Database
from tests.servers.localstack import Aws
from tests.servers.processes import ROOT

_PASSWORD = "s3cret-of-the-recovery-account"


class RecoveryScene:
    """A server on which nothing else is of interest meanwhile.

    :ivar gate: stands between the recoveries and the server.
    """

    def __init__(self, server: Database, aws: Aws, gate: Gate) -> None:
        self.server = server
        self.gate = gate
        create_account(server, "recovery_account.sql", "recovery", _PASSWORD)
        server.sql("ALTER USER recovery@'%' REQUIRE NONE")
        create(server, DATABASE)
        policy = Policy.model_validate(
            {
                "version": 1,
                "vault": {
                    "bucket": aws.seed(bucket=f"recovery-{uuid.uuid4().hex[:12]}").bucket,
                    "region": aws.region,
                    "data_key_id": "alias/surgicase-backup",
                    "sse_key_id": "alias/surgicase-backup-sse",
                },
                "sources": {DATABASE: {"conn_id": "unused", "database": DATABASE}},
            }
        )
        run_at = datetime(2026, 11, 1, 2, tzinfo=UTC)
        self._last = Order(policy=policy, aws=aws.url, port=gate.port, password=_PASSWORD, run_at=run_at)
        order = self._last
        job = BackupJob(policy, DATABASE, BackupName(run_at), Chain(sequence=1))
        back_up(job, order.endpoint, order.keyring, order.vault, Reporter(), Cancellation())
        stored = open_stored(
            Catalog(order.vault).find(DATABASE, "latest"), DATABASE, policy, order.vault, order.keyring
        )
        assert stored.facts is not None
        self.backup: Census = stored.facts.census

    def bad_day(self) -> Census:
        """Rows are lost, a table is dropped, another one is new, code is changed; returns what there is then."""
        damage(self.server, DATABASE)
        return self.census(DATABASE)

    # Recoveries -------------------------------------------------------------------------------------------

    def order(self) -> Order:
        """The next recovery."""
        self._last = self._last.model_copy(update={"run_at": self._last.run_at + timedelta(hours=1)})
        return self._last

    def recover(self) -> Swapped:
        """Recover, in this process."""
        return recover(self.order())

    @contextmanager
    def process(self) -> Iterator[subprocess.Popen[bytes]]:
        """A recovery in a process of its own, which does not outlive the block."""
        process = subprocess.Popen([sys.executable, "-m", "tests.faults.recovery_run"], cwd=ROOT, stdin=subprocess.PIPE)
        assert process.stdin is not None
        try:
            with process.stdin as given:
                given.write(self.order().model_dump_json().encode())
            yield process
        finally:
            process.kill()
            process.wait()

    def at(self, act: Callable[[], object], *statements: str) -> None:
        """Do something when statements with these texts have come by, one after the other; the server gets the last
        one afterwards.
        """
        first, *others = statements
        then = (lambda: self.at(act, *others)) if others else act
        self.gate.before = (first.encode(), then)

    def killed_at(self, *statements: str) -> None:
        """Start a recovery, and SIGKILL its process when it sends this statement, after those that are named before
        it; the server gets it all the same.
        """
        with self.process() as process:
            self.at(process.kill, *statements)
            process.wait(120)
        assert self.gate.before is None, f"the recovery did not send {statements}"

    # What is there ----------------------------------------------------------------------------------------

    def census(self, database: str) -> Census:
        """Definitions, rows and fingerprints of a database."""
        root = Endpoint(unix_socket=str(self.server.endpoint.socket), user="root").connect(database)
        with root:
            return add_fingerprints([root], database, take_census(root, flavour_of(self.server), database))

    def differences(self, expected: Census, database: str = DATABASE) -> list[str]:
        """What of a database is not as expected."""
        return compare_census(expected, self.census(database), events_disabled=False)[0]

    def befores(self) -> list[str]:
        """The databases with what has been swapped out."""
        with self._last.endpoint.connect() as connection:
            return leftovers(connection, DATABASE, "before")

    def assert_recovered(self, old: Census, *, runs: int = 1) -> None:
        """The target is what was backed up, all that it held is beside it, and nothing else is left.

        :param runs: how many have swapped; each has put aside what was there.
        """
        assert self.differences(self.backup) == []
        befores = self.befores()
        assert len(befores) == runs
        assert self.differences(old, befores[0]) == []
        with self._last.endpoint.connect() as connection:
            assert leftovers(connection, DATABASE, "incoming") == []
            assert not any(JOURNAL in tables_of(connection, before) for before in befores)

    def close(self) -> None:
        """Remove everything."""
        self.forget()
        self.server.sql(f"DROP DATABASE {DATABASE}; DROP USER recovery@'%'")

    def forget(self) -> None:
        """Drop all databases beside the target, and what a failed test still had in mind."""
        self.gate.before = None
        for (name,) in self.server.sql(f"SHOW DATABASES LIKE '{DATABASE}\\_%'"):
            self.server.sql(f"DROP DATABASE `{name}`")
