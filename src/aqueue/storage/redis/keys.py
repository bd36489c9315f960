"""Every key and channel of a namespace: its name, its type, and its content.

All of them begin with the same hash tag, so that one script may touch any of them on a cluster. ``docs/redis-keys.md``
shows the tables below. Scripts get only the prefix of the namespace and derive the keys from it: see ``scripts``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# The number of the layout that the tables below describe, and the lowest number that a process may know and still use
# a namespace that has this layout. A change that an older process cannot live with raises both.
LAYOUT = 1
OLDEST_READER = 1

# The one consumer group of each stream.
GROUP = "workers"


class Key(NamedTuple):
    """What a key holds: its type as the command TYPE names it, and the meaning of its content."""

    type: str
    text: str


# By name, without the prefix of the namespace.
KEYS = {
    "layout": Key(
        "hash",
        "which `layout` the keys have, the `oldest_reader` (the lowest layout that a process may know and still use "
        "them), and the version of aqueue that wrote this (`written_by`)",
    ),
    "lanes": Key("set", "every lane, `<queue>:<priority>`, that ever held a task"),
    "stream:<lane>": Key(
        "stream",
        "the ready and running tasks of a lane: `i` id, `p` payload or, if that is above 16 KiB and so in the record, "
        "`z` its size, and for a task that was put back `b` deliveries of its earlier entries and `f` failures. The "
        "pending list of its group `workers` is the lease table",
    ),
    "due:<queue>": Key("zset", "ids of scheduled tasks by due instant, in ms of the server's clock"),
    "task:<id>": Key(
        "hash",
        "the record of a task: `e` its entry ('' while it is in no stream), `l` its lane (absent for `default:0`), `s` "
        "its state (may be absent while it is queued for the first time), `p` a payload above 16 KiB, `p` `b` `f` "
        "payload, deliveries and failures while it is scheduled, `r` result, `g` progress. Of a node of a workflow "
        "also `j` what it waits for, with `p`, and `n` which nodes wait for it; both begin with the instant of the "
        "push. Expires once the task has a verdict",
    ),
    "inbox:<id>": Key("hash", "the inputs that a waiting node has got so far, by position, and their `size`"),
    "watchers": Key(
        "hash",
        "by id of a task, the clients, other than the one that enqueued it, that wait for it. A verdict removes it",
    ),
    "revocations": Key(
        "zset",
        "the revocations, by the instant at which each ends: `ever <key>` or, for one task only, "
        "`once <key>`. The key is the id of a task, or `all <name>` for every task of that name",
    ),
    "to_cancel": Key("set", "ids of running tasks that were asked to stop. A verdict removes them"),
    "dead": Key("zset", "ids of dead letters, by the instant at which they expire"),
    "dead:<id>": Key(
        "hash",
        "a dead letter: `p` payload, `l` lane, `s` verdict, `r` error, `f` failures, `b` deliveries, `a` the instant "
        "at which the task died. Expires",
    ),
    "paused": Key(
        "hash",
        "each paused queue, or `*` for all; and for each lane that gives nothing out the id that its group had "
        "reached. The group stands at the end of all ids meanwhile",
    ),
    "schedules": Key("hash", "states of periodic schedules, by name"),
    "workers": Key("hash", "by consumer, when it last renewed its leases, and its description. For people only"),
    "leases": Key("zset", "consumers, by how long they are lent tasks for, in ms: idle time is held against that"),
    "reclaimer": Key(
        "hash",
        "since when leases can be trusted: `run` of the server, the `last` look for expired leases and when the next "
        "is `due`; and by the length of a lease in ms, since when time counts towards leases of that length",
    ),
    "values:<key>": Key("hash", "a value of the user: `v`. Expires if it has a time to live"),
    "answers:<token>": Key("hash", "the answer to a call that may be repeated: `a`, or `n` for nothing. Expires soon"),
    "locks": Key("zset", "names of locks and semaphores that are held, by the instant until which they are at most"),
    "locks:<name>": Key("zset", "the holders of a lock or semaphore, by the instant at which each lapses. Expires"),
    "fences": Key("hash", "the `last` fence"),
    "fences:<name>": Key("hash", "the fence of each holder; the field '' says that a client waits. Expires"),
    "rates:<ms>:<name>": Key("zset", "the calls that a rate limit per that many ms has admitted, by instant. Expires"),
}
CHANNELS = {
    "replies:<client>": "verdicts and progress of the tasks of one client",
    "control": "news for everybody: `due <ms>`, `freed <name>`, `cancel <id>`, `schedule <name>`, `lane <lane>`",
}


def type_of(name: str) -> str | None:
    """The type that the key `name`, without the prefix of the namespace, must have; None if aqueue has no such key."""
    return _TYPES.get(_family(name))


def _family(name: str) -> str:
    """The part of a name that all keys of one kind share: with the colon, if more follows."""
    head, colon, _ = name.partition(":")
    return head + colon


_TYPES = {_family(name): key.type for name, key in KEYS.items()}

# What scripts call ``key.<name>`` and ``prefix.<name>``.
SINGLE = frozenset(name for name in (*KEYS, *CHANNELS) if ":" not in name)
NAMED = frozenset(name.partition(":")[0] for name in (*KEYS, *CHANNELS) if ":" in name)


class Keys:
    """The keys of one namespace that are used outside of scripts."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.prefix = f"{{aq:{namespace}}}:"
        self.layout = f"{self.prefix}layout"
        self.lanes = f"{self.prefix}lanes"
        self.schedules = f"{self.prefix}schedules"
        self.revocations = f"{self.prefix}revocations"
        self.to_cancel = f"{self.prefix}to_cancel"
        self.dead = f"{self.prefix}dead"
        self.paused = f"{self.prefix}paused"
        self.workers = f"{self.prefix}workers"
        self.leases = f"{self.prefix}leases"
        self.control = f"{self.prefix}control"
        self.streams = f"{self.prefix}stream:"
        self.due = f"{self.prefix}due:"
        self.tasks = f"{self.prefix}task:"
        self.inboxes = f"{self.prefix}inbox:"
        self.dead_letters = f"{self.prefix}dead:"

    def stream(self, lane: str) -> str:
        return self.streams + lane

    def schedule(self, queue: str) -> str:
        return self.due + queue

    def value(self, key: str) -> str:
        return f"{self.prefix}values:{key}"

    def rate(self, name: str, per_ms: int) -> str:
        return f"{self.prefix}rates:{per_ms}:{name}"

    def replies(self, client: str) -> str:
        return f"{self.prefix}replies:{client}"


def lane_of(queue: str, priority: int) -> str:
    """The name of one queue at one priority; a queue's name has no colon."""
    return f"{queue}:{priority}"


def queue_of(lane: str) -> str:
    return lane.rpartition(":")[0]


def priority_of(lane: str) -> int:
    return int(lane.rpartition(":")[2] or 0)


class Lanes:
    """The lanes of a namespace, as last seen: the streams that a worker has to read, highest priority first."""

    def __init__(self, members: Iterable[bytes] = ()) -> None:
        self._known: frozenset[str] = frozenset()
        self._ordered: dict[tuple[str, ...], list[str]] = {}
        self.learn(members)

    def learn(self, members: Iterable[bytes]) -> None:
        """Take in the members of the set of lanes."""
        known = frozenset(member.decode() for member in members)
        if known != self._known:
            self._known = known
            self._ordered = {}

    def of(self, queues: Sequence[str]) -> list[str]:
        """The lanes of `queues`, highest priority first, equal ones in the order of `queues`."""
        asked = tuple(queues)
        ordered = self._ordered.get(asked)
        if ordered is None:
            # The default lane is read even while it is empty, so that a worker already waits for the very first task.
            lanes = {lane_of(queue, 0) for queue in asked} | {x for x in self._known if queue_of(x) in asked}
            ordered = sorted(lanes, key=lambda lane: (-priority_of(lane), asked.index(queue_of(lane))))
            self._ordered[asked] = ordered
        return ordered

    @property
    def queues(self) -> list[str]:
        """Every queue that has ever held a task."""
        return sorted({queue_of(lane) for lane in self._known})

    @property
    def all(self) -> list[str]:
        """Every lane that has ever held a task."""
        return sorted(self._known)
