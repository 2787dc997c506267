"""What it costs to know what a dump should hold: ``python -m benchmarks.oracles``, on both flavours of server.

Processor seconds of clients and server for the dump alone, with our reader of its stream (which counts and hashes its
rows), and with the server's own fingerprints beside it. ``BENCH_SIZE_MB``, ``BENCH_ROUNDS`` and ``BENCH_FOLDER`` are
those of ``make bench``; the data are kept in the folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from benchmarks.measure import Usage, run, settle
from benchmarks.settings import Settings
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.client import ClientProcess, find_dump_program
from include.backup_engine.mysql.dump import dump_arguments
from include.backup_engine.mysql.extent import Extent
from include.backup_engine.mysql.server import Endpoint, identify
from include.backup_engine.mysql.stream import StreamScanner
from tests.demo.surgicase import connector, generate
from tests.servers.database import Database, Tree
from tests.servers.mariadb import MariaDB
from tests.servers.mysql import MySQL
from tests.servers.processes import ROOT

DATABASE = "bench"
WAYS = ("dump", "dump, read", "dump, scan", "dump, scan, full", "dump, scan, sampled", "full", "sampled")
"""``dump`` goes to /dev/null; ``read``: through a pipe into Python; ``scan``: through our reader of its stream."""
_MIB = 1 << 20


def step(way: str, socket: str) -> None:
    """One way of doing it, in a process of its own."""
    endpoint, parts = Endpoint(user="root", unix_socket=socket), set(way.split(", "))
    with endpoint.connect(DATABASE) as connection:
        server = identify(connection)
    program = find_dump_program(server.flavour, server.version)
    arguments = dump_arguments(program, DATABASE, binary_log=False, versioned_tables=server.flavour == "mariadb")
    beside = threading.Thread(target=hash_tables, args=(endpoint, "sampled" in parts))
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


def hash_tables(endpoint: Endpoint, sampled: bool) -> None:
    """What the second connection of a backup does."""
    with endpoint.connect(DATABASE) as connection:
        census = take_census(connection, identify(connection).flavour, DATABASE)
        add_fingerprints([connection], DATABASE, census, look=Extent(sampled).look)


def measure(name: str, server: Database, settings: Settings) -> None:
    """All ways in turn on one server; prints a table."""
    taken: dict[str, list[Usage]] = defaultdict(list)
    log = settings.folder / "oracles.log"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for number in range(settings.rounds):
        for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
            settle(server.pid)
            command = [sys.executable, "-m", "benchmarks.oracles", way, str(server.endpoint.socket)]
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
    if len(sys.argv) == 3:
        return step(*sys.argv[1:])
    settings = Settings.from_environment()
    settings.folder.mkdir(parents=True, exist_ok=True)
    os.environ["PATH"] += f"{os.pathsep}{Tree.of('mysql').clients}"
    pool = min(max(settings.size_mb * _MIB, 64 * _MIB), 1024 * _MIB)
    for name, kind in (("MariaDB", MariaDB), ("MySQL", MySQL)):
        home = settings.folder / f"oracles-{name}-{settings.size_mb}"
        with kind(home, buffer_pool=pool, binary_log=False) as server:
            if not (home / "complete").exists():
                server.sql(f"DROP DATABASE IF EXISTS {DATABASE}")
                generate(connector(str(server.endpoint.socket)), DATABASE, settings.size_mb)
                (home / "complete").touch()
            [[version]] = server.sql("SELECT VERSION()")
            measure(f"{name} {version}", server, settings)


if __name__ == "__main__":
    main()
