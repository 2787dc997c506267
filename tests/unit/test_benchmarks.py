"""The benchmark's arithmetic, and the other shapes and settings that its one full test does not use."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.contestants import (
    BACKUPS,
    BARE_DUMP,
    CLIENT,
    ISAL_DUMP,
    LOAD_DATA,
    MYLOADER,
    ORIGINAL,
    PEERS,
    PHYSICAL,
    PRODUCT,
    PROOF,
    RAW_COPY,
    RESTORES,
    Kind,
)
from benchmarks.estimate import estimate
from benchmarks.figures import cpu_floor, find, ratio
from benchmarks.report import render
from benchmarks.results import Point, Results, Row, Sample, Section, load
from benchmarks.rounds import turns
from benchmarks.rows import pieces
from benchmarks.settings import PARTS, Settings
from benchmarks.shapes import SHAPES
from benchmarks.verdicts import verdicts
from include.backup_engine.records import Flavour


def sample(
    wall: float, *, client: float = 0.0, server: float = 0.0, sink: float = 0.0, memory: float = 1, problem: str = ""
) -> Sample:
    return Sample(wall=wall, client_cpu=client, server_cpu=server, sink_cpu=sink, memory=int(memory), problem=problem)


def row(name: str, *walls: float, kind: Kind = "peer") -> Row:
    return Row(name=name, kind=kind, samples=[sample(wall) for wall in walls])


def section(shape: str, server: Flavour = "mariadb", size_mb: int = 1, **rows: list[Row]) -> Section:
    return Section(server=server, version="1", shape=shape, size_mb=size_mb, tables=1, sql_bytes=1, began="now", **rows)


def test_a_ratio_is_of_the_same_round_and_leaves_failures_out() -> None:
    ours = Row(name=PRODUCT, kind="product", samples=[sample(1), sample(10), sample(3)])
    theirs = Row(name="other", kind="peer", samples=[sample(2), sample(20), sample(1, problem="it failed")])
    assert ratio([ours, theirs], "other") == 0.5
    assert ratio([ours, Row(name="other", kind="peer")], "other") is None
    assert ratio([ours], "other") is None


def test_the_floor_is_what_the_cores_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    dumped = Row(name=ISAL_DUMP, kind="floor", samples=[sample(9, client=6, server=3)])
    copied = Row(name=RAW_COPY, kind="floor", samples=[sample(9, client=50, sink=1)])
    assert cpu_floor([dumped, copied]) == 5
    assert cpu_floor([dumped, Row(name=RAW_COPY, kind="floor")]) is None


def test_each_round_begins_with_another_and_who_follows_stays_behind() -> None:
    rows = [Row(name=contestant.name, kind=contestant.kind) for contestant in RESTORES]
    rows[2].absent = "age is not installed"
    names = [[row.name for _, row in turns(RESTORES, rows, number)] for number in range(len(rows))]
    assert len({round_[0] for round_ in names}) == len(rows) - 2
    for round_ in names:
        assert sorted(round_) == sorted(row.name for row in rows if not row.absent)
        assert round_.index("product: proof") == round_.index(PRODUCT) + 1


def test_rows_are_cut_where_they_end(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    rows = [b"1\tplain\n", b"2\ttwo\\\nlines\n", b"3\tbackslash\\\\\n", b"4\tboth\\\\\\\nends\n"] * 5
    file.write_bytes(b"".join(rows))
    for size in range(1, 60):
        found = list(pieces(file, size))
        assert b"".join(found) == b"".join(rows)
        ends = {len(b"".join(rows[:number])) for number in range(1, len(rows) + 1)}
        assert {len(b"".join(found[:number])) for number in range(1, len(found) + 1)} <= ends


def test_settings_name_what_they_do_not_know() -> None:
    assert Settings.from_environment({}).shapes == ("surgicase",)
    every = Settings.from_environment({"BENCH_SHAPES": "all", "BENCH_PARTS": "backup, restore"})
    assert (every.shapes, every.parts) == (tuple(SHAPES), PARTS[:2])
    assert (every.servers, every.peers) == (("mariadb", "mysql"), PEERS)
    assert Settings.from_environment({"BENCH_PEERS": ""}).peers == ()
    with pytest.raises(ValueError, match="BENCH_SHAPES: round is none of: surgicase, huge, small, blobs, all"):
        Settings.from_environment({"BENCH_SHAPES": "huge,round"})


def test_a_run_replaces_its_own_shape_and_server_only(tmp_path: Path) -> None:
    results = Results()
    for shape, server, size in (
        ("blobs", "mysql", 2),
        ("huge", "mysql", 1),
        ("huge", "mariadb", 1),
        ("huge", "mysql", 3),
    ):
        results.put(section(shape, server, size))
    file = tmp_path / "results.json"
    file.write_text(results.model_dump_json())
    found = [(one.shape, one.server, one.size_mb) for one in load(file).sections]
    assert found == [("huge", "mariadb", 1), ("huge", "mysql", 3), ("blobs", "mysql", 2)]


def judged(results: Results, server: str = "MariaDB") -> dict[str, tuple[str, bool | None]]:
    return {one.demand: (one.figure, one.met) for one in verdicts(results) if one.where.startswith(server)}


def test_nothing_is_judged_that_was_not_measured() -> None:
    for server in ("MariaDB", "MySQL"):
        found = judged(Results(), server)
        assert len(found) == 13
        assert set(found.values()) == {("", None)}
    assert render(Results()).count("| not measured in this run |") == 26


def test_each_demand_is_judged_by_its_own_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    dumped = Row(name=ISAL_DUMP, kind="floor", samples=[sample(9, client=6, server=3)] * 2)
    copied = Row(name=RAW_COPY, kind="floor", samples=[sample(9, sink=1)] * 2)
    slow = Row(name="slow", kind="peer", samples=[sample(20), sample(20)])
    absent = Row(name="gone", kind="peer", absent="age is not installed")
    backup = [row(PRODUCT, 6, 6, kind="product"), row(ORIGINAL, 17, 17), slow, absent, dumped, copied]
    restore = [
        row(PRODUCT, 10, 10, kind="product"), row(PROOF, 4, 4, kind="product"), row(CLIENT, 22, 22),
        row(MYLOADER, 9, 9), row(LOAD_DATA, 8, 8, kind="floor"),
    ]  # fmt: skip
    results = Results()
    results.put(section("surgicase", backup=backup, restore=restore))
    small = [row(PRODUCT, 21, kind="product"), row(ORIGINAL, 30), row(PHYSICAL, 10)]
    results.put(section("small", backup=small, restore=[row(PRODUCT, 20, kind="product"), row("best", 10)]))
    found = judged(results)
    assert list(found.values())[:9] == [
        ("0.35 of the time of `dump | gzip | openssl | S3`, the nearest of 2; gone: age is not installed", True),
        ("2.83 times as fast", False),
        ("1.20 of it", True),
        ("2.20 times as fast", True),
        ("1.11 of its time", False),
        ("1.25 of its time", True),
        ("1.40 of it", True),
        (
            "2.10 of the time of `mariadb-backup | zstd | age | S3`; without physical ones, "
            "0.70 of the time of `dump | gzip | openssl | S3`",
            False,
        ),
        ("2.00 of the time of `best`", True),
    ]
    assert "dump \\| gzip \\| openssl \\| S3`, the nearest of 2" in render(results)
    find(restore, MYLOADER).samples[0].incomplete = "it lost a table"
    assert judged(results)["restore faster than myloader with as many threads"] == (
        "1.11 of its time; its result is incomplete (below)", False,
    )  # fmt: skip


def test_memory_and_cost_are_judged_at_the_sizes_that_are_demanded() -> None:
    def point(size_mb: int, wall: float, memory_mb: float) -> Point:
        samples = [sample(wall, memory=memory_mb * 1e6)]
        return Point(server="mysql", size_mb=size_mb, sql_bytes=size_mb * 10**6, backup=samples, restore=samples)

    def found(*points: Point) -> list[bool | None]:
        return [met for _, met in list(judged(Results(scaling=list(points)), "MySQL").values())[9:]]

    assert found(point(64, 10, 100), point(1024, 190, 200)) == [None, None, None, False]
    assert found(point(64, 10, 100), point(1024, 160, 200)) == [None, None, None, True]
    assert found(point(512, 10, 100), point(1024, 20, 200)) == [None] * 4
    assert found(point(1024, 10, 100), point(2048, 20, 399), point(16_384, 160, 401)) == [True, False, True, True]
    assert found(point(2048, 20, 300), point(16_384, 160, 331)) == [True, True, False, None]
    failed = point(16_384, 160, 331)
    failed.restore[0].problem = "it failed"
    assert found(point(2048, 20, 300), failed) == [True, None, None, None]


def test_a_run_says_how_long_it_will_take(tmp_path: Path) -> None:
    environment = {"BENCH_FOLDER": str(tmp_path), "BENCH_SERVERS": "mysql", "BENCH_PARTS": "backup", "BENCH_PEERS": ""}
    settings = Settings.from_environment(environment)
    text = estimate(settings)
    (tmp_path / "mysql-surgicase-2048").mkdir()
    (tmp_path / "mysql-surgicase-2048" / "complete").touch()
    assert text.startswith("This takes about ") and "rounds" in text and "scaling" not in text
    assert "making data 0" in estimate(settings) and "making data 0" not in text


def test_the_rows_that_the_report_computes_with_exist() -> None:
    names = {contestant.name for contestant in (*BACKUPS, *RESTORES)}
    assert {PRODUCT, ORIGINAL, BARE_DUMP, ISAL_DUMP, RAW_COPY, PROOF, CLIENT, MYLOADER, LOAD_DATA} <= names
