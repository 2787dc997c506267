"""A private MySQL server, of those that tests/servers/flavours.sh has unpacked."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.servers.database import Database, Tree, run_installer


class MySQL(Database):
    """``mysqld``; see :class:`~tests.servers.database.Database`.

    :param gtid: whether it numbers transactions (``gtid_mode``).
    """

    executable = "mysqld"

    def __init__(
        self, folder: Path, port: int = 0, options: Sequence[str] = (), *, gtid: bool = True, **more: Any
    ) -> None:
        switched = "ON" if gtid else "OFF"
        numbering = [f"--gtid-mode={switched}", f"--enforce-gtid-consistency={switched}"]
        super().__init__(folder, port, [*numbering, *options], tree=Tree.of("mysql"), **more)

    def _own_options(self, redo_log: int) -> list[str]:
        own = ["--mysqlx=OFF", "--secure-file-priv=", f"--innodb-redo-log-capacity={redo_log}"]
        if not self.certificate:  # it would make one by itself
            own += ["--auto-generate-certs=OFF", "--tls-version="]
        return own

    def _install(self, unfinished: Path) -> subprocess.CompletedProcess[str]:
        return run_installer([*self._program("mysqld"), "--initialize-insecure", f"--datadir={unfinished}"])

    def _after_install(self) -> None:
        pass
