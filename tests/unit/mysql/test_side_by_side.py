"""Several connections that share a list of queries; what stands for a connection is never touched."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from threading import Barrier, Event
from typing import Any, cast

import pytest
from pymysql.connections import Connection

from include.backup_engine.mysql.side_by_side import side_by_side


def connections(names: str) -> Sequence[Connection[Any]]:
    return cast("Sequence[Connection[Any]]", list(names))


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
def test_results_come_in_the_order_of_the_items(names: str) -> None:
    found = side_by_side(connections(names), range(20), lambda _, item: item * item, weight=lambda item: item % 7)
    assert list(found) == [item * item for item in range(20)]


@pytest.mark.parametrize("names", ["a", "ab"])
def test_there_may_be_nothing_to_do(names: str) -> None:
    assert list(side_by_side(connections(names), (), lambda _, item: item)) == []


def test_as_many_run_at_once_as_there_are_connections() -> None:
    all_there = Barrier(3)

    def work(connection: Connection[Any], _: int) -> str:
        all_there.wait(timeout=30)
        return str(connection)

    assert set(side_by_side(connections("abc"), range(3), work)) == {"a", "b", "c"}


def test_the_heaviest_is_begun_first_and_a_connection_has_one_item_at_a_time() -> None:
    begun: list[int] = []
    heaviest_begun, others_done = Event(), Event()

    def work(connection: Connection[Any], item: int) -> str:
        if item == 9:
            heaviest_begun.set()
            assert others_done.wait(timeout=30)
        else:
            assert heaviest_begun.wait(timeout=30)
            begun.append(item)
            if len(begun) == 9:
                others_done.set()
        return str(connection)

    found = list(side_by_side(connections("ab"), range(10), work, weight=lambda item: item))
    assert begun == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert found.count(found[9]) == 1


def test_a_single_connection_begins_nothing_ahead() -> None:
    begun: list[int] = []
    found = side_by_side(connections("a"), range(3), lambda _, item: begun.append(item))
    next(found)
    assert begun == [0]


def test_after_a_failure_what_is_not_begun_is_left_out() -> None:
    begun: list[int] = []

    def work(_: Connection[Any], item: int) -> None:
        begun.append(item)
        if item == 0:
            raise LookupError
        time.sleep(0.05)  # all of them would take 25 s, in which the failure must be noticed

    with pytest.raises(LookupError):
        list(side_by_side(connections("ab"), range(1000), work))
    assert len(begun) < 1000


def test_what_runs_is_waited_for_when_no_more_results_are_taken() -> None:
    running, ended = Event(), Event()

    def work(_: Connection[Any], item: int) -> int:
        if item == 1:
            running.set()
            assert taken.wait(timeout=30)
            ended.set()
        return item

    taken = Event()
    with closing(side_by_side(connections("ab"), range(2), work)) as found:
        assert next(found) == 0
        assert running.wait(timeout=30)
        taken.set()
    assert ended.is_set()
