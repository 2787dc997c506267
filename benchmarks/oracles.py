"""What it costs to know what a dump should hold: ``python -m benchmarks.oracles``, on both flavours of server.

Processor seconds of clients and server for the dump alone, with our reader of its stream (which counts and hashes its
rows), and with the server's own fingerprints beside it. ``BENCH_SIZE_MB``, ``BENCH_ROUNDS``, ``BENCH_SERVERS``
and ``BENCH_FOLDER`` are those of ``make bench``, and the data, kept in the folder, are the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.contestants import SERVER_NAMES
from benchmarks.measure import Usage, run, settle
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.client import ClientProcess, find_dump_program
from include.backup_engine.mysql.dump import dump_arguments
from include.backup_engine.mysql.extent import Extent
from include.backup_engine.mysql.server import Endpoint, identify
from include.backup_engine.mysql.stream import StreamScanner
from tests.servers.database import Database, Tree
from tests.servers.processes import ROOT

if TYPE_CHECKING:
    from benchmarks.settings import Settings

WAYS = ("dump", "dump, read", "dump, scan", "dump, scan, full", "dump, scan, sampled", "full", "sampled")
"""``dump`` goes to /dev/null; ``read``: through a pipe into Python; ``scan``: through our reader of its stream."""


def step(way: str, socket: str, database: str) -> None:
    """One way of doing it, in a process of its own."""
    endpoint, parts = Endpoint(user="root", unix_socket=socket), set(way.split(", "))
    with endpoint.connect(database) as connection:
        server = identify(connection)
    program = find_dump_program(server.flavour, server.version)
    arguments = dump_arguments(program, database, binary_log=False, versioned_tables=server.flavour == "mariadb")
    beside = threading.Thread(target=hash_tables, args=(endpoint, database, "sampled" in parts))
    if parts & {"full", "sampled"}:
        beside.start()
    if parts == {"dump"}:
        command = [program.path, "--no-defaults", "--user=root", f"--socket={socket}", *arguments]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    elif "dump" in parts:
        process = ClientProcess(program, endpoint, arguments)
        chunks: Iterable[bytes] = iter(lambda: os.read(process.stdout.fileno(), 1 << 18), b"")
        for _ in StreamScanner().scan(chunks) if "scan" in parts else chunks:
            pass
        if process.wait():
            raise SystemExit(f"the dump program ended with exit code {process.wait()}")
    if beside.ident:
        beside.join()


def hash_tables(endpoint: Endpoint, database: str, sampled: bool) -> None:
    """What the second connection of a backup does."""
    with endpoint.connect(database) as connection:
        census = take_census(connection, identify(connection).flavour, database)
        add_fingerprints([connection], database, census, look=Extent(sampled).look)


def measure(name: str, server: Database, database: str, settings: Settings) -> None:
    """All ways in turn on one server; prints a table."""
    taken: dict[str, list[Usage]] = defaultdict(list)
    log = settings.folder / "oracles.log"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for number in range(settings.rounds):
        for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
            settle(server.pid)
            command = [sys.executable, "-m", "benchmarks.oracles", way, str(server.endpoint.socket), database]
            usage = run(command, environment, log, server=server.pid, sink=os.getpid(), cwd=ROOT)
            if usage.exit_code:
                raise SystemExit(f"{name}: {way} has failed: {log.read_text()}")
            taken[way].append(usage)
    print(f"\n{name}, {settings.size_mb} MB, median of {settings.rounds}\n")
    print("| way | wall s | client CPU s | server CPU s |\n|---|---|---|---|")
    for way in WAYS:
        figures = (
            median(getattr(usage, part) for usage in taken[way]) for part in ("wall", "client_cpu", "server_cpu")
        )
        print(f"| {way} | {' | '.join(f'{figure:.2f}' for figure in figures)} |", flush=True)


def main() -> None:
    """Measure, or do one step of a measurement."""
    if len(sys.argv) == 4:
        return step(*sys.argv[1:])
    # Only here: a step starts without what only the whole needs.
    from benchmarks.settings import Settings
    from benchmarks.stage import DATABASE, source

    settings = Settings.from_environment()
    settings.folder.mkdir(parents=True, exist_ok=True)
    for flavour in settings.servers:
        if flavour == "mysql":
            os.environ["PATH"] += f"{os.pathsep}{Tree.of('mysql').clients}"
        with source(settings.folder, flavour, "surgicase", settings.size_mb) as server:
            [[version]] = server.sql("SELECT VERSION()")
            measure(f"{SERVER_NAMES[flavour]} {version}", server, DATABASE, settings)


if __name__ == "__main__":
    main()
