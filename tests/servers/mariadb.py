"""A private MariaDB server: the system's, or one that tests/servers/flavours.sh has unpacked."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.servers.database import Database, run_installer


class MariaDB(Database):
    """``mariadbd``; see :class:`~tests.servers.database.Database`."""

    executable = "mariadbd"

    def _own_options(self, redo_log: int) -> list[str]:
        return ["--binlog-format=ROW", f"--innodb-log-file-size={redo_log}"]

    def _install(self, unfinished: Path) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory(prefix="mariadb-") as short:
            # By paths without spaces: the script does not quote them when it runs as root.
            folder, programs = Path(short) / "folder", Path(short) / "programs"
            folder.symlink_to(unfinished.parent.resolve())
            installer = self._program("mariadb-install-db")
            if self.tree:
                programs.symlink_to(self.tree.folder.resolve())
                installer += [f"--basedir={programs / 'usr'}"]
            return run_installer(
                [
                    *installer,
                    f"--datadir={folder / unfinished.name}",
                    f"--tmpdir={short}",  # of its own: servers delete each other's temporary tables
                    *("--auth-root-authentication-method=normal", "--skip-test-db"),
                    "--force",  # even where the host's own name cannot be resolved
                ]
            )

    def _after_install(self) -> None:
        self.sql("DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost'; FLUSH PRIVILEGES")
