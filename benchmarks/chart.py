"""The chart: wall time of each contestant as a bar, and the spread of its rounds as a line."""

from __future__ import annotations

from html import escape
from statistics import median

from benchmarks.results import Results, Row

_COLOURS = {"product": "#1b7f5f", "peer": "#8d99a6", "floor": "#d4b65a"}
_LEFT, _WIDTH, _RIGHT, _BAR, _GAP = 270, 520, 130, 16, 8


def draw(results: Results) -> str:
    """An SVG of all sections, one below the other."""
    parts: list[str] = []
    top = 34
    for section in results.sections:
        for title, rows in (("backup", section.backup), ("restore", section.restore)):
            shown = [row for row in rows if row.good]
            if shown:
                heading = f"{section.shape}, {section.size_mb} MB: {title}, seconds of wall time"
                parts.append(f'<text x="10" y="{top}" class="h">{escape(heading)}</text>')
                top = _bars(shown, top + 12, parts) + 30
    legend = "".join(
        f'<rect x="{_LEFT + 90 * n}" y="{top - 12}" width="12" height="12" fill="{colour}"/>'
        f'<text x="{_LEFT + 90 * n + 18}" y="{top - 2}">{kind}</text>'
        for n, (kind, colour) in enumerate(_COLOURS.items())
    )
    width = _LEFT + _WIDTH + _RIGHT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + 16}" width="{width}" role="img">',
            "<title>Wall time of backups and restores</title>",
            "<style>text{font:13px sans-serif;fill:#222}.h{font-weight:bold}.n{text-anchor:end}</style>",
            f'<rect width="{width}" height="{top + 16}" fill="#fff"/>',
            *parts,
            legend,
            "</svg>",
            "",
        ]
    )


def _bars(rows: list[Row], top: int, parts: list[str]) -> int:
    most = max(sample.wall for row in rows for sample in row.good)
    for row in rows:
        walls = [sample.wall for sample in row.good]
        middle = median(walls)
        low, mid, high = (_LEFT + value / most * _WIDTH for value in (min(walls), middle, max(walls)))
        base = top + _BAR - 3
        line = top + _BAR / 2
        note = " (incomplete)" if any(sample.incomplete for sample in row.good) else ""
        parts += [
            f'<text x="{_LEFT - 8}" y="{base}" class="n">{escape(row.name)}</text>',
            f'<rect x="{_LEFT}" y="{top}" width="{mid - _LEFT:.1f}" height="{_BAR}" fill="{_COLOURS[row.kind]}"/>',
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{line}" y2="{line}" stroke="#222"/>',
            f'<text x="{high + 6:.1f}" y="{base}">{middle:.1f}{note}</text>',
        ]
        top += _BAR + _GAP
    return top
