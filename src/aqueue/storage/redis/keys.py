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
    progress. It expires once the task has a verdict.
``{aq:ns}:l``, a set
    Levels, ``<queue>:<priority>``, that ever held a task.
``{aq:ns}:b``, a stream with one group
    The bell: an entry wakes a waiting reader, because a level was used for the first time.
``{aq:ns}:p``, a hash
    States of periodic schedules by name.
``{aq:ns}:n``, a hash
    Clients that asked to be told of a task which they did not enqueue, by id; a verdict removes it.
``{aq:ns}:e``, a hash
    Epoch of the reclaimers: ``run`` of the server, ``since``, ``last``.
``{aq:ns}:w``, a hash
    Workers by consumer: instant of the last sign of life, then their description. For people; no decision rests on it.
``{aq:ns}:r:<client>``, a channel
    What happens to the tasks of one client.
``{aq:ns}:c``, a channel
    Hints to workers: ``due <ms>``.
"""

from __future__ import annotations

GROUP = "w"


class Keys:
    """The keys of one namespace."""

    def __init__(self, namespace: str) -> None:
        tag = f"{{aq:{namespace}}}"
        self.stream_prefix = f"{tag}:s:"
        self.record_prefix = f"{tag}:t:"
        self.schedule_prefix = f"{tag}:d:"
        self.reply_prefix = f"{tag}:r:"
        self.levels = f"{tag}:l"
        self.bell = f"{tag}:b"
        self.schedules = f"{tag}:p"
        self.watchers = f"{tag}:n"
        self.epoch = f"{tag}:e"
        self.workers = f"{tag}:w"
        self.control = f"{tag}:c"

    def stream(self, level: str) -> str:
        return self.stream_prefix + level

    def schedule(self, queue: str) -> str:
        return self.schedule_prefix + queue

    def record(self, task_id: str) -> str:
        return self.record_prefix + task_id

    def reply(self, client: str) -> str:
        return self.reply_prefix + client


def level_of(queue: str, priority: int) -> str:
    """The name of one queue at one priority; a queue's name has no colon."""
    return f"{queue}:{priority}"


def queue_of(level: str) -> str:
    return level.rpartition(":")[0]


def priority_of(level: str) -> int:
    return int(level.rpartition(":")[2])
