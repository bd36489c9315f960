"""A namespace says which layout its keys have, and a process that does not know it refuses to touch them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis

from aqueue import __version__
from aqueue.core.ids import new_token
from aqueue.core.message import Envelope
from aqueue.exceptions import ConfigurationError
from aqueue.storage.redis.keys import LAYOUT, OLDEST_READER
from aqueue.storage.redis.store import RedisStorage
from aqueue.testing.conformance.harness import pull

from .opened import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = {b"layout": b"%d" % LAYOUT, b"oldest_reader": b"%d" % OLDEST_READER, b"written_by": __version__.encode()}


@pytest.fixture
def namespace() -> str:
    return f"test-{new_token()}"


@pytest.fixture
def operator(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as server:
        yield server


def key(namespace: str) -> str:
    return f"{{aq:{namespace}}}:layout"


def keys(operator: redis.Redis, namespace: str) -> dict[bytes, Any]:
    """What stands in each key of the namespace."""
    return {name: operator.dump(name) for name in operator.scan_iter(f"{{aq:{namespace}}}:*")}


async def test_a_new_namespace_says_which_layout_it_has(redis_url: str, namespace: str, operator: redis.Redis) -> None:
    async with opened(redis_url, namespace):
        assert operator.hgetall(key(namespace)) == OURS


async def test_opening_costs_one_read_where_the_layout_is_known(redis_server: Any) -> None:
    def calls() -> dict[str, int]:
        stats: Any = operator.info("commandstats")
        return {name.removeprefix("cmdstat_"): facts["calls"] for name, facts in stats.items()}

    with redis.Redis.from_url(redis_server.url) as operator:
        async with opened(redis_server.url, "shop"):
            pass
        operator.config_resetstat()
        async with opened(redis_server.url, "shop"):
            made = calls()
    assert made["hmget"] == 1
    assert not {"eval", "evalsha", "hset"} & set(made)


@pytest.mark.parametrize("oldest_reader", [LAYOUT + 1, LAYOUT + 3])
async def test_a_layout_that_needs_a_later_version_is_refused_in_one_line_and_nothing_is_changed(
    redis_url: str, namespace: str, operator: redis.Redis, oldest_reader: int
) -> None:
    async with opened(redis_url, namespace) as storage:
        await storage.push([Envelope("task", b"")])
    later = {"layout": LAYOUT + 3, "oldest_reader": oldest_reader, "written_by": "9.1.0"}
    operator.hset(key(namespace), mapping=later)  # type: ignore[arg-type]
    before = keys(operator, namespace)
    with pytest.raises(ConfigurationError) as refused:
        await RedisStorage(redis_url, namespace).open()
    text = str(refused.value)
    assert "\n" not in text
    for fact in (repr(namespace), f"layout {LAYOUT + 3}", "9.1.0", f"layout {oldest_reader} or newer", __version__):
        assert fact in text
    assert f"knows layout {LAYOUT}: upgrade it" in text
    assert keys(operator, namespace) == before


async def test_a_later_layout_that_may_be_used_is_used_and_left_as_it_is(
    redis_url: str, namespace: str, operator: redis.Redis
) -> None:
    later = {b"layout": b"%d" % (LAYOUT + 1), b"oldest_reader": b"%d" % LAYOUT, b"written_by": b"9.1.0"}
    operator.hset(key(namespace), mapping=later)  # type: ignore[arg-type]
    async with opened(redis_url, namespace) as storage:
        assert await storage.push([Envelope("task", b"")]) == [True]
        assert len(await pull(storage, 1)) == 1
    assert operator.hgetall(key(namespace)) == later


async def test_an_older_layout_becomes_ours(redis_url: str, namespace: str, operator: redis.Redis) -> None:
    older = {"layout": LAYOUT - 1, "oldest_reader": LAYOUT - 1, "written_by": "0.0.1"}
    operator.hset(key(namespace), mapping=older)  # type: ignore[arg-type]
    async with opened(redis_url, namespace):
        assert operator.hgetall(key(namespace)) == OURS


@pytest.mark.parametrize("field", ["layout", "oldest_reader"])
async def test_a_damaged_note_is_refused_and_left_for_a_look(
    redis_url: str, namespace: str, operator: redis.Redis, field: str
) -> None:
    async with opened(redis_url, namespace):
        operator.hset(key(namespace), field, "one")
    with pytest.raises(ConfigurationError, match="does not say which layout"):
        await RedisStorage(redis_url, namespace).open()
    assert operator.hget(key(namespace), field) == b"one"


async def test_a_process_that_runs_goes_on_when_a_later_one_has_changed_the_layout(
    redis_url: str, namespace: str, operator: redis.Redis
) -> None:
    async with opened(redis_url, namespace) as storage:
        operator.hset(key(namespace), mapping={"layout": LAYOUT + 2, "oldest_reader": LAYOUT + 1})
        assert await storage.push([Envelope("task", b"")]) == [True]
        assert len(await pull(storage, 1)) == 1


async def test_the_note_outlives_a_flush(redis_url: str, namespace: str, operator: redis.Redis) -> None:
    async with opened(redis_url, namespace) as storage:
        await storage.push([Envelope("task", b"")])
        assert sum([step async for step in storage.admin.flush()]) == 1
        assert operator.hgetall(key(namespace)) == OURS


async def test_a_worker_writes_the_note_again_when_the_server_has_forgotten_it(
    redis_url: str, namespace: str, operator: redis.Redis
) -> None:
    async with opened(redis_url, namespace) as storage:
        await pull(storage, 1)
        operator.delete(*operator.scan_iter(f"{{aq:{namespace}}}:*"))
        await pull(storage, 1)
        assert operator.hgetall(key(namespace)) == OURS
