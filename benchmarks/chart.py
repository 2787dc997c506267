"""The chart: a line for each contestant, and a bar for each of wall time, processor time, peak memory and bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median

from benchmarks.contestants import SERVER_NAMES
from benchmarks.figures import BACKUP_FIGURES, RESTORE_FIGURES, Figure, ratio
from benchmarks.results import Results, Row

_COLOURS = {"product": "#1b7f5f", "peer": "#8d99a6", "floor": "#d4b65a"}
_NAMES, _NOTE, _BAR, _GAP = 235, 96, 16, 8
_PANEL_WIDTHS = (230, 130, 130, 130, 130)
_HEADING = 44


@dataclass(frozen=True)
class _Panel:
    """One figure of all contestants.

    :param left: where its bars begin; ``width``: the length of the longest.
    """

    title: str
    figure: Figure
    left: float
    width: float


def _panels(figures: dict[str, Figure]) -> list[_Panel]:
    shown = [name for name in figures if name != "S3 server CPU s"]
    panels, left = [], float(_NAMES)
    for name, width in zip(shown, _PANEL_WIDTHS, strict=True):
        panels.append(_Panel(name, figures[name], left, width))
        left += width + _NOTE
    return panels


def draw(results: Results) -> str:
    """An SVG of all sections, one below the other."""
    parts: list[str] = []
    top = 50
    for section in results.sections:
        for title, rows, figures in (
            ("backup", section.backup, BACKUP_FIGURES),
            ("restore", section.restore, RESTORE_FIGURES),
        ):
            shown = [row for row in rows if row.good]
            if shown:
                heading = f"{title}: {SERVER_NAMES[section.server]}, {section.shape}, {section.size_mb} MB"
                panels = _panels(figures)
                parts.append(f'<text x="10" y="{top}" class="h">{escape(heading)}</text>')
                parts += [f'<text x="{panel.left}" y="{top + 20}">{panel.title}</text>' for panel in panels]
                for number, row in enumerate(shown):
                    parts += _line(row, shown, panels, top + _HEADING - 16 + number * (_BAR + _GAP))
                top += _HEADING + len(shown) * (_BAR + _GAP) + 20
    width = _NAMES + sum(_PANEL_WIDTHS) + len(_PANEL_WIDTHS) * _NOTE
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" role="img">',
            "<title>Wall time, processor time, memory and bytes of backups and restores</title>",
            "<style>text{font:13px sans-serif;fill:#222}.h{font-weight:bold;font-size:15px}.n{text-anchor:end}</style>",
            f'<rect width="{width}" height="{top}" fill="#fff"/>',
            *_legend(),
            *parts,
            "</svg>",
            "",
        ]
    )


def _legend() -> Iterator[str]:
    for number, (kind, colour) in enumerate(_COLOURS.items()):
        left = 10 + 90 * number
        yield f'<rect x="{left}" y="10" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{left + 18}" y="20">{kind}</text>'
    yield (
        f'<text x="{10 + 90 * len(_COLOURS)}" y="20">Medians; the line over a bar: lowest to highest round; '
        "in brackets: the product's figure divided by this one; *: its result is incomplete</text>"
    )


def _line(row: Row, rows: Sequence[Row], panels: Sequence[_Panel], top: int) -> Iterator[str]:
    base = top + _BAR - 3
    note = " *" if any(sample.incomplete for sample in row.good) else ""
    yield f'<text x="{_NAMES - 8}" y="{base}" class="n">{escape(row.name + note)}</text>'
    for panel in panels:
        values = [panel.figure(sample) for sample in row.good]
        most = max(panel.figure(sample) for other in rows for sample in other.good)
        if not most:
            continue
        low, centre, high = (value / most * panel.width for value in (min(values), median(values), max(values)))
        found = ratio(rows, row.name, panel.figure) if row.kind != "product" else None
        share = f" ({found:.2f})" if found is not None else ""
        digits = 1 if median(values) < 100 else 0
        yield (
            f'<rect x="{panel.left}" y="{top}" width="{centre:.1f}" height="{_BAR}" fill="{_COLOURS[row.kind]}"/>'
            f'<line x1="{panel.left + low:.1f}" x2="{panel.left + high:.1f}" y1="{top + _BAR / 2}" '
            f'y2="{top + _BAR / 2}" stroke="#222"/>'
            f'<text x="{panel.left + high + 5:.1f}" y="{base}">{median(values):.{digits}f}{share}</text>'
        )
