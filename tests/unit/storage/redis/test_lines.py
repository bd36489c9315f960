"""Which commands travel together, and which travel apart."""

from __future__ import annotations

import redis

from aqueue.core.ids import new_token
from aqueue.core.message import Envelope
from aqueue.core.patience import APART_BYTES, FLIGHT_BYTES
from aqueue.storage.redis.packing import BATCH

from .opened import opened


def roles_of(namespace: str, url: str) -> set[str]:
    """The roles of the connections that the storage has."""
    with redis.Redis.from_url(url) as operator:
        names = [client["name"].split(":") for client in operator.client_list()]
    return {name[2] for name in names if name[:2] == ["aq", namespace]}


async def test_the_largest_flight_of_small_items_goes_with_the_other_commands(redis_url: str) -> None:
    namespace = f"test-{new_token()}"
    async with opened(redis_url, namespace) as storage:
        flight = [Envelope(new_token(), bytes(FLIGHT_BYTES // BATCH)) for _ in range(BATCH)]
        assert all(await storage.push(flight))
        assert roles_of(namespace, redis_url) == {"commands"}


async def test_what_is_larger_than_such_a_flight_has_a_line_of_its_own(redis_url: str) -> None:
    namespace = f"test-{new_token()}"
    async with opened(redis_url, namespace) as storage:
        assert all(await storage.push([Envelope("large", bytes(APART_BYTES))]))
        assert roles_of(namespace, redis_url) == {"commands", "freight"}
