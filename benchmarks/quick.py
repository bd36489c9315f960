"""`python -m benchmarks.quick`: the figures that we promise ourselves, and those of the last release, in five minutes.

Exits with 1 when one of them is missed, so that a machine can watch over them. All but a few are ratios of one run, so
that those of a release stay comparable on another machine: `--record` keeps them in `results/releases.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace

from benchmarks.bench import Bench
from benchmarks.contestants import CONTESTANTS
from benchmarks.environments import ROOT, default_cache, describe_interpreter, prepare
from benchmarks.scenarios import SCENARIOS
from benchmarks.server import Server
from benchmarks.session import Session, describe_machine, measure

ROUNDS = 3
RIVALS = ("repid", "taskiq stream", "saq", "streaq")
"""Each is the best at something; the others are in the full comparison."""
WITH_STATUS = ("saq", "streaq")
"""Those of them that can say by its id what became of a task, and push its result."""
GATHER = ("gather 100", "gather 1000")
CASES = {
    "drain": ("results", "no results"),
    "enqueue": (*GATHER, "bulk"),
    "latency": ("idle",),
    "idle": ("tuned",),
    "sqlite": ("out of the box", "drain"),
}
RELEASES = ROOT / "benchmarks" / "results" / "releases.json"


@dataclass(frozen=True)
class Figure:
    """One figure and its limit. A comparison is with the best rival."""

    what: str
    value: float
    limit: float
    kept: bool
    sign: str

    def line(self, released: float | None) -> str:
        """The figure as text, next to that of the last release."""
        before = "-" if released is None else f"{released:.3g}"
        mark = "ok  " if self.kept else "MISS"
        return f"{mark}  {self.what:<46} {self.value:>8.3g}  {self.sign} {self.limit:<6g} {before:>8}"


def figures(session: Session) -> list[Figure]:
    """The measured figures, with the promised limits."""

    def read(scenario: str, case: str, metric: str, contestant: str = "aqueue") -> float:
        value = session.median(scenario, case, contestant, metric)
        if value is None:
            raise SystemExit(f"no {metric} of {contestant} in {scenario}, {case}: {session.failures}")
        return value

    rate = "per_second"
    drain = read("drain", "results", rate)
    gather = max(read("enqueue", case, rate) for case in GATHER)
    best_gather = max(read("enqueue", case, rate, name) for case in GATHER for name in RIVALS)
    bytes_queued = min(read("drain", "results", "queued_bytes", name) for name in WITH_STATUS)
    p50 = read("latency", "idle", "p50_ms")
    best_p50 = min(read("latency", "idle", "p50_ms", name) for name in WITH_STATUS)
    sqlite = read("sqlite", "drain", rate, "aqueue sqlite")
    return [
        at_least(0.5, "drain with results, share of the floor", drain / read("drain", "results", rate, "floor")),
        at_least(15, "drain with results, times taskiq", drain / read("drain", "results", rate, "taskiq stream")),
        at_least(3, "drain with results, times repid without", drain / read("drain", "no results", rate, "repid")),
        at_most(20, "worker CPU, us a task", read("drain", "results", "worker_us")),
        at_most(0.05, "round trips a task", read("drain", "results", "reads")),
        at_most(1, "bytes a queued task, share of a rival's", read("drain", "results", "queued_bytes") / bytes_queued),
        at_least(5, "enqueue through gather, times a rival", gather / best_gather),
        at_least(
            5, "enqueue in bulk, times a rival", read("enqueue", "bulk", rate) / read("enqueue", "bulk", rate, "streaq")
        ),
        at_most(0.55, "latency p50, share of a rival's", p50 / best_p50),
        at_most(2, "latency p99, times p50", read("latency", "idle", "p99_ms") / p50),
        at_most(1, "round trips of an idle worker, a second", read("idle", "tuned", "reads")),
        at_least(
            10,
            "SQLite drain, times SqliteHuey as it comes",
            sqlite / read("sqlite", "out of the box", rate, "huey sqlite"),
        ),
    ]


def at_least(limit: float, what: str, value: float) -> Figure:
    """A figure that must not be lower than its limit."""
    return Figure(what, value, limit, value >= limit, ">=")


def at_most(limit: float, what: str, value: float) -> Figure:
    """A figure that must not be higher than its limit."""
    return Figure(what, value, limit, value <= limit, "<=")


def last_release() -> dict[str, float]:
    """The figures of the newest release that were recorded."""
    if not RELEASES.exists():
        return {}
    releases: dict[str, dict[str, float]] = json.loads(RELEASES.read_text())
    return list(releases.values())[-1]


def record(version: str, found: list[Figure]) -> None:
    """Keep the figures as those of `version`."""
    releases = json.loads(RELEASES.read_text()) if RELEASES.exists() else {}
    releases[version] = {figure.what: float(f"{figure.value:.4g}") for figure in found}
    RELEASES.write_text(json.dumps(releases, indent=1) + "\n")


def run(python: str) -> Session:
    """Measure what the figures need."""
    contestants = [each for each in CONTESTANTS if each.name in {"floor", "aqueue", *RIVALS} or each.store == "sqlite"]
    scenarios = [
        replace(SCENARIOS[name], cases=tuple(case for case in SCENARIOS[name].cases if case.name in cases))
        for name, cases in CASES.items()
    ]
    environments = {each.name: prepare(each, python, default_cache()) for each in contestants}
    with Server() as server:
        machine = describe_machine(server.version(), describe_interpreter(python), quick=True, runs=ROUNDS)
        session = Session(machine, {name: environment.versions for name, environment in environments.items()})
        measure(Bench(server, environments, quick=True), session, scenarios, contestants, ROUNDS)
    return session


def main() -> None:
    """Measure and compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quick", description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="interpreter for all contestants (default: this one)")
    parser.add_argument("--record", action="store_true", help="keep the figures as those of this version")
    options = parser.parse_args()
    session = run(options.python)
    found = figures(session)
    before = last_release()
    print(f"{'':<54} {'today':>6}  {'limit':<9} {'released':>8}")
    print(*(figure.line(before.get(figure.what)) for figure in found), sep="\n")
    if options.record:
        record(session.versions["aqueue"]["aqueue-tasks"], found)
    raise SystemExit(0 if all(figure.kept for figure in found) else 1)


if __name__ == "__main__":
    main()
