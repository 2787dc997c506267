"""The plan of a recovery: what would be restored where, what speaks against it, and how long it takes.

Making it reads the whole backup back, so a plan without blockers says that the backup is good. It changes nothing.
"""

from __future__ import annotations

from include.backup_engine import evidence
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.sidecar import BackupFacts
from include.backup_engine.errors import UnsupportedFormat
from include.backup_engine.mysql.server import Endpoint, identify
from include.backup_engine.mysql.target import Existing
from include.backup_engine.policy import Policy
from include.backup_engine.records import Record, ServerIdentity
from include.backup_engine.report import Reporter, megabytes
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup
from include.backup_engine.survey import Place, Survey
from include.backup_engine.verify import Verification, verify

_KINDS = ("table", "sequence", "view", "procedure", "function", "trigger", "event")


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
            survey = Survey(connection, facts, place, target)
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


def _minutes(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} min"
