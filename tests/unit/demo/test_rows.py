"""The rows of the demo database follow from size and seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from tests.demo.surgicase.plan import CANARY, Plan
from tests.demo.surgicase.tables import TABLES


def digests(size_mb: int, seed: int) -> dict[str, str]:
    plan = Plan(size_mb, seed)
    return {table.name: sha256("\n".join(table.inserts(plan)).encode()).hexdigest() for table in TABLES}


def test_same_seed_same_rows() -> None:
    assert digests(5, seed=1) == digests(5, seed=1)


def test_another_seed_changes_the_large_tables() -> None:
    first, second = digests(5, seed=1), digests(5, seed=2)
    assert [name for name in ("patients", "cases", "vitals", "images") if first[name] == second[name]] == []


def test_statements_stay_small_but_for_single_rows() -> None:
    def statements() -> Iterator[str]:
        for table in TABLES:
            yield from table.inserts(Plan(60, seed=1))

    assert max(map(len, statements())) < 16_000_000


def test_canary_is_only_where_it_belongs() -> None:
    plan = Plan(5, seed=1)
    where = {table.name for table in TABLES for statement in table.inserts(plan) if CANARY in statement}
    assert where == {"patients", "clinical_notes"}
