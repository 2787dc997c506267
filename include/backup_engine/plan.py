"""The plan of a recovery: what would be restored where, what speaks against it, and how long it takes.

Making it reads the whole backup back, so a plan without blockers says that the backup is good. It changes nothing.
"""

from __future__ import annotations

from typing import Any, Literal

from pymysql.connections import Connection

from include.backup_engine import evidence
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.sidecar import BackupFacts
from include.backup_engine.errors import UnsupportedFormat
from include.backup_engine.mysql.definitions import accounts, may_name_definers
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import Endpoint, identify, quote, variable
from include.backup_engine.mysql.target import (
    Existing,
    existing,
    free_bytes,
    knows_collation,
    may_create_code,
    missing_privileges,
    outdated,
    swap_hindrances,
)
from include.backup_engine.policy import Policy
from include.backup_engine.records import Census, Record, ServerIdentity
from include.backup_engine.report import Reporter, megabytes
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup
from include.backup_engine.verify import Verification, verify

_KINDS = ("table", "sequence", "view", "procedure", "function", "trigger", "event")
_NAMED = 10


class Place(Record):
    """Where a backup is to go.

    :param conn_id: the connection's id, to name the server by.
    :param databases: the target, and those beside it that a restore needs.
    """

    conn_id: str
    database: str
    databases: list[str]
    overwrite: bool


class Plan(Record):
    """What would be done.

    :param counts: objects of the backup by kind.
    :param existing: what the target holds now; ``None`` when there is no such database.
    :param expected_seconds: by the rate of the last drill that passed; ``None`` without one.
    :param notes: what was looked at and is as it should be, or cannot be seen.
    :param warnings: what somebody should know before saying yes.
    :param blockers: what makes the restore impossible.
    """

    backup: str
    snapshot_at: str
    place: Place
    source_server: ServerIdentity
    target_server: ServerIdentity
    counts: dict[str, int]
    rows: int
    existing: Existing | None
    verified: Verification
    expected_seconds: float | None
    notes: list[str]
    warnings: list[str]
    blockers: list[str]

    @property
    def overwrites(self) -> bool:
        """Whether something that exists would be overwritten."""
        return self.place.overwrite and self.existing is not None and not self.existing.empty

    def lines(self) -> list[str]:
        """The plan as people read it, one line each."""
        place, now = self.place, self.existing
        objects = ", ".join(
            f"{count} {kind}{'s' if count != 1 else ''}" for kind, count in self.counts.items() if count
        )
        found = [
            f"Backup {self.backup}, snapshot of {self.snapshot_at}: every frame is authentic,"
            f" {megabytes(self.verified.sql_bytes)} of SQL",
            f"From {self.source_server.flavour} {self.source_server.version}"
            f" to {self.target_server.flavour} {self.target_server.version} ({place.conn_id})",
        ]
        if self.overwrites and now is not None:
            found.append(
                f"- {place.database}: {now.tables} tables, about {now.rows} rows, {megabytes(now.data_bytes)},"
                f" {now.code} views and other code; goes to {place.databases[-1]}"
            )
        found.append(f"{'~' if self.overwrites else '+'} {place.database}: {objects}, {self.rows} rows")
        found += [f"  {note}" for note in self.notes]
        found += [f"! {warning}" for warning in self.warnings]
        found += [f"x {blocker}" for blocker in self.blockers]
        took = "unknown: no drill has passed yet" if self.expected_seconds is None else _minutes(self.expected_seconds)
        verdict = f"{len(self.blockers)} blockers" if self.blockers else "nothing speaks against it"
        return [*found, f"Plan: {verdict}, {len(self.warnings)} warnings; expected duration {took}"]


def make_plan(
    backup: StoredBackup, place: Place, endpoint: Endpoint, policy: Policy, keyring: Keyring, reporter: Reporter,
    expected_seconds: float | None,
) -> Plan:  # fmt: skip
    """Read the whole backup back, look at the target, and report.

    :raises IntegrityError: the backup is not what was made.
    :raises UnsupportedFormat: the original system made it, and its sidecar does not say what it holds.
    """
    facts = backup.facts
    if facts is None:
        raise UnsupportedFormat(
            f"{backup.name} was made by the original system, whose sidecar does not describe the database.",
            "Create the database by hand, decrypt the backup, and load it with the client.",
        )
    verified = verify(backup, policy, keyring, reporter)
    with reporter.stage("Target"):
        connection = endpoint.connect()
        try:
            target = identify(connection)
            survey = _Survey(connection, facts, place, target)
            now = survey.look(verified)
        finally:
            connection.close()
    plan = Plan(
        backup=backup.name.object_name,
        snapshot_at=f"{facts.consistency.snapshot_at:%Y-%m-%d %H:%M:%S} UTC",
        place=place,
        source_server=facts.server,
        target_server=target,
        counts={kind: facts.census.count(kind) for kind in _KINDS},
        rows=facts.census.rows,
        existing=now,
        verified=verified,
        expected_seconds=expected_seconds,
        notes=survey.notes,
        warnings=survey.warnings,
        blockers=survey.blockers,
    )
    with reporter.stage("Plan"):
        for line in plan.lines():
            (reporter.warn if line.startswith(("!", "x")) else reporter.line)(line)
    return plan


def expected_duration(vault: Vault, source: str, facts: BackupFacts | None) -> float | None:
    """Seconds that the restore will take, by the newest drill of the source that has passed."""
    if facts is None:
        return None
    for _, _, record in evidence.records(vault, newest_first=True):
        if (record.kind, record.source, record.outcome) == ("drill", source, "passed"):
            seconds, drilled = float(record.facts["rto_seconds"]), int(record.facts["restoration"]["sql_bytes"])
            return round(seconds * facts.stream.sql_bytes / drilled, 1)
    return None


class _Survey:
    """Looks at the target, and sorts what it finds."""

    def __init__(self, connection: Connection[Any], facts: BackupFacts, place: Place, target: ServerIdentity) -> None:
        self._connection = connection
        self._facts = facts
        self._place = place
        self._target = target
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.blockers: list[str] = []

    def _say(self, holds: bool, note: str, otherwise: str, severity: Literal["warning", "blocker"] = "blocker") -> None:
        if holds:
            self.notes.append(note)
        else:
            (self.blockers if severity == "blocker" else self.warnings).append(otherwise)

    def look(self, verified: Verification) -> Existing | None:
        """Everything; returns what the target holds."""
        grants = Grants.of(self._connection)
        self._look_at_server(verified)
        self._look_at_account(grants)
        self._look_at_definers(grants, self._facts.census)
        return self._look_at_database(grants)

    def _look_at_server(self, verified: Verification) -> None:
        connection, source, target = self._connection, self._facts.server, self._target
        census = self._facts.census
        self._say(
            source.flavour == target.flavour,
            f"both servers are {target.flavour}",
            f"the backup is of {source.flavour}, the target is {target.flavour}",
        )
        if outdated(source, target):
            self.warnings.append(f"the target's version {target.version} is older than {source.version}")
        if source.sql_mode != target.sql_mode:
            self.warnings.append(f"the target's sql_mode is {target.sql_mode}; it was {source.sql_mode}")
        self._say(
            knows_collation(connection, census.charset, census.collation),
            f"character set {census.charset} and collation {census.collation} are known there",
            f"the target does not know {census.charset} with {census.collation}",
        )
        packet, longest = int(variable(connection, "max_allowed_packet") or 0), verified.longest_statement
        self._say(
            packet > longest,
            f"max_allowed_packet is {megabytes(packet)}, the longest statement {megabytes(longest)}",
            f"max_allowed_packet is {megabytes(packet)}, the longest statement has {megabytes(longest)}",
        )
        free = free_bytes(connection)
        if free is None:
            self.notes.append("free space there cannot be seen (DISKS plugin); see to it yourself")
        else:
            self._say(
                free > 2 * verified.sql_bytes, f"{megabytes(free)} are free there",
                f"only {megabytes(free)} are free there for {megabytes(verified.sql_bytes)} of SQL", "warning",
            )  # fmt: skip

    def _look_at_account(self, grants: Grants) -> None:
        lacking = missing_privileges(grants, self._place.databases)
        self._say(not lacking, "the account has all grants that it needs", f"the account lacks {', '.join(lacking)}")
        census = self._facts.census
        if any(census.count(kind) for kind in ("function", "procedure", "trigger")):
            self._say(
                may_create_code(self._connection, grants),
                "functions and triggers may be created",
                "the target writes a binary log: it needs log_bin_trust_function_creators = 1 to take functions",
            )

    def _look_at_definers(self, grants: Grants, census: Census) -> None:
        owners = {item.definer for item in census.objects if item.definer}
        known = accounts(self._connection)
        if known is None:
            self.warnings.append("accounts there cannot be seen: restored code will belong to this account")
        elif missing := sorted(owners - known):
            self.warnings.append(f"missing accounts, whose code will belong to this one: {_some(missing)}")
        elif owners and not self._place.overwrite:
            self.notes.append("restored code will belong to this account, as its owners have no rights there")
        elif owners:
            self._say(
                may_name_definers(grants), f"all {len(owners)} owners of code exist there",
                "restored code will belong to this account (GRANT SET USER ON *.* to keep its owners)", "warning",
            )  # fmt: skip

    def _look_at_database(self, grants: Grants) -> Existing | None:
        place, connection = self._place, self._connection
        now = existing(connection, place.database)
        if now is None or now.empty:
            return now
        if not place.overwrite:
            self.blockers.append(
                f"{place.database} exists and holds {now.tables} tables; choose another name, or overwrite"
            )
            return now
        self.blockers += grants.missing_for_backup(self._target, place.database)
        problems, warnings = swap_hindrances(connection, place.database)
        self.blockers += problems
        self.warnings += warnings
        same = self._facts.server.instance_id == self._target.instance_id
        if not (same and self._facts.database == place.database):
            self.warnings.append(f"{quote(place.database)} there is not the database that the backup was made of")
        return now


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _minutes(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} min"
