"""A session: every case, every contestant, several rounds; the contestants take turns."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bench import FailedError

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.contestants import Contestant
    from benchmarks.scenarios.scenario import Case, Scenario


@dataclass
class Session:
    """What was measured, and on what."""

    machine: dict[str, Any]
    versions: dict[str, dict[str, str]]
    """Per contestant: what is installed in its environment."""
    readings: dict[str, dict[str, dict[str, list[dict[str, float]]]]] = field(default_factory=dict)
    """Scenario, case, contestant: the metrics of each round."""
    failures: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """Scenario, case, contestant: why there is no number."""

    def values(self, scenario: str, case: str, contestant: str, metric: str) -> list[float]:
        """One metric, each round's value; none when a round lacks it, as a percentile of too few samples."""
        rounds = self.readings.get(scenario, {}).get(case, {}).get(contestant, [])
        return [metrics[metric] for metrics in rounds] if all(metric in metrics for metrics in rounds) else []

    def median(self, scenario: str, case: str, contestant: str, metric: str) -> float | None:
        """One metric, the median over the rounds."""
        values = self.values(scenario, case, contestant, metric)
        return statistics.median(values) if values else None

    def save(self, directory: Path) -> Path:
        """Write it as one JSON file, named after the time of day."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.machine['date'].replace(':', '').replace(' ', 'T')}.json"
        path.write_text(json.dumps(asdict(self), indent=1))
        return path

    @classmethod
    def load(cls, path: Path) -> Session:
        """A session that was saved."""
        return cls(**json.loads(path.read_text()))


def describe_machine(server: str, python: str, *, quick: bool, runs: int) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": python,
        "server": server,
        "rounds": runs,
        "quick": quick,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def measure(
    bench: Bench, session: Session, scenarios: list[Scenario], contestants: list[Contestant], runs: int
) -> None:
    """Run all rounds; a contestant that fails a case is recorded and skips that case."""
    for number in range(runs):
        for scenario in scenarios:
            for case in scenario.cases:
                if case.once and number:
                    continue
                for contestant in contestants:
                    if contestant.store != scenario.store or not case.needs <= contestant.features:
                        continue
                    _measure_one(bench, session, scenario.name, case, contestant)


def _measure_one(bench: Bench, session: Session, scenario: str, case: Case, contestant: Contestant) -> None:
    failures = session.failures.setdefault(scenario, {}).setdefault(case.name, {})
    if contestant.name in failures:
        return
    began = time.monotonic()
    try:
        metrics = case.measure(bench, contestant)
    except FailedError as failure:
        failures[contestant.name] = outcome = str(failure)
    else:
        session.readings.setdefault(scenario, {}).setdefault(case.name, {}).setdefault(contestant.name, []).append(
            metrics
        )
        outcome = ", ".join(f"{metric} {value:,.4g}" for metric, value in metrics.items())
    took = time.monotonic() - began
    print(f"{scenario} / {case.name} / {contestant.name} ({took:.0f} s): {outcome}", file=sys.stderr)
