"""Sends the tasks of a running Airflow to their servers by another way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.demo.stack import SOURCE, Stack
from tests.faults.gate import Gate
from tests.servers.airflow import Airflow

_SOURCE_ID, _SCRATCH_ID, _AWS_ID = "detour_source", "detour_scratch", "detour_aws"


def source_by(stack: Stack, gate: Gate) -> dict[str, Any]:
    """The connection to the source, through a gate."""
    return _by(stack.environment["AIRFLOW_CONN_SURGICASE_MYSQL"], gate)


def scratch_by(stack: Stack, gate: Gate) -> dict[str, Any]:
    """The connection to the scratch server, through a gate."""
    return _by(stack.environment["AIRFLOW_CONN_SCRATCH_MYSQL"], gate)


def _by(connection: str, gate: Gate) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(connection)
    return fields | {"port": gate.port}


@contextmanager
def detour(
    stack: Stack,
    airflow: Airflow,
    *,
    source: dict[str, Any] | None = None,
    scratch: dict[str, Any] | None = None,
    aws: dict[str, Any] | None = None,
) -> Iterator[None]:
    """While the block runs, the policy names these connections: tasks read it when they run."""
    before = stack.policy_file.read_text()
    document = yaml.safe_load(before)
    given = {_SOURCE_ID: source, _SCRATCH_ID: scratch, _AWS_ID: aws}
    used = {conn_id: connection for conn_id, connection in given.items() if connection}
    if source:
        document["sources"][SOURCE]["conn_id"] = _SOURCE_ID
    if scratch:
        document["drill"]["scratch_conn_id"] = _SCRATCH_ID
    if aws:
        document["vault"] |= {"writer_conn_id": _AWS_ID, "reader_conn_id": _AWS_ID}
    for conn_id, connection in used.items():
        fields = connection | {"connection_id": conn_id, "extra": json.dumps(connection["extra"])}
        airflow.api("POST", "/connections", fields)
    stack.policy_file.write_text(yaml.safe_dump(document, sort_keys=False))
    try:
        yield
    finally:
        stack.policy_file.write_text(before)
        for conn_id in used:
            airflow.api("DELETE", f"/connections/{conn_id}")
