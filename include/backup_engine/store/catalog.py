"""Which backups there are: read from the bucket alone, so that it survives the loss of everything else.

A backup is committed by its sidecar, which is written last: an encrypted dump without one is an attempt that is
still running or failed. Nothing here is authentic yet: who opens a backup authenticates it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from include.backup_engine.crypto.sidecar import MAX_SIDECAR_BYTES, OriginalSidecar, Sidecar, parse
from include.backup_engine.errors import BackupMissing, IntegrityError, StoreRefused, UnsupportedFormat
from include.backup_engine.names import SIDECAR_SUFFIX, BackupName, source_prefix
from include.backup_engine.records import StoredObject
from include.backup_engine.store.s3 import Vault

State = Literal["complete", "incomplete", "unreadable", "unknown_format"]

READERS = 8
_CLOCK_SKEW = timedelta(minutes=15)  # S3 refuses requests from clocks that are further off (RequestTimeTooSkewed)


@dataclass(frozen=True)
class Entry:
    """One backup as the bucket shows it.

    ``complete``: dump and sidecar are there and fit each other. ``incomplete``: no sidecar. ``unreadable``: the
    sidecar is malformed, refused, without its dump, or about another one. ``unknown_format``: the sidecar is of
    a format that this release does not know.

    :param name: None when the key does not end in the name of a backup.
    :param source: the policy's name of the database; None for those of the original system, which lie directly
        under the prefix.
    :param size: bytes of the encrypted dump; None when there is none.
    :param stored_at: when S3 stored the dump (or the sidecar, when it is alone), by S3's clock.
    :param problem: one sentence, when something is wrong.
    :param sidecar: parsed, not authenticated.
    :param sidecar_version: S3's version id of ``raw_sidecar``.
    :param seen: changes whenever the dump or the sidecar is written again, as far as a list shows it.
    """

    name: BackupName | None
    source: str | None
    key: str
    size: int | None
    stored_at: datetime
    state: State
    problem: str | None = None
    sidecar: Sidecar | OriginalSidecar | None = None
    raw_sidecar: bytes | None = None
    sidecar_version: str | None = None
    seen: str | None = None

    @property
    def sidecar_key(self) -> str:
        """Where the sidecar lies."""
        return self.key + SIDECAR_SUFFIX

    @property
    def taken_at(self) -> datetime:
        """The time in the name, UTC; without a name, when it was stored."""
        return self.name.taken_at if self.name else self.stored_at

    @property
    def future(self) -> bool:
        """Named for a later time than it was stored at: a wrong clock, or somebody who wants to be the latest.

        Such a backup is only ever chosen by its name.
        """
        return self.taken_at > self.stored_at + _CLOCK_SKEW


class Catalog:
    """The backups in a vault whose role may list and read; raises what the vault raises."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def entries(self, source: str | None = None) -> list[Entry]:
        """All backups of one source, or of all sources and of the original system; newest first."""
        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(self.read, self.listed(source)))

    def find(self, source: str | None, selector: str) -> Entry:
        """The complete backup that is meant.

        By name, a backup of the original system is found, too; it does not say which database it is of, and so is
        chosen by ``latest`` or a time only when ``source`` is None.

        :param selector: a name; ``latest``; or an ISO time (UTC when it has no offset): the newest at or before it.
        :raises BackupMissing: there is none, or the named one is not complete; says what there is instead.
        """
        before = _moment(selector)
        if before is None:
            return self._named(source, selector)
        candidates = [
            entry
            for entry in self.listed(source)
            if entry.source == source and entry.taken_at <= before and not entry.future
        ]
        for entry in map(self.read, candidates):
            if entry.state == "complete":
                return entry
        raise BackupMissing(
            f"No complete backup of {source or 'the original system'} is there for {selector!r} "
            f"({len(candidates)} that are not complete).",
            "List the backups: the list shows what is there, and what is wrong with it.",
        )

    def listed(self, source: str | None) -> list[Entry]:
        """What the keys alone tell, newest first: ``complete`` only means that both objects are there."""
        prefix = source_prefix(self._vault.prefix, source) if source else self._vault.prefix
        entries = _from_keys(self._vault.list(prefix), self._vault.prefix)
        return sorted(entries, key=lambda entry: (entry.taken_at, entry.key), reverse=True)

    def read(self, entry: Entry) -> Entry:
        """A listed entry with its sidecar, and with what that says about its state."""
        if entry.state != "complete":
            return entry
        try:
            raw, stored = self._vault.fetch(entry.sidecar_key, max_bytes=MAX_SIDECAR_BYTES)
        except (IntegrityError, BackupMissing, StoreRefused) as error:
            return replace(entry, state="unreadable", problem=error.cause)
        entry = replace(entry, raw_sidecar=raw, sidecar_version=stored.version_id)
        try:
            sidecar = parse(raw)
        except UnsupportedFormat as error:
            return replace(entry, state="unknown_format", problem=error.cause)
        except IntegrityError as error:
            return replace(entry, state="unreadable", problem=error.cause)
        entry = replace(entry, sidecar=sidecar)
        if problem := _contradiction(sidecar, entry):
            return replace(entry, state="unreadable", problem=problem)
        return replace(entry, problem="It is named for a later time than it was stored at.") if entry.future else entry

    def _named(self, source: str | None, selector: str) -> Entry:
        name = BackupName.parse(selector)
        wanted = selector.rsplit("/", 1)[-1].removesuffix(SIDECAR_SUFFIX)
        found: list[Entry] = []
        for place in dict.fromkeys((source, None)):
            for entry in self.listed(place):
                if entry.source == place and wanted in (entry.name and entry.name.stem, entry.key.rsplit("/", 1)[-1]):
                    found.append(self.read(entry))
            if found:
                break
        complete = [entry for entry in found if entry.state == "complete"]
        if len(complete) == 1:
            return complete[0]
        if complete:
            raise BackupMissing(f"{len(complete)} backups are named {name}.", "Give the whole name, with its ending.")
        if found:
            raise BackupMissing(f"The backup {name} is {found[0].state}: {found[0].problem}", "Choose another one.")
        raise BackupMissing(
            f"There is no backup {name} of {source or 'the original system'}.", "List the backups to see their names."
        )


def _from_keys(objects: Iterable[StoredObject], prefix: str) -> Iterator[Entry]:
    """What keys alone tell; ``complete`` here means: both objects are there."""
    dumps: dict[str, StoredObject] = {}
    sidecars: dict[str, StoredObject] = {}
    for item in objects:
        found = sidecars if item.key.endswith(SIDECAR_SUFFIX) else dumps
        found[item.key.removesuffix(SIDECAR_SUFFIX)] = item
    for key in dumps.keys() | sidecars.keys():
        folder = key.removeprefix(prefix).rpartition("/")[0]
        if not key.endswith(".encrypted") or "/" in folder:
            continue
        dump = dumps.get(key)
        name = _name(key)
        state: State = "complete"
        problem = None
        if dump is None:
            state, problem = "unreadable", "It has a sidecar, but no encrypted dump."
        elif key not in sidecars:
            state, problem = "incomplete", "It has no sidecar: the attempt is still running, or failed."
        elif name is None:
            state, problem = "unreadable", "Its key does not end in the name of a backup."
        stored_at = (dump or sidecars[key]).last_modified or datetime.min.replace(tzinfo=UTC)
        size = dump.size if dump else None
        yield Entry(name, folder or None, key, size, stored_at, state, problem, seen=_seen(dump, sidecars.get(key)))


def _seen(*objects: StoredObject | None) -> str:
    return " ".join(f"{item.etag} {item.size} {item.last_modified}" for item in objects if item is not None)


def _name(key: str) -> BackupName | None:
    try:
        return BackupName.parse(key)
    except BackupMissing:
        return None


def _contradiction(sidecar: Sidecar | OriginalSidecar, entry: Entry) -> str | None:
    if sidecar.facts and sidecar.facts.object_name != entry.key.rsplit("/", 1)[-1]:
        return "Its sidecar describes a backup of another name."
    if sidecar.encrypted_file_size not in (None, entry.size):
        return f"Its dump has {entry.size:,} bytes, its sidecar says {sidecar.encrypted_file_size:,}."
    return None


def _moment(selector: str) -> datetime | None:
    """The time that a selector gives, the end of time for ``latest``, or None for a name."""
    if selector == "latest":
        return datetime.max.replace(tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(selector)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
