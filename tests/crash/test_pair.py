"""The pair of servers itself: what one acknowledged the other has, whichever of them is the primary."""

from __future__ import annotations

import pytest
import redis

from ..servers import start_pair


def test_a_primary_hands_over_to_its_replica_and_back_without_closing_a_connection() -> None:
    first, second = start_pair()
    with redis.Redis.from_url(first.url) as one, redis.Redis.from_url(second.url) as other:
        try:
            one.set("key", "kept")
            connection = one.client_id()
            first.hand_over(second)
            assert other.get("key") == b"kept"
            with pytest.raises(redis.exceptions.ReadOnlyError):
                one.set("key", "refused")
            other.set("key", "changed")
            second.hand_over(first)
            assert one.get("key") == b"changed"
            assert one.client_id() == connection
        finally:
            first.remove()
            second.remove()
