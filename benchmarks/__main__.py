"""`python -m benchmarks`: measure aqueue and its rivals on this machine and write a report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.contestants import CONTESTANTS
from benchmarks.environments import ROOT, default_cache, describe_interpreter, prepare
from benchmarks.report import write_report
from benchmarks.scenarios import SCENARIOS
from benchmarks.server import Server
from benchmarks.session import Session, describe_machine, measure


def parse() -> argparse.Namespace:
    """The command line."""
    names = ", ".join(each.name.replace(" ", "-") for each in CONTESTANTS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAMES", help=f"contestants, comma-separated: {names}")
    parser.add_argument("--scenarios", metavar="NAMES", help=f"comma-separated: {', '.join(SCENARIOS)}")
    parser.add_argument("--runs", type=int, default=3, help="rounds; the report shows medians (default 3)")
    parser.add_argument("--quick", action="store_true", help="a quarter of the tasks, half of the waiting")
    parser.add_argument("--python", default=sys.executable, help="interpreter for all contestants (default: this one)")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="directory for the report")
    parser.add_argument("--report", type=Path, metavar="JSON", help="measure nothing; write the report of this session")
    parser.add_argument("--against", type=Path, metavar="JSON", help="an earlier session: has it the same order?")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="directory for the environments")
    return parser.parse_args()


def chosen(names: str | None, known: list[str]) -> list[str]:
    """The names on the command line, checked; all of them when there are none."""
    if names is None:
        return known
    wanted = [name.strip() for name in names.split(",")]
    if unknown := set(wanted) - set(known):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    return [name for name in known if name in wanted]


def main() -> None:
    """Prepare, measure, report."""
    options = parse()
    earlier = Session.load(options.against) if options.against else None
    if options.report:
        print(write_report(Session.load(options.report), options.out, earlier).read_text())
        return
    by_name = {each.name.replace(" ", "-"): each for each in CONTESTANTS}
    contestants = [by_name[name] for name in chosen(options.only, list(by_name))]
    scenarios = [SCENARIOS[name] for name in chosen(options.scenarios, list(SCENARIOS))]
    stores = {scenario.store for scenario in scenarios}
    contestants = [each for each in contestants if each.store in stores]
    environments = {each.name: prepare(each, options.python, options.cache) for each in contestants}
    with Server() as server:
        machine = describe_machine(
            server.version(), describe_interpreter(options.python), quick=options.quick, runs=options.runs
        )
        session = Session(machine, {name: environment.versions for name, environment in environments.items()})
        bench = Bench(server, environments, quick=options.quick)
        try:
            measure(bench, session, scenarios, contestants, options.runs)
        except KeyboardInterrupt:
            print("interrupted; reporting what there is", file=sys.stderr)
    saved = session.save(options.out)
    report = write_report(session, options.out, earlier)
    print(report.read_text())
    print(f"saved {saved} and {report}", file=sys.stderr)


if __name__ == "__main__":
    main()
