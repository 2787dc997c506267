"""Two looks at a server. What they see on real ones: tests/integration/mysql/test_verdict.py."""

from __future__ import annotations

from include.backup_engine.mysql.changes import Look

BEFORE = Look({("table", "a"): "1", ("event", "e"): "2"}, {"Com_alter_table": 3}, 100, {"m": "at 5"})


def later(**different: object) -> Look:
    return Look(**{**vars(BEFORE), "running": 110, **different})  # type: ignore[arg-type]  # the fields of a Look


def test_nothing_happened() -> None:
    after = later()
    assert (BEFORE.changed_by(after), BEFORE.counted_by(after), BEFORE.written_by(after)) == ([], [], [])


def test_what_is_new_gone_or_another_is_named() -> None:
    after = later(marks={("table", "a"): "9", ("view", "v"): "2"})
    assert BEFORE.changed_by(after) == ["event e (2, then absent)", "table a (1, then 9)", "view v (absent, then 2)"]


def test_statements_are_named_by_kind() -> None:
    after = later(counters={"Com_alter_table": 4, "Com_drop_view": 1})
    assert BEFORE.counted_by(after) == ["alter table", "drop view"]


def test_counters_that_began_anew_prove_nothing() -> None:
    assert BEFORE.counted_by(later(running=5)) == ["unknown, because the server's counters were reset"]


def test_a_table_that_was_written_or_is_gone_is_named() -> None:
    assert BEFORE.written_by(later(written={"m": "at 6"})) == ["m"]
    assert BEFORE.written_by(later(written={})) == ["m"]
