"""Every error says cause and remedy, and whether a retry may help."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from include.backup_engine import errors
from include.backup_engine.errors import BackupError, IntegrityError

ALL = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BackupError)
]  # fmt: skip


@pytest.mark.parametrize("kind", ALL)
def test_an_error_is_two_sentences(kind: type[BackupError]) -> None:
    error = kind("The bucket is missing.", "Create it.")
    assert (error.cause, error.remedy) == ("The bucket is missing.", "Create it.")
    assert str(error) == "The bucket is missing. Remedy: Create it."
    assert kind.__doc__


@pytest.mark.parametrize("kind", ALL)
def test_an_error_survives_the_way_between_processes(kind: type[BackupError]) -> None:
    error = kind("a", "b")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is kind
        assert (other.cause, other.remedy) == ("a", "b")


def test_what_may_pass_by_itself_is_retryable_and_nothing_else() -> None:
    assert {kind.__name__ for kind in ALL if kind.retryable} == {
        "SourceUnavailable",
        "SourceBusy",
        "DumpFailed",
        "SchemaChanged",
        "KeyServiceDown",
        "StoreError",
    }
    assert not any(kind.retryable for kind in ALL if issubclass(kind, IntegrityError))
