"""What the report computes from the samples: medians, ratios, floors."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.contestants import ISAL_DUMP, PHYSICAL, PRODUCT, PROOF, RAW_COPY
from benchmarks.results import Row, Sample

Figure = Callable[[Sample], float]
MB = 1e6
_LEAST = 0.05
"""Seconds or MB below which a figure is noise, and a ratio to it says nothing."""


def wall(sample: Sample) -> float:
    """Seconds from start to end."""
    return sample.wall


_COMMON: dict[str, Figure] = {
    "wall s": wall,
    "client CPU s": lambda sample: sample.client_cpu,
    "server CPU s": lambda sample: sample.server_cpu,
    "S3 server CPU s": lambda sample: sample.sink_cpu,
    "peak memory MB": lambda sample: sample.memory / MB,
}
BACKUP_FIGURES = _COMMON | {"stored MB": lambda sample: sample.stored / MB}
RESTORE_FIGURES = _COMMON | {"server wrote MB": lambda sample: sample.server_written / MB}


def find(rows: Sequence[Row], name: str) -> Row:
    """A contestant's row; an empty one when it was not to take part."""
    return next((row for row in rows if row.name == name), Row(name=name, kind="peer", absent="it was left out"))


def ratio(rows: Sequence[Row], name: str, figure: Figure = wall) -> float | None:
    """The product's figure divided by another's: the median over the rounds, each divided on its own."""
    pairs = zip(find(rows, PRODUCT).samples, find(rows, name).samples, strict=False)
    found = [
        figure(ours) / figure(theirs)
        for ours, theirs in pairs
        if not ours.problem and not theirs.problem and figure(theirs) > _LEAST
    ]
    return median(found) if found else None


def middle(row: Row, figure: Figure = wall) -> float | None:
    """The median of a row's figure."""
    return median(map(figure, row.good)) if row.good else None


def fastest_peer(rows: Sequence[Row], *, logical: bool = False) -> str | None:
    """The name of the peer that takes least time; of those that make or load SQL, if only those are asked for."""
    walls = {row.name: seconds for row in rows if row.kind == "peer" and (seconds := middle(row)) is not None}
    if logical:
        walls.pop(PHYSICAL, None)
    return min(walls, key=lambda name: walls[name], default=None)


def cpu_floor(rows: Sequence[Row]) -> float | None:
    """Seconds that the cores need for what cannot be left out, if nothing else ran and nobody ever waited.

    Server, dump program and compressor, as measured together; and the S3 server, which on this machine is in the way.
    """
    dumped, copied = find(rows, ISAL_DUMP).good, find(rows, RAW_COPY).good
    if not dumped or not copied:
        return None
    sink = median(sample.sink_cpu for sample in copied)
    return (median(sample.client_cpu + sample.server_cpu for sample in dumped) + sink) / (os.cpu_count() or 1)


def drill(rows: Sequence[Row]) -> float | None:
    """Restore and proof, divided by the restore alone."""
    pairs = zip(find(rows, PRODUCT).samples, find(rows, PROOF).samples, strict=False)
    found = [(ours.wall + proof.wall) / ours.wall for ours, proof in pairs if not ours.problem and not proof.problem]
    return median(found) if found else None


def cores_busy(sample: Sample) -> float:
    """Processor seconds of all parts for each second of wall time: the number of cores when nobody waits."""
    return (sample.client_cpu + sample.server_cpu + sample.sink_cpu) / sample.wall


def spread(values: Sequence[float]) -> str:
    """A median, with the lowest and the highest when there are several."""
    if not values:
        return "failed"
    digits = 2 if median(values) < 100 else 0
    centre, low, high = (f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
    return centre if low == high else f"{centre} ({low} to {high})"


def table(heads: Sequence[str], body: Sequence[Sequence[str]], *, numbers: bool = True) -> list[str]:
    """A table in Markdown; a bar within a cell is a bar.

    :param numbers: whether all columns but the first hold numbers.
    """
    lines = [[cell.replace("|", "\\|") for cell in cells] for cells in body]
    return [
        f"| {' | '.join(heads)} |",
        f"|{'|'.join(['---', *('---:' if numbers else '---' for _ in heads[1:])])}|",
        *(f"| {' | '.join(cells)} |" for cells in lines),
    ]
