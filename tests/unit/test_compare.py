"""Comparing two censuses: every kind of difference by its name."""

from __future__ import annotations

from typing import Any

import pytest

from include.backup_engine.compare import Comparison, compare_census
from include.backup_engine.records import Census, ObjectFacts, TableFacts
from include.backup_engine.written import Rewritten

CASES = TableFacts(name="cases", rows=3, fingerprint="1:a:b", definition_sha256="t1")
NUMBERS = TableFacts(name="numbers", kind="sequence", fingerprint="1000", definition_sha256="t2")
BOARD = ObjectFacts(kind="view", name="board", definition_sha256="o1", definer="app@%")
PURGE = ObjectFacts(kind="event", name="purge", definition_sha256="o2", status="ENABLED")
PURGED = PURGE.model_copy(update={"status": "DISABLED"})


def census(*items: TableFacts | ObjectFacts, charset: str = "utf8mb4", collation: str = "utf8mb4_bin") -> Census:
    return Census(
        charset=charset,
        collation=collation,
        tables=[item for item in items if isinstance(item, TableFacts)],
        objects=[item for item in items if isinstance(item, ObjectFacts)],
    )


SOURCE = census(CASES, NUMBERS, BOARD, PURGE)


def compared(*items: TableFacts | ObjectFacts, **options: str) -> tuple[list[str], list[str]]:
    return compare_census(SOURCE, census(*items, **options), events_disabled=True)


def differing(item: TableFacts | ObjectFacts, **changes: Any) -> tuple[list[str], list[str]]:
    """The outcome when one object differs."""
    items: list[TableFacts | ObjectFacts] = [CASES, NUMBERS, BOARD, PURGED]
    return compared(*(found.model_copy(update=changes) if found.name == item.name else found for found in items))


def test_a_faithful_copy() -> None:
    assert compared(CASES, NUMBERS, BOARD, PURGED) == ([], [])
    assert compared(PURGED, BOARD, NUMBERS, CASES) == ([], [])


@pytest.mark.parametrize(
    ("item", "changes", "finding"),
    [
        (CASES, {"definition_sha256": "x"}, "table cases has another definition"),
        (CASES, {"rows": 2}, "table cases has 2 rows, the source had 3"),
        (CASES, {"rows": 4, "fingerprint": "1:c:d"}, "table cases has 4 rows, the source had 3"),
        (CASES, {"fingerprint": "1:a:c"}, "table cases has the right number of rows but another content"),
        (CASES, {"fingerprint": "2:a:b"}, "table cases has the right number of rows but another content"),
        (NUMBERS, {"fingerprint": "999"}, "sequence numbers would repeat values: next is 999, was 1000"),
        (NUMBERS, {"fingerprint": None}, "sequence numbers would repeat values: next is None, was 1000"),
        (NUMBERS, {"definition_sha256": "x"}, "sequence numbers has another definition"),
        (BOARD, {"definition_sha256": "x"}, "view board has another definition"),
        (PURGE, {"definition_sha256": "x"}, "event purge has another definition"),
        (PURGE, {"status": "ENABLED"}, "event purge is enabled in the copy"),
    ],
)
def test_each_difference_is_named(item: TableFacts | ObjectFacts, changes: dict[str, Any], finding: str) -> None:
    assert differing(item, **changes) == ([finding], [])


@pytest.mark.parametrize("missing", ["cases", "numbers", "board", "purge"])
def test_what_is_missing_is_named(missing: str) -> None:
    items: list[TableFacts | ObjectFacts] = [CASES, NUMBERS, BOARD, PURGED]
    [left_out] = [item for item in items if item.name == missing]
    assert compared(*(item for item in items if item.name != missing)) == (
        [f"{left_out.kind} {missing} is missing"],
        [],
    )


def test_what_was_not_in_the_source_is_named() -> None:
    more = TableFacts(name="more", definition_sha256="x")
    same_name = ObjectFacts(kind="function", name="cases", definition_sha256="x")
    findings, _ = compared(CASES, NUMBERS, BOARD, PURGED, more, same_name)
    assert findings == ["function cases was not in the source", "table more was not in the source"]


def test_the_schema_s_character_set_belongs_to_it() -> None:
    items = (CASES, NUMBERS, BOARD, PURGED)
    for options in ({"charset": "latin1"}, {"collation": "utf8mb4_general_ci"}):
        [finding], _ = compared(*items, **options)
        assert finding.startswith("the schema's character set is ")


def test_all_differences_are_found_at_once() -> None:
    findings, _ = compared(CASES.model_copy(update={"rows": 9, "definition_sha256": "x"}), BOARD, charset="latin1")
    assert len(findings) == 5


def test_a_definer_may_differ() -> None:
    """A drill maps definers; both are recorded."""
    assert differing(BOARD, definer="drill@%") == ([], [])


def test_a_sequence_may_have_moved_on() -> None:
    assert differing(NUMBERS, fingerprint="1001") == ([], [])


def test_events_may_be_enabled_where_that_was_asked_for() -> None:
    copy = census(CASES, NUMBERS, BOARD, PURGE)
    assert compare_census(SOURCE, copy, events_disabled=False) == ([], [])


@pytest.mark.parametrize("status", ["DISABLED", "SLAVESIDE_DISABLED", "REPLICA_SIDE_DISABLED"])
def test_a_disabled_event_is_disabled_by_any_name(status: str) -> None:
    assert differing(PURGE, status=status) == ([], [])


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (CASES.model_copy(update={"fingerprint": None, "note": "rows too long"}), CASES),
        (CASES, CASES.model_copy(update={"fingerprint": None, "note": "rows too long"})),
    ],
)
def test_what_could_not_be_compared_is_told_and_is_no_proof(expected: TableFacts, found: TableFacts) -> None:
    findings, not_compared = compare_census(census(expected), census(found), events_disabled=True)
    assert findings == []
    assert not_compared == ["the content of table cases (rows too long); its 3 rows were counted"]


def test_what_a_dump_does_not_write_exactly_is_told() -> None:
    inexact = CASES.model_copy(update={"note": "3 of column f"})
    findings, not_compared = compare_census(census(inexact), census(CASES), events_disabled=True)
    assert findings == []
    assert not_compared == ["some values of table cases (3 of column f)"]


def test_rows_are_compared_without_a_fingerprint_too() -> None:
    unhashed = CASES.model_copy(update={"fingerprint": None, "note": "rows too long"})
    findings, not_compared = compare_census(
        census(unhashed), census(unhashed.model_copy(update={"rows": 2})), events_disabled=True
    )
    assert findings == ["table cases has 2 rows, the source had 3"]
    assert not_compared == []


def comparison(*findings: str) -> Comparison:
    return Comparison(
        tables=2, rows=3, objects=2, views_run=1, foreign_keys_checked=0, findings=list(findings), not_compared=[]
    )


def test_the_summary_is_one_line_and_names_twenty() -> None:
    assert comparison().equal
    assert comparison().summary() == "2 tables, 3 rows, 2 objects compared: all equal"
    many = comparison(*(f"table t{number} is missing" for number in range(30)))
    assert not many.equal
    assert "30 differences: table t0 is missing; " in many.summary()
    assert "t19" in many.summary()
    assert "t20" not in many.summary()


ALIKE = Rewritten(same=frozenset({"cases"}))
OTHER = Rewritten(other=frozenset({"cases"}))
BY_ANOTHER = Rewritten(other=frozenset({"cases"}), other_hand="another hand wrote them")
INEXACT = Rewritten(other=frozenset({"cases"}), inexact=frozenset({"cases"}))
UNHASHED = CASES.model_copy(update={"fingerprint": None, "note": "why"})
LOSSY = CASES.model_copy(update={"note": "1 of column j"})
MAYBE = "its 3 rows were counted; the dump wrote others, it may be because"
SURVIVE = "values of type float, double or json do not always survive being written"
FOUND = ["table cases has the right number of rows but not those that the dump wrote"]


@pytest.mark.parametrize(
    ("expected", "rewritten", "findings", "not_compared"),
    [
        (CASES, ALIKE, [], []),
        (CASES, OTHER, FOUND, []),
        (CASES, INEXACT, FOUND, []),  # the fingerprint has seen that all of its values survive being written
        (CASES, BY_ANOTHER, [],
         ["what the dump wrote of table cases: another hand wrote them; its content is the source's"]),
        (UNHASHED, ALIKE, [], ["the content of table cases (why); its 3 rows are those that the dump wrote"]),
        (UNHASHED, OTHER, FOUND, []),
        (UNHASHED, BY_ANOTHER, [], [f"the content of table cases (why); {MAYBE} another hand wrote them"]),
        (UNHASHED, INEXACT, [], [f"the content of table cases (why); {MAYBE} {SURVIVE}"]),
        (LOSSY, ALIKE, [], ["some values of table cases (1 of column j)"]),
        (LOSSY, OTHER, FOUND, []),
        (LOSSY, INEXACT, [], [f"some values of table cases (1 of column j); {MAYBE} {SURVIVE}"]),
        (CASES, Rewritten(failed="No program."), [], ["what the copy is when it is dumped again (No program)"]),
    ],
)  # fmt: skip
def test_what_the_dump_wrote(
    expected: TableFacts, rewritten: Rewritten, findings: list[str], not_compared: list[str]
) -> None:
    copy = CASES.model_copy(update={"fingerprint": expected.fingerprint})
    assert compare_census(census(expected), census(copy), rewritten, events_disabled=True) == (findings, not_compared)
    # What differs by its fingerprint or its number of rows is told once.
    for change, told in (({"fingerprint": "1:x"}, "another content"), ({"rows": 2}, "2 rows, the source had 3")):
        if expected.fingerprint or "rows" in change:
            changed = census(copy.model_copy(update=change))
            [finding], _ = compare_census(census(expected), changed, rewritten, events_disabled=True)
            assert told in finding
