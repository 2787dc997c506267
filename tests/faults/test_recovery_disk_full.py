"""The disk of the target is full in the middle of the load: a clear error soon, and the target is what it was."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from include.backup_engine.errors import LoadFailed, SourceUnavailable
from tests.faults.gate import Gate
from tests.faults.recovery_scene import RecoveryScene
from tests.servers.localstack import Aws
from tests.servers.mariadb import MariaDB

_MIB = 1024 * 1024


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of its own, of so many bytes, in a folder. Needs root, or sudo without a password."""
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size={size},mode=0700,uid={os.geteuid()},gid={os.getegid()}"
    subprocess.run([*as_root, "mount", "-t", "tmpfs", "-o", options, "small-disk", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run([*as_root, "umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte; returns the file that takes them."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(_MIB))
    return filler


@pytest.fixture
def target(tmp_path: Path, aws: Aws) -> Iterator[RecoveryScene]:
    options = ["--log-bin-trust-function-creators=1"]
    with (
        small_disk(tmp_path, 256 * _MIB),
        # A binary log would make the server wait until somebody frees space.
        MariaDB(tmp_path / "server", options=options, buffer_pool=16 * _MIB, binary_log=False) as server,
        Gate(server.endpoint.port) as gate,
    ):
        yield RecoveryScene(server, aws, gate)


def test_the_disk_is_full_in_the_load(target: RecoveryScene, tmp_path: Path) -> None:
    moved_on = target.bad_day()
    target.at(lambda: fill(tmp_path), "INSERT INTO `visits`")
    started = time.monotonic()
    with pytest.raises((LoadFailed, SourceUnavailable)) as raised:
        target.recover()
    assert time.monotonic() - started < 30
    (tmp_path / "filler").unlink()
    if target.server._answers():
        # ER_RECORD_FILE_FULL, or ER_ERROR_DURING_COMMIT: whichever of the lanes finds out first
        assert re.search(r"with error (1114|1180)\.$", raised.value.cause)
        assert "disk" in raised.value.remedy
    else:  # InnoDB ends the server when a rollback finds no page: "[FATAL] Error (Out of disk space) in rollback"
        target.server.stop()
        target.server.start()
    assert target.differences(moved_on) == []
    target.recover()
    target.assert_recovered(moved_on)
