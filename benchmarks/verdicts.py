"""What is demanded of the product, and whether this run's figures meet it. Computed, never typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.contestants import CLIENT, LOAD_DATA, MYLOADER, ORIGINAL, PRODUCT, SERVER_NAMES
from benchmarks.figures import MB, cpu_floor, drill, fastest_peer, find, middle, ratio
from benchmarks.results import Point, Results, Row, Sample, Section
from include.backup_engine.records import Flavour

MEMORY_MB = 400
_MEMORY_SIZES_MB = (2000, 16_000)
_MEMORY_APART = 1.10
_GROWTH = 1.15
_TIMES = 16
_MAIN_SHAPE = "surgicase"
_SMALL_SHAPE = "small"


@dataclass(frozen=True)
class Verdict:
    """One demand, judged.

    :param where: server, shape and size.
    :param met: ``None``: not measured in this run.
    """

    demand: str
    where: str
    figure: str
    met: bool | None

    @property
    def word(self) -> str:
        """As the report has it."""
        return "not measured in this run" if self.met is None else "met" if self.met else "**missed**"


def verdicts(results: Results) -> list[Verdict]:
    """All of them: the main shape's on every flavour even if nothing was measured, the other shapes' if they were."""
    found: list[Verdict] = []
    for server in SERVER_NAMES:
        sections = {section.shape: section for section in results.sections if section.server == server}
        found += _of_shape(server, sections.get(_MAIN_SHAPE), _MAIN_SHAPE)
        for shape, section in sections.items():
            if shape not in (_MAIN_SHAPE, _SMALL_SHAPE):
                found += _of_shape(server, section, shape)
        found += _of_small(server, sections.get(_SMALL_SHAPE))
        found += _of_sizes(server, [point for point in results.scaling if point.server == server])
    return found


def _where(server: Flavour, shape: str, section: Section | None) -> str:
    return f"{SERVER_NAMES[server]}, {shape}" + (f", {section.size_mb} MB" if section else "")


def _of_shape(server: Flavour, section: Section | None, shape: str) -> Iterator[Verdict]:
    where = _where(server, shape, section)
    backup, restore = (section.backup, section.restore) if section else ([], [])

    def judged(demand: str, value: float | None, limit: float, text: str) -> Verdict:
        return Verdict(demand, where, text.format(value) if value is not None else "", _within(value, limit))

    def speed(demand: str, rows: Sequence[Row], name: str, least: float) -> Verdict:
        """At least so many times as fast as another."""
        found = ratio(rows, name)
        value = 1 / found if found else None
        text = f"{value:.2f} times as fast" + _reservation(rows, name) if value else _reservation(rows, name)
        return Verdict(demand, where, text, None if value is None else value >= least)

    yield _against_all_peers(where, backup)
    yield speed("backup at least 3 times as fast as the original's way", backup, ORIGINAL, 3)
    floor, product = cpu_floor(backup), middle(find(backup, PRODUCT))
    share = product / floor if floor and product else None
    yield judged("backup in at most 1.3 of the CPU floor", share, 1.3, "{:.2f} of it")
    yield speed("restore at least 2.2 times as fast as `gunzip | client`", restore, CLIENT, 2.2)
    loader = ratio(restore, MYLOADER)
    text = f"{loader:.2f} of its time" if loader is not None else ""
    yield Verdict(
        "restore faster than myloader with as many threads", where, text + _reservation(restore, MYLOADER),
        None if loader is None else loader < 1,
    )  # fmt: skip
    yield judged(
        "restore in at most 1.3 of the `LOAD DATA` floor", ratio(restore, LOAD_DATA), 1.3, "{:.2f} of its time"
    )
    yield judged("drill, restore and proof, in at most 1.5 of the restore alone", drill(restore), 1.5, "{:.2f} of it")


def _within(value: float | None, limit: float) -> bool | None:
    return None if value is None else value <= limit


def _against_all_peers(where: str, rows: Sequence[Row]) -> Verdict:
    """All peers encrypt what they store."""
    peers = [row.name for row in rows if row.kind == "peer"]
    found = {name: value for name in peers if (value := ratio(rows, name)) is not None}
    text = ""
    if found:
        nearest = max(found, key=lambda name: found[name])
        text = f"{found[nearest]:.2f} of the time of `{nearest}`, the nearest of {len(found)}"
    text += "".join(_reservation(rows, name, named=True) for name in peers)
    met = found[nearest] < 1 if found else None
    return Verdict("backup faster than every peer that encrypts, too", where, text, met)


def _reservation(rows: Sequence[Row], name: str, *, named: bool = False) -> str:
    """What a reader must know of the other's figure."""
    row = find(rows, name)
    what = f"{name}: " if named else ""
    if row.absent:
        return f"; {what}{row.absent}" if rows else ""
    if row.samples and not row.good:
        return f"; {what}it failed"
    return f"; {what}its result is incomplete (below)" if any(sample.incomplete for sample in row.good) else ""


def _of_small(server: Flavour, section: Section | None) -> Iterator[Verdict]:
    for title, rows in (("backup", section.backup if section else []), ("restore", section.restore if section else [])):
        texts, values = [], []
        for name in dict.fromkeys([fastest_peer(rows), fastest_peer(rows, logical=True)]):
            if name and (value := ratio(rows, name)) is not None:
                texts.append(f"{value:.2f} of the time of `{name}`{_reservation(rows, name)}")
                values.append(value)
        yield Verdict(
            f"{title} of 5,000 tables in at most 2 times the time of the peers' best",
            _where(server, _SMALL_SHAPE, section),
            "; without physical ones, ".join(texts),
            values[0] <= 2 if values else None,
        )


def _of_sizes(server: Flavour, points: Sequence[Point]) -> Iterator[Verdict]:
    measured = [point for point in points if _good(point.backup) and _good(point.restore)]
    sizes = [point.size_mb for point in measured]
    where = f"{SERVER_NAMES[server]}, surgicase" + (f", {', '.join(map(str, sizes))} MB" if sizes else "")
    for least in _MEMORY_SIZES_MB:
        demand = f"peak memory below {MEMORY_MB} MB at {least // 1000} GB"
        # Of the sizes from there on, the smallest; if there is none, what is shown is not judged.
        there = [point for point in measured if point.size_mb >= least]
        for point in (there or measured[::-1])[:1]:
            used = _each(point, _memory, max)
            text = f"backup {used[0]:.0f} MB, restore {used[1]:.0f} MB, at {point.size_mb} MB"
            yield Verdict(demand, where, text, max(used) < MEMORY_MB if there else None)
        if not measured:
            yield Verdict(demand, where, "", None)
    demand = "peak memory the same within 10 % at 2 GB and at 16 GB"
    if len(measured) < 2:
        yield Verdict(demand, where, "", None)
    else:
        large = [point for point in measured if point.size_mb >= _MEMORY_SIZES_MB[0]]
        reached = bool(large) and large[-1].size_mb >= _MEMORY_SIZES_MB[1] and len(large) > 1
        used = _apart(large if reached else measured, _memory)
        text = f"largest ÷ smallest: backup {used[0]:.2f}, restore {used[1]:.2f}"
        yield Verdict(demand, where, text, max(used) <= _MEMORY_APART if reached else None)
    demand = f"the cost of a GB grows by at most 15 % from 1 to {_TIMES} times the size"
    if len(measured) < 2:
        yield Verdict(demand, where, "", None)
    else:
        growth = [
            max(costs) / costs[0] for costs in zip(*(_each(point, cost_per_gb) for point in measured), strict=True)
        ]
        text = f"dearest ÷ that at the smallest size: backup {growth[0]:.2f}, restore {growth[1]:.2f}"
        far = sizes[-1] >= _TIMES * sizes[0]
        yield Verdict(demand, where, text, max(growth) <= _GROWTH if far else None)


def _good(samples: Sequence[Sample]) -> list[Sample]:
    return [sample for sample in samples if not sample.problem]


def _memory(sample: Sample, _: Point) -> float:
    return sample.memory / MB


def cost_per_gb(sample: Sample, point: Point) -> float:
    """Seconds of wall time for each 10^9 bytes of SQL."""
    return sample.wall / point.sql_bytes * 1e9


def _each(
    point: Point,
    figure: Callable[[Sample, Point], float],
    of: Callable[[list[float]], float] = median,
) -> list[float]:
    """The median, or another thing, of a figure of the backups, and that of the restores."""
    return [of([figure(sample, point) for sample in _good(samples)]) for samples in (point.backup, point.restore)]


def _apart(points: Sequence[Point], figure: Callable[[Sample, Point], float]) -> list[float]:
    """Largest ÷ smallest of those, for backup and for restore."""
    return [max(values) / min(values) for values in zip(*(_each(point, figure) for point in points), strict=True)]
