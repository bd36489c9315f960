"""``aqueue demo``: a real worker process, a few thousand tasks, and what came of them."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from urllib.parse import quote

import click

from ...parameters import count


@click.command()
@click.option("--url", help="Run it on this store.  [default: a SQLite file in a temporary directory]")
@click.option("--tasks", type=count(50, 1_000_000), default=3000, show_default=True, metavar="NUMBER", help="How many.")
def demo(url: str | None, tasks: int) -> None:
    """Watch a worker run a mixed load of tasks."""
    with tempfile.TemporaryDirectory(prefix="aqueue-demo-") as directory:
        # The tasks are declared as in any application, which finds its store in the environment.
        os.environ["AQUEUE_URL"] = url or f"sqlite:///{quote(directory)}/demo.db"
        from .show import show

        asyncio.run(show(tasks, Path(directory, "worker.log")))
