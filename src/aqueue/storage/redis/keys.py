"""Every key and channel of a namespace, and what stands in it.

All carry the same hash tag, so that one script may touch any of them on a cluster.

``{aq:ns}:s:<queue>:<priority>``, a stream with one group
    Ready and running tasks of one level: ``i`` id, ``p`` payload, and on a task that was put back ``b`` deliveries of
    its earlier entries and ``f`` failures so far. The group's pending list is the lease table.
``{aq:ns}:d:<queue>``, a sorted set
    Ids of scheduled tasks by due instant, in ms of the server's clock.
``{aq:ns}:t:<id>``, a hash
    The record of a task: ``e`` its entry ('' while scheduled), ``l`` its level (absent for default:0), ``s`` its state
    (absent while queued for the first time), ``p b f`` payload, base and failures while scheduled, ``r`` result, ``g``
    progress; of a node of a workflow ``j`` what it waits for, with ``p``, while it does, and ``n`` who waits for it,
    both behind the instant of the push. It expires once the task has a verdict.
``{aq:ns}:i:<id>``, a hash
    The inbox of a node that waits: what it got so far, by position, and the ``size`` of that.
``{aq:ns}:l``, a set
    Levels, ``<queue>:<priority>``, that ever held a task.
``{aq:ns}:b``, a stream with one group
    The bell: an entry wakes a waiting reader, because a level was used for the first time.
``{aq:ns}:p``, a hash
    States of periodic schedules by name.
``{aq:ns}:n``, a hash
    Clients that asked to be told of a task which they did not enqueue, by id; a verdict removes it.
``{aq:ns}:m``, a sorted set
    Marks of what must not start, by the instant at which they end: ``ever <key>`` or, for one task only,
    ``once <key>``, where the key is the id of a task, or ``all <name>`` for every task of that name.
``{aq:ns}:k``, a set
    Ids of lent tasks that were asked to stop. A verdict removes them here and above.
``{aq:ns}:e``, a hash
    Epoch of the reclaimers: ``run`` of the server, ``since``, ``last``.
``{aq:ns}:w``, a hash
    Workers by consumer: instant of the last sign of life, then their description. For people; no decision rests on it.
``{aq:ns}:v:<key>``, a hash
    One value of the user's: ``v``. It expires if it was given a time to live.
``{aq:ns}:a:<token>``, a hash
    The answer to a call that may be repeated: ``a``, or ``n`` where it is nothing. It expires soon.
``{aq:ns}:h:<name>``, a sorted set
    Holders of a lock or semaphore, by the instant at which they lapse. It expires when all of them have.
``{aq:ns}:f:<name>``, a hash
    Their fences; and, under '', that somebody waits. It expires with them.
``{aq:ns}:h``, a sorted set
    Names of locks and semaphores that are held, by the instant until which they are at most.
``{aq:ns}:f``, a hash
    The ``last`` fence.
``{aq:ns}:x:<ms>:<name>``, a sorted set
    Calls that a rate limit per so many ms has admitted, by instant. It expires with the last of them.
``{aq:ns}:r:<client>``, a channel
    What happens to the tasks of one client.
``{aq:ns}:c``, a channel
    Hints to everyone: ``due <ms>``, ``freed <name>``, ``cancel <id>``.
"""

from __future__ import annotations

GROUP = "w"


class Keys:
    """The keys of one namespace."""

    def __init__(self, namespace: str) -> None:
        tag = f"{{aq:{namespace}}}"
        self.stream_prefix = f"{tag}:s:"
        self.record_prefix = f"{tag}:t:"
        self.inbox_prefix = f"{tag}:i:"
        self.schedule_prefix = f"{tag}:d:"
        self.reply_prefix = f"{tag}:r:"
        self.levels = f"{tag}:l"
        self.bell = f"{tag}:b"
        self.schedules = f"{tag}:p"
        self.watchers = f"{tag}:n"
        self.marks = f"{tag}:m"
        self.to_cancel = f"{tag}:k"
        self.epoch = f"{tag}:e"
        self.workers = f"{tag}:w"
        self.value_prefix = f"{tag}:v:"
        self.answer_prefix = f"{tag}:a:"
        self.holders_prefix = f"{tag}:h:"
        self.fences_prefix = f"{tag}:f:"
        self.rate_prefix = f"{tag}:x:"
        self.held = f"{tag}:h"
        self.fence = f"{tag}:f"
        self.control = f"{tag}:c"

    def stream(self, level: str) -> str:
        return self.stream_prefix + level

    def schedule(self, queue: str) -> str:
        return self.schedule_prefix + queue

    def record(self, task_id: str) -> str:
        return self.record_prefix + task_id

    def reply(self, client: str) -> str:
        return self.reply_prefix + client

    def value(self, key: str) -> str:
        return self.value_prefix + key

    def answer(self, token: str) -> str:
        return self.answer_prefix + token

    def fences(self, name: str) -> str:
        return self.fences_prefix + name

    def rate(self, name: str, per_ms: int) -> str:
        return f"{self.rate_prefix}{per_ms}:{name}"


def level_of(queue: str, priority: int) -> str:
    """The name of one queue at one priority; a queue's name has no colon."""
    return f"{queue}:{priority}"


def queue_of(level: str) -> str:
    return level.rpartition(":")[0]


def priority_of(level: str) -> int:
    return int(level.rpartition(":")[2])
