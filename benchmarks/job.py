"""A job for a contestant: one JSON document on the command line of `python -m benchmarks.rivals`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Job:
    """One process of one measurement."""

    action: str
    """`work` runs a worker until it is killed; the others are client actions, see `rivals/actions.py`."""
    url: str
    """`redis://...` or `sqlite:///...`"""
    task: str = "add"
    """Which body of `rivals/bodies.py` runs."""
    results: bool = True
    """Whether results are stored."""
    awaited: bool = False
    """Whether a client will wait for the results: some contestants need a setting for a quick answer."""
    tuned: bool = True
    """The contestant's best settings, or the ones it comes with."""
    concurrency: int | None = None
    """Tasks at a time in one worker process; None leaves it to the contestant's settings."""
    tasks: int = 1
    """How many tasks the measurement is about."""
    width: int = 1
    """For `enqueue`: 1 is one call after the other, more is that many calls in one `gather`, 0 is the bulk API."""
    seconds: float = 60.0
    """Time limit of the action."""
    rate: float = 0.0
    """For `load`: tasks per second."""

    def dump(self) -> str:
        """The job as one word on a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Job:
        """The job again."""
        return cls(**json.loads(text))
