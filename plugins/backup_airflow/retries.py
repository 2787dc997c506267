"""Whether a failed task is tried again: the error says so, not the number of tries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from include.backup_engine.errors import BackupError


def _kinds(base: type[BackupError]) -> Iterator[type[BackupError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


RETRY_BY_CAUSE = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=[kind for kind in _kinds(BackupError) if kind.retryable],
            action=RetryAction.RETRY,
            retry_delay=timedelta(minutes=2),
            reason="may pass by itself",
        ),
        RetryRule(exception=BackupError, action=RetryAction.FAIL, reason="someone must act first"),
    ]
)
"""Retry what may pass by itself (a lost connection, a busy source); fail at once what someone must put right."""
