"""Comparing a restored copy with what the source held in the snapshot. Never with the live source: it moves on."""

from __future__ import annotations

from contextlib import ExitStack, closing

from include.backup_engine.excerpt import Excerpt
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.extent import like
from include.backup_engine.mysql.health import Health, check_health
from include.backup_engine.mysql.lanes import lane_count
from include.backup_engine.mysql.ranges import differing
from include.backup_engine.mysql.server import Endpoint, identify
from include.backup_engine.records import Census, ObjectFacts, Record, TableFacts
from include.backup_engine.report import Reporter

_NAMED_FINDINGS = 20


class Comparison(Record):
    """What was compared, and every difference by name.

    :param rows: rows of the tables whose fingerprints were compared.
    :param not_compared: what could not be compared, with the reason; it is not proven either way.
    """

    tables: int
    rows: int
    objects: int
    views_run: int
    foreign_keys_checked: int
    findings: list[str]
    not_compared: list[str]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.findings

    def summary(self) -> str:
        """One line."""
        counted = f"{self.tables} tables, {self.rows} rows, {self.objects} objects compared"
        if self.equal:
            return f"{counted}: all equal"
        shown = "; ".join(self.findings[:_NAMED_FINDINGS])
        return f"{counted}: {len(self.findings)} differences: {shown}"


def compare_with_snapshot(
    expected: Census,
    endpoint: Endpoint,
    database: str,
    reporter: Reporter,
    *,
    events_disabled: bool,
    excerpt: Excerpt | None = None,
) -> Comparison:
    """Compare a restored database with the census of its backup, then see whether it works.

    :param expected: from the sidecar.
    :param excerpt: what was restored, when that was some tables only.
    :param events_disabled: whether events must be disabled there, as in a drill.
    :raises SourceUnavailable, PreflightError: the restored copy cannot be read.
    """
    absent = excerpt.absent_from(expected) if excerpt else set()
    expected = excerpt.part_of(expected) if excerpt else expected
    with ExitStack() as opened:
        connections = [opened.enter_context(closing(endpoint.connect(database))) for _ in range(lane_count())]
        connection = connections[0]
        with reporter.stage("Count, hash and compare"):
            flavour = identify(connection).flavour
            actual = take_census(connection, flavour, database)
            actual = add_fingerprints(connections, database, actual, look=like(expected))
            findings, not_compared = compare_census(expected, actual, events_disabled=events_disabled)
        with reporter.stage("Run every view, look for orphans"):
            health: Health = check_health(connection, database, absent)
    comparison = Comparison(
        tables=len(expected.tables),
        rows=sum(table.rows or 0 for table in expected.tables if table.fingerprint),
        objects=len(expected.objects),
        views_run=health.views,
        foreign_keys_checked=health.foreign_keys,
        findings=findings + health.findings,
        not_compared=not_compared,
    )
    tell = reporter.line if comparison.equal else reporter.warn
    tell(comparison.summary(), views_run=health.views, foreign_keys=health.foreign_keys)
    for item in not_compared:
        reporter.warn(f"Not compared: {item}")
    return comparison


def compare_census(expected: Census, actual: Census, *, events_disabled: bool) -> tuple[list[str], list[str]]:
    """All differences, and what could not be compared."""
    findings: list[str] = []
    not_compared: list[str] = []
    if (expected.charset, expected.collation) != (actual.charset, actual.collation):
        findings.append(f"the schema's character set is {actual.charset} {actual.collation}")
    there = {(item.kind, item.name): item for item in actual.everything}
    for item in expected.everything:
        found = there.pop((item.kind, item.name), None)
        label = f"{item.kind} {item.name}"
        if found is None:
            findings.append(f"{label} is missing")
            continue
        if found.definition_sha256 != item.definition_sha256:
            findings.append(f"{label} has another definition")
        if isinstance(item, TableFacts) and isinstance(found, TableFacts):
            _compare_table(item, found, findings, not_compared)
        elif isinstance(found, ObjectFacts) and events_disabled and found.status == "ENABLED":
            findings.append(f"{label} is enabled in the copy")
    findings += [f"{kind} {name} was not in the source" for kind, name in sorted(there)]
    return findings, not_compared


def _compare_table(expected: TableFacts, found: TableFacts, findings: list[str], not_compared: list[str]) -> None:
    label = f"{expected.kind} {expected.name}"
    if expected.kind == "sequence":
        # A sequence is not part of any snapshot; what must not happen is that it goes back.
        if int(found.fingerprint or 0) < int(expected.fingerprint or 0):
            findings.append(f"{label} would repeat values: next is {found.fingerprint}, was {expected.fingerprint}")
        return
    if (found.auto_increment or 1) < (expected.auto_increment or 1):
        findings.append(
            f"{label} would repeat values: next is {found.auto_increment or 1}, was {expected.auto_increment}"
        )
    apart = differing(expected.ranges, found.ranges) if expected.ranges and found.ranges else ""
    where = f", in {apart}" if apart else ""
    if expected.rows is None:
        not_compared.append(f"the rows of {label} ({expected.note})")
    elif expected.rows != found.rows:
        findings.append(f"{label} has {found.rows} rows, the source had {expected.rows}{where}")
    elif apart:
        findings.append(f"{label} has the right number of rows but another content{where}")
    elif expected.fingerprint is None or found.fingerprint is None:
        not_compared.append(
            f"the content of {label} ({expected.note or found.note}); its {found.rows} rows were counted"
        )
    elif expected.fingerprint != found.fingerprint:
        findings.append(f"{label} has the right number of rows but another content")
    elif expected.note:
        not_compared.append(f"some values of {label} ({expected.note})")
