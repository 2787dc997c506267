"""The steps of a restore drill, each an operator. What they hand on is small: names, times, counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from backup_airflow.hooks.aws import environment_of
from backup_airflow.operators.base import BackupOperator, endpoint_of
from include.backup_engine.break_glass import NOT_DUE, is_due, open_with_break_glass
from include.backup_engine.compare import compare_with_snapshot
from include.backup_engine.drill import PickedBackup, drill_database
from include.backup_engine.errors import DrillFailed, UnsupportedFormat
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.restore import (
    create_database,
    database_is_gone,
    drop_drill_database,
    restore,
)
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.stored import StoredBackup, open_stored
from include.backup_engine.written import Written


class PickBackupOperator(BackupOperator):
    """Choose the backup to drill; the clock of the RTO starts here.

    .. code-block:: python

        PickBackupOperator(task_id="pick_backup", source="surgicase", backup="latest")

    :param backup: a name, ``latest`` or an ISO time. (templated)
    """

    template_fields: Sequence[str] = ("source", "backup")

    def __init__(self, *, backup: str = "latest", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backup = backup

    def execute(self, context: Any) -> dict[str, Any]:
        """Choose."""
        started_at = datetime.now(UTC)
        entry = Catalog(self.reader_vault).find(self.source, self.backup)
        facts = entry.sidecar.facts if entry.sidecar else None
        if facts is None or entry.name is None or entry.sidecar is None:
            raise UnsupportedFormat(
                f"{entry.key} was made by the original system and records nothing to compare with.",
                "Drill a backup made by this package; restore that one by hand.",
            )
        self.reporter.line(
            f"Picked {entry.name}", taken_at=facts.consistency.snapshot_at, verdict=facts.consistency.verdict,
            tables=facts.census.count("table"), rows=facts.census.rows, kms_key=entry.sidecar.kms_key_id,
        )  # fmt: skip
        return PickedBackup(
            source=self.source,
            backup=entry.name.object_name,
            backup_id=facts.backup_id,
            database=drill_database(self.source, started_at),
            snapshot_at=facts.consistency.snapshot_at,
            started_at=started_at,
            kms_key_id=entry.sidecar.kms_key_id,
        ).model_dump(mode="json")


class _DrillOperator(BackupOperator):
    """Base of the steps that work on the picked backup and the scratch server."""

    template_fields: Sequence[str] = ("source", "picked")
    ui_color = "#e9dff0"

    def __init__(self, *, picked: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.picked = picked

    @property
    def scratch(self) -> Endpoint:
        """The scratch server."""
        return endpoint_of(self.policy.drill.scratch_conn_id)

    @property
    def database(self) -> str:
        """The scratch database."""
        return PickedBackup.model_validate(self.picked).database

    def stored(self) -> StoredBackup:
        """The picked backup, opened with the reading role."""
        picked = PickedBackup.model_validate(self.picked)
        entry = Catalog(self.reader_vault).find(self.source, picked.backup)
        return open_stored(entry, self.source, self.policy, self.reader_vault, self.reader_keyring)


class CreateScratchDatabaseOperator(_DrillOperator):
    """Create the drill's database on the scratch server.

    .. code-block:: python

        CreateScratchDatabaseOperator(task_id="create_scratch", source="surgicase", picked=pick.output)

    :param picked: what PickBackupOperator returned. (templated)
    """

    def execute(self, context: Any) -> None:
        """Create."""
        if context["ti"].try_number > 1:
            drop_drill_database(self.scratch, self.database)
        create_database(self.scratch, self.database, self.stored())
        self.reporter.line(f"Created {self.database}", server=self.scratch.name)


class RestoreBackupOperator(_DrillOperator):
    """Authenticate the whole picked backup, then load it into an empty database.

    A drill's database does not outlive a killed task: ``on_kill`` drops it.

    .. code-block:: python

        RestoreBackupOperator(task_id="restore", source="surgicase", picked=pick.output)

    :param picked: what PickBackupOperator returned. (templated)
    """

    def execute(self, context: Any) -> dict[str, Any]:
        """Restore."""
        restoration = restore(
            self.stored(), self.scratch, self.database, self.policy, self.reader_keyring, self.reporter,
            self._cancellation,
        )  # fmt: skip
        return restoration.model_dump(mode="json")

    def on_kill(self) -> None:
        """End the load on the server, then drop what it has loaded."""
        super().on_kill()
        drop_drill_database(self.scratch, self.database)


class CompareWithSnapshotOperator(_DrillOperator):
    """Compare the restored copy with what the source held when the backup was taken.

    Returns the comparison; a difference does not fail this task but the drill, whose last task records it first.

    .. code-block:: python

        CompareWithSnapshotOperator(task_id="compare", source="surgicase", picked=pick.output)

    :param picked: what PickBackupOperator returned. (templated)
    """

    def execute(self, context: Any) -> dict[str, Any]:
        """Compare."""
        facts = self.stored().facts
        if facts is None:
            raise UnsupportedFormat("The backup records nothing to compare with.", "Drill one made by this package.")
        comparison = compare_with_snapshot(
            facts.census, self.scratch, self.database, self.reporter, events_disabled=True,
            written=Written.of(facts, self.policy.drill.dump_again),
        )  # fmt: skip
        return {"comparison": comparison.model_dump(mode="json"), "compared_at": datetime.now(UTC).isoformat()}


class DropScratchDatabaseOperator(_DrillOperator):
    """Drop the drill's database, whatever came before. The teardown of CreateScratchDatabaseOperator.

    .. code-block:: python

        DropScratchDatabaseOperator(task_id="drop_scratch", source=…, picked=…).as_teardown(setups=create)

    :param picked: what PickBackupOperator returned. (templated)
    """

    def execute(self, context: Any) -> None:
        """Drop."""
        drop_drill_database(self.scratch, self.database)
        self.reporter.line(f"Dropped {self.database}")


class ScratchIsGoneOperator(_DrillOperator):
    """Show that the scratch server holds no trace of the drill. Returns ``True``.

    A teardown's failure does not fail a run; this plain task after it does.

    .. code-block:: python

        ScratchIsGoneOperator(task_id="scratch_is_gone", source="surgicase", picked=pick.output)

    :param picked: what PickBackupOperator returned. (templated)
    """

    def execute(self, context: Any) -> bool:
        """Look."""
        if not database_is_gone(self.scratch, self.database):
            raise DrillFailed(
                f"The scratch database {self.database} is still there, with a copy of patient data.",
                f"Drop it by hand: DROP DATABASE `{self.database}`; then look at the task drop_scratch.",
            )
        self.reporter.line(f"{self.database} is gone")
        return True


class BreakGlassOperator(_DrillOperator):
    """In every second drill: open the backup with the break-glass file, too, and compare what both readers release.

    Returns what came of it; a difference does not fail this task but the drill, whose last task records it first.

    .. code-block:: python

        BreakGlassOperator(task_id="break_glass", source="surgicase", picked=pick.output)

    :param picked: what PickBackupOperator returned. (templated)
    """

    def execute(self, context: Any) -> dict[str, Any]:
        """Compare, if it is this drill's turn."""
        if not is_due(self.reader_vault, self.source):
            self.reporter.line("Every second drill uses the break-glass file, too: not this one")
            return NOT_DUE.model_dump(mode="json")
        self.reporter.line("Every second drill uses the break-glass file, too: this one does")
        vault = self.policy.vault
        return open_with_break_glass(
            self.stored(),
            self.source,
            environment_of(vault.reader_conn_id, vault),
            self.reporter,
            self._cancellation,
        ).model_dump(mode="json")
