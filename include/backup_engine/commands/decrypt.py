"""``decrypt``: a backup of the bucket, or a local file beside its sidecar, into a new file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from include.backup_engine.commands.desk import Commands, Desk, add_command
from include.backup_engine.crypto.envelope import open_backup
from include.backup_engine.errors import BackupMissing, FileRefused
from include.backup_engine.keys import allowed_data_keys
from include.backup_engine.names import SIDECAR_SUFFIX, BackupName
from include.backup_engine.report import megabytes


def add(commands: Commands) -> None:
    """Add the command."""
    decrypting = add_command(
        commands, "decrypt", decrypt, "Decrypt a backup, or a local file that lies beside its sidecar."
    )
    decrypting.add_argument("name", help="a name, 'latest', an ISO time, or the path of an .encrypted file")
    decrypting.add_argument("--output", type=Path, required=True, help="the .sql.gz to write; must not exist")


def decrypt(desk: Desk, options: argparse.Namespace) -> None:
    """Decrypt. What has the name that was asked for is authentic and complete."""
    path = Path(options.name)
    if path.is_file():
        chunks, total = _local_plaintext(desk, path), path.stat().st_size
    else:
        backup = desk.stored(options.name)
        chunks, total = backup.compressed(), backup.stored.size
    size = write_whole(options.output, desk.reporter.watch(chunks, "Decrypted", total))
    print(f"{options.output}: {megabytes(size)}, authentic and complete")


def _local_plaintext(desk: Desk, path: Path) -> Iterable[bytes]:
    sidecar = path.with_name(path.name + SIDECAR_SUFFIX)
    if not sidecar.is_file():
        raise BackupMissing(f"There is no {sidecar.name} beside {path}.", "Put the sidecar into the same folder.")
    opened = open_backup(
        b"".join(_blocks(sidecar)),
        next(iter(_blocks(path)), b""),
        source=desk.source,
        name=BackupName.parse(path.name),
        keyring=desk.keyring,
        allowed_arns=allowed_data_keys(desk.policy.vault, desk.keyring),
    )
    if opened.needs_verify:
        opened.verify(_blocks(path))
    return opened.plaintext(_blocks(path))


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                yield block
    except OSError as error:
        raise FileRefused(
            f"{path} cannot be read: {error.strerror}.", "Give this user a readable copy of it."
        ) from None


def write_whole(path: Path, chunks: Iterable[bytes]) -> int:
    """Write a new file of mode 0600 that gets its name only when all of it is there."""
    partial = path.with_name(path.name + ".partial")
    size = 0
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise FileRefused(
            f"{partial} cannot be written: {error.strerror}.", "Remove it or choose another name."
        ) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                size += len(chunk)
        os.link(partial, path)
    except FileExistsError:
        raise FileRefused(f"{path} exists.", "Choose another name; nothing is ever overwritten.") from None
    except OSError as error:
        raise FileRefused(
            f"{path} could not be written: {error.strerror}.", "Choose a disk with enough room; nothing was left."
        ) from None
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
    return size
