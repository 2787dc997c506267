"""What all operators of this package share: policy, clients of both roles, the log, and stopping."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from airflow.sdk import BaseOperator

from backup_airflow.hooks.aws import keyring_of, vault_of
from backup_airflow.hooks.mysql import BackupMySqlHook
from backup_airflow.reporting import TaskReporter
from backup_airflow.retries import RETRY_BY_CAUSE
from include.backup_engine.cancel import Cancellation
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.policy import Policy, load_policy
from include.backup_engine.report import forget_peak_memory
from include.backup_engine.store.s3 import Vault


class BackupOperator(BaseOperator):
    """Base of the operators.

    :param source: name of the source in the policy. (templated)
    """

    template_fields: Sequence[str] = ("source",)
    ui_color = "#e8f1ee"

    def __init__(self, *, source: str, **kwargs: Any) -> None:
        kwargs.setdefault("retry_policy", RETRY_BY_CAUSE)
        super().__init__(**kwargs)
        self.source = source
        self._cancellation = Cancellation()

    def pre_execute(self, context: Any) -> None:
        """Start the memory high-water mark anew: the forked process inherits its parent's."""
        forget_peak_memory()

    @cached_property
    def policy(self) -> Policy:
        """The policy, read when the task runs."""
        return load_policy()

    @cached_property
    def reporter(self) -> TaskReporter:
        """The task log."""
        return TaskReporter(self.log)

    @cached_property
    def writer_vault(self) -> Vault:
        """The bucket as the writing role sees it."""
        return vault_of(self.policy.vault.writer_conn_id, self.policy.vault)

    @cached_property
    def reader_vault(self) -> Vault:
        """The bucket as the reading role sees it."""
        return vault_of(self.policy.vault.reader_conn_id, self.policy.vault)

    @cached_property
    def writer_keyring(self) -> Keyring:
        """KMS as the writing role sees it: it can make data keys, and unwrap none."""
        return keyring_of(self.policy.vault.writer_conn_id, self.policy.vault)

    @cached_property
    def reader_keyring(self) -> Keyring:
        """KMS as the reading role sees it."""
        return keyring_of(self.policy.vault.reader_conn_id, self.policy.vault)

    @property
    def source_endpoint(self) -> Endpoint:
        """The source's server."""
        return endpoint_of(self.policy.source(self.source).conn_id)

    def on_kill(self) -> None:
        """Stop within the five seconds that Airflow leaves: end the child processes, abort the upload."""
        self._cancellation.request()


def endpoint_of(conn_id: str) -> Endpoint:
    """The server behind a connection."""
    return BackupMySqlHook(mysql_conn_id=conn_id).endpoint()
