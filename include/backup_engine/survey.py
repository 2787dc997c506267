"""The survey of a recovery's target: everything about the server, the account and the database that a plan tells."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pymysql.connections import Connection

from include.backup_engine.copies import copy_names, taken_names
from include.backup_engine.crypto.sidecar import BackupFacts
from include.backup_engine.excerpt import Excerpt
from include.backup_engine.mysql.definitions import accounts, may_name_definers
from include.backup_engine.mysql.privileges import Grants
from include.backup_engine.mysql.server import quote, variable
from include.backup_engine.mysql.target import (
    Existing,
    altered_names,
    engines,
    existing,
    free_bytes,
    knows_collation,
    knows_time_zone,
    may_create_code,
    may_write_anyway,
    missing_privileges,
    other_end_of_time,
    outdated,
    replication,
    swap_hindrances,
    unknown_types,
)
from include.backup_engine.records import Record, ServerIdentity
from include.backup_engine.report import megabytes
from include.backup_engine.verify import Verification

_NAMED = 10


class Place(Record):
    """Where a backup is to go.

    :param conn_id: the connection's id, to name the server by.
    :param databases: the target, and those beside it that a restore needs.
    :param tables: restore only these; empty: everything.
    :param accounts: whether the accounts of the source's server are created there, too.
    :param run_at: UTC; copies of tables that come beside live ones are named after it.
    """

    conn_id: str
    database: str
    databases: list[str]
    overwrite: bool
    tables: list[str]
    accounts: bool = False
    run_at: datetime


class Survey:
    """Looks at the target, and sorts what it finds.

    :param facts: of the backup; the census of what is to be restored of it.
    :ivar copies: tables that come beside live ones, and the names of their copies.
    :ivar notes: what is as it should be, or cannot be seen.
    :ivar warnings: what somebody should know before saying yes.
    :ivar blockers: what makes the restore impossible.
    """

    def __init__(self, connection: Connection[Any], facts: BackupFacts, place: Place, target: ServerIdentity) -> None:
        self._connection = connection
        self._facts = facts
        self._place = place
        self._target = target
        self.copies: dict[str, str] = {}
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.blockers: list[str] = []

    def _say(self, holds: bool, note: str, otherwise: str, severity: Literal["warning", "blocker"] = "blocker") -> None:
        if holds:
            self.notes.append(note)
        else:
            (self.blockers if severity == "blocker" else self.warnings).append(otherwise)

    def look(self, verified: Verification) -> Existing | None:
        """Everything; returns what the target holds.

        :raises SourceUnavailable: the server is lost.
        """
        grants = Grants.of(self._connection)
        self._look_at_server()
        self._look_at_content(verified)
        self._look_at_traffic(grants)
        self._look_at_time()
        self._look_at_account(grants)
        self._look_at_definers(grants)
        if verified.excerpt:
            self._look_at_tables(verified.excerpt)
        return self._look_at_database(grants, verified.excerpt)

    def _look_at_server(self) -> None:
        source, target = self._facts.server, self._target
        self._say(
            source.flavour == target.flavour,
            f"both servers are {target.flavour}",
            f"the backup is of {source.flavour}, the target is {target.flavour}",
        )
        if outdated(source, target):
            self.warnings.append(f"the target's version {target.version} is older than {source.version}")
        self._say(
            source.sql_mode == target.sql_mode,
            "sql_mode is the same",
            f"the target's sql_mode is {target.sql_mode}; it was {source.sql_mode}",
            "warning",
        )

    def _look_at_content(self, verified: Verification) -> None:
        """Whether the server can hold what the backup holds."""
        connection, census = self._connection, self._facts.census
        used = {census.collation, *census.collations}
        unknown = sorted(name for name in used if not knows_collation(connection, name))
        known = f"all {len(used)} collations in use are known there"
        if not census.collations:
            known = "the database's collation is known there; this backup does not list those of tables and columns"
        self._say(not unknown, known, f"the target does not know the collation {_some(unknown)}")
        types = unknown_types(connection, census.data_types)
        if types is None or not census.data_types:
            self.notes.append("whether all data types are known there cannot be seen")
        else:
            known = f"all {len(census.data_types)} data types in use are known there"
            self._say(not types, known, f"the target does not know the data type {_some(types)}")
        missing = sorted({table.engine for table in census.tables if table.engine} - engines(connection))
        self._say(not missing, "all storage engines are there", f"the target has no storage engine {_some(missing)}")
        altered = altered_names(connection, [table.name for table in census.tables])
        self._say(
            not altered, "table names stay as they are",
            f"lower_case_table_names there would change or merge the names of {_some(altered)}",
        )  # fmt: skip
        if (kept := [table.name for table in census.tables if table.versioned]) and other_end_of_time(
            self._facts.server, self._target
        ):
            self.blockers.append(
                f"the target, on the other side of MariaDB 11.5, would take no row of {_some(kept)} for a current one"
                " (WITH SYSTEM VERSIONING): restore into the source's release series, and upgrade that server"
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

    def _look_at_traffic(self, grants: Grants) -> None:
        """Whether it may be written to, and who else would get or make changes."""
        connection = self._connection
        if variable(connection, "read_only") not in (None, "OFF", "0"):
            self._say(
                may_write_anyway(grants), "this account may write to it nevertheless",
                "the target is read_only, and this account may not write there nevertheless",
            )  # fmt: skip
            self.warnings.append("the target is read_only: is it a replica, or switched off on purpose?")
        receives, followers = replication(connection)
        if receives is None:
            self.notes.append("whether the target is part of a replication cannot be seen; see to it yourself")
        elif receives:
            self.warnings.append("the target is a replica: what its source sends may contradict what is restored")
        if followers:
            self.warnings.append(f"{followers} replicas follow the target and will get everything, the rename included")
        elif variable(connection, "log_bin") == "ON":
            self.notes.append("the restore is written to the binary log there, about as large as the SQL")

    def _look_at_time(self) -> None:
        """The server's clock, and whether events run by it."""
        source, target, census = self._facts.server, self._target, self._facts.census
        self._say(
            source.time_zone == target.time_zone,
            f"time_zone is {target.time_zone} on both",
            f"the target's time_zone is {target.time_zone}; it was {source.time_zone}: NOW() and events follow it",
            "warning",
        )
        if not knows_time_zone(self._connection, source.time_zone):
            self.blockers.append(
                f"the target does not know the time zone {source.time_zone}: load its tables (mariadb-tzinfo-to-sql)"
            )
        enabled = [item.name for item in census.objects if item.kind == "event" and item.status == "ENABLED"]
        if not enabled:
            return
        if not self._place.overwrite:
            self.notes.append(f"{len(enabled)} events will be disabled, whatever they were")
            return
        self._say(
            variable(self._connection, "event_scheduler") == "ON",
            f"the event scheduler runs there: after the swap {len(enabled)} events run again",
            f"the event scheduler is off there: {len(enabled)} events will be enabled, and not run",
            "warning",
        )

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

    def _look_at_definers(self, grants: Grants) -> None:
        owners = {item.definer for item in self._facts.census.objects if item.definer}
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

    def _look_at_tables(self, excerpt: Excerpt) -> None:
        if drawn := set(excerpt.sequences) - set(self._place.tables):
            self.notes.append(f"with them come sequences that their defaults draw from: {_some(sorted(drawn))}")
        if excerpt.triggers:
            self.notes.append(f"they have triggers: {_some(excerpt.triggers)}")
        self.warnings += excerpt.warnings

    def _look_at_database(self, grants: Grants, excerpt: Excerpt | None) -> Existing | None:
        place, connection = self._place, self._connection
        now = existing(connection, place.database)
        if now is None or now.empty:
            return now
        if excerpt:
            self.copies = copy_names(excerpt.names, place.run_at)
            self.notes.append(
                f"{place.database} exists: the tables come beside its own, without triggers and foreign keys;"
                " nothing that is there is touched"
            )
            if taken := taken_names(connection, place.database, self.copies.values()):
                self.blockers.append(f"{place.database} holds {_some(taken)} already; trigger a new run")
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


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more
