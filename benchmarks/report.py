"""The report: tables of medians, and the product's figures divided by everybody else's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from benchmarks.contestants import BARE_DUMP, ISAL_DUMP, PRODUCT, RAW_COPY
from benchmarks.results import Point, Results, Row, Sample, Section

_Figure = Callable[[Sample], float]
_MB = 1e6
FIGURES: dict[str, _Figure] = {
    "wall s": lambda sample: sample.wall,
    "client CPU s": lambda sample: sample.client_cpu,
    "server CPU s": lambda sample: sample.server_cpu,
    "S3 server CPU s": lambda sample: sample.sink_cpu,
    "peak memory MB": lambda sample: sample.memory / _MB,
    "stored MB": lambda sample: sample.stored / _MB,
}
_LEAST = 0.05
"""Seconds or MB below which a figure is noise, and a ratio to it says nothing."""


def render(results: Results) -> str:
    """The whole report in Markdown."""
    lines = [
        "# Benchmark",
        "",
        f"Made by `make bench` on {results.machine}. How to read it: [README.md](README.md). Each figure is the median "
        "of its rounds, with the lowest and the highest; all contestants of a table ran in turns, on the same server "
        "and the same S3 server, on the same machine.",
        "",
        "![wall time of backups and restores](chart.svg)",
        "",
    ]
    for section in results.sections:
        lines += _section(section)
    if results.scaling:
        lines += _scaling(results.scaling)
    if results.airflow:
        lines += ["## Airflow around it", "", *_table(["what", "wall s"], _airflow(results.airflow)), ""]
    return "\n".join(lines)


def _airflow(seconds: dict[str, float]) -> Iterator[list[str]]:
    for name, value in seconds.items():
        yield [name, f"{value:.2f}"]


def _section(section: Section) -> Iterator[str]:
    rounds = max((len(row.samples) for row in section.backup), default=0)
    yield f"## {section.shape}, {section.size_mb} MB"
    yield ""
    size = f"{section.tables} tables, {section.sql_bytes / _MB:.0f} MB of SQL"
    yield f"{size}; rounds: {rounds}; begun {section.began}."
    yield ""
    for title, rows in (("Backup", section.backup), ("Restore", section.restore)):
        if rows:
            yield f"### {title}"
            yield ""
            yield from summary(section) if title == "Backup" else summary_of_restore(section)
            yield ""
            yield from _medians(rows, stored=title == "Backup")
            yield ""
            yield "The product's figure divided by the other's; below 1 the product takes less:"
            yield ""
            yield from _ratios(rows, stored=title == "Backup")
            yield ""
            yield from _remarks(rows)
    if section.profile:
        yield from _profile(section)


def _medians(rows: Sequence[Row], *, stored: bool) -> list[str]:
    figures = list(FIGURES.items())[: None if stored else -1]
    body = []
    for row in rows:
        name = f"**{row.name}**" if row.kind == "product" else row.name.replace("|", "\\|")
        cells = [spread([figure(sample) for sample in row.good]) for _, figure in figures]
        body.append([name, row.kind, *(cells if row.good else ["absent" if row.absent else "failed"] * len(figures))])
    return _table(["", "kind", *(name for name, _ in figures)], body)


def _ratios(rows: Sequence[Row], *, stored: bool) -> list[str]:
    figures = list(FIGURES.items())[: None if stored else -1]
    body = []
    for row in rows:
        if row.kind != "product" and row.good:
            cells = [ratio(rows, row.name, figure) for _, figure in figures]
            body.append([row.name.replace("|", "\\|"), row.kind, *(f"{c:.2f}" if c is not None else "" for c in cells)])
    return _table(["product ÷", "kind", *(name.rsplit(" ", 1)[0] for name, _ in figures)], body)


def _remarks(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        told = [row.remark] if row.remark else []
        told += [f"absent: {', '.join(row.absent)} is not installed"] if row.absent else []
        told += sorted({f"INCOMPLETE: {sample.incomplete}" for sample in row.samples if sample.incomplete})
        told += sorted({f"FAILED: {sample.problem}" for sample in row.samples if sample.problem})
        if told:
            yield f"- {row.name}: {'; '.join(told)}."
    yield ""


def summary(section: Section) -> Iterator[str]:
    """What the issue asks of a backup."""
    rows = section.backup
    product = _wall(rows, PRODUCT)
    peers = {row.name: wall for row in rows if row.kind == "peer" and (wall := _wall(rows, row.name))}
    if product is None:
        return
    if peers:
        best = min(peers, key=lambda name: peers[name])
        yield _line("the fastest peer", best, ratio(rows, best, FIGURES["wall s"]))
    if (original := ratio(rows, "dump | gzip | openssl | S3", FIGURES["wall s"])) is not None:
        yield _line("the original's way", "dump | gzip | openssl | S3", original)
    if (floor := cpu_floor(rows)) is not None:
        yield (
            f"- CPU floor: {floor:.2f} s of wall time ((server + dump program + compressor + S3 server) ÷ "
            f"{os.cpu_count()} cores); the product takes {product / floor:.2f} of it."
        )
    if (bare := ratio(rows, BARE_DUMP, FIGURES["wall s"])) is not None:
        yield _line("the bare dump", BARE_DUMP, bare)
    if section.tables >= 1000:
        each = ", ".join(f"{name} {wall / section.tables * 1e3:.2f} ms" for name, wall in peers.items())
        yield f"- A table costs the product {product / section.tables * 1e3:.2f} ms; {each}."


def summary_of_restore(section: Section) -> Iterator[str]:
    """What the issue asks of a restore."""
    rows = section.restore
    for what, name in (
        ("the client", "gunzip | mariadb"),
        ("myloader", "myloader"),
        ("the floor", "LOAD DATA"),
    ):
        if (found := ratio(rows, name, FIGURES["wall s"])) is not None:
            yield _line(what, name, found)
    restores, proofs = _row(rows, PRODUCT), _row(rows, "product: proof")
    pairs = [(a.wall, b.wall) for a, b in zip(restores.samples, proofs.samples, strict=False) if not b.problem]
    if pairs:
        drill = median((restored + proved) / restored for restored, proved in pairs)
        yield f"- The drill, restore and proof, takes {drill:.2f} of the restore alone."


def _line(what: str, name: str, found: float | None) -> str:
    return f"- The product takes {found:.2f} of the time of {what} (`{name}`)." if found is not None else ""


def cpu_floor(rows: Sequence[Row]) -> float | None:
    """Seconds that the cores need for what cannot be left out, if nothing else ran and nobody ever waited.

    Server, dump program and compressor, as measured together; and the S3 server, which on this machine is in the way.
    """
    dumped, copied = _row(rows, ISAL_DUMP).good, _row(rows, RAW_COPY).good
    if not dumped or not copied:
        return None
    sink = median(sample.sink_cpu for sample in copied)
    return (median(sample.client_cpu + sample.server_cpu for sample in dumped) + sink) / (os.cpu_count() or 1)


def ratio(rows: Sequence[Row], name: str, figure: _Figure) -> float | None:
    """The product's figure divided by another's: the median over the rounds, each divided on its own."""
    pairs = zip(_row(rows, PRODUCT).samples, _row(rows, name).samples, strict=False)
    found = [
        figure(ours) / figure(theirs)
        for ours, theirs in pairs
        if not ours.problem and not theirs.problem and figure(theirs) > _LEAST
    ]
    return median(found) if found else None


def _row(rows: Sequence[Row], name: str) -> Row:
    return next(row for row in rows if row.name == name)


def _wall(rows: Sequence[Row], name: str) -> float | None:
    good = _row(rows, name).good
    return median(sample.wall for sample in good) if good else None


def _profile(section: Section) -> Iterator[str]:
    product = _row(section.backup, PRODUCT).good
    yield "### Where a backup's processor time goes"
    yield ""
    yield "Each step alone, on this shape's own dump; in the product they overlap."
    yield ""
    body = [[share.name, f"{share.client_cpu:.2f}", f"{share.server_cpu:.2f}"] for share in section.profile]
    client = sum(share.client_cpu for share in section.profile)
    server = sum(share.server_cpu for share in section.profile)
    body.append(["sum of the steps", f"{client:.2f}", f"{server:.2f}"])
    if product:
        measured = [median(s.client_cpu for s in product), median(s.server_cpu for s in product)]
        body.append(["**product**, as measured", *(f"{value:.2f}" for value in measured)])
    yield from _table(["step", "client CPU s", "server CPU s"], body)
    yield ""
    yield "Wall seconds of the product's stages, by its own report (medians):"
    yield ""
    yield from _table(["step", "stage", "wall s"], list(_stages(section)))
    yield ""


def _stages(section: Section) -> Iterator[list[str]]:
    for title, rows in (("backup", section.backup), ("restore", section.restore)):
        for row in rows:
            told = [sample.told.seconds for sample in row.good if sample.told]
            for stage in told[0] if told else []:
                label = "proof" if "proof" in row.name else title
                yield [label, stage, f"{median(seconds.get(stage, 0.0) for seconds in told):.2f}"]


def _scaling(points: Sequence[Point]) -> Iterator[str]:
    yield "## As size grows"
    yield ""
    yield "The product alone, on surgicase. Flat means: the seconds per GB of SQL do not grow."
    yield ""
    body = []
    for point in points:
        cells = [str(point.size_mb), f"{point.sql_bytes / _MB:.0f}"]
        for samples in (point.backup, point.restore):
            good = [sample for sample in samples if not sample.problem]
            cells.append(spread([sample.wall / point.sql_bytes * 1e9 for sample in good]))
            cells.append(spread([sample.memory / _MB for sample in good]))
        body.append(cells)
    heads = ["MB of data", "MB of SQL", "backup s/GB", "its memory MB", "restore s/GB", "its memory MB"]
    yield from _table(heads, body)
    yield ""


def spread(values: Sequence[float]) -> str:
    """A median, with the lowest and the highest when there are several."""
    if not values:
        return "failed"
    digits = 2 if median(values) < 100 else 0
    middle, low, high = (f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def _table(heads: Sequence[str], body: Sequence[Sequence[str]] | Iterator[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        f"|{'|'.join(['---', *('---:' for _ in heads[1:])])}|",
        *(f"| {' | '.join(cells)} |" for cells in body),
    ]
