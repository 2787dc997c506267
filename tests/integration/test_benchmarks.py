"""`make bench`, as small as it gets: every contestant takes part, and the report says what it took."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.contestants import BACKUPS, PRODUCT, RESTORES
from benchmarks.results import load
from tests.servers.processes import ROOT


def test_every_contestant_is_measured(tmp_path: Path) -> None:
    output = tmp_path / "report"
    settings = {
        "BENCH_SIZE_MB": "5",
        "BENCH_ROUNDS": "1",
        "BENCH_SERVERS": "mariadb",
        "BENCH_PARTS": "backup,restore,profile,scaling",
        "BENCH_SCALING_MB": "5",
        "BENCH_OUTPUT": str(output),
        "BENCH_FOLDER": str(tmp_path / "data"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks"], cwd=ROOT, env=os.environ | settings, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr

    results = load(output / "results.json")
    [section], [point] = results.sections, results.scaling
    report, chart = (output / "results.md").read_text(), ElementTree.parse(output / "chart.svg")
    texts = (element.text or "" for element in chart.iter("{http://www.w3.org/2000/svg}text"))
    bars = {text.removesuffix(" *") for text in texts}  # it marks what is incomplete
    for rows, contestants in ((section.backup, BACKUPS), (section.restore, RESTORES)):
        assert [row.name for row in rows] == [contestant.name for contestant in contestants]
        for row, contestant in zip(rows, contestants, strict=True):
            assert row.name.replace("|", "\\|") in report
            if contestant.kind == "peer" and row.absent:  # this machine has not got it
                continue
            [sample] = row.samples
            assert sample.problem == ""
            assert min(sample.wall, sample.client_cpu, sample.memory) > 0, row
            assert (sample.stored > 0) == bool(contestant.prefix), row
            assert row.name in bars
    product = section.backup[0]
    assert product.name == PRODUCT and product.samples[0].server_cpu > 0 and product.samples[0].sink_cpu > 0
    assert section.sql_bytes > 2_000_000
    assert all(share.client_cpu >= 0 for share in section.profile) and len(section.profile) == 8
    assert all(share.client_cpu >= 0 for share in section.profile_of_restore) and len(section.profile_of_restore) == 4
    assert point.sql_bytes == section.sql_bytes
    assert all(sample.wall > 0 and sample.problem == "" for sample in (*point.backup, *point.restore))
    assert len(point.backup) == len(point.restore) == 1


def test_on_mysql_an_interrupted_run_leaves_what_it_has_measured(tmp_path: Path) -> None:
    output = tmp_path / "report"
    settings = {
        "BENCH_SIZE_MB": "5",
        "BENCH_ROUNDS": "2",
        "BENCH_SERVERS": "mysql",
        "BENCH_PEERS": "gzip",
        "BENCH_PARTS": "backup,restore",
        "BENCH_OUTPUT": str(output),
        "BENCH_FOLDER": str(tmp_path / "data"),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks"], cwd=ROOT, env=os.environ | settings, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        said = []
        for line in running.stdout:
            said.append(line)
            if "round 1 of 2 is done" in line:
                running.send_signal(signal.SIGTERM)
    assert running.returncode == 130, "".join(said)
    assert "Interrupted; what was measured until now is in" in said[-1]

    [section] = load(output / "results.json").sections
    assert section.server == "mysql" and section.version.startswith("MySQL 9.") and section.sql_bytes > 2_000_000
    names = [row.name for row in (*section.backup, *section.restore)]
    chosen = (one for one in (*BACKUPS, *RESTORES) if one.peer in ("", "gzip"))
    assert names == [one.name for one in chosen]
    for row in (*section.backup, *section.restore):
        assert row.samples[0].problem == "" and row.samples[0].wall > 0, row
    report = (output / "results.md").read_text()
    assert report.count("MySQL, surgicase, 5 MB") == 7
    assert "not measured in this run" in report
