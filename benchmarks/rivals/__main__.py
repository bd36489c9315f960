"""`python -m benchmarks.rivals NAME JOB`: run one process of a contestant; it speaks one JSON document per line.

A client action prints its numbers and ends.  A worker first prints how to tell that its tasks are settled, and then
answers every line on its standard input with the CPU seconds and the resident bytes that it uses, until it is killed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.job import Job
from benchmarks.rivals.actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Coroutine


def main(name: str, text: str) -> None:
    """Do the job."""
    job = Job.load(text)
    adapter = importlib.import_module(f"benchmarks.rivals.{name}").Contestant(job)
    if job.action == "work":
        say({"settled": adapter.settled()})
        threading.Thread(target=answer, daemon=True).start()
        adapter.work()
    else:
        say(run(ACTIONS[job.action](adapter)))


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine, on uvloop where the contestant brings it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def answer() -> None:
    """Answer the harness."""
    for _ in questions:
        say({"pid": os.getpid(), "cpu": time.process_time(), "rss": resident()})


def resident() -> int:
    """Resident memory of this process in bytes; the highest so far where the system does not tell the present one."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def say(document: dict[str, Any]) -> None:
    """One line for the harness."""
    print(json.dumps(document), file=answers, flush=True)


questions, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.dup2(2, 1)  # output of a contestant must not get between the lines
main(*sys.argv[1:])
