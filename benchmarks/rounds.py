"""Running contestants in turns: each round runs all of them once, and begins with another one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from benchmarks.contestants import BACKUPS, PEERS, PRELUDE, PRODUCT_PREFIX, RESTORES, Contestant
from benchmarks.measure import Usage, run, settle
from benchmarks.product import Told
from benchmarks.results import Row, Sample
from benchmarks.stage import DATABASE, RESTORED, Stage
from include.backup_engine.mysql.server import quote
from tests.servers.database import Database
from tests.servers.processes import ROOT

Say = Callable[[str], None]
_LOG_TAIL = 300


class Rounds:
    """The contestants of one shape, and what they took so far."""

    def __init__(self, stage: Stage, say: Say, *, peers: Collection[str] = PEERS, restores: bool = True) -> None:
        self._stage = stage
        self._say = say
        self._stored = 0
        self._rows: dict[str, int] = {}
        self._backups = [one for one in BACKUPS if not one.peer or one.peer in peers]
        self._restores = [one for one in RESTORES if restores and (not one.peer or one.peer in peers)]
        self.backups = [self._row(contestant) for contestant in self._backups]
        self.restores = [self._row(contestant) for contestant in self._restores]

    def _row(self, contestant: Contestant) -> Row:
        return Row(
            name=contestant.name,
            kind=contestant.kind,
            remark=contestant.remark,
            absent=contestant.absent(self._stage.environment, self._stage.server),
        )

    def round(self, number: int, measured: Callable[[], None]) -> None:
        """Every backup, then every restore, which read what the backups have stored.

        :param measured: is called after each of them.
        """
        for contestants, rows, run_one in (
            (self._backups, self.backups, self.backup),
            (self._restores, self.restores, self.restore),
        ):
            for contestant, row in turns(contestants, rows, number):
                row.samples.append(run_one(contestant))
                measured()
        self.clean()

    def clean(self) -> None:
        """Remove what backups and restores have left."""
        self._drop()
        self._stage.empty_bucket()

    def backup(self, contestant: Contestant) -> Sample:
        """Run one backup."""
        sample = self.measure(contestant, self._stage.source)
        if contestant.prefix:
            sample.stored = self._stage.stored_bytes(contestant.prefix)
        if contestant.prefix == PRODUCT_PREFIX:
            self._stored = sample.stored
        if contestant.prefix and not sample.stored and not sample.problem:
            sample.problem = "nothing was stored"
        return sample

    def restore(self, contestant: Contestant) -> Sample:
        """Run one restore, into a database that is not there (the product) or empty (all others)."""
        if not contestant.follows:
            self._drop()
            if contestant.kind != "product":
                charset = self._stage.source.sql(
                    "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata "
                    "WHERE schema_name = %s",
                    DATABASE,
                )[0]
                self._stage.target.sql(f"CREATE DATABASE {RESTORED} CHARACTER SET {charset[0]} COLLATE {charset[1]}")
        sample = self.measure(contestant, self._stage.target)
        if not sample.problem and (wrong := self._wrong_tables()):
            if not sample.incomplete:
                sample.problem = f"{wrong} tables are missing or have another number of rows"
            else:
                sample.incomplete += f", and {wrong} tables are missing or have another number of rows"
        return sample

    def _drop(self) -> None:
        self._stage.target.sql(f"DROP DATABASE IF EXISTS {RESTORED}")

    def _wrong_tables(self) -> int:
        """Tables that are not there, or do not have the rows that the source has. Takes no part in any figure."""
        if not self._rows:
            self._rows = _count(self._stage.source, DATABASE)
        return len(self._rows.items() - _count(self._stage.target, RESTORED).items())

    def measure(self, contestant: Contestant, server: Database) -> Sample:
        """Run one script on one of the servers."""
        work, localstack = self._stage.work, self._stage.localstack
        told, incomplete, log = work / "told.json", work / "incomplete", work / "contestant.log"
        told.unlink(missing_ok=True)
        incomplete.unlink(missing_ok=True)
        env = self._stage.environment | {
            "TOLD": str(told),
            "INCOMPLETE": str(incomplete),
            "STORED_BYTES": str(self._stored),
        }
        usage = self._bash(contestant.prepare, env, log, server)
        if not usage.exit_code:
            settle(server.pid, localstack.pid)
            usage = self._bash(contestant.script, env, log, server)
        problem = ""
        if usage.exit_code:
            tail = log.read_text(errors="replace")[-_LOG_TAIL:].strip()
            problem = f"exit code {usage.exit_code}: {' '.join(tail.split())}"
        self._say(f"{contestant.name}: {usage.wall:.2f} s{problem and ', ' + problem}")
        return Sample(
            wall=usage.wall,
            client_cpu=usage.client_cpu,
            server_cpu=usage.server_cpu,
            sink_cpu=usage.sink_cpu,
            memory=usage.memory,
            server_written=usage.server_written,
            told=Told.model_validate_json(told.read_text()) if told.exists() else None,
            problem=problem,
            incomplete=incomplete.read_text().strip() if incomplete.exists() else "",
        )

    def _bash(self, script: str, env: dict[str, str], log: Path, server: Database) -> Usage:
        return run(
            ["bash", "-euo", "pipefail", "-c", PRELUDE + script],
            env,
            log,
            server=server.pid,
            sink=self._stage.localstack.pid,
            cwd=ROOT,
        )


def _count(server: Database, database: str) -> dict[str, int]:
    """The rows of each table."""
    names = server.sql(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s "
        "AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')",
        database,
    )
    return {str(name): int(server.sql(f"SELECT COUNT(*) FROM {database}.{quote(name)}")[0][0]) for (name,) in names}


def turns(contestants: Sequence[Contestant], rows: Sequence[Row], number: int) -> list[tuple[Contestant, Row]]:
    """Who runs in this round, in which order; who follows another stays behind it."""
    groups: list[list[tuple[Contestant, Row]]] = []
    for pair in zip(contestants, rows, strict=False):
        if pair[0].follows:
            groups[-1].append(pair)
        elif not pair[1].absent:
            groups.append([pair])
    first = number % len(groups) if groups else 0
    return [pair for group in groups[first:] + groups[:first] for pair in group]
