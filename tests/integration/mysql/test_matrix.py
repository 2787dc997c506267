"""Every server's backup into every server: of one flavour the copy is equal, of two the plan refuses and says why.

What is copied is the hostile database: every type, every kind of object, and whatever has broken dumps before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import cache

import pytest

from include.backup_engine.crypto.sidecar import BackupFacts
from include.backup_engine.errors import LoadFailed
from include.backup_engine.mysql.server import Endpoint, identify, quote
from include.backup_engine.records import Chain, SourceFacts, StoredObject, Timings
from include.backup_engine.survey import Place, Survey
from include.backup_engine.verify import Verification
from tests.integration.mysql.conftest import root_of
from tests.integration.mysql.copies import Taken, compare, restore_into, source_policy, take
from tests.integration.mysql.hostile_database import create, files_of
from tests.servers.database import Database
from tests.servers.mysql import MySQL

SOURCE, COPY = "mirror_a`b.c d☎ 100%", "mirror_copy `of; -- it"
SOURCES = ["mariadb_source", "mariadb_11", "mysql_source"]
TARGETS = ["mariadb_scratch", "mariadb_11", "mysql_scratch"]
ALIKE = [(s, t) for s in SOURCES for t in TARGETS if s[:5] == t[:5]]
DIFFERENT = [(s, t) for s in SOURCES for t in TARGETS if s[:5] != t[:5]]

INEXACT = {
    "mariadb": [("negative zero", "1 of column f")],
    "mysql": [("negative zero", "2 of column f, 1 of column g"), ("typed_json", "1 of column j")],
}
"""What the copy cannot hold exactly, as the backup has warned: table and columns."""


@pytest.fixture(scope="module")
def taken_of(request: pytest.FixtureRequest) -> Callable[..., Taken]:
    """The backup of a server's hostile database."""

    @cache
    def taken_of(name: str, *files: str) -> Taken:
        server: Database = request.getfixturevalue(name)
        create(root_of(server), SOURCE, *files)
        taken = take(root_of(server), source_policy(SOURCE))
        server.sql(f"DROP DATABASE {quote(SOURCE)}")
        return taken

    return taken_of


def survey(taken: Taken, target: Endpoint) -> Survey:
    """What the plan of a recovery says about this target."""
    facts = BackupFacts(
        backup_id="b", object_name="db_backup_20261124_020000.sql.gz.encrypted", source=SOURCE,
        timings=Timings(total=1.0), chain=Chain(sequence=1), attempt=1, airflow={},
        **{name: getattr(taken.facts, name) for name in SourceFacts.model_fields.keys() - {"fingerprint_seconds"}},
    )  # fmt: skip
    verified = Verification(
        name="b", stored=StoredObject(bucket="b", key="k", size=1), kms_key_id="k", sql_bytes=1000, tables=2,
        longest_statement=40_000_000, seconds=1, bytes_per_second=1, peak_memory_bytes=1,
    )  # fmt: skip
    place = Place(
        conn_id="target", database=COPY, databases=[COPY], overwrite=False, tables=[], run_at=datetime.now(UTC)
    )
    with closing(target.connect()) as connection:
        found = Survey(connection, facts, place, identify(connection))
        found.look(verified)
    return found


@pytest.mark.parametrize(("source", "target"), ALIKE)
def test_p22_p23_p24_p25_p27_p35_of_one_flavour_the_copy_is_equal(
    source: str, target: str, taken_of: Callable[..., Taken], request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(target)
    taken = taken_of(source, *files_of("mysql" if "mysql" in source else "mariadb"))
    server.sql("SET GLOBAL log_bin_trust_function_creators = 1")
    planned = survey(taken, root_of(server))
    assert planned.blockers == []
    older = (source, target) == ("mariadb_11", "mariadb_scratch")
    assert any("is older than" in warning for warning in planned.warnings) == older

    loaded = restore_into(root_of(server), COPY, taken)
    comparison = compare(taken, root_of(server), COPY, "none")
    server.sql(f"DROP DATABASE {quote(COPY)}")
    assert comparison.equal, comparison.summary()
    assert loaded.events_disabled == taken.facts.census.count("event")
    inexact = INEXACT["mysql" if isinstance(server, MySQL) else "mariadb"]
    assert comparison.not_compared == [
        f"some values of table {table} (a dump does not write these values exactly: {which})"
        for table, which in inexact
    ]


@pytest.mark.parametrize(("source", "target"), DIFFERENT)
def test_of_two_flavours_the_plan_refuses(
    source: str, target: str, taken_of: Callable[..., Taken], request: pytest.FixtureRequest
) -> None:
    flavours = ["mysql" if "mysql" in name else "mariadb" for name in (source, target)]
    blockers = survey(taken_of(source, "tables.sql"), root_of(request.getfixturevalue(target))).blockers
    assert f"the backup is of {flavours[0]}, the target is {flavours[1]}" in blockers


@pytest.mark.parametrize("target", ["mariadb_scratch", "mariadb_11"])
def test_what_only_the_newer_series_has_goes_there_alone(
    target: str, taken_of: Callable[..., Taken], request: pytest.FixtureRequest
) -> None:
    taken, server = taken_of("mariadb_11", "mariadb_11.sql"), request.getfixturevalue(target)
    if target == "mariadb_scratch":
        assert survey(taken, root_of(server)).blockers == ["the target does not know the data type vector"]
        with pytest.raises(LoadFailed):
            restore_into(root_of(server), COPY, taken)
    else:
        assert survey(taken, root_of(server)).blockers == []
        restore_into(root_of(server), COPY, taken)
        comparison = compare(taken, root_of(server), COPY)
        assert comparison.equal, comparison.summary()
    server.sql(f"DROP DATABASE {quote(COPY)}")


@pytest.mark.parametrize(("source", "target"), [pair for pair in ALIKE if "mysql" not in pair[0]])
def test_p34_history_goes_to_servers_with_the_same_end_of_time(
    source: str, target: str, taken_of: Callable[..., Taken], request: pytest.FixtureRequest
) -> None:
    """Rows are current until 2038 before MariaDB 11.5, and until 2106 from there on."""
    taken, server = taken_of(source, "history.sql"), request.getfixturevalue(target)
    apart = ("11" in source) != ("11" in target)
    refused = [
        blocker
        for blocker in survey(taken, root_of(server)).blockers
        if "history" in blocker and "VERSIONING" in blocker
    ]
    assert bool(refused) == apart
    try:
        restore_into(root_of(server), COPY, taken)
    except LoadFailed as error:
        assert (source, target) == ("mariadb_11", "mariadb_scratch")
        assert "error 1525" in error.cause
    else:
        comparison = compare(taken, root_of(server), COPY, "none")
        kept = sorted(table.name for table in taken.facts.census.tables if table.versioned)
        assert len(kept) == 5
        assert comparison.findings == [
            f"table {name} has the right number of rows but another content" for name in kept if apart
        ]
    server.sql(f"DROP DATABASE {quote(COPY)}")
