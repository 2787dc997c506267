"""Random databases are copied, and the copies are equal; one change in each table's copy, and each is found by name.

Each example is a table with its rows, perhaps another object, and a change. Their sum over the servers is above 500;
``BACKUP_TEST_EXAMPLES=5000`` makes that many on each server. The examples are the same in every run.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pymysql
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pymysql.connections import Connection

from include.backup_engine.errors import BackupError
from include.backup_engine.mysql.server import Endpoint, quote, shown
from tests.integration.mysql.conftest import Pair
from tests.integration.mysql.copies import Taken, compare, restore_into, source_policy, take, without_fingerprints
from tests.integration.mysql.random_schemas import Change, Example, examples

SOURCE, COPY = "mirror_random", "mirror_random_copy"
OTHERWISE = "the dump wrote others"


@dataclass(frozen=True)
class Population:
    """The examples that the source's server has taken, and the copy of them."""

    examples: list[Example]
    refused: Counter[int]
    taken: Taken


def run(connection: Connection[Any], statements: list[str]) -> int:
    """How many rows they have changed."""
    changed = 0
    with connection.cursor() as cursor:
        for statement in statements:
            changed += cursor.execute(statement)
    return changed


@pytest.fixture(scope="module")
def population(pair: Pair, source: Endpoint, scratch: Endpoint) -> Iterator[Population]:
    wanted = int(os.environ.get("BACKUP_TEST_EXAMPLES", 110 if pair.source.tree else 300))
    made: list[Example] = []
    refused: Counter[int] = Counter()
    pair.source.sql(f"CREATE DATABASE {SOURCE} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    with closing(source.connect(SOURCE)) as connection:
        run(connection, ["SET SESSION sql_log_bin = 0", "SET collation_connection = utf8mb4_general_ci"])

        def create(data: st.DataObject) -> None:
            example = data.draw(examples(pair.flavour, len(made)))
            if len(made) == wanted:
                return
            try:
                run(connection, example.statements)
                made.append(example)
            except pymysql.err.MySQLError as error:
                refused[error.args[0]] += 1
                run(connection, [f"DROP TABLE IF EXISTS {quote(example.table)}"])

        for rounds in itertools.count():
            if len(made) >= wanted:
                break
            several = settings(
                max_examples=100, database=None, phases=[Phase.generate],
                deadline=None, suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            seed(rounds)(several(given(st.data())(create)))()
    yield Population(made, refused, take(source, source_policy(SOURCE)))
    pair.source.sql(f"DROP DATABASE {SOURCE}")


def test_random_tables_are_copied_and_every_change_is_found(
    population: Population, scratch: Endpoint, pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = population.taken
    restore_into(scratch, COPY, taken)
    comparison = compare(taken, scratch, COPY)
    assert comparison.equal, comparison.summary()

    made: dict[str, Change] = {}
    none: list[str] = []
    with closing(scratch.connect(COPY)) as connection:
        run(connection, ["SET SESSION sql_log_bin = 0", "SET collation_connection = utf8mb4_general_ci"])
        for example in population.examples:
            change = example.change
            if not is_a_change(connection, example.table, change):
                none.append(change.what)
                change = example.fallback
                assert is_a_change(connection, example.table, change)
            made[change.label] = change
    changed = compare(taken, scratch, COPY)
    by_stream_alone = compare(without_fingerprints(taken), scratch, COPY)
    told = [*by_stream_alone.findings, *(line for line in by_stream_alone.not_compared if OTHERWISE in line)]
    unseen = {label: change.what for label, change in made.items() if not any(named(label, line) for line in told)}
    missed = {label: change for label, change in made.items() if not any(named(label, f) for f in changed.findings)}
    wrong = [finding for finding in changed.findings if not any(named(label, finding) for label in made)]
    with capsys.disabled():
        print(
            f"\n{len(made)} examples on {pair.source.sql('SELECT VERSION()')[0][0]}:"
            f" {len({kind for example in population.examples for kind in example.kinds})} types of columns,"
            f" {taken.facts.census.rows} rows, {len({change.what for change in made.values()})} kinds of changes,"
            f" {len(missed)} not found, without fingerprints {len(unseen)}; {len(none)} changes were none,"
            f" {sum(population.refused.values())} tables were refused by the server"
        )
    assert {label: (change.what, change.statements) for label, change in missed.items()} == {}
    assert wrong == []
    assert unseen == {}


def is_a_change(connection: Connection[Any], table: str, change: Change) -> bool:
    """Make it; whether the server says that anything has changed."""
    before = definition(connection, table)
    try:
        changed = run(connection, change.statements)
    except pymysql.err.MySQLError:
        return False
    return changed > 0 or not change.label.startswith("table ") or definition(connection, table) != before


def definition(connection: Connection[Any], table: str) -> object:
    try:
        return shown(connection, f"SHOW CREATE TABLE {quote(table)}")
    except BackupError:
        return None


def named(label: str, finding: str) -> bool:
    """Whether a finding is about that object."""
    return finding.startswith(f"{label} ") or f" of {label} " in finding
