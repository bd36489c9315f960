"""An examination finds whatever a foreign hand has done to the keys, and nothing where there is nothing."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis

from aqueue.core.ids import new_token
from aqueue.core.lifecycle import Settlement, State
from aqueue.core.message import Envelope, Node
from aqueue.storage.redis.store import RedisStorage
from aqueue.testing.conformance.harness import keeper_of, pull, reclaim

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aqueue.core.message import Delivery

_HOUR_MS = 3_600_000


class Hand:
    """Somebody with redis-cli: names of keys are those of one namespace."""

    def __init__(self, url: str, tag: str) -> None:
        self.server = redis.Redis.from_url(url)
        self._tag = tag

    def key(self, name: str) -> str:
        return f"{self._tag}:{name}"

    def entry(self, task_id: str) -> str:
        """Where the record of a task says that it stands."""
        found: Any = self.server.hget(self.key(f"task:{task_id}"), "e")
        return str(found.decode())


@asynccontextmanager
async def inhabited(url: str) -> AsyncIterator[tuple[RedisStorage, Hand]]:
    """A namespace with a task in each place, and whoever will meddle with it."""
    namespace = f"test-{new_token()}"
    storage = RedisStorage(url, namespace)
    await storage.open()
    await storage.push([Envelope(name, b"payload", "q") for name in ("done", "dead", "lent")])
    done, dead, _ = await pull(storage, 3, queues=["q"])
    await storage.settle([_verdict(done, State.DONE), _verdict(dead, State.DEAD)._replace(dead_ttl_ms=_HOUR_MS)])
    await storage.push([Envelope("ready", b"payload", "q"), Envelope("later", b"payload", "q", 0, _HOUR_MS)])
    before, after = Envelope("before", b"", "q", 0, _HOUR_MS), Envelope("waiting", b"", "q")
    await storage.push_workflow([Node(before), Node(after, ("before",))])
    hand = Hand(url, f"{{aq:{namespace}}}")
    yield storage, hand
    hand.server.delete(*hand.server.scan_iter(hand.key("*")))
    hand.server.close()
    await storage.close()


def _verdict(delivery: Delivery, state: State) -> Settlement:
    return Settlement(delivery.receipt, delivery.id, state, b"", _HOUR_MS)


async def examined(storage: RedisStorage) -> tuple[int, list[tuple[str, str]]]:
    """How many tasks were looked at, and what was found: the word, and the task."""
    steps = [step async for step in storage.admin.examine()]
    findings = [finding for step in steps for finding in step.findings]
    assert all(finding.text and "\n" not in finding.text for finding in findings)
    return sum(step.tasks for step in steps), sorted((finding.what, finding.id) for finding in findings)


async def test_nothing_is_found_where_everything_is_in_its_place(redis_url: str) -> None:
    async with inhabited(redis_url) as (storage, _):
        assert await examined(storage) == (7, [])
        await storage.cancel("lent", b"", _HOUR_MS, "")
        await storage.admin.pause("q")
        await storage.shared.put("key", b"1", "token")
        await storage.shared.acquire("lock", "token", 1, _HOUR_MS)
        await storage.shared.spend("rate", "token", 5, _HOUR_MS, sliding=True)
        await storage.revoke("ready", 0, False, 0)
        await storage.records(["ready"], "watcher")
        keeper_of(storage).renew([], b"")
        await reclaim(storage, "one", 1, queues=["q"])
        assert await examined(storage) == (7, [])


async def test_a_task_that_is_put_back_in_line_by_its_dead_letter_is_in_its_place(redis_url: str) -> None:
    async with inhabited(redis_url) as (storage, _):
        assert await storage.admin.retry([("dead", None)]) == [True]
        assert await examined(storage) == (7, [])


async def test_a_long_line_is_examined_page_by_page(redis_url: str) -> None:
    async with inhabited(redis_url) as (storage, _):
        await storage.push([Envelope(f"t{n}", b"", "long") for n in range(250)])
        await storage.push([Envelope(f"s{n}", b"", "long", 0, _HOUR_MS) for n in range(250)])
        await pull(storage, 120, queues=["long"])
        assert await examined(storage) == (507, [])


MISDEEDS: dict[str, tuple[Callable[[Hand], Any], list[tuple[str, str]]]] = {
    "XDEL": (lambda hand: hand.server.xdel(hand.key("stream:q:0"), hand.entry("ready")), [("lost", "ready")]),
    "XDEL of what is lent": (
        lambda hand: hand.server.xdel(hand.key("stream:q:0"), hand.entry("lent")),
        [("empty", ""), ("lost", "lent")],
    ),
    "XTRIM": (
        lambda hand: hand.server.xtrim(hand.key("stream:q:0"), 0),
        [("empty", ""), ("lost", "lent"), ("lost", "ready")],
    ),
    "DEL of a stream": (
        lambda hand: hand.server.delete(hand.key("stream:q:0")),
        [("lost", "lent"), ("lost", "ready")],
    ),
    "DELCONSUMER": (
        lambda hand: hand.server.xgroup_delconsumer(hand.key("stream:q:0"), "workers", "one"),
        [("lost", "lent")],
    ),
    "XACK": (lambda hand: hand.server.xack(hand.key("stream:q:0"), "workers", hand.entry("lent")), [("lost", "lent")]),
    "SETID": (lambda hand: hand.server.xgroup_setid(hand.key("stream:q:0"), "workers", "$"), [("lost", "ready")]),
    "ZREM": (lambda hand: hand.server.zrem(hand.key("due:q"), "later"), [("lost", "later")]),
    "HDEL of a payload": (lambda hand: hand.server.hdel(hand.key("task:later"), "p"), [("lost", "later")]),
    "HDEL of what is waited for": (lambda hand: hand.server.hdel(hand.key("task:waiting"), "j"), [("lost", "waiting")]),
    "an entry of another task": (
        lambda hand: hand.server.hset(hand.key("task:ready"), "e", hand.entry("lent")),
        [("lost", "ready"), ("twice", "ready")],
    ),
    "DEL of a record": (lambda hand: hand.server.delete(hand.key("task:ready")), [("unknown", "ready")]),
    "DEL of the record of what is due later": (
        lambda hand: hand.server.delete(hand.key("task:later")),
        [("unknown", "later")],
    ),
    "HDEL of a place": (
        lambda hand: hand.server.hdel(hand.key("task:later"), "e"),
        [("damaged", "later"), ("unknown", "later")],
    ),
    "EXPIRE": (lambda hand: hand.server.expire(hand.key("task:ready"), 1000), [("vanishing", "ready")]),
    "PERSIST": (lambda hand: hand.server.persist(hand.key("task:done")), [("kept", "done")]),
    "XADD of a copy": (
        lambda hand: hand.server.xadd(hand.key("stream:q:0"), {"i": "ready", "p": "payload"}),
        [("twice", "ready")],
    ),
    "XADD of what has ended": (
        lambda hand: hand.server.xadd(hand.key("stream:q:0"), {"i": "done", "p": "payload"}),
        [("twice", "done")],
    ),
    "XADD of a stranger": (
        lambda hand: hand.server.xadd(hand.key("stream:q:0"), {"hello": "world"}),
        [("stranger", "")],
    ),
    "ZADD of what is in line": (
        lambda hand: hand.server.zadd(hand.key("due:q"), {"ready": 1}),
        [("twice", "ready")],
    ),
    "ZADD in another schedule": (
        lambda hand: hand.server.zadd(hand.key("due:mail"), {"later": 1}),
        [("twice", "later"), ("unread", "")],
    ),
    "SREM of a lane": (
        lambda hand: hand.server.srem(hand.key("lanes"), "q:0"),
        [("unread", ""), ("unread", "")],
    ),
    "SET over a record": (lambda hand: hand.server.set(hand.key("task:ready"), "x"), [("type", "")]),
    "SET over a stream": (
        lambda hand: hand.server.set(hand.key("stream:q:0"), "x"),
        [("lost", "lent"), ("lost", "ready"), ("type", "")],
    ),
    "a key of its own": (lambda hand: hand.server.set(hand.key("backup"), "x"), [("stranger", "")]),
    "HSET of an inbox": (lambda hand: hand.server.hset(hand.key("inbox:ready"), "0", "x"), [("leftover", "ready")]),
    "ZREM of a letter": (lambda hand: hand.server.zrem(hand.key("dead"), "dead"), [("leftover", "dead")]),
    "SADD of what has ended": (
        lambda hand: hand.server.sadd(hand.key("to_cancel"), "done", "nobody"),
        [("leftover", "done"), ("leftover", "nobody")],
    ),
}


@pytest.mark.parametrize("misdeed", MISDEEDS)
async def test_whatever_a_hand_has_done_is_found(redis_url: str, misdeed: str) -> None:
    meddle, expected = MISDEEDS[misdeed]
    async with inhabited(redis_url) as (storage, hand):
        meddle(hand)
        _, findings = await examined(storage)
        assert findings == expected
        # To look changes nothing.
        assert (await examined(storage))[1] == expected


async def test_a_paused_line_is_not_lost(redis_url: str) -> None:
    async with inhabited(redis_url) as (storage, hand):
        await storage.admin.pause("q")
        await storage.push([Envelope("new", b"", "q")])
        hand.server.xgroup_delconsumer(hand.key("stream:q:0"), "workers", "one")
        assert await examined(storage) == (8, [("lost", "lent")])
