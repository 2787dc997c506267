"""The private servers leave nothing behind, however they are stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.database import Database, Tree
from tests.servers.localstack import LocalStack
from tests.servers.mariadb import MariaDB
from tests.servers.mysql import MySQL
from tests.servers.processes import ROOT, Server, ServerFailed, wait_until


def processes_naming(folder: Path) -> list[int]:
    """Every process that has ``folder`` in its arguments, environment or working folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                if os.fsencode(folder) in text or (process / "cwd").readlink().is_relative_to(folder):
                    found.append(int(process.name))
            except (PermissionError, FileNotFoundError, ProcessLookupError):
                continue
    return found


def newer_mariadb(folder: Path) -> MariaDB:
    return MariaDB(folder, tree=Tree.of("mariadb"))


@pytest.mark.parametrize("kind", [MariaDB, LocalStack])
def test_a_stopped_server_leaves_no_process(tmp_path: Path, kind: type[MariaDB | LocalStack]) -> None:
    with kind(tmp_path) as server:
        assert processes_naming(tmp_path)
    assert not server.running
    assert processes_naming(tmp_path) == []


@pytest.mark.parametrize("kind", [MariaDB, newer_mariadb, MySQL])
def test_data_survive_a_killed_server(tmp_path: Path, kind: Callable[[Path], Database]) -> None:
    server = kind(tmp_path)
    with server:
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (n INT); INSERT INTO d.t VALUES (%s)", 7)
        server.kill9()
    with server:
        assert server.sql("SELECT n FROM d.t") == [(7,)]


def test_tls_logs_and_numbers_are_a_choice(tmp_path: Path) -> None:
    with MySQL(tmp_path, tls=True, binary_log=False, gtid=False) as server:
        assert server.certificate is not None
        shown = server.sql("SELECT @@ssl_ca, @@log_bin, @@gtid_mode")
        assert shown == [(str(server.certificate.authority), 0, "OFF")]


def test_servers_die_with_the_process_that_opened_them(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, time\n"
        "from tests.servers.mariadb import MariaDB\n"
        f"MariaDB(pathlib.Path({str(tmp_path)!r})).start()\n"
        "child = os.fork()\n"
        "if child: print(child, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        forked_child = int(owner.stdout.readline())
        assert processes_naming(tmp_path / "data")
        owner.send_signal(signal.SIGKILL)
    try:  # a forked child that lives on does not keep the server alive
        wait_until(lambda: processes_naming(tmp_path / "data") == [], 10, "the server did not end")
    finally:
        os.kill(forked_child, signal.SIGKILL)


def test_a_process_that_left_its_session_is_found(tmp_path: Path) -> None:
    class Spawner(Server):
        stop_seconds = 1

        def start(self) -> None:
            script = "trap '' TERM; setsid sleep 600 & sleep 600"
            self._launch(["bash", "-c", script], lambda: len(processes_naming(tmp_path)) == 4)

    with Spawner(tmp_path):
        pass
    assert processes_naming(tmp_path) == []


def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="unknown option '--no-such-option'"):
        MariaDB(tmp_path, options=["--no-such-option"]).start()
    assert processes_naming(tmp_path) == []
