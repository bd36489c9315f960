"""The charts: plain SVG, readable on a light and on a dark page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from benchmarks.contestants import CONTESTANTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks.session import Session

WIDTH, LEFT, RIGHT, TOP, ROW = 760, 128, 92, 76, 26
PLOT = WIDTH - LEFT - RIGHT

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
.title { font-size: 17px; font-weight: 600 }
.small { font-size: 12px; fill: #6e7781 }
.ours { font-weight: 700 }
.bar { fill: #b6c2cf } .ours.bar { fill: #d9480f } .floor.bar { fill: none; stroke: #8c959f; stroke-dasharray: 4 3 }
.span { stroke: #b6c2cf; stroke-width: 6; stroke-linecap: round } .ours.span { stroke: #f0a988 }
.dot { fill: #57606a } .ours.dot { fill: #d9480f }
.grid { stroke: #d0d7de; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #8d96a0 }
  .bar { fill: #4b5664 } .ours.bar { fill: #f76707 } .floor.bar { stroke: #8d96a0 }
  .span { stroke: #4b5664 } .ours.span { stroke: #93501f }
  .dot { fill: #c9d1d9 } .ours.dot { fill: #f76707 }
  .grid { stroke: #30363d }
}
"""


@dataclass(frozen=True)
class Row:
    """One contestant in one chart."""

    name: str
    value: float
    far: float = 0.0
    """The end of the span, where the chart has spans."""

    @property
    def kind(self) -> str:
        """Its class in the style sheet."""
        return {"aqueue": "ours", "floor": "floor"}.get(self.name, "rival")


def write_charts(session: Session, directory: Path) -> list[Path]:
    """Write every chart for which there are numbers."""
    charts = {
        "drain": (
            bars,
            "Tasks a second",
            "no-op tasks with results, already queued; one worker process; longer is better",
            _rows(session, "drain", "results", "per_second"),
        ),
        "enqueue": (
            bars,
            "Enqueued a second",
            "1,000 concurrent calls of one client process; longer is better",
            _rows(session, "enqueue", "gather 1000", "per_second"),
        ),
        "latency": (
            spans,
            "From enqueue to awaited result, ms",
            "one task at a time, idle worker; dot p50, line to p99; logarithmic; left is better",
            _rows(session, "latency", "idle", "p50_ms", "p99_ms"),
        ),
    }
    written = []
    for name, (draw, title, subtitle, rows) in charts.items():
        if rows:
            path = directory / f"{name}.svg"
            path.write_text(draw(title, subtitle, rows))
            written.append(path)
    return written


def _rows(session: Session, scenario: str, case: str, metric: str, far: str = "") -> list[Row]:
    rows = []
    for contestant in CONTESTANTS:
        value = session.median(scenario, case, contestant.name, metric)
        if value is not None:
            end = session.median(scenario, case, contestant.name, far) if far else None
            rows.append(Row(contestant.name, value, end or value))
    return rows


def bars(title: str, subtitle: str, rows: list[Row]) -> str:
    """Horizontal bars from zero, the longest first."""
    rows = sorted(rows, key=lambda row: -row.value)
    scale = PLOT / max(row.value for row in rows)
    marks = []
    for row, y in _lines(rows):
        length = max(row.value * scale, 1)
        marks.append(f'<rect class="{row.kind} bar" x="{LEFT}" y="{y + 4}" width="{length:.1f}" height="16" rx="2"/>')
        marks.append(_text(LEFT + length + 8, y + 17, f"{row.value:,.0f}", f"{row.kind} value"))
    return _page(title, subtitle, rows, marks)


def spans(title: str, subtitle: str, rows: list[Row]) -> str:
    """A dot, and a line to the far end, on a logarithmic axis; the least first."""
    rows = sorted(rows, key=lambda row: row.value)
    low = 10 ** math.floor(math.log10(min(row.value for row in rows)))
    high = 10 ** math.ceil(math.log10(max(row.far for row in rows)))

    def x(value: float) -> float:
        return LEFT + PLOT * math.log(value / low) / math.log(high / low)

    marks = []
    bottom = TOP + ROW * len(rows)
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        tick = 10.0**power
        marks.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 4}" y2="{bottom}"/>')
        marks.append(_text(x(tick), bottom + 16, f"{tick:g}", "small", "middle"))
    for row, y in _lines(rows):
        middle = y + 12
        start, end = x(row.value), x(row.far)
        marks.append(f'<line class="{row.kind} span" x1="{start:.1f}" x2="{end:.1f}" y1="{middle}" y2="{middle}"/>')
        marks.append(f'<circle class="{row.kind} dot" cx="{start:.1f}" cy="{middle}" r="6"/>')
        marks.append(_text(end + 12, y + 17, f"{row.value:.2f}", f"{row.kind} value"))
    return _page(title, subtitle, rows, marks, foot=24)


def _lines(rows: list[Row]) -> Iterable[tuple[Row, int]]:
    return ((row, TOP + ROW * number) for number, row in enumerate(rows))


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _page(title: str, subtitle: str, rows: list[Row], marks: list[str], foot: int = 8) -> str:
    height = TOP + ROW * len(rows) + foot
    names = [_text(LEFT - 10, y + 17, row.name, row.kind, "end") for row, y in _lines(rows)]
    head = [_text(16, 30, title, "title"), _text(16, 52, subtitle, "small")]
    frame = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
    opening = f'<svg {frame} role="img" aria-label="{escape(title)}">'
    return "\n".join([opening, f"<style>{STYLE}</style>", *head, *names, *marks, "</svg>", ""])
