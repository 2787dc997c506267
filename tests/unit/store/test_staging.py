"""The staging folder, on the real file system."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.backup_engine.errors import BackupExists, BackupMissing, PreflightError, StoreError
from include.backup_engine.names import BackupName
from include.backup_engine.store.staging import Staging

NAME = BackupName(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
MIB = 1024 * 1024


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path.resolve() / "staging")


def files(staging: Staging) -> list[str]:
    return sorted(path.name for path in staging.folder.iterdir())


def test_names_are_those_of_the_backup(staging: Staging) -> None:
    assert staging.dump(NAME).name == "db_backup_20260102_030405.sql.gz"
    assert staging.encrypted(NAME).name == "db_backup_20260102_030405.sql.gz.encrypted"
    assert staging.sidecar(NAME).name == "db_backup_20260102_030405.sql.gz.encrypted.encryption_info"
    assert {path.parent for path in (staging.dump(NAME), staging.encrypted(NAME))} == {staging.folder}


def test_folder_and_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        staging = Staging(tmp_path.resolve() / "staging")
        staging.write(staging.dump(NAME), [b"secret"])
    finally:
        os.umask(before)
    assert stat.S_IMODE(staging.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(staging.dump(NAME).stat().st_mode) == 0o600


def test_what_is_written_is_read(staging: Staging) -> None:
    chunks = [b"a" * MIB, b"", b"b" * (2 * MIB + 1)]
    staging.write(staging.encrypted(NAME), chunks)
    assert b"".join(staging.read(staging.encrypted(NAME))) == b"".join(chunks)
    assert files(staging) == [NAME.object_name]


def test_a_file_has_no_name_before_it_is_whole(staging: Staging) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        assert files(staging) == ["db_backup_20260102_030405.sql.gz.partial"]

    staging.write(staging.dump(NAME), chunks())
    assert files(staging) == ["db_backup_20260102_030405.sql.gz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_failure_leaves_nothing(staging: Staging, error: type[BaseException]) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise error

    with pytest.raises(error):
        staging.write(staging.dump(NAME), chunks())
    assert files(staging) == []


def test_nothing_is_overwritten(staging: Staging) -> None:
    staging.write(staging.dump(NAME), [b"first"])
    with pytest.raises(BackupExists):
        staging.write(staging.dump(NAME), [b"second"])
    assert b"".join(staging.read(staging.dump(NAME))) == b"first"
    assert files(staging) == [staging.dump(NAME).name]


def test_a_planted_link_is_not_followed(staging: Staging, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"safe")
    for planted in (staging.dump(NAME).with_name(staging.dump(NAME).name + ".partial"), staging.encrypted(NAME)):
        planted.symlink_to(victim)
    with pytest.raises(BackupExists):
        staging.write(staging.dump(NAME), [b"dump"])
    with pytest.raises(StoreError):
        list(staging.read(staging.encrypted(NAME)))
    assert victim.read_bytes() == b"safe"


def test_consuming_removes_the_name_before_the_first_byte(staging: Staging) -> None:
    staging.write(staging.dump(NAME), [b"x" * (MIB + 1)])
    reader = staging.consume(staging.dump(NAME))
    assert files(staging) == [staging.dump(NAME).name]
    first = next(reader)
    assert files(staging) == []
    assert first + b"".join(reader) == b"x" * (MIB + 1)


def test_a_consumed_file_cannot_be_consumed_again(staging: Staging) -> None:
    staging.write(staging.dump(NAME), [b"x"])
    list(staging.consume(staging.dump(NAME)))
    with pytest.raises(BackupMissing):
        list(staging.consume(staging.dump(NAME)))


def test_a_killed_reader_leaves_nothing(staging: Staging) -> None:
    staging.write(staging.dump(NAME), [b"x" * (4 * MIB)])
    program = (
        "import os, signal, sys; from pathlib import Path; from include.backup_engine.store.staging import Staging\n"
        "path = Path(sys.argv[1]); next(Staging(path.parent).consume(path)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(staging.dump(NAME))], check=False)
    assert done.returncode == -9
    assert files(staging) == []


def test_discarding_removes_files_and_their_unfinished_parts(staging: Staging) -> None:
    staging.write(staging.encrypted(NAME), [b"x"])
    left_behind = staging.dump(NAME).with_name(staging.dump(NAME).name + ".partial")
    left_behind.write_bytes(b"killed")
    staging.discard(staging.dump(NAME), staging.encrypted(NAME), staging.sidecar(NAME))
    assert files(staging) == []


def test_a_full_disk_is_our_error_and_leaves_nothing(staging: Staging) -> None:
    program = (
        "import resource, sys; from pathlib import Path; from include.backup_engine.store.staging import Staging\n"
        "path = Path(sys.argv[1]); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "Staging(path.parent).write(path, [b'x' * 500] * 3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(staging.dump(NAME))], capture_output=True, text=True, check=False
    )
    assert StoreError.__name__ in done.stderr
    assert files(staging) == []


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o770, 0o707])
def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path.resolve() / "staging"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PreflightError, match="private"):
        Staging(folder)


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path.resolve() / "staging"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(PreflightError, match="private"):
        Staging(folder)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "staging"
    folder.touch(mode=0o600)
    with pytest.raises(PreflightError):
        Staging(folder)


def test_links_on_the_way_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for folder in (tmp_path / "link", tmp_path / "link" / "staging", Path("staging")):
        with pytest.raises(PreflightError, match="symbolic"):
            Staging(folder)
        assert not list((tmp_path / "real").iterdir())


def test_a_parent_that_anybody_can_write_is_refused_unless_sticky(tmp_path: Path) -> None:
    parent = tmp_path.resolve() / "parent"
    parent.mkdir()
    parent.chmod(0o777)
    with pytest.raises(PreflightError, match="writable for all"):
        Staging(parent / "staging")
    parent.chmod(0o1777)
    Staging(parent / "staging")


def test_a_missing_parent_is_told(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="cannot be made"):
        Staging(tmp_path.resolve() / "missing" / "staging")
