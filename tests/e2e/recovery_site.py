"""The running Airflow as whoever recovers a database sees it, and the configurations that the runbook shows."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from include.backup_engine import evidence
from include.backup_engine.compare import compare_census
from include.backup_engine.evidence import EvidenceRecord
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.records import Census
from include.backup_engine.store.catalog import Catalog
from tests.demo.stack import SOURCE, Stack
from tests.servers.airflow import Airflow
from tests.servers.processes import ROOT, wait_until

DAG = "disaster_recovery"
EXAMPLES: dict[str, dict[str, Any]] = {
    name: json.loads(text)
    for name, text in re.findall(
        r"^```json trigger=(\w+)\n(.*?)^```$",
        (ROOT / "docs" / "runbook.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
}


@dataclass
class Site:
    """A running Airflow, and the server that is recovered."""

    airflow: Airflow
    stack: Stack

    @property
    def snapshot(self) -> Census:
        """What the newest backup holds."""
        entry = Catalog(self.stack.vault()).find(SOURCE, "latest")
        assert entry.sidecar is not None and entry.sidecar.facts is not None
        return entry.sidecar.facts.census

    def run(self, conf: dict[str, Any]) -> str:
        return self.airflow.trigger(DAG, conf)

    def wait(self, run_id: str) -> tuple[str, dict[str, str | None]]:
        return self.airflow.wait(DAG, run_id, 400), self.airflow.task_states(DAG, run_id)

    def wait_for_question(self, run_id: str) -> None:
        wait_until(
            lambda: self.airflow.task_states(DAG, run_id).get("approve") == "awaiting_input",
            240,
            "nobody is asked for approval",
            every=0.5,
        )
        # Airflow fails a task that is answered before its scheduler has heard from the executor that it is parked. That
        # may be five seconds later, and only the log tells.
        heard = re.compile(rf"executor event with state success .*task_id='approve', run_id='{re.escape(run_id)}'")
        wait_until(
            lambda: heard.search(self.airflow.log.read_text(errors="replace")) is not None,
            60,
            "the scheduler does not hear that the question is asked",
            every=0.5,
        )

    def answer(self, run_id: str, option: str, reason: str, *, user: str = "admin") -> None:
        self.wait_for_question(run_id)
        path = f"/dags/{DAG}/dagRuns/{urllib.parse.quote(run_id, safe='')}/taskInstances/approve/-1/hitlDetails"
        question = self.airflow.api("GET", path)
        assert "Plan: nothing speaks against it" in question["body"]
        body = {"chosen_options": [option], "params_input": {"approval_reason": reason}}
        self.airflow.api("PATCH", path, body, user=user)

    @contextmanager
    def rules(self, **recovery: object) -> Iterator[None]:
        """Another section ``recovery`` in the policy."""
        shipped = self.stack.policy_file.read_text()
        self.stack.policy_file.write_text(yaml.safe_dump(yaml.safe_load(shipped) | {"recovery": recovery}))
        try:
            yield
        finally:
            self.stack.policy_file.write_text(shipped)

    def census(self, database: str) -> Census:
        root = Endpoint(unix_socket=str(self.stack.source.endpoint.socket), user="root").connect(database)
        with root:
            return add_fingerprints([root], database, take_census(root, "mariadb", database))

    def differences(self, expected: Census, database: str) -> list[str]:
        return compare_census(expected, self.census(database), events_disabled=False)[0]

    def databases(self) -> set[str]:
        return {str(name) for (name,) in self.stack.source.sql(f"SHOW DATABASES LIKE '{SOURCE}%'")}

    def last_record(self) -> EvidenceRecord:
        [(_, _, record), *_] = evidence.records(self.stack.vault(), newest_first=True)
        return record
