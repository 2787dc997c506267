"""When a drill has passed, and what it says when not."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from include.backup_engine.break_glass import NOT_DUE, BreakGlass
from include.backup_engine.compare import Comparison
from include.backup_engine.drill import DrillResult, PickedBackup, drill_database, judge
from include.backup_engine.errors import DrillFailed
from include.backup_engine.policy import DrillPolicy
from include.backup_engine.records import StoredObject
from include.backup_engine.restore import DRILL_PREFIX, Restoration
from include.backup_engine.verify import Verification

SNAPSHOT_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STARTED_AT = SNAPSHOT_AT + timedelta(hours=3)
COMPARED_AT = STARTED_AT + timedelta(minutes=30)
TARGETS = DrillPolicy(rto_target_minutes=60, rpo_target_hours=26)

VERIFIED = Verification(
    name="db_backup_20260102_030405",
    stored=StoredObject(bucket="b", key="k", size=1),
    kms_key_id="arn",
    sql_bytes=1,
    tables=1,
    seconds=1.0,
    bytes_per_second=1.0,
    peak_memory_bytes=1,
)
RESTORATION = Restoration(
    backup="db_backup_20260102_030405",
    database="drill_surgicase_20260102_060405",
    verified=VERIFIED,
    statements=1,
    sql_bytes=1,
    seconds=1.0,
    bytes_per_second=1.0,
    definers_mapped=0,
    events_disabled=0,
    peak_memory_bytes=1,
)
EQUAL = Comparison(
    tables=1, rows=1, objects=0, views_run=0, foreign_keys_checked=0, findings=[], not_compared=["the content of t"]
)
DIFFERS = EQUAL.model_copy(update={"findings": ["table a is missing", "table b has another definition"]})


def picked(started_at: datetime = STARTED_AT) -> PickedBackup:
    return PickedBackup(
        source="surgicase",
        backup="db_backup_20260102_030405",
        backup_id="id",
        database="drill_surgicase_20260102_060405",
        snapshot_at=SNAPSHOT_AT,
        started_at=started_at,
        kms_key_id="arn",
    )


def judged(
    restoration: Restoration | None = RESTORATION,
    comparison: Comparison | None = EQUAL,
    compared_at: datetime | None = COMPARED_AT,
    scratch_is_gone: bool = True,
    started_at: datetime = STARTED_AT,
    break_glass: BreakGlass | None = NOT_DUE,
) -> DrillResult:
    return judge(picked(started_at), restoration, comparison, compared_at, scratch_is_gone, TARGETS, break_glass)


def test_a_drill_that_passed() -> None:
    result = judged()
    assert result.passed
    assert result.failures == []
    assert (result.rto_seconds, result.rpo_seconds) == (1800, 3 * 3600)
    assert (result.rto_target_seconds, result.rpo_target_seconds) == (3600, 26 * 3600)
    result.raise_if_failed()
    assert DrillResult.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize(
    ("result", "failures"),
    [
        (judged(restoration=None), ["it was not restored"]),
        (judged(comparison=None), ["nothing was compared"]),
        (judged(None, None, None), ["it was not restored", "nothing was compared"]),
        (judged(comparison=DIFFERS), ["table a is missing", "table b has another definition"]),
        (judged(compared_at=STARTED_AT + timedelta(minutes=60)), []),
        (judged(compared_at=STARTED_AT + timedelta(minutes=61)),
         ["restoring took 61.0 min, the target is 60.0 min"]),
        (judged(started_at=SNAPSHOT_AT + timedelta(hours=26), compared_at=None), []),
        (judged(started_at=SNAPSHOT_AT + timedelta(hours=27), compared_at=None),
         ["the newest backup was 27.0 h old, the target is 26.0 h"]),
        (judged(scratch_is_gone=False),
         ["the scratch database drill_surgicase_20260102_060405 is not shown to be gone"]),
        (judged(break_glass=BreakGlass(due=True, matched=True)), []),
        (judged(break_glass=BreakGlass(due=True, problem="cannot read the backup")),
         ["the break-glass file cannot read the backup"]),
        (judged(break_glass=None), ["it was not shown whether the break-glass file opens it"]),
    ],
)  # fmt: skip
def test_every_failure_is_named(result: DrillResult, failures: list[str]) -> None:
    assert result.failures == failures
    assert result.passed is not bool(failures)


def test_everything_that_went_wrong_is_told_at_once() -> None:
    late = SNAPSHOT_AT + timedelta(days=9)
    result = judged(None, DIFFERS, late + timedelta(days=1), scratch_is_gone=False, started_at=late)
    assert len(result.failures) == 6
    with pytest.raises(DrillFailed) as caught:
        result.raise_if_failed()
    for failure in result.failures:
        assert failure in caught.value.cause
    assert "db_backup_20260102_030405" in caught.value.cause


def test_only_a_match_counts_for_the_break_glass_file() -> None:
    assert judged(break_glass=BreakGlass(due=True, matched=True)).break_glass == "matched"
    for other in (NOT_DUE, None, BreakGlass(due=True, problem="finds another backup")):
        assert judged(break_glass=other).break_glass is None


def test_without_a_comparison_there_is_no_recovery_time() -> None:
    assert judged(comparison=None, compared_at=None).rto_seconds is None


@pytest.mark.parametrize("source", ["surgicase", "a", "my-data_2", "x" * 63, "a-" * 31])
def test_names_of_drill_databases(source: str) -> None:
    now = datetime(2026, 1, 2, 12, 4, 5, tzinfo=timezone(timedelta(hours=9)))
    name = drill_database(source, now)
    assert name.startswith(DRILL_PREFIX)
    assert name.endswith("_20260102_030405")
    assert len(name) <= 64
    assert re.fullmatch(r"[a-z0-9_]+", name)  # no wildcard of a grant, nothing to quote


def test_a_drill_fails_when_the_accounts_kept_with_the_backup_are_not_what_they_were() -> None:
    verified = VERIFIED.model_copy(update={"accounts_problem": "The accounts that were kept with it are gone."})
    restoration = RESTORATION.model_copy(update={"verified": verified})
    result = judge(picked(), restoration, EQUAL, COMPARED_AT, True, TARGETS)
    assert result.failures == ["The accounts that were kept with it are gone"]
