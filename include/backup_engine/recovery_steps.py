"""The steps of a recovery, in their order, as the DAG and the command line take them: plan, restore beside, compare,
put in place, record.
"""

from __future__ import annotations

from include.backup_engine import evidence
from include.backup_engine.accounts import open_accounts
from include.backup_engine.beside import tidy
from include.backup_engine.cancel import Cancellation
from include.backup_engine.compare import Comparison, compare_with_snapshot
from include.backup_engine.copies import put_beside
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.crypto.sidecar import BackupFacts
from include.backup_engine.errors import DrillFailed, UnsupportedFormat
from include.backup_engine.mysql.account_creation import CreatedAccounts, create_accounts
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import SAFETY_SUFFIX
from include.backup_engine.plan import Plan, expected_duration, make_plan
from include.backup_engine.policy import Policy
from include.backup_engine.recovery import Recovery, RecoveryResult
from include.backup_engine.report import Reporter
from include.backup_engine.restore import Restoration, create_database, restore
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup
from include.backup_engine.swap import Swapped, swap
from include.backup_engine.written import Written


def plan_recovery(
    asked: Recovery, backup: StoredBackup, endpoint: Endpoint, policy: Policy, vault: Vault, keyring: Keyring,
    reporter: Reporter,
) -> Plan:  # fmt: skip
    """The plan, with the duration that the source's drills let expect. Raises what :func:`make_plan` raises."""
    drilled = asked.request.source.removesuffix(SAFETY_SUFFIX)
    expected = expected_duration(vault, drilled, backup.facts)
    return make_plan(backup, asked.place, endpoint, policy, keyring, reporter, expected)


def restore_beside(
    asked: Recovery, backup: StoredBackup, endpoint: Endpoint, policy: Policy, keyring: Keyring, reporter: Reporter,
    cancellation: Cancellation,
) -> Restoration:  # fmt: skip
    """Authenticate the backup, or the tables that were asked for, and load it into a database of its own.

    Who calls it drops that database when anything fails. Raises what :func:`restore` raises.
    """
    tidy(endpoint, asked.database, reporter)
    create_database(endpoint, asked.incoming, backup)
    return restore(
        backup, endpoint, asked.incoming, policy, keyring, reporter, cancellation, tables=asked.request.tables
    )


def compare_beside(
    asked: Recovery, plan: Plan, backup: StoredBackup, endpoint: Endpoint, reporter: Reporter
) -> Comparison:
    """Compare what was restored with what the source held when the backup was taken."""
    facts = _facts(backup)
    return compare_with_snapshot(
        facts.census, endpoint, asked.incoming, reporter, events_disabled=True, excerpt=plan.verified.excerpt,
        written=Written.of(facts, "unproven"),
    )  # fmt: skip


def put_in_place(
    asked: Recovery, plan: Plan, comparison: Comparison, backup: StoredBackup, endpoint: Endpoint, reporter: Reporter,
    cancellation: Cancellation,
) -> Swapped:  # fmt: skip
    """Put the proven copy in the place of the target, or single tables beside those that are there.

    :raises DrillFailed: the copy is not what the source held; the target is untouched. Otherwise what :func:`swap`
        and :func:`put_beside` raise.
    """
    if not comparison.equal:
        raise DrillFailed(
            f"{asked.incoming} is not what the source held: {comparison.summary()}.",
            f"{asked.database} is untouched. Restore another backup, and report this one.",
        )
    if plan.copies:
        return put_beside(endpoint, asked.database, asked.incoming, plan.copies, reporter, cancellation)
    census, excerpt = _facts(backup).census, plan.verified.excerpt
    return swap(
        endpoint, asked.database, asked.incoming, asked.before, excerpt.part_of(census) if excerpt else census,
        reporter, cancellation, overwrite=plan.overwrites,
    )  # fmt: skip


def bring_accounts(
    plan: Plan, backup: StoredBackup, endpoint: Endpoint, policy: Policy, keyring: Keyring, reporter: Reporter
) -> CreatedAccounts:
    """Create the accounts that the plan names, and that do not exist meanwhile. Who was refused is told, not raised.

    After the database, so that what is granted on its tables and routines finds them.

    :raises IntegrityError: the accounts are not those that were kept with the backup.
    :raises SourceUnavailable: the server was lost.
    """
    found = open_accounts(backup, policy, keyring)
    connection = endpoint.connect()
    try:
        chosen = [account for account in found.accounts if account.name in plan.accounts]
        created = create_accounts(connection, found.server.flavour, chosen)
    finally:
        connection.close()
    reporter.line("Accounts created", accounts=len(created.created), names=", ".join(created.created) or None)
    for name, why in created.refused.items():
        reporter.warn(f"The account {name} was not created: {why}")
    for grant in created.not_given:
        reporter.warn(f"Not granted, since it is not there: {grant}")
    return created


def record_recovery(result: RecoveryResult, reader: Vault, writer: Vault, reporter: Reporter) -> str:
    """Write the evidence, and say in one line what was asked for, approved, done and verified. Returns its key.

    :raises EvidenceError, StoreError: it could not be written.
    """
    asked, swapped = result.recovery, result.swapped
    key, record = evidence.append(
        reader, writer, "recovery", asked.request.source,
        "failed" if result.failures else "passed", result.model_dump(mode="json"),
    )  # fmt: skip
    reporter.line(
        f"{asked.request.mode} of {asked.request.source} {record.outcome}", requested_by=asked.requested_by,
        approved_by=result.approval.responder if result.approval else None, reason=asked.request.reason or None,
        database=asked.database, tables=_where(swapped, asked) or None,
        read=str(result.plan.verified.excerpt) if result.plan and result.plan.verified.excerpt else None,
        accounts=len(result.accounts.created) if result.accounts else None,
        old_content=swapped.before if swapped else None,
        safety_backup=result.safety_backup.backup if result.safety_backup else None,
        compared=result.comparison.summary() if result.comparison else None, seconds=result.seconds, evidence=key,
    )  # fmt: skip
    return key


def _facts(backup: StoredBackup) -> BackupFacts:
    """What a backup records about the source; without that, it is not restored here."""
    if backup.facts is None:
        raise UnsupportedFormat("The backup records nothing to compare with.", "Restore it by hand.")
    return backup.facts


def _where(swapped: Swapped | None, asked: Recovery) -> str:
    """Where the tables are that were asked for."""
    if swapped is None or not asked.request.tables:
        return ""
    names = swapped.copies or {table: table for table in asked.request.tables}
    return ", ".join(f"{table} is {asked.database}.{name}" for table, name in names.items())
