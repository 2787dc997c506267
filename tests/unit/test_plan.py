"""How a plan reads, and the longest statement that it is made with."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from markdown_it import MarkdownIt

from include.backup_engine.mysql.target import Existing, outdated
from include.backup_engine.plan import Plan
from include.backup_engine.records import ServerIdentity, StoredObject
from include.backup_engine.survey import Place
from include.backup_engine.verify import LongestStatement, Verification


def _server(version: str) -> ServerIdentity:
    return ServerIdentity(flavour="mariadb", version=version, instance_id="i")


def plan_of(
    *, overwrite: bool = False, tables: int = 45, blockers: list[str] | None = None, accounts: list[str] | None = None
) -> Plan:
    """A plan as make_plan returns it; with ``overwrite`` for a target that holds ``tables``."""
    beside = ["t_incoming_20261124030405", "t_before_20261124030405"]
    verified = Verification(
        name="db_backup_20261124_020000", stored=StoredObject(bucket="b", key="k", size=1), kms_key_id="arn:k",
        sql_bytes=5_000_000, tables=45, longest_statement=1_000_000, seconds=1.0, bytes_per_second=1,
        peak_memory_bytes=1,
    )  # fmt: skip
    return Plan(
        backup="db_backup_20261124_020000.sql.gz.encrypted",
        snapshot_at="2026-11-24 02:00:01 UTC",
        place=Place(
            conn_id="t_mysql",
            database="t",
            databases=["t", *beside],
            overwrite=overwrite,
            tables=[],
            run_at=datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC),
        ),
        source_server=_server("10.11.2"),
        target_server=_server("10.11.6"),
        counts={"table": 45, "sequence": 1, "view": 0},
        rows=1234,
        existing=Existing(tables=tables, code=0, rows=1200, data_bytes=9_000_000) if overwrite else None,
        verified=verified,
        copies={},
        accounts=accounts or [],
        expected_seconds=300.0 if overwrite else None,
        notes=["max_allowed_packet is 16.8 MB"],
        warnings=["the target's sql_mode is another one"],
        blockers=blockers or [],
    )


def test_a_plan_for_a_new_database_reads_like_one() -> None:
    lines = plan_of().lines()
    assert lines[0].startswith("Backup db_backup_20261124_020000.sql.gz.encrypted, snapshot of 2026-11-24 02:00:01 UTC")
    assert "+ t: 45 tables, 1 sequence, 1234 rows" in lines
    assert "! the target's sql_mode is another one" in lines
    assert lines[-1] == (
        "Plan: nothing speaks against it, 1 warning; expected duration unknown: no drill has passed yet"
    )


def test_a_plan_for_an_overwrite_says_what_goes_where() -> None:
    lines = plan_of(overwrite=True, blockers=["the account lacks CREATE ON `t`.*"]).lines()
    goes = lines.index("- t: 45 tables and sequences, about 1200 rows, 9.0 MB, 0 views and other code")
    assert lines[goes + 1] == "  kept as t_before_20261124030405"
    assert any(line.startswith("~ t: 45 tables") for line in lines)
    assert "x the account lacks CREATE ON `t`.*" in lines
    assert lines[-1] == "Plan: 1 blocker, 1 warning; expected duration about 5 min"


def test_the_question_is_markdown_that_shows_names_and_reasons_as_they_are() -> None:
    text = plan_of(overwrite=True).question("grace", "*ward 3*\n# lost [rows](http://x) <b> & `t`_1")
    assert text.startswith("**t on t\\_mysql goes back to 2026-11-24 02:00:01 UTC.** What was written there since")
    assert "- **goes out**, kept as t\\_before\\_20261124030405: 45 tables and sequences, about 1200 rows" in text
    assert "**Think about**\n\n- the target's sql\\_mode is another one" in text
    shown = MarkdownIt().render(text)
    assert "<strong>asked for</strong> by grace: *ward 3* # lost [rows](http://x) &lt;b&gt; &amp; `t`_1</li>" in shown
    assert shown.count("<ul>") == 3


@pytest.mark.parametrize(
    ("source", "target", "older"),
    [
        ("10.11.6-MariaDB", "10.11.2-MariaDB", False),
        ("11.4.1-MariaDB", "10.11.6-MariaDB", True),
        ("8.0.36", "8.4.0", False),
        ("10.11.6-MariaDB", "10.6.9-MariaDB", True),
    ],
)
def test_an_older_release_series_is_seen(source: str, target: str, older: bool) -> None:
    assert outdated(_server(source), _server(target)) is older


def test_the_longest_statement_does_not_depend_on_how_the_stream_is_cut() -> None:
    chance = random.Random(7)
    statements = [b"x" * chance.randrange(1, 400) for _ in range(200)]
    stream = b";\n".join(statements) + b";\n"
    for size in (1, 7, 100, 5000, len(stream)):
        longest = LongestStatement()
        for start in range(0, len(stream), size):
            longest.feed(stream[start : start + size])
        assert 0 <= longest.bytes - max(map(len, statements)) <= 2  # a semicolon may stand at the cut
