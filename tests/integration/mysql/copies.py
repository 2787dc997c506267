"""Reading a database as a backup does, and making a copy of it as a restore does, without encryption and store."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import Comparison, compare_with_snapshot
from include.backup_engine.compression import decompress
from include.backup_engine.mysql.fingerprint import VERSION
from include.backup_engine.mysql.load import Loader, LoadFacts, be_lenient
from include.backup_engine.mysql.server import Endpoint, identify, quote, rows
from include.backup_engine.mysql.target import set_options
from include.backup_engine.names import Compression
from include.backup_engine.policy import SourcePolicy
from include.backup_engine.records import DumpAgain, SourceFacts
from include.backup_engine.report import Reporter
from include.backup_engine.source import read_source
from include.backup_engine.written import Written

LANES = 2


@dataclass(frozen=True)
class Taken:
    """A compressed dump, and everything that was learnt with it."""

    chunks: list[bytes]
    facts: SourceFacts
    compression: Compression

    @property
    def sql(self) -> bytes:
        return b"".join(decompress(self.chunks, self.compression))


def source_policy(
    database: str, *, compression: Compression = "gzip", exclude_tables: tuple[str, ...] = (), **options: Any
) -> SourcePolicy:
    return SourcePolicy(
        conn_id="source", database=database, compression=compression, exclude_tables=list(exclude_tables), **options
    )


def take(endpoint: Endpoint, policy: SourcePolicy, **options: int) -> Taken:
    """Read the whole source. ``options``: ``turn`` and ``large_rows`` of :func:`read_source`."""
    with read_source(endpoint, policy, Reporter(), Cancellation(), **options) as source:
        chunks = list(source.compressed())
        return Taken(chunks, source.facts(), policy.compression)


def restore_into(endpoint: Endpoint, database: str, taken: Taken, *, as_data: bool = True) -> LoadFacts:
    """Load it into a new database; rows go there as data where the server takes any."""
    sections = taken.facts.stream.sections if as_data else []
    census = taken.facts.census
    with closing(endpoint.connect()) as connection:
        rows(connection, f"DROP DATABASE IF EXISTS {quote(database)}")
        set_options(connection, "CREATE", database, census.charset, census.collation, census.comment)
    with ExitStack() as opened:
        connections = [
            opened.enter_context(closing(endpoint.connect(database, sends_data=True))) for _ in range(1 + LANES)
        ]
        for connection in connections:
            be_lenient(connection)
        others = [str(name) for (name,) in rows(connections[0], "SHOW DATABASES") if name != database]
        loader = Loader(
            connections,
            database,
            server=identify(connections[0]),
            source_database=taken.facts.database,
            other_schemas=others,
            powerful=True,
            large_tables=[table.name for table in census.tables],  # whatever their size: small ones show as much
            as_data={s.name: s.rows for s in sections if s.kind == "table" and s.rows is not None},
        )
        return loader.load(decompress(taken.chunks, taken.compression))


def of_another_version(taken: Taken) -> Taken:
    """As if its fingerprints had been made by a program of another version."""
    census = taken.facts.census
    tables = []
    for table in census.tables:
        if table.kind == "table":
            ranges = table.ranges and table.ranges.model_copy(
                update={"hashes": [":2:".join(hashed.split(f":{VERSION}:")) for hashed in table.ranges.hashes]}
            )
            fingerprint = table.fingerprint and f"2{table.fingerprint.removeprefix(VERSION)}"
            table = table.model_copy(update={"fingerprint": fingerprint, "ranges": ranges})
        tables.append(table)
    facts = taken.facts.model_copy(update={"census": census.model_copy(update={"tables": tables})})
    return replace(taken, facts=facts)


def without_fingerprints(taken: Taken) -> Taken:
    """As if the server could not have hashed a single table."""
    nothing = {"fingerprint": None, "ranges": None, "note": "none"}
    census = taken.facts.census
    tables = [t.model_copy(update=nothing) if t.kind == "table" else t for t in census.tables]
    census = census.model_copy(update={"tables": tables})
    return Taken(taken.chunks, taken.facts.model_copy(update={"census": census}), taken.compression)


def compare(taken: Taken, endpoint: Endpoint, database: str, dump_again: DumpAgain = "all") -> Comparison:
    facts = taken.facts
    return compare_with_snapshot(
        facts.census, endpoint, database, Reporter(), events_disabled=True, written=Written.of(facts, dump_again)
    )
