"""The scenarios, in the order of the report."""

from benchmarks.scenarios import backlog, drain, enqueue, idle, latency, processes, schedule, sleep, sqlite, startup

SCENARIOS = {
    module.SCENARIO.name: module.SCENARIO
    for module in (drain, enqueue, latency, sleep, processes, backlog, schedule, idle, startup, sqlite)
}
