"""How long aqueue waits for a store, and how many bytes it moves at a time.

Time means that *nothing moves*. A call takes as long as its bytes take on the line, so no call has a number of seconds
for its size; a connection on which a reply is due ends when no byte has moved in either direction for
``STILL_SECONDS``. And what comes behind a call waits for it. So whatever leaves in batches leaves in *flights*, which
are bounded in bytes as well as in number, and *freight* travels apart from what is small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_Item = TypeVar("_Item")

# -- seconds, on a line to a server

# For a connection, until the server has introduced itself. A server that is up answers in milliseconds; a packet that
# is lost on the way to it is sent again after one second and after three.
CONNECT_SECONDS: Final = 5.0

# For a reply, while no byte moves. Longer than any script of aqueue takes, and than the kernel takes to send a lost
# packet again a few times. Where the kernel does not count bytes (Unix sockets, and systems other than Linux) it is the
# time for the whole reply.
STILL_SECONDS: Final = 5.0

# How often the counters of the kernel are read while a reply is due. Most replies are there before the first time.
GLANCE_SECONDS: Final = 1.0

# For a call, while nothing moves: it is repeated for this long, and then the caller learns of the outage. A restart or
# a failover of a server takes less.
PATIENCE_SECONDS: Final = 5.0

# A call that moves and is never answered, because each connection breaks in the middle of it, is repeated this often.
MOST_BROKEN: Final = 3

# Between two tries, doubling from the first to the longest, times a random number below one: a thousand clients of one
# restarted server must not come back in step. With the longest, a new primary is followed within two seconds.
FIRST_WAIT_SECONDS: Final = 0.05
LONGEST_WAIT_SECONDS: Final = 1.0

# How often a process that only listens asks whether the server still is the primary.
WATCH_SECONDS: Final = 1.0

# A connection of events that was silent for this long is asked for a sign of life. A half-open one would stay silent.
SILENCE_SECONDS: Final = 10.0

# For the kernel: it probes a peer that is silent, and gives up on data that is not acknowledged, after a longer time
# than any above. So it ends only connections that nobody uses.
KEEPALIVE_SECONDS: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5}
KEEPALIVE_PROBES: Final = 3
UNACKNOWLEDGED_SECONDS: Final = 20

# How often a busy reader looks for lanes that are new. An idle one is woken by a message.
LANES_SECONDS: Final = 0.5

# Between two calls that end the wait of a reader: the first may have overtaken the command that waits.
UNBLOCK_SECONDS: Final = 0.01

# -- seconds, on a file

# For a file that is being set up by another process.
SETUP_SECONDS: Final = 5.0

# For the lock of a file. SQLite's own wait for it sleeps longer and longer, so that one busy process starves the
# others. Many short waits are fair; together they take about as long as the patience with a server.
LOCK_WAIT_MS: Final = 5
LOCK_ATTEMPTS: Final = 1000

# How long one transaction goes on with further calls. Everybody waits for the lock, so it is given up well before the
# patience of other processes ends, however large the calls are.
TURN_SECONDS: Final = 0.1

# How often a file is looked at for commits of other processes while a caller waits: the net below the wake-up calls.
FILE_LOOK_SECONDS: Final = 1.0

# Between two tries to listen for the wake-up calls of other processes.
RELISTEN_SECONDS: Final = 1.0

# -- bytes

# The bytes of one flight: a fraction of a second on a slow line, and enough to keep a fast one busy.
FLIGHT_BYTES: Final = 2**20

# What is larger than this does not share a flight with others.
FREIGHT_BYTES: Final = 2**18

# A larger command, or one with a larger reply, goes over a connection of its own. A flight of several items is smaller,
# with everything that stands beside their content.
APART_BYTES: Final = FLIGHT_BYTES + FREIGHT_BYTES

# A larger payload is not lent with its task: the worker loads it when it has room. So what a store lends in one step is
# small, however large the payloads are.
MOST_LENT_BYTES: Final = 2**14


def next_flight(items: Sequence[_Item], start: int, most: int, content: Callable[[_Item], bytes]) -> Sequence[_Item]:
    """The part of `items` from `start` that leaves together: at most `most` of them, at least one.

    If they are more than one, the bytes that `content` gives for them are at most ``FLIGHT_BYTES`` together.
    """
    flight = items[start : start + most]
    if sum(map(len, map(content, flight))) <= FLIGHT_BYTES:
        return flight
    size = 0
    for position, item in enumerate(flight):
        size += len(content(item))
        if size > FLIGHT_BYTES:
            return flight[: max(position, 1)]
    return flight


def flights(items: Sequence[_Item], content: Callable[[_Item], bytes]) -> Iterator[Sequence[_Item]]:
    """All of `items`, in order, cut into parts that ``next_flight`` gives."""
    start = 0
    while start < len(items):
        flight = next_flight(items, start, len(items), content)
        yield flight
        start += len(flight)
