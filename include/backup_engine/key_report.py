"""Which KMS keys the backups need, how old what they wrap is, and which backups are lost when a key is deleted.

Two layers of keys: the data key's, of which any one copy is enough, and S3's (SSE-KMS), without which S3 hands out
nothing. Read from the bucket and KMS alone. Each backup is opened, so that a copy counts only where the sidecar that
names it is authentic. Other versions of the objects, and copies in other buckets, are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.key_state import NO_ACCESS, NO_ANSWER, KeyState, key_state
from include.backup_engine.crypto.sidecar import wrapped_copies
from include.backup_engine.errors import BackupError, KeyRefused, KeyUnavailable, StoreError
from include.backup_engine.policy import Policy
from include.backup_engine.records import Record
from include.backup_engine.report import megabytes
from include.backup_engine.store.catalog import Catalog, Entry
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import open_stored

_READERS = 8


class KeyUse(Record):
    """One KMS key, and the backups that need it, by ``source/name``; times are those of the backups, UTC.

    :param data_keys: how many backups have a copy of their data key under it; ``bytes`` are those of their dumps.
    :param oldest_days: age of the oldest data key under it.
    :param sse: how many backups S3 stores under it, dump or sidecar.
    :param lost_data_keys: the backups that have no other copy under a key that is there to stay.
    :param lost_objects: the backups that S3 could not hand out without it.
    """

    key: KeyState
    data_keys: int
    bytes: int
    oldest: datetime | None
    newest: datetime | None
    oldest_days: int | None
    sse: int
    lost_data_keys: list[str]
    lost_objects: list[str]

    @property
    def lost(self) -> list[str]:
        """The backups that are lost when the key is deleted."""
        return sorted({*self.lost_data_keys, *self.lost_objects})

    def lines(self) -> list[str]:
        """For people."""
        about = self.key
        told = [about.state + (f" on {about.deletion_date:%Y-%m-%d}" if about.deletion_date else "")]
        told += [f"origin {about.origin}"] if about.origin else []
        told += [f"created {about.created:%Y-%m-%d}"] if about.created else []
        told += [f"rotation {'on' if about.rotation else 'off'}"] if about.rotation is not None else []
        told += [f"rotated {about.rotated_at:%Y-%m-%d}"] if about.rotated_at else []
        found = [" ".join([about.arn, *about.aliases]), f"  {', '.join(told)}"]
        if self.oldest and self.newest:
            found.append(
                f"  data keys of {self.data_keys} backups ({megabytes(self.bytes)}), {self.oldest:%Y-%m-%d} to "
                f"{self.newest:%Y-%m-%d}; the oldest is {self.oldest_days} days old"
            )
        if self.sse:
            found.append(f"  S3's encryption of {self.sse} backups")
        found.append(f"  {len(self.lost)} backups are lost if it is deleted")
        return found


class KeyReport(Record):
    """All keys, those that most backups need first.

    :param unproven: name of each backup that could not be opened now, and why; those that are not authentic are in no
        figure.
    """

    made_at: datetime
    backups: int
    keys: list[KeyUse]
    unproven: dict[str, str]

    def of(self, key: str, keyring: Keyring) -> KeyUse:
        """The use of a key, by ARN, id or alias.

        :raises KeyUnavailable: no backup needs a key of that name, and KMS knows none.
        """
        matching = [use for use in self.keys if key in (use.key.arn, *use.key.aliases, use.key.arn.rpartition("/")[2])]
        if len(matching) == 1:
            return matching[0]
        arn = keyring.resolve(key)
        return next((use for use in self.keys if use.key.arn == arn), None) or _use(
            key_state(keyring, arn), [], {}, self.made_at
        )


@dataclass(frozen=True)
class _Held:
    """One backup, and the keys that hold it."""

    label: str
    size: int
    taken_at: datetime
    data_keys: frozenset[str]
    sse_keys: frozenset[str]
    problem: str | None = None
    authentic: bool = True


def report_keys(policy: Policy, reader: Vault, keyring: Keyring, now: datetime | None = None) -> KeyReport:
    """Look at every backup in the bucket, of all sources and of the original system, and at every key.

    :raises BackupError: S3 does not answer.
    """
    now = now or datetime.now(UTC)
    entries = [entry for entry in Catalog(reader).entries() if entry.state == "complete"]
    with ThreadPoolExecutor(_READERS) as pool:
        seen = list(pool.map(lambda entry: _held(entry, policy, reader, keyring), entries))
    held = [backup for backup in seen if backup.authentic]
    arns = sorted({arn for backup in held for arn in backup.data_keys | backup.sse_keys})
    states = {arn: key_state(keyring, arn) for arn in arns}
    uses = [_use(state, held, states, now) for state in states.values()]
    return KeyReport(
        made_at=now,
        backups=len(held),
        keys=sorted(uses, key=lambda use: (-use.data_keys, -use.sse, use.key.arn)),
        unproven={backup.label: backup.problem for backup in seen if backup.problem},
    )


def _use(state: KeyState, held: Sequence[_Held], states: dict[str, KeyState], now: datetime) -> KeyUse:
    arn = state.arn
    under = [backup for backup in held if arn in backup.data_keys]
    stored = [backup for backup in held if arn in backup.sse_keys]
    times = [backup.taken_at for backup in under]
    return KeyUse(
        key=state,
        data_keys=len(under),
        bytes=sum(backup.size for backup in under),
        oldest=min(times, default=None),
        newest=max(times, default=None),
        oldest_days=(now - min(times)).days if times else None,
        sse=len(stored),
        lost_data_keys=[
            backup.label for backup in under if not any(states[other].lasting for other in backup.data_keys - {arn})
        ],
        lost_objects=[backup.label for backup in stored],
    )


def _held(entry: Entry, policy: Policy, reader: Vault, keyring: Keyring) -> _Held:
    label = f"{entry.source or '-'}/{entry.name.stem if entry.name else entry.key}"
    problem, authentic = None, True
    try:
        open_stored(entry, entry.source or "", policy, reader, keyring)
    except StoreError:
        raise
    except (KeyUnavailable, KeyRefused) as error:
        problem = error.cause
    except BackupError as error:
        problem, authentic = error.cause, False
    objects = (reader.head(key).sse_kms_key_id for key in (entry.key, entry.sidecar_key)) if authentic else ()
    return _Held(
        label,
        entry.size or 0,
        entry.taken_at,
        _arns(_named(entry), keyring),
        _arns(objects, keyring),
        problem,
        authentic,
    )


def _named(entry: Entry) -> list[str]:
    return [copy.key_arn for copy in wrapped_copies(entry.sidecar)] if entry.sidecar else []


def _arns(keys: Iterable[str | None], keyring: Keyring) -> frozenset[str]:
    """The original system named keys by id or alias."""
    return frozenset(
        key if key.startswith("arn:") and ":key/" in key else keyring.resolve_if_usable(key) or key
        for key in keys
        if key
    )


def key_warnings(source: str, reader: Vault, keyring: Keyring) -> list[str]:
    """What somebody must know tonight: keys that backups of a source need, and that do not work or are about to go.

    All backups are looked at, since it is the key of the oldest ones that is taken for superfluous; their sidecars are
    read and not opened, and KMS is asked once for each key. A key that this role may not see is passed over.
    """
    needed: dict[str, list[Entry]] = {}
    for entry in Catalog(reader).entries(source):
        for arn in _arns(_named(entry), keyring):
            needed.setdefault(arn, []).append(entry)
    needed.setdefault(reader.policy.sse_key_id, [])
    states = {arn: key_state(keyring, arn) for arn in needed}
    found = []
    for arn, state in sorted(states.items()):
        if state.usable or state.state in (NO_ACCESS, NO_ANSWER):
            continue
        alone = [
            entry
            for entry in needed[arn]
            if not any(states[other].lasting for other in _arns(_named(entry), keyring) - {arn})
        ]
        what = (
            "every object in the bucket"
            if arn == reader.policy.sse_key_id
            else f"{len(needed[arn])} backups of {source}, {len(alone)} of them have no other key"
        )
        when = f" and will be deleted on {state.deletion_date:%Y-%m-%d}" if state.deletion_date else ""
        found.append(
            f"THE KMS KEY {arn} IS {state.state.upper()}{when}. It opens {what}. Enable it or cancel its deletion; "
            "to do without it, rewrap first (docs/operations.md, Keys)."
        )
    return found
