"""A generator that works ahead in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing

import pytest

from include.backup_engine.ahead import ahead

_DEPTH = 3
_PATIENCE = 5.0
"""Seconds after which something that should happen at once has not happened."""


def _threads() -> int:
    return sum(thread.name == "ahead" for thread in threading.enumerate())


def _numbers(begun: list[int], count: int = 100) -> Generator[int, None, None]:
    for number in range(count):
        begun.append(number)
        yield number


def test_all_items_come_in_their_order() -> None:
    assert list(ahead(_numbers([]), _DEPTH, lambda: None)) == list(range(100))
    assert not _threads()


def test_it_works_ahead_and_not_further_than_told() -> None:
    begun: list[int] = []
    full = threading.Event()

    def items() -> Generator[int, None, None]:
        for number in _numbers(begun):
            if number == _DEPTH:
                full.set()
            yield number

    with closing(ahead(items(), _DEPTH, lambda: None)) as taken:
        assert next(taken) == 0
        assert full.wait(_PATIENCE)
        for expected in range(1, 10):
            assert next(taken) == expected
            assert len(begun) <= expected + _DEPTH + 2  # one in each hand


def test_what_it_raises_comes_after_the_items_before() -> None:
    def items() -> Generator[int, None, None]:
        yield 1
        yield 2
        raise OSError("gone")

    seen: list[int] = []
    with pytest.raises(OSError, match="gone"):
        for item in ahead(items(), _DEPTH, lambda: None):
            seen.append(item)
    assert seen == [1, 2]
    assert not _threads()


def test_given_up_while_it_waits_it_is_stopped_closed_and_waited_for() -> None:
    arrives, closed = threading.Event(), threading.Event()

    def items() -> Generator[int, None, None]:
        try:
            yield 1
            arrives.wait()  # as a dump waits for its server: for ever, if nobody ends it
            yield 2
        finally:
            closed.set()

    taken = ahead(items(), _DEPTH, arrives.set)
    assert next(taken) == 1
    taken.close()
    assert closed.is_set()
    assert not _threads()


def test_given_up_while_nobody_takes_its_items_it_ends() -> None:
    begun: list[int] = []
    taken = ahead(_numbers(begun), _DEPTH, lambda: None)
    next(taken)
    taken.close()
    assert not _threads()
    assert len(begun) < 100
