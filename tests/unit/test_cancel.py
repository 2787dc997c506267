"""Stopping a run from outside."""

from __future__ import annotations

import pytest

from include.backup_engine.cancel import Cancellation
from include.backup_engine.errors import Cancelled


def test_a_run_goes_on_until_it_is_asked_to_stop() -> None:
    cancellation = Cancellation()
    cancellation.check()
    assert not cancellation.requested
    cancellation.request()
    assert cancellation.requested
    with pytest.raises(Cancelled):
        cancellation.check()


def test_actions_run_newest_first_and_only_while_their_block_does() -> None:
    cancellation, done = Cancellation(), []
    with cancellation.action(lambda: done.append("outer")):
        with cancellation.action(lambda: done.append("over")):
            pass
        with cancellation.action(lambda: done.append("inner")):
            cancellation.request()
    assert done == ["inner", "outer"]
    cancellation.request()
    assert done == ["inner", "outer"]


def test_an_action_is_taken_back_when_its_block_fails() -> None:
    cancellation, done = Cancellation(), []
    with pytest.raises(ValueError, match="broken"), cancellation.action(lambda: done.append("x")):
        raise ValueError("broken")
    cancellation.request()
    assert done == []
