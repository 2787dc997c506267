"""How many connections read a source at the same time: so many for its dump, and as many for its fingerprints."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pymysql.connections import Connection

from include.backup_engine.errors import BackupError
from include.backup_engine.mysql.server import scalar
from include.backup_engine.policy import SourcePolicy
from include.backup_engine.records import Flavour

_MOST = 4
"""A source has more to do than to be backed up."""
_OTHERS = 6
"""Connections of a backup besides those that are more: reader, two locks, dump, throttle, a look at the end."""


def reading_connections(policy: SourcePolicy, connection: Connection[Any], flavour: Flavour) -> int:
    """What the policy says, or by itself: the least of the worker's cores, the server's, and 4; and as few as the
    policy's limit of running threads leaves room for.

    :param connection: to the source's server.
    :raises SourceUnavailable: see server.server_errors.
    """
    if policy.parallel != "auto":
        return policy.parallel
    cores = os.cpu_count() or 1
    return max(1, min(cores, server_cores(connection, flavour) or cores, policy.throttle.most_connections, _MOST))


def server_cores(connection: Connection[Any], flavour: Flavour) -> int | None:
    """The processors that the server has found on its machine, ``None`` where it does not tell.

    MariaDB has as many thread groups unless told otherwise (MariaDB, "thread_pool_size"); MySQL lists them for its
    resource groups, to accounts with RESOURCE_GROUP_USER (MySQL manual, "The INFORMATION_SCHEMA RESOURCE_GROUPS
    Table").

    :raises SourceUnavailable: see server.server_errors.
    """
    if flavour == "mariadb":
        return int(scalar(connection, "SELECT @@GLOBAL.thread_pool_size")) or None
    listed = "SELECT vcpu_ids FROM information_schema.resource_groups WHERE resource_group_name = 'USR_default'"
    found = scalar(connection, listed)
    text = found.decode() if isinstance(found, bytes) else str(found or "")
    return sum(_length(part) for part in text.split(",") if part) or None


def more_connections(
    first: Connection[Any], number: int, connect: Callable[[], Connection[Any]]
) -> list[Connection[Any]]:
    """So many, or fewer where the account's limit does not leave room for them and as many again for the dump.

    :param first: a connection of the same account.
    :raises SourceUnavailable: see server.server_errors.
    """
    if allowed := int(scalar(first, "SELECT @@SESSION.max_user_connections")):
        number = min(number, max(0, allowed - _OTHERS) // 2)
    made: list[Connection[Any]] = []
    try:
        made.extend(connect() for _ in range(number))
    except BackupError:  # somebody else has them
        while made:
            made.pop().close()
    return made


def _length(stretch: str) -> int:
    """How many numbers ``4`` or ``0-3`` are."""
    first, _, last = stretch.partition("-")
    return int(last or first) - int(first) + 1
