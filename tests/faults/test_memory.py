"""A task's memory does not grow with the database. ``python -m tests.faults.memory`` measures larger ones."""

from __future__ import annotations

from pathlib import Path

from tests.faults.memory import STEPS, measure

_LIMIT = 300_000_000


def test_the_steps_of_a_backup_and_a_drill_stay_small(tmp_path: Path) -> None:
    figures = measure(200, tmp_path)
    assert [step.step for step in figures] == list(STEPS)
    assert all(step.sql_bytes > 200_000_000 for step in figures)
    assert {step.step: step.peak_bytes for step in figures if step.peak_bytes > _LIMIT} == {}
