"""The contestants: what to install, what each can do, and its caveats."""

from __future__ import annotations

from dataclasses import dataclass

ASYNC, RESULTS, BULK, DELAY, SYNC, DEFAULTS = "async", "results", "bulk", "delay", "sync", "defaults"
"""What a scenario may ask for: coroutine tasks, stored results, a bulk enqueue, due times, plain functions, and
settings it comes with that are not the ones it is measured with."""

MILLION = "million"
"""It queues a million tasks, and runs them, while one can wait for it."""

AS_IT_COMES = "as it comes"
"""The settings of a contestant that has no better ones than its defaults."""


@dataclass(frozen=True)
class Contestant:
    """One row of the tables."""

    name: str
    adapter: str
    """The module in `rivals/`."""
    requirements: tuple[str, ...]
    """For pip; "." is this checkout."""
    imports: str
    """The first line of a program that uses it."""
    features: frozenset[str]
    tuned: str
    """The settings of the measurement."""
    caveat: str
    """What its numbers do not say."""
    volume: float = 1.0
    """How many tasks it is given relative to the others: long enough to measure, short enough to wait for."""
    store: str = "redis"


AQUEUE = (".",)
HUEY = ("huey==3.5.4", "redis==8.1.0", "hiredis==3.5.0")
TASKIQ = ("taskiq==0.13.0", "taskiq-redis==1.2.4", "uvloop==0.23.0", "orjson==3.13.0", "hiredis==3.5.0")

CONTESTANTS = [
    Contestant(
        name="floor",
        adapter="floor",
        requirements=("hiredis==3.5.0", "orjson==3.13.0", "uvloop==0.23.0"),
        imports="import hiredis",
        features=frozenset({ASYNC, RESULTS, BULK, MILLION}),
        tuned="concurrency 200, batches of at most 500",
        caveat="not a library: the least that a queue with aqueue's bookkeeping can cost (see rivals/floor.py)",
        volume=20,
    ),
    Contestant(
        name="aqueue",
        adapter="aqueue",
        requirements=AQUEUE,
        imports="from aqueue import Huey",
        features=frozenset({ASYNC, RESULTS, BULK, DELAY, SYNC, MILLION}),
        tuned=AS_IT_COMES,
        caveat="at least once, one verdict per task; results expire after an hour",
        volume=10,
    ),
    Contestant(
        name="repid",
        adapter="repid",
        requirements=("repid[redis]==2.1.4", "typing_extensions", "uvloop==0.23.0", "orjson==3.13.0", "hiredis==3.5.0"),
        imports="from repid import RedisServer, Repid",
        features=frozenset({ASYNC, SYNC, DEFAULTS}),
        tuned="reads of 100, 50 tasks at a time, no timeout, no keep-alive, orjson, uvloop",
        caveat="no results, no delays; a crashed worker's tasks come back only if `claim_interval` is set (it is not);"
        " the stream is never trimmed, so memory grows with every task",
        volume=4,
    ),
    Contestant(
        name="taskiq stream",
        adapter="taskiq",
        requirements=TASKIQ,
        imports="from taskiq_redis import RedisStreamBroker",
        features=frozenset({ASYNC, RESULTS, SYNC, DEFAULTS}),
        tuned="200 tasks at a time, arguments not validated, orjson results, result polled every ms, uvloop",
        caveat="the stream is never trimmed; due tasks need a scheduler process of their own;"
        " a waiter polls every 200 ms unless told otherwise",
    ),
    Contestant(
        name="taskiq list",
        adapter="taskiq_list",
        requirements=TASKIQ,
        imports="from taskiq_redis import ListQueueBroker",
        features=frozenset({ASYNC, RESULTS, SYNC, DEFAULTS}),
        tuned="as taskiq stream",
        caveat="at most once: a crash loses the tasks in flight",
    ),
    Contestant(
        name="saq",
        adapter="saq",
        requirements=("saq[redis]==0.26.4", "typing_extensions", "uvloop==0.23.0", "orjson==3.13.0", "hiredis==3.5.0"),
        imports="from saq import Queue, Worker",
        features=frozenset({ASYNC, RESULTS, DELAY, SYNC, DEFAULTS}),
        tuned="16 jobs at a time, orjson, no job timeout, result by pub/sub, uvloop",
        caveat="one connection per concurrent job; due times in whole seconds; `apply` polls every 500 ms",
    ),
    Contestant(
        name="streaq",
        adapter="streaq",
        requirements=("streaq==7.2.0", "uvloop==0.23.0", "hiredis==3.5.0"),
        imports="from streaq import Worker",
        features=frozenset({ASYNC, RESULTS, BULK, DELAY, SYNC, DEFAULTS}),
        tuned="16 tasks at a time (as it comes), tasks not logged, uvloop",
        caveat="a waiter opens a subscription per result, which takes about 100 ms",
    ),
    Contestant(
        name="arq",
        adapter="arq",
        requirements=("arq==0.28.0", "uvloop==0.23.0", "hiredis==3.5.0"),
        imports="from arq import create_pool",
        features=frozenset({ASYNC, RESULTS, DELAY, DEFAULTS}),
        tuned="200 jobs at a time, queue and results polled every 10 ms, uvloop",
        caveat="as it comes it starts at most 10 jobs every 500 ms; in maintenance mode",
    ),
    Contestant(
        name="docket",
        adapter="docket",
        requirements=("pydocket==0.27.0", "uvloop==0.23.0", "hiredis==3.5.0"),
        imports="from docket import Docket",
        features=frozenset({ASYNC, RESULTS, BULK, DELAY, DEFAULTS}),
        tuned="100 tasks at a time, unbounded pool, slots looked at every 5 ms, uvloop",
        caveat="as it comes it sleeps 250 ms whenever all 10 slots are taken",
    ),
    Contestant(
        name="huey",
        adapter="huey",
        requirements=HUEY,
        imports="from huey import RedisHuey",
        features=frozenset({RESULTS, DELAY, SYNC, DEFAULTS}),
        tuned="2 threads; `notify_result` where a client waits",
        caveat="no asyncio; at most once; reading a result removes it",
    ),
    Contestant(
        name="dramatiq",
        adapter="dramatiq",
        requirements=("dramatiq==2.2.1", "redis==8.1.0", "hiredis==3.5.0"),
        imports="from dramatiq.brokers.redis import RedisBroker",
        features=frozenset({RESULTS, DELAY, SYNC, DEFAULTS}),
        tuned="2 threads, prefetch 100",
        caveat="threads, whatever the task; due tasks wait in the memory of a worker",
    ),
    Contestant(
        name="celery",
        adapter="celery",
        requirements=("celery[redis]==5.7.0", "hiredis==3.5.0"),
        imports="from celery import Celery",
        features=frozenset({RESULTS, DELAY, SYNC, DEFAULTS}),
        tuned="solo pool, prefetch of 100, no gossip, mingle or heartbeat",
        caveat="no asyncio; acknowledges before running, so a crash loses the tasks in flight;"
        " as it comes it forks a child per core",
    ),
    Contestant(
        name="rq",
        adapter="rq",
        requirements=("rq==2.12.0", "redis==8.1.0", "hiredis==3.5.0"),
        imports="from rq import Queue",
        features=frozenset({RESULTS, BULK, DELAY, SYNC, DEFAULTS}),
        tuned="SimpleWorker (no fork per job)",
        caveat="no asyncio; one job at a time; as it comes it forks for every job;"
        " a result is a stream of its own, 4 KB",
        volume=0.5,
    ),
    Contestant(
        name="aqueue sqlite",
        adapter="aqueue",
        requirements=AQUEUE,
        imports="from aqueue import Huey",
        features=frozenset({ASYNC, RESULTS, BULK, DELAY, SYNC}),
        tuned=AS_IT_COMES,
        caveat="one file, no server; WAL with `synchronous=NORMAL`",
        volume=5,
        store="sqlite",
    ),
    Contestant(
        name="huey sqlite",
        adapter="huey",
        requirements=HUEY,
        imports="from huey import SqliteHuey",
        features=frozenset({RESULTS, DELAY, SYNC, DEFAULTS}),
        tuned="2 threads, `fsync=False`",
        caveat="as huey; a waiter polls; with `synchronous=OFF` a power cut may damage the file",
        store="sqlite",
    ),
]
"""In the order of the tables.  Procrastinate is left out: it needs PostgreSQL."""
