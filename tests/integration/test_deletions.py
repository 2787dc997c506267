"""Persons who were deleted after the backup, listed by the runbook's commands where test_runbook does not run them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.integration.keyed import DATABASE, EVERY_SERVER, Site
from tests.integration.test_runbook import blocks
from tests.servers.localstack import Aws
from tests.servers.mysql import MySQL
from tests.servers.processes import ROOT


@pytest.fixture(params=["mariadb-11", "mysql"])
def site(aws: Aws, request: pytest.FixtureRequest) -> Site:
    return Site.new(aws, request.getfixturevalue(EVERY_SERVER[request.param]))


def as_pasted(site: Site, name: str) -> str:
    """The commands, with the names that the server's flavour has for its clients, as the runbook says."""
    text = blocks()[name]
    if isinstance(site.server, MySQL):
        text = text.replace("mariadb-binlog", "mysqlbinlog").replace("mariadb ", "mysql ")
    return text


@pytest.fixture
def environment(site: Site, tmp_path: Path) -> dict[str, str]:
    """What the runbook asks for, for one backup."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(site.document))
    (tmp_path / ".my.cnf").write_text(f"[client]\nuser=root\nsocket={site.server.endpoint.socket}\n")
    own = [str(site.server.tree.clients)] if site.server.tree else []
    return {
        "PATH": os.pathsep.join([*own, str(ROOT / ".venv" / "bin"), os.environ["PATH"]]),
        "HOME": str(tmp_path),
        "BACKUP_POLICY": str(policy),
        "AIRFLOW_CONN_AWS_BACKUP_READER": site.aws.airflow_connection(),
        "SOURCE": "clinic",
        "DATABASE": DATABASE,
        "TABLE": "patients",
        "BACKUP": site.back_up(),
        "RECOVERED": DATABASE,
        "OLD": f"{DATABASE}_old",
    }


def test_p38_who_was_deleted_since_the_backup_is_listed_on_other_servers(
    site: Site, environment: dict[str, str]
) -> None:
    def listed(name: str) -> list[str]:
        done = subprocess.run(
            [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", as_pasted(site, name)],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    site.server.sql(
        f"DROP DATABASE IF EXISTS {DATABASE}_old; CREATE DATABASE {DATABASE}_old;"
        f"CREATE TABLE {DATABASE}_old.patients SELECT id FROM {DATABASE}.patients WHERE id <> 1"
    )
    try:
        assert listed("came-back") == ["1"]
    finally:
        site.server.sql(f"DROP DATABASE {DATABASE}_old")
    assert listed("deleted-in-the-log") == []
    site.server.sql(f"DELETE FROM {DATABASE}.patients WHERE id = 2")
    assert listed("deleted-in-the-log") == ["2"]
