"""The plan of a recovery: what would be restored where, what speaks against it, and how long it takes.

Making it reads the whole backup back, so a plan without blockers says that the backup is good; a plan for single
tables reads these, and says no more than that they are. It changes nothing.
"""

from __future__ import annotations

import re

from include.backup_engine import evidence
from include.backup_engine.account_plan import plan_accounts
from include.backup_engine.accounts import open_accounts
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
from include.backup_engine.verify import Verification, verify, verify_tables

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")  # CommonMark, section 2.4
_KINDS = ("table", "sequence", "view", "procedure", "function", "trigger", "event")


class Plan(Record):
    """What would be done.

    :param counts: objects of the backup by kind.
    :param existing: what the target holds now; ``None`` when there is no such database.
    :param copies: tables that would come beside live ones: table -> name of its copy.
    :param accounts: those of the source's server that would be created there; empty unless they are asked for.
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
    copies: dict[str, str]
    accounts: list[str]
    expected_seconds: float | None
    notes: list[str]
    warnings: list[str]
    blockers: list[str]

    @property
    def overwrites(self) -> bool:
        """Whether something that exists would be overwritten."""
        return self.place.overwrite and self.existing is not None and not self.existing.empty

    @property
    def comes(self) -> str:
        """What the backup holds."""
        kinds = [_count(number, kind) for kind, number in self.counts.items() if number]
        return ", ".join([*kinds, f"{self.rows} rows"])

    @property
    def goes(self) -> str:
        """What the target holds now."""
        now = self.existing
        if now is None:
            return "nothing"
        return (
            f"{now.tables} tables and sequences, about {now.rows} rows, {megabytes(now.data_bytes)},"
            f" {now.code} views and other code"
        )

    @property
    def verdict(self) -> str:
        """The last line."""
        took = "unknown: no drill has passed yet" if self.expected_seconds is None else _minutes(self.expected_seconds)
        blockers = _count(len(self.blockers), "blocker") if self.blockers else "nothing speaks against it"
        return f"Plan: {blockers}, {_count(len(self.warnings), 'warning')}; expected duration {took}"

    def question(self, requested_by: str, reason: str) -> str:
        """What a person reads before approving an overwrite, as Markdown: the loss first."""
        place = self.place
        parts = [
            f"**{_plain(place.database)} on {_plain(place.conn_id)} goes back to {self.snapshot_at}.**"
            " What was written there since will be missing: stop the applications first.",
            f"- **goes out**, kept as {_plain(place.databases[-1])}: {self.goes}\n"
            f"- **comes in**, from {_plain(self.backup)}: {self.comes}\n"
            f"{self._question_of_accounts}"
            f"- **asked for** by {_plain(requested_by)}: {_plain(reason)}\n"
            f"- **verdict**: {_plain(self.verdict)}",
            *(f"**{title}**\n\n" + "\n".join(f"- {_plain(item)}" for item in items)
              for title, items in (("Think about", self.warnings), ("Checked", self.notes)) if items),
        ]  # fmt: skip
        return "\n\n".join(parts)

    @property
    def _question_of_accounts(self) -> str:
        return f"- **accounts created there**: {_plain(', '.join(self.accounts))}\n" if self.accounts else ""

    def lines(self) -> list[str]:
        """The plan as people read it, one line each."""
        place, excerpt = self.place, self.verified.excerpt
        found = [
            f"Backup {self.backup}, snapshot of {self.snapshot_at}",
            f"  every frame{' of the tables' if excerpt else ''} is authentic,"
            f" {megabytes(self.verified.sql_bytes)} of SQL",
            *([f"Read of it: {excerpt}; the rest was not read and is not verified"] if excerpt else []),
            f"From {self.source_server.flavour} {self.source_server.version}"
            f" to {self.target_server.flavour} {self.target_server.version} ({place.conn_id})",
        ]
        if self.overwrites:
            found += [f"- {place.database}: {self.goes}", f"  kept as {place.databases[-1]}"]
        found.append(f"{'~' if self.overwrites else '+'} {place.database}: {self.comes}")
        found += [f"+ {place.database}.{copy}: the table {table}" for table, copy in self.copies.items()]
        found += [f"+ account {name}" for name in self.accounts]
        found += [f"  {note}" for note in self.notes]
        found += [f"! {warning}" for warning in self.warnings]
        found += [f"x {blocker}" for blocker in self.blockers]
        return [*found, self.verdict]


def make_plan(
    backup: StoredBackup, place: Place, endpoint: Endpoint, policy: Policy, keyring: Keyring, reporter: Reporter,
    expected_seconds: float | None,
) -> Plan:  # fmt: skip
    """Read the whole backup back, or what is needed of it for single tables, look at the target, and report.

    :raises RequestRefused: the backup does not hold a table that was asked for.
    :raises AccountsMissing: accounts are asked for, and none were kept with the backup.
    :raises IntegrityError: the backup is not what was made.
    :raises UnsupportedFormat: the original system made it, and its sidecar does not say what it holds.
    """
    facts = backup.facts
    if facts is None:
        raise UnsupportedFormat(
            f"{backup.name} was made by the original system, whose sidecar does not describe the database.",
            "Create the database by hand, decrypt the backup, and load it with the client.",
        )
    if place.tables:
        verified = verify_tables(backup, place.tables, policy, keyring, reporter)
    else:
        verified = verify(backup, policy, keyring, reporter)
    kept = open_accounts(backup, policy, keyring) if place.accounts else None
    if excerpt := verified.excerpt:
        facts = facts.model_copy(update={"census": excerpt.part_of(facts.census)})
        if expected_seconds is not None:
            expected_seconds = round(expected_seconds * verified.sql_bytes / facts.stream.sql_bytes, 1)
    with reporter.stage("Target"):
        connection = endpoint.connect()
        try:
            target = identify(connection)
            survey = Survey(connection, facts, place, target)
            now = survey.look(verified)
            accounts = plan_accounts(connection, kept, facts.database, place.database) if kept else None
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
        copies=survey.copies,
        accounts=accounts.created if accounts else [],
        expected_seconds=expected_seconds,
        notes=survey.notes + (accounts.notes if accounts else []),
        warnings=survey.warnings
        + ([verified.accounts_problem] if verified.accounts_problem else [])
        + (accounts.warnings if accounts else []),
        blockers=survey.blockers + (accounts.blockers if accounts else []),
    )
    for line in plan.lines():  # not as a stage: it would be folded away
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


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _plain(text: str) -> str:
    """Text that Markdown shows as it stands, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _minutes(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} min"
