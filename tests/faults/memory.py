"""How much memory a task needs: ``python -m tests.faults.memory --size-mb 2000`` prints it for a source of any size.

Each step runs as its operator does, in a process of its own that has imported what a task imports.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from include.backup_engine.records import Chain
from include.backup_engine.report import megabytes, peak_memory, rate
from include.backup_engine.store.catalog import Catalog
from tests.demo.stack import SOURCE, stack
from tests.servers.airflow import hermetic_environment
from tests.servers.processes import ROOT

if TYPE_CHECKING:
    from backup_airflow.operators.base import BackupOperator

STEPS = ("backup", "verify", "restore")
FOLDER = ROOT / ".run" / "memory"


@dataclass(frozen=True)
class Figures:
    """What one step took.

    :param imported_bytes: memory of the process before it began its work.
    :param peak_bytes: most memory that it had from then on.
    """

    step: str
    imported_bytes: int
    peak_bytes: int
    sql_bytes: int
    seconds: float


def measure(size_mb: int, folder: Path = FOLDER) -> list[Figures]:
    """Back up, verify and restore a source of this size. Its data are made once per folder, and kept."""
    try:
        with stack(folder, size_mb) as parts:
            environment = hermetic_environment(folder / "airflow", os.environ) | parts.environment
            environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
            return [_in_its_own_process(step, environment) for step in STEPS]
    finally:
        shutil.rmtree(folder / "scratch", ignore_errors=True)  # the restored copy


def _in_its_own_process(step: str, environment: dict[str, str]) -> Figures:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.memory", "--step", step],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def run(step: str) -> Figures:
    """Run one step in this process."""
    from backup_airflow.operators.backup import MySqlToS3BackupOperator, VerifyBackupOperator
    from backup_airflow.operators.drill import (
        CreateScratchDatabaseOperator,
        PickBackupOperator,
        RestoreBackupOperator,
    )

    context = {
        "dag_run": SimpleNamespace(dag_id="memory", run_id="memory", run_after=datetime.now(UTC)),
        "ti": SimpleNamespace(task_id=step, try_number=1),
    }
    operator: BackupOperator
    if step == "backup":
        operator = MySqlToS3BackupOperator(task_id=step, source=SOURCE, chain=Chain(sequence=1).model_dump())
    elif step == "verify":
        operator = VerifyBackupOperator(task_id=step, source=SOURCE, backup="latest")
    else:
        picked = PickBackupOperator(task_id="pick", source=SOURCE).execute(context)
        CreateScratchDatabaseOperator(task_id="create", source=SOURCE, picked=picked).execute(context)
        operator = RestoreBackupOperator(task_id=step, source=SOURCE, picked=picked)
    operator.pre_execute(context)
    imported, started = peak_memory(), time.monotonic()
    operator.execute(context)
    seconds, peak = time.monotonic() - started, peak_memory()
    sidecar = Catalog(operator.reader_vault).find(SOURCE, "latest").sidecar
    assert sidecar is not None and sidecar.facts is not None
    return Figures(step, imported, peak, sidecar.facts.stream.sql_bytes, round(seconds, 1))


def main() -> None:
    """Measure, or run one step for it."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.memory", description=__doc__)
    parser.add_argument("--size-mb", type=int, default=200, help="size of the source's data in 10^6 bytes")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(asdict(run(options.step))))
        return
    for figures in measure(options.size_mb):
        print(
            f"{figures.step:<8} {megabytes(figures.sql_bytes)} of SQL in {figures.seconds} s"
            f" ({rate(figures.sql_bytes, figures.seconds)}): {megabytes(figures.peak_bytes)} at most,"
            f" {megabytes(figures.imported_bytes)} of them before it began"
        )


if __name__ == "__main__":
    main()
