"""``list`` and ``show``: which backups there are, and what one of them says about itself."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

from include.backup_engine.commands.desk import Commands, Desk, add_backup, add_command, add_json, print_json
from include.backup_engine.report import megabytes
from include.backup_engine.store.catalog import Entry


def add(commands: Commands) -> None:
    """Add both commands."""
    add_json(add_command(commands, "list", list_backups, "List all backups of the bucket, newest first."))
    showing = add_command(commands, "show", show, "Show what the sidecar of a backup says.")
    add_backup(showing)
    add_json(showing)


def _row(entry: Entry) -> dict[str, Any]:
    facts = entry.sidecar.facts if entry.sidecar else None
    return {
        "name": entry.name.stem if entry.name else entry.key,
        "source": entry.source,
        "key": entry.key,
        "state": entry.state,
        "problem": entry.problem,
        "taken_at": entry.taken_at.isoformat(),
        "size": entry.size,
        "kms_key_id": entry.sidecar.kms_key_id if entry.sidecar else None,
        "format_version": entry.sidecar.format_version if entry.sidecar else None,
        "verdict": facts.consistency.verdict if facts else None,
        "tables": facts.census.count("table") if facts else None,
        "rows": facts.census.rows if facts else None,
    }


def list_backups(desk: Desk, options: argparse.Namespace) -> None:
    """Print one line for each backup, or JSON."""
    listed = [_row(entry) for entry in desk.catalog.entries(desk.source if options.source else None)]
    if options.json:
        print_json(listed)
        return
    now = datetime.now(UTC)
    for row in listed:
        age = now - datetime.fromisoformat(row["taken_at"])
        size = megabytes(row["size"]) if row["size"] is not None else "-"
        print(
            f"{row['name']:30} {row['source'] or '-':16} {row['state']:14} {size:>10} "
            f"{age.days}d{age.seconds // 3600:02}h  {row['verdict'] or '-':11} {row['problem'] or ''}".rstrip()
        )
    print(f"{len(listed)} backups", file=sys.stderr)


def show(desk: Desk, options: argparse.Namespace) -> None:
    """Print what people look for, or the whole sidecar as JSON."""
    backup = desk.stored(options.name)
    document = backup.opened.sidecar.model_dump(mode="json", exclude_none=True)
    if options.json:
        print_json(document)
        return
    for field in ("object_name", "source", "database", "backup_id", "kms_key_id", "algorithm", "encrypted_file_size"):
        if field in document:
            print(f"{field:22} {document[field]}")
    if facts := backup.facts:
        print(f"{'snapshot':22} {facts.consistency.snapshot_at.isoformat()} {facts.consistency.verdict}")
        print(f"{'server':22} {facts.server.flavour} {facts.server.version}")
        for table in facts.census.tables:
            print(f"  {table.kind:10} {table.name:40} {table.rows if table.rows is not None else '':>12}")
        for item in facts.census.objects:
            print(f"  {item.kind:10} {item.name}")
