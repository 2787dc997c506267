"""``list`` and ``show``: which backups there are, and what one of them says about itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from include.backup_engine.commands.desk import (
    Commands,
    Desk,
    add_backup,
    add_command,
    add_json,
    positive,
    print_json,
    table,
)
from include.backup_engine.crypto.sidecar import Sidecar
from include.backup_engine.listing import TITLES, Listed, age, describe, list_backups
from include.backup_engine.names import SAFETY_SUFFIX
from include.backup_engine.report import megabytes
from include.backup_engine.stored import StoredBackup, open_stored


def add(commands: Commands) -> None:
    """Add both commands."""
    listing = add_command(commands, "list", list_all, "List all backups of the bucket, newest first.")
    listing.add_argument("--limit", type=positive, metavar="N", help="look at the newest N only")
    add_json(listing)
    showing = add_command(commands, "show", show, "Show what the sidecar of a backup says.")
    add_backup(showing)
    add_json(showing)


def list_all(desk: Desk, options: argparse.Namespace) -> None:
    """Print one line for each backup, or JSON."""
    source = desk.source if options.source else None
    listing = list_backups(desk.vault, source, desk.reporter, limit=options.limit, cache=desk.cache)
    if source is not None and not listing.total:
        desk.policy.source(source.removesuffix(SAFETY_SUFFIX))  # an unknown one, or none of its backups is there yet
    if options.json:
        print_json([backup.model_dump(mode="json") for backup in listing.backups])
    elif listing.backups:
        now = datetime.now(UTC)
        print("\n".join(table([TITLES, *(backup.columns(now) for backup in listing.backups)])))
    for warning in listing.warnings:
        desk.reporter.warn(warning)
    more = f" of {listing.total}" if listing.total > len(listing.backups) else ""
    print(f"{len(listing.backups)}{more} backups", file=sys.stderr)


def show(desk: Desk, options: argparse.Namespace) -> None:
    """Print what people look for, or the whole sidecar as JSON."""
    entry = desk.catalog.find(desk.source, options.name)
    backup = open_stored(entry, desk.source, desk.policy, desk.vault, desk.keyring)
    [listed], warnings = describe([entry], desk.vault, desk.reporter, desk.cache)
    if options.json:
        document = backup.opened.sidecar.model_dump(mode="json", exclude_none=True)
        print_json(document | {"listed": listed.model_dump(mode="json")})
    else:
        print("\n".join(_page(backup, listed, datetime.now(UTC))))
    for warning in warnings:
        desk.reporter.warn(warning)


def _page(backup: StoredBackup, listed: Listed, now: datetime) -> Iterator[str]:
    """What a person in need wants to know first; then the tables."""
    facts, stored = backup.facts, backup.stored
    first = [
        ("backup", f"{backup.name}, of {facts.source if facts else 'the original system'}"),
        ("taken", f"{listed.taken_at:%Y-%m-%d %H:%M:%S} UTC, {age(listed.taken_at, now)} ago"),
    ]
    if facts:
        census, server = facts.census, facts.server
        others = len(census.objects)
        first += [
            ("holds", f"database {facts.database}: {len(census.tables)} tables, {census.rows} rows, {others} objects"),
            ("left out", ", ".join(census.excluded_tables)),
            ("sizes", f"{megabytes(facts.stream.sql_bytes)} of SQL, {megabytes(stored.size)} stored"),
            ("snapshot", f"{facts.consistency.verdict}, at {facts.consistency.snapshot_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("server", f"{server.flavour} {server.version}"),
        ]
    else:
        first += [("sizes", f"{megabytes(stored.size)} stored")]
    verified = (
        f"{listed.verified_at:%Y-%m-%d %H:%M} UTC" if listed.verified_at else "never, as far as the evidence says"
    )
    locked = f"{listed.lock_mode} until {listed.retain_until:%Y-%m-%d %H:%M} UTC" if listed.retain_until else "no"
    first += [
        ("read back", verified),
        ("last drill", listed.drill_text),
        ("locked", locked),
        ("KMS keys", ", ".join(key_arns(backup))),
        ("stored as", f"s3://{stored.bucket}/{stored.key}, version {stored.version_id}"),
    ]
    yield from (f"{what:11} {text}" for what, text in first if text)
    if facts:
        yield ""
        lines = [(t.kind, t.name, "" if t.rows is None else f"{t.rows}") for t in facts.census.tables]
        yield from table([("KIND", "NAME", "ROWS"), *lines, *((o.kind, o.name, "") for o in facts.census.objects)])


def key_arns(backup: StoredBackup) -> list[str]:
    """The KMS keys that can unwrap its data key, as its sidecar says."""
    sidecar = backup.opened.sidecar
    if isinstance(sidecar, Sidecar):
        return list(dict.fromkeys(key.key_arn for key in sidecar.encrypted_data_keys))
    return [sidecar.kms_key_id]
