"""Two looks at a server. What they see on real ones: tests/integration/mysql/test_verdict.py."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import MagicMock

import pytest

from include.backup_engine.mysql import changes
from include.backup_engine.mysql.changes import Look, look

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


def test_a_table_that_cannot_be_opened_at_the_moment_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[str | None] = ["2026-01-01", None, None, "2026-01-01"]

    def rows(_: object, query: str, __: object = ()) -> Sequence[tuple[object, ...]]:
        return [("table", "a", "a", times.pop(0), None)] if "information_schema.tables" in query else []

    monkeypatch.setattr(changes, "rows", rows)
    before = look(MagicMock(), "mariadb", "db", (), ())
    assert before.changed_by(look(MagicMock(), "mariadb", "db", (), (), before)) == []
    assert times == []


def test_a_time_that_stays_unknown_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str | None] = ["2026-01-01"]
    monkeypatch.setattr(changes, "_OPENING", 0.1)
    monkeypatch.setattr(
        changes,
        "rows",
        lambda _, query, __=(): [("table", "a", "a", told[0], None)] if "_schema.tables" in query else [],
    )
    before = look(MagicMock(), "mariadb", "db", (), ())
    told[0] = None
    untold = look(MagicMock(), "mariadb", "db", (), (), before)
    assert (before.changed_by(untold), untold.changed_by(before), untold.changed_by(untold)) == ([], [], [])
    assert before.changed_by(later(marks={})) == ["table a (created 2026-01-01, then absent)"]
    assert untold.changed_by(later(marks={})) == ["table a (created at a time that is not told, then absent)"]
    assert later(marks={}).changed_by(untold) == ["table a (absent, then created at a time that is not told)"]
