"""Two sessions, perhaps of different days or machines: do they put the contestants into the same order?"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from benchmarks.contestants import AS_IT_COMES, CONTESTANTS
from benchmarks.scenarios import SCENARIOS

if TYPE_CHECKING:
    from benchmarks.scenarios.scenario import Column
    from benchmarks.session import Session

EQUAL = 1.25
"""Two medians of one column within this ratio of each other are a tie: no round is that exact on shared cores."""


def compare(session: Session, earlier: Session) -> str:
    """A table in Markdown: for each of our tables, how many pairs of rows keep their order, and which do not."""
    lines = [
        f"## The same order as on {earlier.machine['date']}?",
        "",
        f"Of all pairs of rows that are {EQUAL - 1:.0%} or more apart in both runs, column by column.",
        "",
        "| | pairs | in the same order | not so |",
        "|---|---:|---:|---|",
    ]
    for scenario in SCENARIOS.values():
        for table in scenario.tables:
            pairs, swapped = 0, []
            for column in table.columns:
                compared, changed = _order(session, earlier, scenario.name, column)
                pairs += compared
                swapped += [f"{one} and {other} ({column.heading})" for one, other in changed]
            if pairs:
                lines.append(f"| {table.title} | {pairs} | {pairs - len(swapped)} | {'; '.join(swapped)} |")
    return "\n".join([*lines, ""])


def _order(session: Session, earlier: Session, scenario: str, column: Column) -> tuple[int, list[tuple[str, str]]]:
    """The number of pairs that differ in both sessions, and those that changed places."""
    now, then = _column(session, scenario, column), _column(earlier, scenario, column)
    pairs, changed = 0, []
    for one, other in itertools.combinations([name for name in now if name in then], 2):
        signs = [_sign(values[one], values[other]) for values in (now, then)]
        if all(signs):
            pairs += 1
            if signs[0] != signs[1]:
                changed.append((one, other))
    return pairs, changed


def _column(session: Session, scenario: str, column: Column) -> dict[str, float]:
    """The medians of one column by contestant."""
    found = {}
    for contestant in CONTESTANTS:
        case = column.instead if column.instead and contestant.tuned == AS_IT_COMES else column.case
        median = session.median(scenario, case, contestant.name, column.metric)
        if median is not None:
            found[contestant.name] = median
    return found


def _sign(one: float, other: float) -> int:
    """Which is clearly the larger: 1, -1, or 0 for a tie."""
    low, high = sorted((one, other))
    if low <= 0 or high / low < EQUAL:
        return 0
    return 1 if one > other else -1
