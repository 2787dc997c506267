"""The report: verdicts, tables of medians, and the product's figures divided by everybody else's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median

from benchmarks.contestants import BARE_DUMP, CLIENT, LOAD_DATA, MYLOADER, ORIGINAL, PRODUCT, PROOF, SERVER_NAMES
from benchmarks.figures import (
    BACKUP_FIGURES,
    MB,
    RESTORE_FIGURES,
    Figure,
    cores_busy,
    cpu_floor,
    drill,
    fastest_peer,
    find,
    middle,
    ratio,
    spread,
    table,
    wall,
)
from benchmarks.results import Point, Results, Row, Sample, Section, Share
from benchmarks.verdicts import cost_per_gb, verdicts


def render(results: Results) -> str:
    """The whole report in Markdown."""
    lines = [
        "# Benchmark",
        "",
        f"Made by `make bench` on {results.machine}. How to read it: [README.md](README.md). Each figure is the median "
        "of its rounds, with the lowest and the highest; all contestants of a table ran in turns, on the same server "
        "and the same S3 server, on the same machine.",
        "",
        "## What is demanded, and what was measured",
        "",
        *table(
            ["demand", "where", "the product", "verdict"],
            [[one.demand, one.where, one.figure.removeprefix("; "), one.word] for one in verdicts(results)],
            numbers=False,
        ),
        "",
        'Why a demand is missed: the steps\' own processor time and stages, below under "Where the time goes", and'
        " [what bounds them](README.md#what-bounds-the-demands-that-are-missed).",
        "",
        "![backups and restores: wall time, processor time, memory, bytes](chart.svg)",
        "",
    ]
    for section in results.sections:
        lines += _section(section)
    for server in SERVER_NAMES:
        if points := [point for point in results.scaling if point.server == server]:
            lines += _scaling(SERVER_NAMES[server], points)
    if results.airflow:
        body = [[name, f"{value:.2f}"] for name, value in results.airflow.items()]
        lines += ["## Airflow around it", "", *table(["what", "wall s"], body), ""]
    return "\n".join(lines)


def _section(section: Section) -> Iterator[str]:
    rounds = max((len(row.samples) for row in section.backup), default=0)
    yield f"## {SERVER_NAMES[section.server]}: {section.shape}, {section.size_mb} MB"
    yield ""
    size = f"{section.version}; {section.tables} tables, {section.sql_bytes / MB:.0f} MB of SQL"
    yield f"{size}; rounds: {rounds}; begun {section.began}."
    yield ""
    for title, rows, figures, summary in (
        ("Backup", section.backup, BACKUP_FIGURES, _of_backup(section)),
        ("Restore", section.restore, RESTORE_FIGURES, _of_restore(section)),
    ):
        if rows:
            yield f"### {title}"
            yield ""
            yield from summary
            yield ""
            yield from _medians(rows, figures)
            yield ""
            yield "The product's figure divided by the other's; below 1 the product takes less:"
            yield ""
            yield from _ratios(rows, figures)
            yield ""
            yield from _remarks(rows)
    yield from _times(section)


def _medians(rows: Sequence[Row], figures: Mapping[str, Figure]) -> list[str]:
    body = []
    for row in rows:
        name = f"**{row.name}**" if row.kind == "product" else row.name
        cells = [spread([figure(sample) for sample in row.good]) for figure in figures.values()]
        state = "absent" if row.absent else "failed" if row.samples else "not run yet"
        body.append([name, row.kind, *(cells if row.good else [state] * len(figures))])
    return table(["", "kind", *figures], body)


def _ratios(rows: Sequence[Row], figures: Mapping[str, Figure]) -> list[str]:
    body = []
    for row in rows:
        if row.kind != "product" and row.good:
            cells = [ratio(rows, row.name, figure) for figure in figures.values()]
            body.append([row.name, row.kind, *(f"{cell:.2f}" if cell is not None else "" for cell in cells)])
    return table(["product ÷", "kind", *(name.rsplit(" ", 1)[0] for name in figures)], body)


def _remarks(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        told = [row.remark] if row.remark else []
        told += [f"absent: {row.absent}"] if row.absent else []
        told += _of_rounds("INCOMPLETE", [sample.incomplete for sample in row.samples])
        told += _of_rounds("FAILED", [sample.problem for sample in row.samples])
        if told:
            yield f"- {row.name}: {'; '.join(told)}."
    yield ""


def _of_rounds(what: str, texts: Sequence[str]) -> list[str]:
    """A text of its rounds, which times and process ids make different in each: how many have one, and the last."""
    found = [text for text in texts if text]
    return [f"{what} in {len(found)} of {len(texts)} rounds: {found[-1]}"] if found else []


def _of_backup(section: Section) -> Iterator[str]:
    rows = section.backup
    product, best = middle(find(rows, PRODUCT)), fastest_peer(rows)
    if product is None:
        return
    for what, name in (("the fastest peer", best), ("the original's way", ORIGINAL), ("the bare dump", BARE_DUMP)):
        yield from _line(rows, what, name)
    if (floor := cpu_floor(rows)) is not None:
        yield (
            f"- CPU floor: {floor:.2f} s of wall time ((server + dump program + compressor + S3 server) ÷ "
            f"{os.cpu_count()} cores); the product takes {product / floor:.2f} of it."
        )
    if section.tables >= 1000:
        peers = {row.name: seconds for row in rows if row.kind == "peer" and (seconds := middle(row)) is not None}
        each = ", ".join(f"{name} {seconds / section.tables * 1e3:.2f} ms" for name, seconds in peers.items())
        yield f"- A table costs the product {product / section.tables * 1e3:.2f} ms; {each}."


def _of_restore(section: Section) -> Iterator[str]:
    rows = section.restore
    for what, name in (("the client", CLIENT), ("myloader", MYLOADER), ("the floor", LOAD_DATA)):
        yield from _line(rows, what, name)
    if (found := drill(rows)) is not None:
        yield f"- The drill, restore and proof, takes {found:.2f} of the restore alone."


def _line(rows: Sequence[Row], what: str, name: str | None) -> Iterator[str]:
    if name and (found := ratio(rows, name)) is not None:
        yield f"- The product takes {found:.2f} of the time of {what} (`{name}`)."


def _times(section: Section) -> Iterator[str]:
    steps = {"backup": find(section.backup, PRODUCT), "restore": find(section.restore, PRODUCT)}
    steps["proof"] = find(section.restore, PROOF)
    body, stages = [], []
    for step, row in steps.items():
        if row.good:
            figures = [wall, cores_busy, *list(BACKUP_FIGURES.values())[1:4]]
            body.append([step, *(f"{middle(row, figure):.2f}" for figure in figures)])
        told = [sample.told.seconds for sample in row.good if sample.told]
        for stage in told[0] if told else []:
            stages.append([step, stage, f"{median(seconds.get(stage, 0.0) for seconds in told):.2f}"])
    if not body:
        return
    yield "### Where the time goes"
    yield ""
    yield f"The product's steps; of this machine's {os.cpu_count()} cores so many were busy, the rest waited:"
    yield ""
    yield from table(["step", "wall s", "cores busy", "client CPU s", "server CPU s", "S3 server CPU s"], body)
    yield ""
    yield "Wall seconds of their stages, by the product's own report (medians):"
    yield ""
    yield from table(["step", "stage", "wall s"], stages)
    yield ""
    for what, shares, row in (
        ("backup", section.profile, steps["backup"]),
        ("restore", section.profile_of_restore, steps["restore"]),
    ):
        if shares:
            yield from _profile(what, shares, row)


def _profile(what: str, shares: Sequence[Share], product: Row) -> Iterator[str]:
    yield f"Processor time of a {what}'s steps, each alone on this shape's own dump; in the product they overlap:"
    yield ""
    body = [[share.name, f"{share.client_cpu:.2f}", f"{share.server_cpu:.2f}"] for share in shares]
    client = sum(share.client_cpu for share in shares)
    server = sum(share.server_cpu for share in shares)
    body.append(["sum of the steps", f"{client:.2f}", f"{server:.2f}"])
    if product.good:
        measured = [median(s.client_cpu for s in product.good), median(s.server_cpu for s in product.good)]
        body.append(["**product**, as measured", *(f"{value:.2f}" for value in measured)])
    yield from table(["step", "client CPU s", "server CPU s"], body)
    yield ""


def _scaling(server: str, points: Sequence[Point]) -> Iterator[str]:
    yield f"## {server}: as size grows"
    yield ""
    yield (
        "The product alone, on surgicase, by GB (10^9 bytes) of SQL. *Each further GB* is the difference in seconds to "
        "the size before, by GB: what is left of the cost without the start of interpreters and servers."
    )
    yield ""
    body = []
    for before, point in pairwise([None, *points]):
        assert point is not None
        cells = [str(point.size_mb), f"{point.sql_bytes / MB:.0f}"]
        for title in ("backup", "restore"):
            good = _good(point, title)
            cells.append(spread([cost_per_gb(sample, point) for sample in good]))
            cells.append(_further(before, point, title))
            cells.append(spread([sample.memory / MB for sample in good]))
        body.append(cells)
    of_each = ("s/GB", "each further GB, s", "peak memory MB")
    heads = [f"{title} {name}" for title in ("backup", "restore") for name in of_each]
    yield from table(["MB of data", "MB of SQL", *heads], body)
    yield ""


def _good(point: Point, title: str) -> list[Sample]:
    samples = point.backup if title == "backup" else point.restore
    return [sample for sample in samples if not sample.problem]


def _further(before: Point | None, point: Point, title: str) -> str:
    if before is None or not _good(before, title) or not _good(point, title):
        return ""
    seconds = [median(sample.wall for sample in _good(one, title)) for one in (before, point)]
    return f"{(seconds[1] - seconds[0]) / (point.sql_bytes - before.sql_bytes) * 1e9:.2f}"
