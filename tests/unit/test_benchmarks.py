"""The benchmark's arithmetic, and the other shapes and settings that its one full test does not use."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.contestants import BACKUPS, BARE_DUMP, ISAL_DUMP, PRODUCT, RAW_COPY, RESTORES
from benchmarks.report import FIGURES, cpu_floor, ratio
from benchmarks.results import Results, Row, Sample, Section, load
from benchmarks.rounds import turns
from benchmarks.rows import pieces
from benchmarks.settings import PARTS, Settings
from benchmarks.shapes import SHAPES


def sample(wall: float, *, client: float = 0.0, server: float = 0.0, sink: float = 0.0, problem: str = "") -> Sample:
    return Sample(wall=wall, client_cpu=client, server_cpu=server, sink_cpu=sink, memory=1, problem=problem)


def test_a_ratio_is_of_the_same_round_and_leaves_failures_out() -> None:
    ours = Row(name=PRODUCT, kind="product", samples=[sample(1), sample(10), sample(3)])
    theirs = Row(name="other", kind="peer", samples=[sample(2), sample(20), sample(1, problem="it failed")])
    assert ratio([ours, theirs], "other", FIGURES["wall s"]) == 0.5
    assert ratio([ours, Row(name="other", kind="peer")], "other", FIGURES["wall s"]) is None


def test_the_floor_is_what_the_cores_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    dumped = Row(name=ISAL_DUMP, kind="floor", samples=[sample(9, client=6, server=3)])
    copied = Row(name=RAW_COPY, kind="floor", samples=[sample(9, client=50, sink=1)])
    assert cpu_floor([dumped, copied]) == 5
    assert cpu_floor([dumped, Row(name=RAW_COPY, kind="floor")]) is None


def test_each_round_begins_with_another_and_who_follows_stays_behind() -> None:
    rows = [Row(name=contestant.name, kind=contestant.kind) for contestant in RESTORES]
    rows[2].absent = ["age"]
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
    with pytest.raises(ValueError, match="BENCH_SHAPES: round is none of: surgicase, huge, small, blobs, all"):
        Settings.from_environment({"BENCH_SHAPES": "huge,round"})


def test_a_run_replaces_its_own_shape_only(tmp_path: Path) -> None:
    results = Results()
    for shape, size in (("huge", 1), ("blobs", 2), ("huge", 3)):
        results.put(Section(shape=shape, size_mb=size, tables=1, sql_bytes=1, began="now"))
    file = tmp_path / "results.json"
    file.write_text(results.model_dump_json())
    assert [(section.shape, section.size_mb) for section in load(file).sections] == [("blobs", 2), ("huge", 3)]


def test_the_rows_that_the_report_computes_with_exist() -> None:
    names = {contestant.name for contestant in (*BACKUPS, *RESTORES)}
    assert {PRODUCT, BARE_DUMP, ISAL_DUMP, RAW_COPY, "gunzip | mariadb", "myloader", "LOAD DATA"} <= names
