"""Whether a backup is like those before it: a table that was emptied, a database that has shrunk, data that no longer
compresses as if it had been encrypted. The backup is good; what it holds may not be what anyone wants to keep.

Each number is compared with its median in the newest complete backups before, which their sidecars tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.sidecar import BackupFacts
from include.backup_engine.errors import AbnormalBackup, BackupError
from include.backup_engine.names import BackupName
from include.backup_engine.policy import AnomalyPolicy, Policy
from include.backup_engine.records import Record, Section
from include.backup_engine.report import Reporter
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import open_stored

COMPARED_BACKUPS = 7
_TOLD = 10
_RATIO_BYTES = 1 << 16
"""Of less text, what is the same in every dump is too large a part to tell anything."""


class Measures(Record):
    """What of a backup is compared.

    :param size: bytes as stored; ``sql_bytes`` before and ``compressed_bytes`` after compression.
    :param tables: all that there are.
    :param rows: of each table whose rows were counted; an unproven backup may have none.
    :param ratios: SQL bytes per compressed byte, of each table that fills members of its own.
    """

    compression: str
    size: int
    sql_bytes: int
    compressed_bytes: int
    tables: list[str]
    rows: dict[str, int]
    ratios: dict[str, float]
    excluded: list[str]

    @property
    def all_rows(self) -> int | None:
        """Rows of the database, when those of each table are known."""
        return sum(self.rows.values()) if len(self.rows) == len(self.tables) else None

    @classmethod
    def of(cls, facts: BackupFacts, size: int) -> Measures:
        """Take them from a sidecar.

        :param size: bytes of the encrypted dump.
        """
        stream = facts.stream
        tables = [table for table in facts.census.tables if table.kind == "table"]
        return cls(
            compression=BackupName.parse(facts.object_name).compression,
            size=size,
            sql_bytes=stream.sql_bytes,
            compressed_bytes=stream.compressed_bytes,
            tables=[table.name for table in tables],
            rows={table.name: table.rows for table in tables if table.rows is not None},
            ratios=_ratios(stream.sections, stream.compressed_bytes),
            excluded=facts.census.excluded_tables,
        )


class Judgement(Record):
    """What was compared, and what is not as usual.

    :param compared_with: how many backups before; with none there is nothing to compare with.
    :param anomalies: each by name, in words.
    """

    compared_with: int
    anomalies: list[str]

    def told(self) -> str:
        """The anomalies in one line."""
        more = len(self.anomalies) - _TOLD
        return "; ".join([*self.anomalies[:_TOLD], *([f"and {more} more"] if more > 0 else [])])

    def tell(self, backup: str, reporter: Reporter) -> None:
        """Say what was found."""
        if not self.compared_with:
            reporter.line(f"{backup} is the first complete backup of its source: there is nothing to compare it with")
        elif not self.anomalies:
            reporter.line(f"{backup} is as usual", compared_with=self.compared_with)
        for anomaly in self.anomalies:
            reporter.warn(f"ABNORMAL: {backup}: {anomaly}")

    def raise_if_refused(self, backup: str, limits: AnomalyPolicy) -> None:
        """Fail where the policy says so; the backup stays.

        :raises AbnormalBackup: naming the anomalies.
        """
        if self.anomalies and limits.action == "fail":
            raise AbnormalBackup(
                f"{backup} is complete and kept, but not like the {self.compared_with} before it: {self.told()}.",
                "Find out what was done to the database; if it was meant, the next backups make it usual.",
            )


def judge(newest: Measures, before: Sequence[Measures], limits: AnomalyPolicy) -> Judgement:
    """Compare a backup with those before it, of which the newest count; the same input gives the same result."""
    before = before[:COMPARED_BACKUPS]
    alike = [other for other in before if other.compression == newest.compression]
    all_rows = [other.all_rows for other in before if other.all_rows is not None]
    found = [
        *_compare("bytes", newest.size, [other.size for other in alike], limits.shrink_percent, limits.growth_percent),
        *_compare("rows", newest.all_rows, all_rows, limits.shrink_percent, limits.growth_percent),
        *_tables(newest, before, limits),
        *_compressibility(
            "the whole dump", _ratio(newest.sql_bytes, newest.compressed_bytes),
            [_ratio(other.sql_bytes, other.compressed_bytes) for other in alike], limits,
        ),
    ]  # fmt: skip
    for table, ratio in sorted(newest.ratios.items()):
        others = [other.ratios[table] for other in alike if table in other.ratios]
        found += _compressibility(f"table {table}", ratio, others, limits)
    return Judgement(compared_with=len(before), anomalies=found)


def judge_stored(
    source: str, name: BackupName, policy: Policy, reader: Vault, keyring: Keyring, reporter: Reporter
) -> Judgement:
    """Compare a stored backup with the newest complete ones before it. Each sidecar is authenticated.

    :raises BackupError: the backup itself cannot be opened.
    """
    catalog = Catalog(reader)
    entry = catalog.find(source, name.stem)
    facts = open_stored(entry, source, policy, reader, keyring).facts
    if facts is None:
        return Judgement(compared_with=0, anomalies=[])
    before: list[Measures] = []
    for other in catalog.listed(source):
        if other.state != "complete" or other.future or other.name is None or other.taken_at >= entry.taken_at:
            continue
        try:
            earlier = open_stored(catalog.read(other), source, policy, reader, keyring).facts
        except BackupError as error:
            reporter.warn(f"{other.name.stem} is not compared with: {error.cause}")
            continue
        if earlier is not None:
            before.append(Measures.of(earlier, other.size or 0))
        if len(before) == COMPARED_BACKUPS:
            break
    return judge(Measures.of(facts, entry.size or 0), before, policy.anomalies)


def _compare(
    what: str, value: int | None, others: Sequence[int], shrink_percent: float, growth_percent: float
) -> list[str]:
    if not others or value is None:
        return []
    usual = median(others)
    if usual * (100 - shrink_percent) <= value * 100 <= usual * (100 + growth_percent):
        return []
    return [f"it has {value:,} {what}, and the median of the {len(others)} before it is {usual:,.0f}"]


def _tables(newest: Measures, before: Sequence[Measures], limits: AnomalyPolicy) -> list[str]:
    found: list[str] = []
    known = Counter(table for other in before for table in other.tables)
    for table, times in sorted(known.items()):
        counts = [other.rows[table] for other in before if table in other.rows]
        had = f"it had {median(counts):,.0f} rows" if counts else "its rows were not counted"
        rows = newest.rows.get(table)
        if table not in newest.tables:
            # One that is made and dropped again and again is not missed, nor one that the policy has left out.
            if times * 2 > len(before) and table not in newest.excluded:
                found.append(f"table {table} is gone; {had}")
        elif counts and min(counts) > 0 and rows == 0:
            found.append(f"table {table} is empty; {had}")
        elif counts and median(counts) >= limits.min_rows:
            told = _compare("rows", rows, counts, limits.table_shrink_percent, limits.table_growth_percent)
            found += [f"table {table}: {text}" for text in told]
    return found


def _compressibility(what: str, ratio: float, others: Sequence[float], limits: AnomalyPolicy) -> list[str]:
    others = [other for other in others if other]
    if not others or not ratio:
        return []
    usual, kept = median(others), 1 - limits.compressibility_percent / 100
    if usual * kept <= ratio <= usual / kept:
        return []
    reason = ", as data does that has been encrypted" if ratio < usual else ""
    return [f"{what} compresses {ratio:.1f} to 1, usually {usual:.1f} to 1{reason}"]


def _ratio(sql_bytes: int, compressed_bytes: int) -> float:
    return sql_bytes / compressed_bytes if compressed_bytes and sql_bytes >= _RATIO_BYTES else 0.0


def _ratios(sections: Sequence[Section], compressed_bytes: int) -> dict[str, float]:
    """Of each table that makes up nearly all of the members that it lies in; smaller ones share a member."""
    starts = sorted({(section.compressed_offset, section.member_sql_offset) for section in sections})
    sql_end = max((section.sql_offset + section.sql_length for section in sections), default=0)
    ends = dict(zip(starts, [*starts[1:], (compressed_bytes, sql_end)], strict=True))
    sums: dict[str, tuple[int, int]] = {}
    for section in sections:
        start = (section.compressed_offset, section.member_sql_offset)
        compressed, sql = (end - begin for end, begin in zip(ends[start], start, strict=True))
        if section.kind == "table" and section.sql_length >= 0.9 * sql:
            before = sums.get(section.name, (0, 0))
            sums[section.name] = (before[0] + sql, before[1] + compressed)
    return {name: round(ratio, 3) for name, (sql, compressed) in sums.items() if (ratio := _ratio(sql, compressed))}
