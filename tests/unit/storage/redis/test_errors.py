"""Error replies as servers send them, sorted by what to do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio.connection import Connection

from aqueue.storage.redis.connections.errors import is_wrong_server, unavailable, will_pass

if TYPE_CHECKING:
    from redis.exceptions import RedisError

# Redis 6.2 says what a script met in the middle of a longer line.
WRONG = [
    "READONLY You can't write against a read only replica.",
    "READONLY You can't write against a read only replica. script: 1a2b, on @user_script:17.",
    "ERR Error running script (call to f_1a2b): @user_script:17: @user_script: 17: -READONLY You can't write",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "NOREPLICAS Not enough good replicas to write.",
    "MOVED 3999 127.0.0.1:6381",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
]
PASSING = [
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
]
LASTING = [
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "NOPERM this user has no permissions to run the 'xdel' command",
    "BUSYGROUP Consumer Group name already exists",
    "NOGROUP No such key",
    "ERR unknown command 'READONLY'",
]


def parsed(text: str) -> RedisError:
    """The error that the client library makes of a reply."""
    error: RedisError = Connection()._parser.parse_error(text)
    return error


@pytest.mark.parametrize("text", WRONG)
def test_a_server_that_is_not_the_primary_is_left(text: str) -> None:
    assert is_wrong_server(parsed(text))
    assert will_pass(parsed(text))


@pytest.mark.parametrize("text", PASSING)
def test_a_server_that_is_not_ready_is_waited_for(text: str) -> None:
    assert not is_wrong_server(parsed(text))
    assert will_pass(parsed(text))


@pytest.mark.parametrize("text", LASTING)
def test_every_other_refusal_is_final(text: str) -> None:
    assert not is_wrong_server(parsed(text))
    assert not will_pass(parsed(text))


@pytest.mark.parametrize("text", [*WRONG, *PASSING, *LASTING])
def test_the_caller_is_told_what_the_server_said(text: str) -> None:
    code, _, rest = text.partition(" ")
    said = str(unavailable("redis://host:6379/0", parsed(text)))
    assert rest in said
    if code in {"READONLY", "MOVED"}:
        assert text in said
