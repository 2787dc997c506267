"""Starting a client program: what it is told, what it is not told, and what is told of its complaints.

The program is a script that says what it sees; what its option file means is said by the server's own parser.
"""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.backup_engine.errors import PreflightError
from include.backup_engine.mysql.client import ClientProcess, DumpProgram, find_dump_program
from include.backup_engine.mysql.server import Endpoint
from include.backup_engine.records import Flavour

PASSWORD = "s3cret passw0rd"
Start = Callable[..., ClientProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a Python script as if it were the dump program."""
    started: list[ClientProcess] = []

    def start(
        script: str, endpoint: Endpoint | None = None, *arguments: str, flavour: Flavour = "mariadb",
        options: frozenset[str] = frozenset(), connection_strings: bool = False,
    ) -> ClientProcess:  # fmt: skip
        # The interpreter's own path may hold a space, or be too long for a script's first line.
        path, python = tmp_path / "dump", tmp_path / "python"
        if not python.exists():
            python.symlink_to(sys.executable)
        path.write_text(f"#!{python}\nimport json, os, sys, time\n{script}\n")
        path.chmod(0o755)
        program = DumpProgram(str(path), flavour, "1", options, connection_strings)
        started.append(ClientProcess(program, endpoint or Endpoint(user="u", password=PASSWORD), list(arguments)))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def option_file(start: Start, endpoint: Endpoint, flavour: Flavour = "mariadb", **abilities: Any) -> str:
    script = "print(open(sys.argv[1].split('=')[1]).read(), end='')"
    process = start(script, endpoint, flavour=flavour, **abilities)
    text = process.stdout.read().decode()
    assert process.wait() == 0
    return text


TELL = """
options = sys.argv[1].split("=")[1]
print(json.dumps({
    "argv": sys.argv[1:],
    "environ": dict(os.environ),
    "mode": os.stat(options).st_mode,
    "options": open(options).read(),
    "stdin": sys.stdin.read(),
    "session": os.getsid(0) == os.getpid(),
}))
"""


def test_p33_no_secret_is_in_arguments_or_environment(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SURGICASE_MYSQL", f"mysql://u:{PASSWORD}@h")
    monkeypatch.setenv("MYSQL_PWD", PASSWORD)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PASSWORD)
    process = start(TELL, None, "--quick", "surgicase")
    seen = json.loads(process.stdout.read())
    assert process.wait() == 0
    assert seen["argv"][0].startswith("--defaults-file=/proc/self/fd/")
    assert seen["argv"][1:] == ["--quick", "surgicase"]
    assert set(seen["environ"]) <= {"PATH", "LC_ALL", "TZ", "LC_CTYPE"}
    assert PASSWORD not in json.dumps([seen["argv"], seen["environ"]])
    assert PASSWORD in seen["options"]
    assert stat.S_IMODE(seen["mode"]) == 0o600
    assert seen["stdin"] == ""
    assert seen["session"]


def test_the_option_file_is_gone_from_this_process(start: Start) -> None:
    process = start("time.sleep(0.1)")
    files = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert process.wait() == 0
    assert not any("memfd" in file for file in files)


@pytest.mark.parametrize(
    "password",
    [
        "plain",
        "two words ",
        " leading",
        "tab\there",
        "hash#tag",
        "#",
        "it's",
        "'quoted'",
        'say "yes"',
        '"quoted"',
        'a"b#c',
        '"#',
        "back\\slash",
        "ends with \\",
        "\\n\\s\\\\",
        '\\"',
        "[client]",
        "a=b;c",
        "new\nline",
        "Überraschung 診療 🩺",
    ],
)
def test_any_password_arrives(start: Start, tmp_path: Path, password: str) -> None:
    """MariaDB's own ``my_print_defaults`` reads the file as its clients do."""
    file = tmp_path / "options"
    file.touch(mode=0o600)
    file.write_text(option_file(start, Endpoint(user="u", password=password, unix_socket="/run/my socket")))
    read = subprocess.run(["my_print_defaults", f"--defaults-file={file}", "client"], capture_output=True, check=True)
    assert f"--user=u\n--password={password}\n--socket=/run/my socket\n" in read.stdout.decode()


TCP = ['host="127.0.0.1"', 'port="3310"', 'protocol="tcp"']


@pytest.mark.parametrize(
    ("flavour", "endpoint", "expected"),
    [
        ("mariadb", Endpoint(host="127.0.0.1", port=3310), ["skip-ssl", *TCP]),
        ("mysql", Endpoint(host="127.0.0.1", port=3310), ["ssl-mode=DISABLED", "loose-get-server-public-key", *TCP]),
        ("mariadb", Endpoint(unix_socket="/s"), ["skip-ssl", 'socket="/s"']),
        ("mariadb", Endpoint(host="h", ca="/ca", cert="/c", key="/k"),
         ["ssl", "ssl-verify-server-cert", 'ssl-ca="/ca"', 'ssl-cert="/c"', 'ssl-key="/k"']),
        ("mysql", Endpoint(host="h", ca="/ca"), ["ssl-mode=VERIFY_IDENTITY", 'ssl-ca="/ca"']),
        ("mysql", Endpoint(host="h", ca="/ca", tls="VERIFY_CA"), ["ssl-mode=VERIFY_CA", 'ssl-ca="/ca"']),
        ("mariadb", Endpoint(host="h", ca="/ca", tls="VERIFY_CA"), ["ssl", "ssl-verify-server-cert", 'ssl-ca="/ca"']),
    ],
)  # fmt: skip
def test_p12_how_the_program_is_told_to_connect(
    start: Start, flavour: Flavour, endpoint: Endpoint, expected: list[str]
) -> None:
    lines = option_file(start, endpoint, flavour).splitlines()
    assert lines[0] == "[client]"
    assert set(expected) <= set(lines)
    assert ("skip-ssl" in lines or "ssl-mode=DISABLED" in lines) is (endpoint.tls_mode == "DISABLED")
    assert any(line.startswith("ssl-ca") for line in lines) is (endpoint.tls_mode != "DISABLED")


COMPLAINT = (
    "mariadb-dump: Error 1062: Duplicate entry '900-12-3456' for key 'ssn' when dumping table `patients` at row: 7\n"
    "mysqldump: Got error: 1045: Access denied for user 'backup'@'10.0.0.5' (using password: YES)\n"
    "INSERT INTO `patients` VALUES ('Zoë')\n"
)


PATIENCE = (
    "SET SESSION wait_timeout = 86400, net_read_timeout = 86400, net_write_timeout = 86400, lock_wait_timeout = 20"
)


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("db.example", f'host="host=db.example;init-command={{{PATIENCE}}}"'),
        ("::1", f'host="host=::1;init-command={{{PATIENCE}}}"'),
        ("db;user=root", 'host="db;user=root"'),
        ("db}", 'host="db}"'),
    ],
)
def test_the_session_of_mariadb_s_program_is_made_patient(start: Start, host: str, told: str) -> None:
    endpoint = Endpoint(host=host, tls="DISABLED")
    assert told in option_file(start, endpoint, connection_strings=True).splitlines()
    assert f'host="{host}"' in option_file(start, endpoint).splitlines()


def test_patience_over_a_socket_and_by_an_option(start: Start) -> None:
    socket = Endpoint(unix_socket="/run/s")
    lines = option_file(start, socket, connection_strings=True).splitlines()
    assert {'socket="/run/s"', f'host="host=localhost;init-command={{{PATIENCE}}}"'} <= set(lines)
    lines = option_file(start, socket, "mysql", options=frozenset({"init-command"})).splitlines()
    assert f'init-command="{PATIENCE}"' in lines
    assert not any(line.startswith("host=") for line in lines)


def failed(start: Start, complaint: str, code: int = 2) -> ClientProcess:
    process = start(f"sys.stderr.write({complaint!r}); sys.exit({code})")
    assert process.stdout.read() == b""
    assert process.wait() == code
    return process


def test_p32_of_complaints_only_numbers_and_known_names_are_told(start: Start) -> None:
    process = failed(start, COMPLAINT)
    assert process.error_codes == {1045, 1062}
    assert process.failure(frozenset()) == "error 1045, 1062"
    assert process.failure(frozenset({"patients", "cases"})) == "error 1045, 1062, at patients"
    assert process.complained


@pytest.mark.parametrize(
    ("complaint", "told"),
    [
        ("SHOW FIELDS FROM `v`: View 'surgicase.v' references invalid table(s) (1356)\n", "error 1356, at v"),
        (
            "Couldn't execute 'show create table `v`': Table 'surgicase.v' doesn't exist (1146)\n",
            "error 1146, at v",
        ),
        ("Error: 'SELECT command denied' when trying to dump tablespaces\n", "no error number"),
        ("'" + "v" * 200 + "'\n", "no error number"),
        ("\xff\xfe 12345 1234567\n", "no error number"),
        ("", "it said nothing"),
    ],
)  # fmt: skip
def test_other_complaints(start: Start, complaint: str, told: str) -> None:
    assert failed(start, complaint).failure(frozenset({"v"})) == told


@pytest.mark.parametrize(
    ("stderr", "complained"),
    [
        ("", False),
        ("\n \n", False),
        ("mysqldump: [Warning] Using a password on the command line interface can be insecure.\n", False),
        ("Warning: A partial dump from a server that has GTIDs\n", False),
        ("WARNING: option 'x' is deprecated\n", False),
        ("-- Warning: column statistics not supported by the server.\n", False),
        ("mysqldump: [Warning] x\nmysqldump: Error: 'SELECT command denied'\n", True),
        ("Error: 'Access denied; you need (at least one of) the PROCESS privilege(s)'\n", True),
        ('mysqldump: Couldn\'t find table: "Warning"\n', True),
    ],
)
def test_warnings_are_no_complaints(start: Start, stderr: str, complained: bool) -> None:
    assert failed(start, stderr, code=0).complained is complained


def test_a_flood_of_complaints_neither_blocks_nor_grows(start: Start) -> None:
    process = start("for _ in range(20000): sys.stderr.write('x' * 99 + '\\n')\nprint('done')")
    assert process.stdout.read() == b"done\n"
    assert process.wait() == 0
    assert len(process._stderr) < 70_000


def test_killing_ends_the_program_and_its_children(start: Start) -> None:
    process = start(
        "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\nprint(child.pid, flush=True); time.sleep(60)"
    )
    child = int(process.stdout.readline())
    process.kill()
    process.kill()
    assert process.wait() < 0
    for pid in (process.pid, child):
        deadline = time.monotonic() + 5
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_the_program_of_the_server_is_found() -> None:
    program = find_dump_program("mariadb")
    assert program.flavour == "mariadb"
    assert "MariaDB" in program.version
    assert {"single-transaction", "hex-blob", "dump-history"} <= program.options
    assert program.connection_strings


def test_the_program_of_the_server_s_series_is_taken_else_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {
        "first": ("mysqldump", "mysqldump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu"),
        "second": ("mariadb-dump", "mariadb-dump from 11.8.9-MariaDB, client 10.20 for debian-linux-gnu"),
        "third": ("mysqldump", "mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL)"),
        "fourth": ("mysqldump", "mysqldump  Ver 9.7.4-2 for Linux on x86_64 ((Debian))"),
    }
    for folder, (name, version) in versions.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(f"#!/bin/sh\necho '{version}'\n")
        (tmp_path / folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", ":".join(str(tmp_path / folder) for folder in versions))
    find_dump_program.cache_clear()
    try:
        for flavour, server, folder, series in (
            ("mariadb", "10.11.4-MariaDB-log", "first", (10, 11)),
            ("mariadb", "11.8.2-MariaDB", "second", (11, 8)),
            ("mariadb", "11.4.2-MariaDB", "second", (11, 8)),
            ("mysql", "8.0.44", "third", (8, 0)),
            ("mysql", "8.4.3", "fourth", (9, 7)),
        ):
            found = find_dump_program(flavour, server)
            assert (Path(found.path).parent.name, found.series) == (folder, series)
    finally:
        find_dump_program.cache_clear()


def test_p11_another_flavour_s_program_is_no_substitute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mysqldump"
    monkeypatch.setenv("PATH", str(tmp_path))
    find_dump_program.cache_clear()
    try:
        with pytest.raises(PreflightError, match="No dump program for mysql servers"):
            find_dump_program("mysql")
        program.write_text("#!/bin/sh\necho 'mysqldump  Ver 10.19 Distrib 10.11.19-MariaDB'\n")
        program.chmod(0o755)
        with pytest.raises(PreflightError, match="No dump program for mysql servers") as caught:
            find_dump_program("mysql")
        assert "Oracle's own client" in caught.value.remedy
        program.write_text("#!/bin/sh\necho 'mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL) --quick'\n")
        assert find_dump_program("mysql").flavour == "mysql"
    finally:
        find_dump_program.cache_clear()
