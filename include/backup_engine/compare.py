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
from include.backup_engine.written import Rewritten, Written, writing_again

_NAMED_FINDINGS = 20
_NOT_REWRITTEN = Rewritten()


class Comparison(Record):
    """What was compared, and every difference by name.

    :param rows: rows of the tables whose fingerprints were compared.
    :param rewritten: tables whose rows, dumped again, are those that the backup's dump wrote.
    :param not_compared: what could not be compared, with the reason; it is not proven either way.
    """

    tables: int
    rows: int
    rewritten: int = 0
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
    written: Written | None = None,
) -> Comparison:
    """Compare a restored database with the census of its backup, then see whether it works.

    :param expected: from the sidecar.
    :param excerpt: what was restored, when that was some tables only.
    :param events_disabled: whether events must be disabled there, as in a drill.
    :param written: what the dump wrote, to dump the copy's tables again, beside the rest, and compare that.
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
            with writing_again(written, endpoint, database, actual) as rewriting:
                actual = add_fingerprints(connections, database, actual, look=like(expected))
                rewritten = rewriting()
            findings, not_compared = compare_census(expected, actual, rewritten, events_disabled=events_disabled)
        with reporter.stage("Run every view, look for orphans"):
            health: Health = check_health(connections, database, absent)
    hashed = {table.name for table in actual.tables if table.fingerprint}
    comparison = Comparison(
        tables=len(expected.tables),
        rows=sum(table.rows or 0 for table in expected.tables if table.fingerprint and table.name in hashed),
        rewritten=len(rewritten.same),
        objects=len(expected.objects),
        views_run=health.views,
        foreign_keys_checked=health.foreign_keys,
        findings=findings + health.findings,
        not_compared=not_compared,
    )
    tell = reporter.line if comparison.equal else reporter.warn
    tell(
        comparison.summary(), views_run=health.views, foreign_keys=health.foreign_keys, dumped_again=len(rewritten.same)
    )
    for item in not_compared:
        reporter.warn(f"Not compared: {item}")
    return comparison


def compare_census(
    expected: Census, actual: Census, rewritten: Rewritten = _NOT_REWRITTEN, *, events_disabled: bool
) -> tuple[list[str], list[str]]:
    """All differences, and what could not be compared."""
    findings: list[str] = []
    not_compared: list[str] = []
    if (expected.charset, expected.collation) != (actual.charset, actual.collation):
        findings.append(f"the schema's character set is {actual.charset} {actual.collation}")
    if None not in (expected.comment, actual.comment) and expected.comment != actual.comment:
        findings.append("the schema has another comment")
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
            _compare_table(item, found, rewritten, findings, not_compared)
        elif isinstance(found, ObjectFacts) and events_disabled and found.status == "ENABLED":
            findings.append(f"{label} is enabled in the copy")
    findings += [f"{kind} {name} was not in the source" for kind, name in sorted(there)]
    if rewritten.failed:
        not_compared.append(f"what the copy is when it is dumped again ({rewritten.failed.removesuffix('.')})")
    return findings, not_compared


def _compare_table(
    expected: TableFacts, found: TableFacts, rewritten: Rewritten, findings: list[str], not_compared: list[str]
) -> None:
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
    elif expected.fingerprint and found.fingerprint and expected.fingerprint != found.fingerprint:
        findings.append(f"{label} has the right number of rows but another content")
    else:
        _compare_rewritten(expected, found, rewritten, findings, not_compared)


def _compare_rewritten(
    expected: TableFacts, found: TableFacts, rewritten: Rewritten, findings: list[str], not_compared: list[str]
) -> None:
    """Of a table with the right number of rows, and with no other fingerprint than it should have."""
    name, label, note = expected.name, f"{expected.kind} {expected.name}", expected.note or found.note
    hashed = bool(expected.fingerprint and found.fingerprint)
    innocent = rewritten.innocent(name, exact=hashed and not note) if name in rewritten.other else ""
    if name in rewritten.other and not innocent:
        findings.append(f"{label} has the right number of rows but not those that the dump wrote")
        return
    if name in rewritten.same:
        shown = f"its {found.rows} rows are those that the dump wrote"
    elif innocent:
        shown = f"its {found.rows} rows were counted; the dump wrote others, it may be because {innocent}"
    else:
        shown = f"its {found.rows} rows were counted"
    if not hashed:
        not_compared.append(f"the content of {label} ({note}); {shown}")
    elif note:
        not_compared.append(f"some values of {label} ({note})" + (f"; {shown}" if innocent else ""))
    elif innocent:
        not_compared.append(f"what the dump wrote of {label}: {innocent}; its content is the source's")
