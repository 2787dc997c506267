"""What all commands share: the desk that they work at, and the arguments that several of them take."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias

from include.backup_engine.cache import Cache
from include.backup_engine.connections import aws_clients, connection_from_environment
from include.backup_engine.crypto.data_key import Keyring
from include.backup_engine.errors import BackupMissing
from include.backup_engine.keys import with_sse_key_arn
from include.backup_engine.policy import Policy, load_policy
from include.backup_engine.records import Record
from include.backup_engine.report import Reporter, TerminalReporter
from include.backup_engine.store.catalog import Catalog
from include.backup_engine.store.s3 import Vault
from include.backup_engine.stored import StoredBackup, open_stored

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""Where commands are added; argparse has no public name for it."""


class Desk:
    """What the commands work with: policy, keys and bucket, as the reading role sees them."""

    def __init__(self, source: str | None) -> None:
        self.policy: Policy = load_policy()
        self._source = source
        clients = aws_clients(connection_from_environment(self.policy.vault.reader_conn_id), self.policy.vault.region)
        self.keyring = clients.keyring()
        self.vault = Vault(clients.s3, with_sse_key_arn(self.policy.vault, self.keyring))
        self.catalog = Catalog(self.vault)
        self.cache = Cache.of_bucket(self.vault.client.meta.endpoint_url, self.vault.bucket, self.vault.prefix)
        logger = logging.getLogger("backup")
        self.reporter = TerminalReporter(logger, sys.stderr) if sys.stderr.isatty() else Reporter(logger)

    @property
    def source(self) -> str:
        """The source that was named, or the only one there is."""
        if self._source:
            return self._source
        if len(self.policy.sources) > 1:
            raise BackupMissing(
                "The policy has several sources.", f"Say which with --source: {', '.join(sorted(self.policy.sources))}."
            )
        return next(iter(self.policy.sources))

    def stored(self, selector: str) -> StoredBackup:
        """The backup that a selector means, opened."""
        entry = self.catalog.find(self.source, selector)
        return open_stored(entry, self.source, self.policy, self.vault, self.keyring)

    def vault_as(self, conn_id: str) -> Vault:
        """The vault as another role sees it."""
        clients = aws_clients(connection_from_environment(conn_id), self.policy.vault.region)
        return Vault(clients.s3, self.vault.policy)

    def keyring_as(self, conn_id: str) -> Keyring:
        """KMS as another role sees it."""
        return aws_clients(connection_from_environment(conn_id), self.policy.vault.region).keyring()


Run = Callable[[Desk, argparse.Namespace], None]


def add_command(commands: Commands, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """Add a command, with the option that all of them have.

    :param text: what it does, in a sentence.
    """
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=run)
    parser.add_argument("--source", help="name of the source in the policy; needed when there are several")
    return parser


def add_backup(parser: argparse.ArgumentParser) -> None:
    """The argument that says which backup is meant."""
    parser.add_argument("name", help="a name, 'latest', or an ISO time: the newest backup at or before it")


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option of commands that can answer to a program."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def print_json(document: Record | dict[str, Any] | list[Any]) -> None:
    """Answer to a program."""
    if isinstance(document, Record):
        document = document.model_dump(mode="json")
    print(json.dumps(document, indent=2))


def table(lines: Sequence[Sequence[str]]) -> list[str]:
    """Texts in columns; the first line is the head."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def positive(text: str) -> int:
    """A number of things, for argparse; :class:`ValueError` when it is none."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopping(action: Callable[[], object]) -> Iterator[None]:
    """Have an interrupt do ``action`` first: what waits for a server does not notice a signal."""

    def interrupt(*_: object) -> NoReturn:
        try:
            action()
        finally:
            raise KeyboardInterrupt

    with _handled(interrupt):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no interrupt end what clears up."""
    with _handled(signal.SIG_IGN):
        yield


@contextmanager
def _handled(handler: Callable[..., NoReturn] | signal.Handlers) -> Iterator[None]:
    before = [(number, signal.signal(number, handler)) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, was in before:
            signal.signal(number, was)
