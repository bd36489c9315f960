"""``aqueue demo``: a real worker process, a few thousand tasks, and their outcomes."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from urllib.parse import quote

import click

from ...parameters import count


@click.command()
@click.option("--url", help="Use this store.  [default: a SQLite file in a temporary directory]")
@click.option(
    "--tasks", type=count(50, 1_000_000), default=3000, show_default=True, metavar="NUMBER", help="Run NUMBER tasks."
)
def demo(url: str | None, tasks: int) -> None:
    """Watch a worker run a mixed load of tasks."""
    with tempfile.TemporaryDirectory(prefix="aqueue-demo-") as directory:
        # The demo's tasks belong to an ordinary application, which reads its store's URL from the environment.
        os.environ["AQUEUE_URL"] = url or f"sqlite:///{quote(directory)}/demo.db"
        from .show import show

        asyncio.run(show(tasks, Path(directory, "worker.log")))
