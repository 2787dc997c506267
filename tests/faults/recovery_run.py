"""One overwrite from plan to swap, as disaster_recovery does it, in a process that a test may kill."""

from __future__ import annotations

import json
import sys
from datetime import datetime

import boto3

from include.backup_engine.backup import BackupJob, back_up
from include.backup_engine.beside import tidy
from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.names import BackupName
from include.backup_engine.policy import Policy
from include.backup_engine.preflight import link_to_previous
from include.backup_engine.records import Record
from include.backup_engine.recovery import sound_request
from include.backup_engine.recovery_steps import compare_beside, plan_recovery, put_in_place, restore_beside
from include.backup_engine.report import Reporter
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import open_stored
from include.backup_engine.swap import Swapped
from tests.integration.store.clients import s3_client

DATABASE = "surgicase"


class Order(Record):
    """What to recover, and where everything is."""

    policy: Policy
    aws: str
    port: int
    password: str
    run_at: datetime

    @property
    def endpoint(self) -> Endpoint:
        """The target's server, as the recovery account sees it."""
        return Endpoint("127.0.0.1", self.port, "recovery", self.password)

    @property
    def keyring(self) -> Keyring:
        """The keys."""
        return Keyring(boto3.client(
            "kms", endpoint_url=self.aws, region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        ))  # fmt: skip

    @property
    def vault(self) -> Vault:
        """The backups."""
        return Vault(s3_client(self.aws), with_sse_key_arn(self.policy.vault, self.keyring))


def recover(order: Order) -> Swapped:
    """Bring the newest backup back over the database that it was taken from."""
    policy, endpoint, vault, keyring = order.policy, order.endpoint, order.vault, order.keyring
    reporter, cancellation = Reporter(), Cancellation()
    given = {
        "mode": "restore", "source": DATABASE, "target_database": DATABASE, "overwrite": True, "confirm": DATABASE,
        "reason": "a bad day",
    }  # fmt: skip
    asked = sound_request(given, policy, run_at=order.run_at, requested_at=order.run_at, requested_by="somebody")
    backup = open_stored(Catalog(vault).find(DATABASE, "latest"), DATABASE, policy, vault, keyring)
    plan = plan_recovery(asked, backup, endpoint, policy, vault, keyring, reporter)
    assert plan.blockers == [], plan.blockers
    tidy(endpoint, asked.database, reporter)
    safety = BackupJob(
        asked.safety_policy(policy), asked.safety_source, BackupName(order.run_at),
        link_to_previous(asked.safety_source, vault),
    )  # fmt: skip
    back_up(safety, endpoint, keyring, vault, reporter, cancellation)
    restore_beside(asked, backup, endpoint, policy, keyring, reporter, cancellation)
    comparison = compare_beside(asked, plan, backup, endpoint, reporter)
    return put_in_place(asked, plan, comparison, backup, endpoint, reporter, cancellation)


if __name__ == "__main__":
    recover(Order.model_validate(json.load(sys.stdin)))
