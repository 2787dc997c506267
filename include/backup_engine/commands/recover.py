"""``recover``: say what a restore would do, or restore a backup, or single tables of it. Nothing is overwritten.

The steps are those of the DAG ``disaster_recovery``: plan, restore beside, compare, put in place, record.
"""

from __future__ import annotations

import argparse
import getpass
from datetime import UTC, datetime
from typing import Any

from include.backup_engine.beside import drop_incoming
from include.backup_engine.cancel import Cancellation
from include.backup_engine.commands.answers import RecoverDryRun, RecoverRestore
from include.backup_engine.commands.desk import (
    Commands,
    Desk,
    add_backup,
    add_command,
    add_json,
    print_json,
    stopping,
    undisturbed,
)
from include.backup_engine.connections import connection_from_environment, mysql_endpoint
from include.backup_engine.errors import BackupError, ConnectionMissing, PreflightError, SourceUnavailable
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.recovery import Recovery, RecoveryResult, judge, require_approval, sound_request
from include.backup_engine.recovery_steps import (
    bring_accounts,
    compare_beside,
    plan_recovery,
    put_in_place,
    record_recovery,
    restore_beside,
)
from include.backup_engine.stored import StoredBackup
from include.backup_engine.verify import verify, verify_tables


def add(commands: Commands) -> None:
    """Add the command."""
    recovering = add_command(
        commands, "recover", recover, "Plan a restore (dry run), or restore into a database that holds nothing."
    )
    add_backup(recovering)
    recovering.add_argument("--restore", action="store_true", help="restore; without it nothing is written")
    recovering.add_argument("--target-conn-id", metavar="ID", help="connection of the target; default: the source's")
    recovering.add_argument("--target-database", metavar="NAME", help="default: <database>_restored")
    recovering.add_argument(
        "--table", action="append", default=[], metavar="NAME",
        help="restore only this table, with its triggers; may be given again. Into a database that holds something,"
        " it comes beside what is there, as NAME_restored_<time>",
    )  # fmt: skip
    recovering.add_argument(
        "--accounts", action="store_true", help="also create the accounts of the source's server that the target lacks"
    )
    recovering.add_argument("--reason", default="", help="why, for the evidence record; no patient data")
    add_json(recovering)


def recover(desk: Desk, options: argparse.Namespace) -> None:
    """Plan, and restore if that was asked for."""
    now = datetime.now(UTC)
    asked = sound_request(
        {
            "source": desk.source,
            "backup": options.name,
            "mode": "restore" if options.restore else "dry_run",
            "tables": options.table,
            "accounts": options.accounts,
            "target_conn_id": options.target_conn_id,
            "target_database": options.target_database,
            "reason": options.reason,
        },
        desk.policy,
        run_at=now,
        requested_at=now,
        requested_by=f"{getpass.getuser()} (command line)",
    )
    backup = desk.stored(options.name)
    if options.restore:
        _restore(desk, options, asked, backup)
    else:
        _dry_run(desk, options, asked, backup)


def _dry_run(desk: Desk, options: argparse.Namespace, asked: Recovery, backup: StoredBackup) -> None:
    tables, plan = asked.request.tables, None
    try:
        endpoint = _reachable(asked.conn_id)
    except (ConnectionMissing, SourceUnavailable, PreflightError) as error:
        desk.reporter.warn(f"Only the backup is looked at, not the target: {error.cause} {error.remedy}")
        if tables:
            verified = verify_tables(backup, tables, desk.policy, desk.keyring, desk.reporter)
        else:
            verified = verify(backup, desk.policy, desk.keyring, desk.reporter)
    else:
        plan = plan_recovery(asked, backup, endpoint, desk.policy, desk.vault, desk.keyring, desk.reporter)
        verified = plan.verified
    if options.json:
        print_json(RecoverDryRun(would_create=asked.database, verified=verified, plan=plan))
    if plan is not None:
        judge(asked, datetime.now(UTC), plan=plan).raise_if_failed()
    if options.json:
        return
    if tables:
        print(f"Dry run: {_what(asked, backup)} can be restored into {asked.database}; the rest was not read.")
    else:
        print(f"Dry run: {backup.name} is good and would be restored into the new database {asked.database}.")


def _restore(desk: Desk, options: argparse.Namespace, asked: Recovery, backup: StoredBackup) -> None:
    endpoint = _reachable(asked.conn_id)
    found: dict[str, Any] = {"plan": None}
    ended: BackupError | KeyboardInterrupt | None = None
    try:
        _carry_out(desk, asked, backup, endpoint, found)
    except (BackupError, KeyboardInterrupt) as error:
        ended = error
    result = judge(asked, datetime.now(UTC), **found)
    if ended is not None and not (result.comparison and result.comparison.findings):
        cause = ended.cause if isinstance(ended, BackupError) else "it was interrupted"
        result = result.model_copy(update={"failures": [cause]})
    key = _record(desk, result)
    if options.json and result.restoration:
        answer = RecoverRestore(
            restored=result.restoration.model_copy(update={"database": asked.database}),
            comparison=result.comparison,
            copies=result.swapped.copies if result.swapped else {},
            accounts=result.accounts,
            plan=result.plan,
            seconds=result.seconds,
            evidence=key,
        )
        print_json(answer)
    if ended is not None:
        raise ended
    result.raise_if_failed()
    if not options.json:
        _tell(asked, backup, result)


def _carry_out(desk: Desk, asked: Recovery, backup: StoredBackup, endpoint: Endpoint, found: dict[str, Any]) -> None:
    """Plan, restore beside, compare, put in place; whatever ends it, the copy beside is gone afterwards.

    :param found: takes what each step found, as :func:`judge` wants it.
    """
    cancellation = Cancellation()
    with stopping(cancellation.request):
        plan = plan_recovery(asked, backup, endpoint, desk.policy, desk.vault, desk.keyring, desk.reporter)
        found["plan"] = plan
        require_approval(plan, None, None)
        try:
            found["restoration"] = restore_beside(
                asked, backup, endpoint, desk.policy, desk.keyring, desk.reporter, cancellation
            )
            comparison = compare_beside(asked, plan, backup, endpoint, desk.reporter)
            found["comparison"] = comparison
            with undisturbed():  # a matter of seconds, and half of it would be nothing
                found["swapped"] = put_in_place(
                    asked, plan, comparison, backup, endpoint, desk.reporter, cancellation
                )  # fmt: skip
                if asked.request.accounts:
                    found["accounts"] = bring_accounts(plan, backup, endpoint, desk.policy, desk.keyring, desk.reporter)
        finally:
            if "swapped" not in found:
                with undisturbed():
                    _drop(desk, endpoint, asked.incoming)


def _drop(desk: Desk, endpoint: Endpoint, database: str) -> None:
    try:
        drop_incoming(endpoint, database)
    except BackupError as error:
        desk.reporter.warn(f"The unfinished copy {database} is still there; drop it, it is patient data: {error.cause}")


def _reachable(conn_id: str) -> Endpoint:
    """The target's server, seen to answer."""
    endpoint = mysql_endpoint(connection_from_environment(conn_id))
    endpoint.connect().close()
    return endpoint


def _record(desk: Desk, result: RecoveryResult) -> str | None:
    """Write the evidence; without it, the recovery counts all the same, and a person is told."""
    try:
        writer = desk.vault_as(desk.policy.vault.writer_conn_id)
        return record_recovery(result, desk.vault, writer, desk.reporter)
    except BackupError as error:
        desk.reporter.warn(
            f"NO EVIDENCE WAS WRITTEN that this recovery has {'failed' if result.failures else 'passed'}: {error.cause}"
            f" {error.remedy} Write down yourself what you did, when and why."
        )
        return None


def _what(asked: Recovery, backup: StoredBackup) -> str:
    tables = asked.request.tables
    return f"{', '.join(tables)} of {backup.name}" if tables else str(backup.name)


def _tell(asked: Recovery, backup: StoredBackup, result: RecoveryResult) -> None:
    copies = result.swapped.copies if result.swapped else {}
    for name, copy in copies.items():
        print(f"{name} is restored as {asked.database}.{copy}, without triggers and foreign keys.")
    if not copies:
        events = "" if asked.request.tables else "; its events are disabled"
        print(f"{_what(asked, backup)} is restored into {asked.database}{events}.")
    if result.accounts:
        print(f"{len(result.accounts.created)} accounts are created, with the passwords they had.")
