"""Local files of a backup that runs as separate tasks: private, complete or absent, gone when consumed.

The compressed dump lies here in clear between two tasks; that is the price of the staged variant. Its name is
removed before its first byte is read, so that whatever ends the reading task, SIGKILL too, ends the file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from include.backup_engine.errors import BackupExists, BackupMissing, PreflightError, StoreError
from include.backup_engine.names import BackupName

CHUNK_BYTES = 1024 * 1024


class Staging:
    """One private folder (mode 0700) of private files (0600), checked at construction.

    :param folder: an absolute path without symbolic links; its last part is created when missing.
    :raises PreflightError: it cannot be made; others could look into it, or put another one in its place.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if folder != Path(os.path.realpath(folder)):
            raise PreflightError(
                f"The staging folder {folder} is not an absolute path without symbolic links.",
                f"Set staging_dir to {os.path.realpath(folder)}.",
            )
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise PreflightError(
                f"The staging folder {folder} cannot be made: {error.strerror}.", "Make it, with mode 0700."
            ) from None
        _refuse_unsafe(folder)

    def dump(self, name: BackupName) -> Path:
        """Where the compressed dump lies: in clear."""
        return self.folder / name.object_name.removesuffix(".encrypted")

    def facts(self, name: BackupName) -> Path:
        """Where what was learnt with the dump lies: names and counts, no rows."""
        return self.folder / (name.object_name.removesuffix(".encrypted") + ".facts")

    def accounts(self, name: BackupName) -> Path:
        """Where the accounts of the server lie: in clear."""
        return self.folder / (name.object_name.removesuffix(".encrypted") + ".accounts")

    def encrypted(self, name: BackupName) -> Path:
        """Where the encrypted dump lies."""
        return self.folder / name.object_name

    def encrypted_accounts(self, name: BackupName) -> Path:
        """Where the encrypted accounts lie."""
        return self.folder / name.accounts_name

    def sidecar(self, name: BackupName) -> Path:
        """Where the sidecar lies."""
        return self.folder / name.sidecar_name

    def write(self, path: Path, chunks: Iterable[bytes]) -> None:
        """Write a new file: whole, on disk and under its name, or not at all.

        :raises BackupExists: there is such a file, or an attempt that was killed left a part of one.
        :raises StoreError: the disk failed or is full.
        """
        partial = _partial(path)
        with _disk_errors(f"Writing {path}"):
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                # The partial file is the lock: from here to its end nobody else makes the file at ``path``.
                with _disk_errors(f"Writing {path}"):
                    if os.path.lexists(path):
                        raise FileExistsError
                for chunk in chunks:
                    with _disk_errors(f"Writing {path}"):
                        _write_all(file, chunk)
                with _disk_errors(f"Writing {path}"):
                    os.fsync(descriptor)
            with _disk_errors(f"Writing {path}"):
                partial.rename(path)
                self._sync()
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def read(self, path: Path) -> Iterator[bytes]:
        """Read a file in chunks of 1 MiB.

        :raises BackupMissing: there is no such file.
        """
        with _open(path) as file:
            yield from _chunks(file)

    def consume(self, path: Path) -> Iterator[bytes]:
        """Read a file that nobody can open any more: it has no name from the first chunk on, and ends with the reader.

        :raises BackupMissing: there is no such file, or an earlier attempt consumed it.
        """
        with _open(path) as file:
            path.unlink()
            yield from _chunks(file)

    def discard(self, *paths: Path) -> None:
        """Remove files and what unfinished attempts left of them; what is not there is no error."""
        for path in paths:
            with _disk_errors(f"Removing {path}"):
                path.unlink(missing_ok=True)
                _partial(path).unlink(missing_ok=True)

    def _sync(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _write_all(file: BinaryIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest.nbytes:
        rest = rest[file.write(rest) :]


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _open(path: Path) -> BinaryIO:
    with _disk_errors(f"Reading {path}"):
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0)


def _refuse_unsafe(folder: Path) -> None:
    info = folder.lstat()
    if info.st_uid != os.geteuid() or info.st_mode & 0o077:
        raise PreflightError(
            f"The staging folder {folder} is not private to the user that runs the task.",
            "Make it a folder of that user, with mode 0700.",
        )
    for parent in folder.parents:
        mode = parent.lstat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise PreflightError(
                f"Anybody can replace the staging folder {folder}: {parent} is writable for all.",
                f"Take that right away (chmod o-w {parent}), or choose another folder.",
            )


@contextmanager
def _disk_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise BackupExists(
            f"{doing}: it exists already.", "Discard it first, when no other attempt is writing it."
        ) from None
    except FileNotFoundError:
        raise BackupMissing(
            f"{doing}: it is not there.", "Run the task that makes it again; a consumed file is gone."
        ) from None
    except OSError as error:
        raise StoreError(
            f"{doing}: {error.strerror}.", "Look at the disk's free space, state and permissions."
        ) from None
