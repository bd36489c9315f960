"""The report: Markdown tables of medians, and the explanations that a reader needs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.chart import write_charts
from benchmarks.contestants import AS_IT_COMES, CONTESTANTS
from benchmarks.ranking import compare
from benchmarks.scenarios import SCENARIOS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.contestants import Contestant
    from benchmarks.scenarios.scenario import Column, Scenario, Table
    from benchmarks.session import Session

INTRODUCTION = """# Benchmark results

Read ratios, not seconds: the contestants took turns on one machine, so they can be compared with one another, but not
with numbers from another machine. Medians of {rounds} rounds; ±n% is half of the distance between the lowest and the
highest round, which are written out where they are far apart. How it is measured: [README](../README.md).

"""


def write_report(session: Session, directory: Path, earlier: Session | None = None) -> Path:
    """Write `latest.md` and the charts that it shows. With `earlier`, also whether that had the same order."""
    parts = [INTRODUCTION.format(rounds=session.machine["rounds"]), _machine(session)]
    parts += [f"![{chart.stem}]({chart.name})\n" for chart in write_charts(session, directory)]
    parts += [_table(session, scenario, table) for scenario in SCENARIOS.values() for table in scenario.tables]
    parts += [compare(session, earlier) if earlier else "", _failures(session), _settings(session)]
    path = directory / "latest.md"
    path.write_text("\n".join(part for part in parts if part))
    return path


def _machine(session: Session) -> str:
    rows = [f"| {key} | {value} |" for key, value in session.machine.items()]
    return "\n".join(["| | |", "|---|---|", *rows, ""])


def _table(session: Session, scenario: Scenario, table: Table) -> str:
    rows = []
    for contestant in CONTESTANTS:
        shared = [_cell(session, scenario.name, contestant, column) for column in table.columns]
        if any(shared):
            name = f"**{contestant.name}**" if contestant.adapter == "aqueue" else contestant.name
            rows.append(f"| {name} | {' | '.join(cell or '-' for cell in shared)} |")
    if not rows:
        return ""
    head = f"| | {' | '.join(column.heading for column in table.columns)} |"
    rule = "|---|" + "---:|" * len(table.columns)
    return "\n".join([f"## {table.title}", "", *([table.note, ""] if table.note else []), head, rule, *rows, ""])


def _cell(session: Session, scenario: str, contestant: Contestant, column: Column) -> str:
    case = column.instead if column.instead and contestant.tuned == AS_IT_COMES else column.case
    values = session.values(scenario, case, contestant.name, column.metric)
    if not values:
        return ""
    median, low, high = (
        f"{value:,.{column.digits}f}" for value in (statistics.median(values), min(values), max(values))
    )
    if low == high:
        return median
    spread = (max(values) - min(values)) / 2 / abs(statistics.median(values))
    return f"{median} ±{spread:.0%}" if spread < 1 else f"{median} ({low} to {high})"


def _failures(session: Session) -> str:
    lines = [
        f"* {scenario} / {case} / {contestant}: {reason}"
        for scenario, cases in session.failures.items()
        for case, contestants in cases.items()
        for contestant, reason in contestants.items()
    ]
    return "\n".join(["## What did not run", "", *lines, ""]) if lines else ""


def _settings(session: Session) -> str:
    lines = ["## Settings and caveats", "", "| | version | settings | to know |", "|---|---|---|---|"]
    for contestant in CONTESTANTS:
        if contestant.name in session.versions:
            pinned = [each.replace("==", " ") for each in contestant.requirements if each != "."]
            versions = ", ".join(pinned) or f"aqueue-tasks {session.versions[contestant.name].get('aqueue-tasks', '?')}"
            lines.append(f"| {contestant.name} | {versions} | {contestant.tuned} | {contestant.caveat} |")
    return "\n".join([*lines, ""])
