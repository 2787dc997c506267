"""What Airflow itself costs: importing it, parsing the DAGs, starting a task that does nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from urllib.parse import quote

from tests.servers.airflow import Airflow, hermetic_environment
from tests.servers.processes import ROOT

_NOTHING = """
from airflow.sdk import DAG, task

with DAG("nothing", schedule=None):

    @task
    def nothing():
        pass

    nothing()
"""


_RUNS = 3


def measure(folder: Path) -> dict[str, float]:
    """Wall seconds: in a new interpreter on a new metadata database, and under a scheduler."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "dags").mkdir(parents=True)
    (folder / "dags" / "nothing.py").write_text(_NOTHING)
    env = hermetic_environment(folder, os.environ) | {
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.overhead"], env=env, cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found | scheduled(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scheduled(folder: Path) -> dict[str, float]:
    """What a task that does nothing takes in a running Airflow, medians; the first run is not counted."""
    with Airflow(folder / "airflow", {"AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags")}) as airflow:
        runs = [airflow.succeed("nothing") for _ in range(1 + _RUNS)][1:]
        found = [airflow.api("GET", f"/dags/nothing/dagRuns/{quote(run)}") for run in runs]
        tasks = [airflow.api("GET", f"/dags/nothing/dagRuns/{quote(run)}/taskInstances/nothing") for run in runs]
    return {
        f"a scheduled {name}": round(median(_between(record, *ends) for record in records), 3)
        for name, records, ends in (
            ("task that does nothing, from queued to running", tasks, ("queued_when", "start_date")),
            ("task that does nothing, from running to ended", tasks, ("start_date", "end_date")),
            ("run of that task, from triggered to ended", found, ("queued_at", "end_date")),
        )
    }


def _between(record: dict[str, str], start: str, end: str) -> float:
    moments = [datetime.fromisoformat(record[moment]) for moment in (start, end)]
    return (moments[1] - moments[0]).total_seconds()


def main() -> None:
    """Measure in this interpreter; prints JSON."""
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal started
        seconds[name] = round(time.perf_counter() - started, 3)
        started = time.perf_counter()

    import airflow.sdk  # noqa: F401  # to see what that takes

    lap("import of Airflow")
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.utils.db import initdb

    initdb()
    started = time.perf_counter()
    bag = BundleDagBag(ROOT / "dags", bundle_path=ROOT / "dags", bundle_name="dags-folder")
    lap("parsing all DAGs, in a process that has imported nothing of them")
    assert not bag.import_errors, bag.import_errors
    started = time.perf_counter()
    BundleDagBag(ROOT / "dags", bundle_path=ROOT / "dags", bundle_name="dags-folder")
    lap("parsing all DAGs once more")
    own = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    dag = BundleDagBag(own, bundle_path=own, bundle_name="dags-folder").dags["nothing"]
    dag.test()
    started = time.perf_counter()
    dag.test()
    lap("a run of one task that does nothing (dag.test)")
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
