"""`python -m benchmarks.quick`: the ratios that we promise ourselves, in three minutes.

Exits with 1 when one of them is missed, so that a machine can watch over them.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace

from benchmarks.bench import Bench
from benchmarks.contestants import CONTESTANTS
from benchmarks.environments import default_cache, describe_interpreter, prepare
from benchmarks.scenarios import SCENARIOS
from benchmarks.server import Server
from benchmarks.session import Session, describe_machine, measure

RIVALS = ("taskiq stream", "saq")
CASES = {"drain": "results", "enqueue": "gather 1000", "latency": "idle", "idle": "tuned"}


@dataclass(frozen=True)
class Budget:
    """One promise."""

    promise: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Whether the value is on the right side of the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{'ok  ' if self.kept else 'MISS'}  {self.promise:<62} {self.value:>8.2f}  {sign} {self.limit:g}"


def budgets(session: Session) -> list[Budget]:
    """What was measured, against what was promised."""

    def median(scenario: str, contestant: str, metric: str) -> float:
        value = session.median(scenario, CASES[scenario], contestant, metric)
        if value is None:
            raise SystemExit(f"no number: {session.failures}")
        return value

    drain = median("drain", "aqueue", "per_second")
    enqueue = median("enqueue", "aqueue", "per_second")
    best_enqueue = max(median("enqueue", rival, "per_second") for rival in RIVALS)
    best_latency = min(median("latency", rival, "p50_ms") for rival in RIVALS)
    return [
        Budget("drain with results, times taskiq-redis", drain / median("drain", RIVALS[0], "per_second"), 8, True),
        Budget("worker CPU, us per task", median("drain", "aqueue", "worker_us"), 35),
        Budget("round trips per task", median("drain", "aqueue", "reads"), 0.05),
        Budget("enqueue through gather, times the best rival", enqueue / best_enqueue, 3, True),
        Budget(
            "latency p50 of the best rival, times ours", best_latency / median("latency", "aqueue", "p50_ms"), 1, True
        ),
        Budget("round trips of an idle worker, per second", median("idle", "aqueue", "reads"), 1),
    ]


def main() -> None:
    """Measure and compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quick", description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="interpreter for all contestants (default: this one)")
    options = parser.parse_args()
    contestants = [each for each in CONTESTANTS if each.name in {"floor", "aqueue", *RIVALS}]
    scenarios = [
        replace(SCENARIOS[name], cases=tuple(each for each in SCENARIOS[name].cases if each.name == case))
        for name, case in CASES.items()
    ]
    environments = {each.name: prepare(each, options.python, default_cache()) for each in contestants}
    with Server() as server:
        session = Session(
            describe_machine(server.version(), describe_interpreter(options.python), quick=True, runs=3), {}
        )
        measure(Bench(server, environments, quick=True), session, scenarios, contestants, runs=3)
    share = session.median("drain", "results", "aqueue", "per_second")
    floor = session.median("drain", "results", "floor", "per_second")
    found = budgets(session)
    print(*found, sep="\n")
    if share and floor:
        print(f"      drain with results, share of the floor: {share / floor:.0%}")
    raise SystemExit(0 if all(budget.kept for budget in found) else 1)


if __name__ == "__main__":
    main()
