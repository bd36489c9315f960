"""Workers whose event loop is blocked: they say so, in time, and can be ended."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from ..servers import free_port
from .rig import LEASE, until

if TYPE_CHECKING:
    from .rig import Rig

_LONG = 60


async def stall(rig: Rig) -> dict[str, Any] | None:
    """What the one worker says about its event loop."""
    [worker] = await rig.huey.queues.workers()
    found: dict[str, Any] | None = json.loads(worker.description)["blocked"]
    return found


async def test_a_blocked_event_loop_is_named_in_the_log_and_in_the_list_of_workers(rig: Rig) -> None:
    worker = rig.start_worker(lease=600)
    result = await rig.enqueue("block", 6)
    await rig.started([result])

    async def named() -> bool:
        return "has been blocked" in worker.said and await stall(rig) is not None

    await until(named, "the name of the task that blocks the loop", seconds=2)
    found = await stall(rig)
    assert found is not None
    assert (found["task"], found["id"]) == ("block", result.id)
    assert found["where"].endswith(" in block")
    assert f"by the task block ({result.id})" in worker.said
    assert "time.sleep(seconds)" in worker.said
    [task] = await rig.huey.queues.running()
    assert task.note == "blocks the event loop"
    [warning] = (await rig.huey.doctor()).warnings
    assert "is blocked for" in warning
    assert result.id in warning
    assert await result.get(timeout=30) == 1
    await until(lambda: "turns again" in worker.said, "the end of the stall")

    async def cleared() -> bool:
        return await stall(rig) is None

    await until(cleared, "a sign of life without a stall", seconds=2)
    assert worker.said.count("has been blocked") == 1
    await rig.stop(worker)
    await rig.check_drained()


async def test_a_blocked_worker_ends_within_its_patience(rig: Rig) -> None:
    worker = rig.start_worker(shutdown_timeout=2)
    result = await rig.enqueue("block", _LONG)
    await rig.started([result])
    began = time.monotonic()
    worker.terminate()
    assert await worker.exit_code() == 143
    assert time.monotonic() - began < 5
    assert f"by the task block ({result.id})" in worker.said.partition("Ending: the time to stop is over")[2]


async def test_a_worker_ends_after_the_stall_timeout(rig: Rig) -> None:
    worker = rig.start_worker(stall_timeout=5)
    await rig.enqueue("block", _LONG)
    assert await worker.exit_code() == 1
    assert "in block" in worker.said.partition("Timeout (")[2]


async def test_c_code_that_holds_the_interpreter_cannot_outlast_the_stall_timeout(rig: Rig) -> None:
    worker = rig.start_worker(stall_timeout=5)
    await rig.enqueue("grip")
    assert await worker.exit_code() == 1
    assert "in grip" in worker.said.partition("Timeout (")[2]


async def get(port: int, path: str) -> tuple[int, str]:
    """The status and the text of an HTTP answer; 0 if nobody answers."""

    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    return await asyncio.to_thread(ask)


async def has_status(port: int, path: str, status: int) -> bool:
    return (await get(port, path))[0] == status


async def test_the_health_port_says_that_the_loop_is_blocked_while_it_is(rig: Rig) -> None:
    port = free_port()
    worker = rig.start_worker(health_port=port)
    await until(lambda: has_status(port, "/ready", 200), "a worker that is ready")
    assert await get(port, "/live") == (200, "ok\n")
    assert await get(port, "/else") == (404, "there are /live and /ready\n")
    result = await rig.enqueue("block", 4)
    await rig.started([result])
    await until(lambda: has_status(port, "/live", 503), "the answer of a worker that is blocked", seconds=2)
    _, text = await get(port, "/ready")
    assert text.startswith("the event loop is blocked since ")
    assert f"by the task block ({result.id})" in text
    await until(lambda: has_status(port, "/live", 200), "the answer of a worker that turns again")
    held = await rig.enqueue("hold", rig.gate())
    await rig.started([held])
    worker.terminate()
    await until(lambda: has_status(port, "/ready", 503), "the answer of a worker that stops")
    assert await get(port, "/ready") == (503, "the worker is stopping\n")
    assert await get(port, "/live") == (200, "ok\n")
    rig.open(rig.gate())
    assert await worker.exit_code() == 0


async def test_health_is_one_line_and_an_exit_code(rig: Rig) -> None:
    async def health(*words: str) -> tuple[int | None, str]:
        command = [sys.executable, "-m", "aqueue", "health", "--url", rig.url, "--name", rig.name, *words]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        text, _ = await process.communicate()
        return process.returncode, text.decode()

    assert await health() == (1, "unhealthy: the store knows no worker\n")
    worker = rig.start_worker()
    await rig.up(worker)
    await until(rig.huey.queues.workers, "the first heartbeat")
    [known] = await rig.huey.queues.workers()
    for words in ((), ("--this-host",), ("--worker", known.consumer), ("--queue", "default")):
        code, text = await health(*words)
        assert (code, text.count("\n")) == (0, 1)
        assert text.startswith(f"healthy: the worker {known.consumer} was seen ")
    assert await health("--queue", "mail") == (1, "unhealthy: the store knows no such worker\n")
    assert await health("--worker", known.consumer[:-1]) == (1, "unhealthy: the store knows no such worker\n")
    result = await rig.enqueue("block", _LONG)
    await rig.started([result])

    async def is_unhealthy() -> bool:
        code, text = await health()
        return code == 1 and f" by block ({result.id})" in text

    await until(is_unhealthy, "the health of a blocked worker")
    worker.kill()
    await until(lambda: silent(rig, LEASE), "the silence of the worker")
    code, text = await health()
    assert (code, "was last seen" in text) == (1, True)


async def silent(rig: Rig, seconds: float) -> bool:
    """Whether the one worker has given no sign of life for that long."""
    [known] = await rig.huey.queues.workers()
    return known.seen_ms > seconds * 1000


async def test_a_store_that_does_not_answer_is_unhealthy() -> None:
    port = free_port()
    command = [sys.executable, "-m", "aqueue", "health", "--url", f"redis://127.0.0.1:{port}/0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    text, _ = await process.communicate()
    assert process.returncode == 1
    assert text.decode().startswith("unhealthy: ")


async def test_a_health_port_that_is_taken_is_a_mistake_of_the_configuration(rig: Rig) -> None:
    with socket.create_server(("", 0)) as server:
        worker = rig.start_worker(health_port=server.getsockname()[1])
        assert await worker.exit_code() == 78
        assert "for health checks cannot be used: Address already in use" in worker.said
