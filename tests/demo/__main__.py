"""``make demo``: back up a real database through Airflow, drill it, plan a recovery; exit 0 only if all is proven."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.demo.stack import SOURCE, Stack, stack
from tests.demo.summary import summarise
from tests.demo.surgicase import connector, writer
from tests.servers.airflow import Airflow
from tests.servers.processes import ROOT, ServerFailed

_PER_SECOND = 100  # transactions that the demo's writer aims at


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--ui", action="store_true", help="leave the Airflow UI running until Ctrl-C")
    options = parser.parse_args()
    folder = ROOT / ".run" / "demo"
    size_mb = int(os.environ.get("DEMO_SIZE_MB", "200"))
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    say(f"Starting two MariaDB servers, S3 and KMS; the source holds {size_mb} MB, made at the first run")
    try:
        with stack(folder, size_mb) as parts:
            say("Starting Airflow")
            with parts.airflow() as airflow:
                unproven = _run(parts, airflow, say)
                if options.ui:
                    _wait(airflow)
    except ServerFailed as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder / "scratch", ignore_errors=True)
    say("Everything is stopped")
    for item in unproven:
        print(f"NOT PROVEN: {item}", file=sys.stderr)
    return 1 if unproven else 0


def _run(parts: Stack, airflow: Airflow, say: Callable[[str], None]) -> list[str]:
    unproven: list[str] = []
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        socket = str(parts.source.endpoint.socket)
        changes = pool.submit(writer, connector(socket), SOURCE, stop, _PER_SECOND)
        try:
            say("nightly_backup is running, while an application keeps changing the source")
            unproven += _dag(airflow, "nightly_backup")
        finally:
            stop.set()
        say(f"nightly_backup has ended; the source saw {changes.result()} transactions meanwhile")
    say("restore_drill is running")
    unproven += _dag(airflow, "restore_drill")
    say("restore_drill has ended; disaster_recovery is running, which by default only plans")
    unproven += _dag(airflow, "disaster_recovery", {"target_conn_id": "standby_mysql"})
    lines, found = summarise(parts.vault())
    print("\n" + "\n".join(lines) + "\n", flush=True)
    return unproven + found


def _dag(airflow: Airflow, dag_id: str, conf: Mapping[str, object] | None = None) -> list[str]:
    run = airflow.trigger(dag_id, conf)
    state = airflow.wait(dag_id, run, seconds=1800)
    if state == "success":
        return []
    states = airflow.task_states(dag_id, run)
    log = airflow.folder / "home" / "logs"
    return [f"{dag_id} {state}: {states}; logs are in {log}"]


def _wait(airflow: Airflow) -> None:
    print(f"Airflow is at {airflow.url}, login admin, password {airflow.password}; Ctrl-C stops everything", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(main())
