"""Telling the story of a run."""

from __future__ import annotations

import logging
import time

import pytest

from include.backup_engine.report import Reporter, forget_peak_memory, megabytes, peak_memory, rate

MIB = 1 << 20


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_000_000, "1.0 MB"),
        (12_345_678, "12.3 MB"),
        (1_000_000_000, "1.0 GB"),
        (5_600_000_000_000, "5600.0 GB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert megabytes(size) == text


def test_rates() -> None:
    assert rate(10_000_000, 2) == "5.0 MB/s"
    assert rate(10_000_000, 0) == "-/s"


def test_lines_hold_fields_that_have_a_value(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reporter = Reporter()
    reporter.line("Stored", key="a/b", parts=None, size=0)
    reporter.warn("100% full", left="0 B")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "Stored key=a/b size=0"),
        ("WARNING", "100% full left=0 B"),
    ]


def test_a_reporter_tells_its_own_logger(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.report")
    logger.setLevel(logging.INFO)
    Reporter(logger).line("hello")
    assert [(record.name, record.message) for record in caplog.records] == [("test.report", "hello")]


class Telling(Reporter):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def line(self, text: str, **fields: object) -> None:
        self.told.append(text)

    def close_group(self) -> None:
        self.told.append("end")


def test_stages_are_grouped_and_timed_even_when_they_fail() -> None:
    reporter = Telling()
    with reporter.stage("Dump"):
        time.sleep(0.02)
        with reporter.stage("Census"):
            pass
    with pytest.raises(ValueError, match="broken"), reporter.stage("Upload"):
        raise ValueError("broken")
    assert reporter.told == ["Dump", "Census", "end", "end", "Upload", "end"]
    assert list(reporter.seconds) == ["Census", "Dump", "Upload"]
    assert reporter.seconds["Dump"] >= 0.02 > reporter.seconds["Census"]


def test_watching_passes_everything_on_and_tells_now_and_then() -> None:
    reporter = Telling()
    chunks = [b"x" * 1000] * 10
    assert list(reporter.watch(chunks, "Read")) == chunks
    assert reporter.told == []
    reporter.progress_seconds = 0.0
    assert list(reporter.watch(iter(chunks), "Read")) == chunks
    assert len(reporter.told) == 10
    assert reporter.told[4].startswith("Read: 5.0 kB in 0 s, ")


def test_peak_memory_can_be_forgotten() -> None:
    held = bytearray(64 * MIB)
    before = peak_memory()
    assert before >= len(held)
    del held
    forget_peak_memory()
    assert peak_memory() < before - 32 * MIB
