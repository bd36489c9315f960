from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aqueue.cli import main
from aqueue.core.ids import new_token

from .shell import Ran, Shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Here = Callable[..., Ran]

# Tasks of every temper. Files are how a test and a task in another process meet.
APP = """
import asyncio
import os
import pathlib
import time

from aqueue import Huey

huey = Huey(os.environ.get("SHOP", "shop"))


@huey.task
async def add(a, b=10):
    return a + b


@huey.task(retries=1)
async def fail():
    raise ValueError("no stock")


@huey.task(queue="mail")
async def mail(to):
    return to


@huey.task
async def hold(name):
    pathlib.Path(name).touch()
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.01)
    return "let go"


@huey.task
async def resist(name):
    pathlib.Path(name).touch()
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass


@huey.task
async def freeze(name):
    pathlib.Path(name).touch()
    time.sleep(600)


@huey.task
def block(name):
    pathlib.Path(name).touch()
    time.sleep(600)


@huey.task
async def block_in_a_thread_of_its_own(name):
    await asyncio.to_thread(block.func, name)
"""


@pytest.fixture
def shell() -> Iterator[Shell]:
    """A directory with the module ``app`` and commands in it; the store is a SQLite file.

    The path is short, so that the sockets beside the file fit into an address and go with the directory.
    """
    with tempfile.TemporaryDirectory() as directory:
        shell = Shell(Path(directory))
        shell.write("app.py", APP)
        yield shell
        shell.close()


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, shell: Shell) -> Shell:
    """The shell, with a store of its own of each kind."""
    if request.param == "redis":
        shell.env = {"AQUEUE_URL": request.getfixturevalue("redis_url"), "SHOP": f"shop-{new_token()}"}
    return shell


@pytest.fixture
def here(shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Runs a command in this process, which is ten times as quick, in the directory of `shell`."""
    before = set(sys.modules)
    monkeypatch.chdir(shell.directory)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in os.environ if name.startswith("AQUEUE_")]:
        monkeypatch.delenv(name)

    def run(*words: str, **env: str) -> Ran:
        with monkeypatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main(words)
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, *capsys.readouterr())

    yield run
    for name in set(sys.modules) - before:
        if not name.startswith("aqueue"):
            del sys.modules[name]
