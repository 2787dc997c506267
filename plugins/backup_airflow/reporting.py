"""The engine's story told in Airflow's way: folded groups and structured lines in the task log, and metrics."""

from __future__ import annotations

from typing import Any

from airflow.sdk.observability import stats

from include.backup_engine.report import Reporter

METRICS = "mysql_backup"


class TaskReporter(Reporter):
    """Reports to a task's logger.

    :param log: ``self.log`` of an operator; it takes fields beside the text.
    """

    def __init__(self, log: Any) -> None:
        super().__init__()
        self._log = log

    def line(self, text: str, **fields: object) -> None:
        """An info line with structured fields."""
        self._log.info(text, **_shown(fields))

    def warn(self, text: str, **fields: object) -> None:
        """A warning line with structured fields."""
        self._log.warning(text, **_shown(fields))

    def open_group(self, title: str) -> None:
        """Airflow folds what stands between the two marks."""
        self._log.info(f"::group::{title}")

    def close_group(self) -> None:
        """End of the fold."""
        self._log.info("::endgroup::")


# Names that mean something else to Airflow's supervisor, which ends the task without a word when it gets one.
_RESERVED = {"target", "level", "msg", "event", "logger", "timestamp"}


def _shown(fields: dict[str, object]) -> dict[str, str | int | float]:
    return {
        f"{name}_" if name in _RESERVED else name: value if isinstance(value, int | float) else str(value)
        for name, value in fields.items()
        if value is not None
    }


def gauge(name: str, value: float, source: str) -> None:
    """A metric of one source: ``mysql_backup.<name>``."""
    stats.gauge(f"{METRICS}.{name}", value, tags={"source": source})
