"""Whoever does what a page says, gets what the page says.

A page is followed from top to bottom, in an empty directory:

* A Python block that is a file is written there and imported. Any other is a part of one session, as in
  ``python -m asyncio``: names last, ``await`` stands anywhere. Where it is awaited, a worker runs its tasks.
* What a block of the session prints must be what the comments behind its ``print`` say, if there are any.
* A command of a console block that runs a file of the page is run. A worker works until the end of the page. What
  stands below a command must be what it writes, where ``...`` stands for anything.
* The address of a Redis server in a page is that of a real one.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import Huey

from ..examples.processes import PROGRAMS, environment, program, run, running
from .pages import PAGES, blocks, name_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from ..servers import Server
    from .pages import Block

REDIS = "redis://localhost:6379/0"

_COMPARE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture
def redis(page: Path, request: pytest.FixtureRequest) -> str:
    """The server that `REDIS` stands for; without a page that names it there is none."""
    server: Server | None = request.getfixturevalue("redis_server") if REDIS in page.read_text("utf-8") else None
    return server.url if server else REDIS


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.language in {"python", "console"} for b in blocks(page))], ids=name_of
)
async def test_the_page_can_be_followed(
    page: Path, redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AQUEUE_URL", raising=False)
    with contextlib.ExitStack() as programs:
        async with Session(page) as session:
            for block in blocks(page):
                block = block._replace(text=block.text.replace(REDIS, redis))
                where = f"{name_of(page)}:{block.line}"
                if block.language == "console":
                    for settings, words, shown in split(block):
                        if concerns(words, tmp_path):
                            command, env = program(*words), environment(**settings)
                            await asyncio.to_thread(obey, command, env, shown, tmp_path, programs, where)
                elif block.language == "python" and block.file:
                    await asyncio.to_thread(keep, block.text, tmp_path / block.file)
                elif block.language == "python":
                    await session.run(block)


class Session:
    """The blocks of a page that are no files: one namespace in one event loop."""

    def __init__(self, page: Path) -> None:
        self._page = page
        self._namespace: dict[str, Any] = {"__name__": page.stem.replace("-", "_")}

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        for huey in self._applications():
            await huey.close()

    async def run(self, block: Block) -> None:
        """Execute a block; where it begins to await, workers begin to work, and they stop at its end."""
        statements = ast.parse("\n" * (block.line - 1) + block.text, str(self._page)).body
        first = next((index for index, statement in enumerate(statements) if _awaits(statement)), len(statements))
        with contextlib.redirect_stdout(io.StringIO()) as output:
            await self._execute(statements[:first])
            if statements[first:]:
                async with asyncio.timeout(30), self._working():
                    await self._execute(statements[first:])
        promised = re.findall(r"^ *print\(.*\)  # (.*)$", block.text, re.MULTILINE)
        if promised:
            compare("\n".join(promised) + "\n", output.getvalue(), f"{name_of(self._page)}:{block.line}")

    async def _execute(self, statements: list[ast.stmt]) -> None:
        module = ast.Module(statements, type_ignores=[])
        code = compile(module, str(self._page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        outcome = eval(code, self._namespace)
        if inspect.isawaitable(outcome):
            await outcome

    @contextlib.asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        workers = [huey.create_worker() for huey in self._applications() if not huey.immediate]
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker.run())
            yield
            for worker in workers:
                await worker.stop()

    def _applications(self) -> list[Huey]:
        return list({id(value): value for value in self._namespace.values() if isinstance(value, Huey)}.values())


def _awaits(statement: ast.stmt) -> bool:
    """Whether `statement` itself awaits something, and not just a function that it defines."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return False
    return any(isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)) for node in ast.walk(statement))


def keep(text: str, file: Path) -> None:
    """Write a file of the page, and see that it can be imported."""
    file.write_text(text, "utf-8")
    run(program("python", "-c", f"import {file.stem}"), file.parent, environment())


def split(block: Block) -> Iterator[tuple[dict[str, str], list[str], str]]:
    """The commands of a console block: variables, words, and what is shown below."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.replace("\\\n", " ").partition("\n")
        words = shlex.split(line, comments=True)
        settings = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
        yield settings, words[len(settings) :], shown


def concerns(words: list[str], directory: Path) -> bool:
    """Whether a command is about one of the files in `directory`."""
    names = {name for word in words[1:] for name in (word, f"{re.split('[:.]', word)[0]}.py")}
    return words[0] in PROGRAMS and any((directory / name).is_file() for name in names)


def obey(
    command: list[str],
    env: dict[str, str],
    shown: str,
    directory: Path,
    programs: contextlib.ExitStack,
    where: str,
) -> None:
    """Run `command`; a worker becomes one of the `programs` that go on."""
    if {"worker", "huey.bin.huey_consumer"}.intersection(command):
        programs.enter_context(working(command, directory, env, shown, where))
    else:
        compare(shown, run(command, directory, env), where)


@contextlib.contextmanager
def working(command: list[str], directory: Path, env: dict[str, str], shown: str, where: str) -> Iterator[None]:
    with running(command, directory, env) as worker:
        yield
    compare(shown, worker.said, where)


def compare(shown: str, said: str, where: str) -> None:
    alike = not shown.strip() or doctest.OutputChecker().check_output(shown, said, _COMPARE)
    assert alike, f"{where} shows\n{shown}\nand this was written:\n{said}"
