"""The guide's tables and commands are those of the code."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import shlex
import socket
from typing import TYPE_CHECKING

import click
import pytest

from aqueue import Huey, ResultNotFound, signals
from aqueue.cli import commands as cli
from aqueue.cli.failures import CONFIGURATION, USAGE
from aqueue.tasks.options import TaskOptions

from .pages import PAGES, ROOT, blocks, name_of, rows, section
from .test_snippets import split

if TYPE_CHECKING:
    from pathlib import Path

    from ..servers import Server

GUIDE = ROOT / "docs/guide"


def test_the_table_of_options_is_complete() -> None:
    declared = [
        (f"`{item.name}`", f"`{item.default!r}`".replace("<class 'Exception'>", "Exception"))
        for item in dataclasses.fields(TaskOptions)
        if item.init
    ]
    assert [(name, default) for name, default, _ in rows(section(GUIDE / "tasks.md", "All options"))] == declared


def test_the_table_of_worker_options_is_complete() -> None:
    declared = [
        (f"`{option.opts[0]}`", f"`{option.envvar}`", shown_default(option))
        for option in cli.commands["worker"].params
        if isinstance(option, click.Option) and option.envvar
    ]
    assert [tuple(row[:3]) for row in rows(section(GUIDE / "worker.md", "Options"))] == declared


def test_the_table_of_signals_is_complete() -> None:
    declared = {f"`{name}`" for name in vars(signals) if name.startswith("SIGNAL_")}
    assert {name for name, _ in rows(section(GUIDE / "signals.md", "All signals"))} == declared


def shown_default(option: click.Option) -> str:
    return str(option.default) if isinstance(option.default, int | float | str) and not option.is_flag else ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_is_shown_exists(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in blocks(page):
        for settings, words, _ in split(block) if block.language == "console" else ():
            if words[0] == "aqueue":
                with monkeypatch.context() as environment:
                    for name, value in settings.items():
                        environment.setenv(name, value)
                    # Raises for what it does not know, and runs nothing.
                    cli.commands[words[1]].make_context(words[1], words[2:])


@pytest.mark.parametrize("language", ["ini", "dockerfile"])
def test_every_option_of_the_unit_and_of_the_image_exists(language: str) -> None:
    [text] = [block.text for block in blocks(GUIDE / "worker.md") if block.language == language]
    unit = [shlex.split(line) for line in re.findall(r"^ExecStart=\S+/(aqueue .*)$", text, re.MULTILINE)]
    image = [json.loads(words) for words in re.findall(r"CMD (\[.*\])$", text, re.MULTILINE)]
    assert len(unit + image) == (1 if language == "ini" else 2)
    for program, command, *words in unit + image:
        assert program == "aqueue"
        # Raises for what it does not know, and runs nothing.
        cli.commands[command].make_context(command, words)


def test_the_unit_does_not_restart_what_a_person_has_to_mend() -> None:
    [text] = [block.text for block in blocks(GUIDE / "worker.md") if block.language == "ini"]
    assert f"RestartPreventExitStatus={USAGE} {CONFIGURATION}\n" in text


async def test_the_rights_of_the_guide_are_enough(redis_server: Server) -> None:
    (rule,) = re.findall(r"^ACL SETUSER shop .*$", (GUIDE / "storage.md").read_text("utf-8"), re.MULTILINE)
    with socket.create_connection(("127.0.0.1", redis_server.port)) as connection:
        connection.sendall(rule.encode() + b"\r\n")
        assert connection.recv(100) == b"+OK\r\n"
    huey = Huey("shop", url=redis_server.url.replace("redis://", "redis://shop:secret@"))

    @huey.task(retries=1, retry_delay=0.01, queue="other", priority=5)
    async def second_try(task_id: str) -> str:
        if task_id not in tried:
            tried.append(task_id)
            raise ValueError(task_id)
        return task_id

    tried: list[str] = []
    async with huey, asyncio.TaskGroup() as group:
        worker = huey.create_worker()
        group.create_task(worker.run())
        later = await second_try.options(delay=0.01).enqueue("a")
        assert await (await second_try.map(["b", "c"])).get(timeout=30) == ["b", "c"]
        assert await later.get(timeout=30) == "a"
        assert [depth.queue for depth in await huey.queues.depths()] == ["other"]
        assert len(await huey.queues.workers()) == 1
        await worker.stop()
        async with huey.lock_task("lock"), huey.rate_limit("api", 1, 3600):
            assert await huey.flush_locks("lock", force=True) == {"lock"}
            await huey.rate_limit("api", 1, 3600).reset()
        await huey.put("key", 1, ttl=3600)
        assert await huey.incr("key") == await huey.get("key", pop=True) == 2
        assert not await huey.delete("key")
        assert await huey.result_count() == 3
        await huey.queues.pause("other")
        held = await second_try.enqueue("d")
        assert await huey.queues.purge("other") == 1
        assert await huey.queues.resume("other")
        with pytest.raises(ResultNotFound):
            await huey.dead.retry(held)
        assert await huey.queues.waiting() == await huey.dead.list() == []
        assert await huey.pending() == await huey.scheduled() == await huey.queues.running() == []
        assert (await huey.doctor()).is_healthy
        assert await huey.flush() == 4
