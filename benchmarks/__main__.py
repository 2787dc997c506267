"""``python -m benchmarks``: measure, and write the report anew after every contestant."""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import overhead, results
from benchmarks.chart import draw
from benchmarks.contestants import BACKUPS, PRODUCT, RESTORES, SERVER_NAMES
from benchmarks.estimate import estimate
from benchmarks.profile import profile, profile_of_restore
from benchmarks.report import render
from benchmarks.results import Point, Results, Section
from benchmarks.rounds import Rounds
from benchmarks.settings import Settings
from benchmarks.stage import DATABASE, Stage, stage
from include.backup_engine.records import Flavour

Say = Callable[[str], None]


class Bench:
    """One run of the benchmark; what earlier runs have measured of other shapes and servers stays in the report."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self._settings = settings
        self._say = say
        self._file = settings.output / "results.json"
        self._results: Results = results.load(self._file)
        self._results.machine = machine()

    def run(self) -> int:
        """Measure what the settings ask for; returns how many runs of the product or of a floor have failed."""
        settings, parts = self._settings, self._settings.parts
        settings.output.mkdir(parents=True, exist_ok=True)
        failures = 0
        self._say(estimate(settings))
        for server in settings.servers:
            if "backup" in parts or "restore" in parts:
                for shape in settings.shapes:
                    failures += self._shape(server, shape)
        for server in settings.servers:
            if "scaling" in parts:
                self._scaling(server)
        if "airflow" in parts:
            self._say("Airflow: import, parsing of the DAGs, a task that does nothing")
            self._results.airflow = overhead.measure(settings.folder / "airflow")
            self._write()
        return failures

    def _shape(self, server: Flavour, shape: str) -> int:
        settings, name = self._settings, f"{SERVER_NAMES[server]}, {shape}"
        self._say(f"{name}: starting servers; {settings.size_mb} MB of data are made at the first run")
        with stage(settings.folder, server, shape, settings.size_mb) as parts:
            rounds = Rounds(parts, self._say, peers=settings.peers, restores="restore" in settings.parts)
            section = _section(parts, shape, settings.size_mb, rounds)
            self._results.put(section)

            def measured() -> None:
                told = [sample.told for row in rounds.backups for sample in row.good if sample.told]
                section.sql_bytes = told[-1].sql_bytes if told else 0
                self._write()

            started = time.monotonic()
            for number in range(settings.rounds):
                rounds.round(number, measured)
                done, left = number + 1, settings.rounds - number - 1
                minutes = (time.monotonic() - started) / done * left / 60
                self._say(f"{name}: round {done} of {settings.rounds} is done; {minutes:.0f} min for the others")
            if "profile" in settings.parts:
                section.profile = profile(parts, rounds)
                section.profile_of_restore = profile_of_restore(parts, rounds) if rounds.restores else []
                self._write()
        rows = [row for row in [*section.backup, *section.restore] if row.kind != "peer"]
        return sum(bool(sample.problem) for row in rows for sample in row.samples)

    def _scaling(self, server: Flavour) -> None:
        settings = self._settings
        backup = next(contestant for contestant in BACKUPS if contestant.name == PRODUCT)
        restore = next(contestant for contestant in RESTORES if contestant.name == PRODUCT)
        self._results.scaling = [point for point in self._results.scaling if point.server != server]
        for size_mb in sorted(settings.scaling_mb):
            self._say(f"{SERVER_NAMES[server]}, as size grows: {size_mb} MB")
            point = Point(server=server, size_mb=size_mb, sql_bytes=1)
            self._results.scaling.append(point)
            with stage(settings.folder, server, "surgicase", size_mb) as parts:
                rounds = Rounds(parts, self._say)
                for _ in range(settings.rounds):
                    point.backup.append(rounds.backup(backup))
                    point.restore.append(rounds.restore(restore))
                    rounds.clean()
                    if told := point.backup[-1].told:
                        point.sql_bytes = told.sql_bytes
                    self._write()

    def _write(self) -> None:
        for name, text in (
            ("results.json", self._results.model_dump_json(indent=1)),
            ("results.md", render(self._results)),
            ("chart.svg", draw(self._results)),
        ):
            unfinished = self._settings.output / f"{name}.unfinished"
            unfinished.write_text(text.rstrip("\n") + "\n")
            unfinished.replace(self._settings.output / name)


def _section(parts: Stage, shape: str, size_mb: int, rounds: Rounds) -> Section:
    [[tables]] = parts.source.sql(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND table_type <> 'VIEW'", DATABASE
    )
    [[version]] = parts.source.sql("SELECT VERSION()")
    began = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    # Not copies: the rounds fill these rows.
    return Section.model_construct(
        server=parts.server, version=f"{SERVER_NAMES[parts.server]} {version}", shape=shape, size_mb=size_mb,
        tables=int(tables), sql_bytes=0, began=began,
        backup=rounds.backups, restore=rounds.restores, profile=[], profile_of_restore=[],
    )  # fmt: skip


def machine() -> str:
    """The machine in a few words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = f" ({line.partition(':')[2].strip()})"
            break
    return f"{os.cpu_count()} cores{model}, {memory:.0f} GiB of memory, Python {platform.python_version()}"


def main() -> int:
    """Run the benchmark."""
    started = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: it ends what it has started

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:7.1f} s] {text}", flush=True)

    try:
        settings = Settings.from_environment()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    report = settings.output / "results.md"
    try:
        failures = Bench(settings, say).run()
    except KeyboardInterrupt:
        say(f"Interrupted; what was measured until now is in {report}")
        return 130
    say(f"The report is {report}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
