"""The types that an editor shows. Read by a type checker, never executed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, assert_type

from aqueue import (
    SKIPPED,
    AsyncTask,
    CancelExecution,
    Chord,
    ChordResult,
    DeadLetter,
    Diagnosis,
    Error,
    Huey,
    JSONSerializer,
    MemoryHuey,
    Permit,
    PickleSerializer,
    Pipeline,
    Progress,
    RateLimit,
    RedisHuey,
    Result,
    ResultGroup,
    ResultInfo,
    ScheduleInfo,
    SqliteHuey,
    State,
    Step,
    SyncResult,
    SyncTask,
    Task,
    TaskException,
    TaskInfo,
    TaskLock,
    TaskRun,
    TaskView,
    chord,
    cron,
    crontab,
    current_task,
    every,
    group,
)
from aqueue.signals import SIGNAL_COMPLETE, SIGNAL_ERROR
from aqueue.testing import virtual_clock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


huey = Huey("shop", result_ttl=timedelta(hours=1))
applications: list[Huey] = [RedisHuey("a", host="b", port=1), SqliteHuey("a", filename="b"), MemoryHuey("a")]
applications.append(Huey("a", serializer=JSONSerializer(keys=["key"], compress_from=1024)))
applications.append(Huey("a", serializer=PickleSerializer(keys=(b"new", b"old"))))


@huey.task
async def add(a: int, b: int) -> int:
    return a + b


@huey.task(retries=3, retry_delay=timedelta(seconds=1), timeout=5, queue="mails", results=True)
async def greet(name: str, *, loud: bool = False) -> str:
    return name.upper() if loud else name


@huey.task
def subtract(a: int, b: int) -> int:
    return a - b


@huey.task()
def log(*lines: str, **fields: int) -> None: ...


of_a_coroutine: AsyncTask[..., int] = add
of_a_function: SyncTask[..., int] = subtract
of_either: list[Task[..., int]] = [add, subtract]
assert_type(add.name, str)


class Connection: ...


@asynccontextmanager
async def connect() -> AsyncGenerator[Connection]:
    yield Connection()


@huey.context_task(connect)
async def inside(order: int) -> float:
    return order / 2


@huey.context_task(connect, as_argument=True)
async def given(connection: Connection, order: int) -> float:
    return order / 2


@huey.context_task(connect, True, name="given-too", retries=3)
def given_too(connection: Connection, order: int) -> float:
    return order / 2


@huey.task(context=True)
async def attempt(number: int, task: TaskRun | None = None) -> bool:
    return task is not None and task.attempt == number


@huey.periodic_task(
    crontab(minute="*/5"), misfire="all", window=timedelta(hours=1), overlap="queue", jitter=5, queue="q"
)
async def sweep(room: str = "hall") -> int:
    return len(room)


@huey.periodic_task(cron("0 3 * * *", tz="Europe/Berlin"), name="nightly")
def nightly() -> None: ...


@huey.periodic_task(lambda moment: moment.day == 1)
async def monthly() -> None: ...


async def is_business_day(moment: datetime) -> bool:
    return moment.weekday() < 5


@huey.periodic_task(is_business_day)
async def daily() -> None: ...


async def scheduling() -> None:
    assert_type(await sweep("attic"), int)
    assert_type(await sweep.enqueue("attic"), Result[int])
    assert_type(await nightly.enqueue(), Result[None])
    assert_type(crontab.daily(hour=3)(datetime(2026, 1, 1)), bool)
    for schedule in await huey.schedules.list():
        assert_type(schedule, ScheduleInfo)
        assert_type((schedule.name, schedule.paused, schedule.next), tuple[str, bool, datetime | None])
    await huey.schedules.add("mine", every(minutes=5), greet.s("me"), overlap="parallel")
    assert_type(await huey.schedules.run("mine"), Result[Any])
    assert_type(await huey.schedules.remove("mine"), bool)


async def calling() -> None:
    assert_type(await add(1, 2), int)
    assert_type(subtract(1, 2), int)
    assert_type(await add.call_local(1, b=2), int)
    assert_type(subtract.call_local(1, 2), int)
    assert_type(await greet("me", loud=True), str)
    assert_type(await attempt(1), bool)


async def enqueueing() -> None:
    assert_type(await add.enqueue(1, 2), Result[int])
    assert_type(await subtract.enqueue(1, b=2), Result[int])
    assert_type(await greet.enqueue("me", loud=True), Result[str])
    assert_type(await log.enqueue("a", "b", c=3), Result[None])
    assert_type(await inside.enqueue(5), Result[float])
    assert_type(await given.enqueue(5), Result[float])
    assert_type(await given_too.enqueue(5), Result[float])
    assert_type(await attempt.enqueue(1), Result[bool])


async def enqueueing_later() -> None:
    assert_type(await add.options(delay=5, priority=10, id="mine").enqueue(1, 2), Result[int])
    assert_type(await add.options(eta=datetime(2026, 1, 1)).s(1, 2).enqueue(), Result[int])
    assert_type(await add.schedule((1, 2), delay=timedelta(minutes=1)), Result[int])
    eta = datetime(2026, 1, 1)
    assert_type(await add.schedule(args=(1,), kwargs={"b": 2}, eta=eta, convert_utc=False), Result[int])
    assert_type(await huey.enqueue(greet.s("me")), Result[str])


async def enqueueing_many() -> None:
    assert_type(await add.map([(1, 2), (3, 4)]), ResultGroup[int])
    assert_type(await huey.enqueue_many([add.s(1, 2), subtract.s(3, 4)]), ResultGroup[int])
    assert_type(await huey.enqueue_many(greet.s(name) for name in "abc"), ResultGroup[str])


async def composing() -> None:
    assert_type(add.s(1, 2).then(greet), Pipeline[str])
    assert_type(await add.s(1, 2).then(greet).then(subtract.options(delay=1), 2).enqueue(), ResultGroup[Any])
    assert_type(await add.s(1, 2).error(greet, loud=True).enqueue(), Result[int])
    assert_type(await huey.enqueue(add.s(1, 2).error(greet)), Result[int])
    assert_type(await huey.enqueue(add.s(1, 2).then(add, 3)), ResultGroup[Any])
    assert_type(await group([add.s(1, 2), greet.s("me")]).enqueue(), ResultGroup[Any])
    assert_type(group([add.s(1, 2)]).then(greet, "me"), Chord[str])
    assert_type(await (await chord([add.s(1, 2)], greet, on_failure="fail_fast").enqueue()), str)
    assert_type(await huey.enqueue(chord([add.s(1, 2)], greet).then(add, 1)), ChordResult[str])
    first = add.s(1, 2)
    assert_type(greet.after(first).s(loud=True), Step[str])
    assert_type(await greet.options(priority=1).after(first, on_failure="collect").enqueue(), Result[str])


def judging(results: list[Any]) -> list[dict[str, Any]]:
    return [result.metadata for result in results if result is not SKIPPED and isinstance(result, Error)]


async def getting(result: Result[int], group: ResultGroup[str]) -> None:
    assert_type(await result, int)
    assert_type(await result.get(timeout=5), int)
    assert_type(await result.get(blocking=True), int)
    assert_type(await result.get(blocking=False), int | None)
    assert_type(await result.get_raw_result(timeout=5), int | Error | None)
    assert_type(await result.status(), State)
    assert_type(await result.is_ready(), bool)
    assert_type((result.id, result.created), tuple[str, bool])
    assert_type(huey.result("mine"), Result[Any])
    assert_type(await group, list[str])
    assert_type(await group.get(timeout=5), list[str])
    assert_type(group[0], Result[str])
    assert_type(len(group), int)
    assert_type([handle.id for handle in group], list[str])
    async for member in group.as_completed(timeout=5):
        assert_type(await member, str)
    async for progress in result.progress():
        assert_type(progress, Progress)


@huey.lock_task("above", wait=timedelta(seconds=5))
@huey.task
async def guarded(a: int) -> str:
    return str(a)


@huey.task
@huey.semaphore("below", 2)
@huey.rate_limit("api", 10, 60, sliding=True)
def guarded_in_a_thread(a: int) -> str:
    return str(a)


async def sharing() -> None:
    assert_type(await guarded.enqueue(1), Result[str])
    assert_type(await guarded(1), str)
    assert_type(guarded_in_a_thread(1), str)
    lock, limit = huey.lock_task("lock", 60), huey.rate_limit("api", 1, timedelta(hours=1))
    assert_type(lock, TaskLock)
    assert_type(limit, RateLimit)
    async with lock as permit, limit as nothing:
        assert_type(permit, Permit)
        assert_type((permit.is_held, permit.fence), tuple[bool, int])
        assert_type(nothing, None)
    with huey.semaphore("room", 5, wait=1) as permit:
        assert_type(permit, Permit)
    assert_type(await lock.release(), bool)
    assert_type(await huey.flush_locks("lock", force=True), set[str])
    assert_type(await limit.current_usage(), int)
    assert_type(await huey.put_if_empty("key", {"any": "value"}, ttl=5), bool)
    assert_type(await huey.get("key", pop=True), Any)
    assert_type(await huey.incr("key"), int)
    assert_type(huey.sync.run(huey.delete("key")), bool)


async def stopping() -> None:
    result = await add.enqueue(1, 2)
    assert_type(await result.revoke(), None)
    assert_type(await result.restore(), bool)
    assert_type(await result.cancel(), bool)
    assert_type(await result.reschedule(delay=5, priority=3), Result[int])
    assert_type(await result.get(timeout=5, revoke_on_timeout=True), int)
    await add.revoke(revoke_once=True)
    assert_type(await add.is_revoked(), bool)
    await huey.revoke(result.id)
    await huey.revoke_all(add, datetime.now())
    assert_type(await huey.is_revoked(add), bool)
    assert_type(await huey.cancel(result), bool)


async def looking() -> None:
    for task in [*await huey.pending(), *await huey.scheduled(10), *await huey.queues.running(None, queue="mails")]:
        assert_type(task, TaskInfo)
        assert_type((task.id, task.state, task.name), tuple[str, State, str])
        assert_type((task.since, task.due), tuple[datetime | None, datetime | None])
    assert_type(await huey.all_results(limit=10), list[ResultInfo])
    assert_type(await huey.pending_count(queue="mails") + await huey.result_count(), int)
    for letter in await huey.dead.list(10, queue="mails"):
        assert_type(letter, DeadLetter)
        assert_type((letter.died, letter.metadata), tuple[datetime, dict[str, Any]])
        assert_type(await huey.dead.retry(letter), Result[Any])
    assert_type(await huey.dead.get("id"), DeadLetter | None)
    assert_type(await huey.dead.drop("id"), bool)
    assert_type((await huey.queues.pause("mails"), await huey.queues.resume()), tuple[bool, bool])
    assert_type(await huey.queues.paused(), set[str])
    assert_type(await huey.doctor(), Diagnosis)
    assert_type(await huey.queues.purge("mails") + await huey.flush(), int)


def without_an_event_loop() -> None:
    assert_type(add.enqueue_sync(1, 2), SyncResult[int])
    assert_type(add.enqueue_sync(1, 2).get(timeout=5), int)
    assert_type(huey.sync.enqueue(greet.s("me")), SyncResult[str])
    assert_type(add.enqueue_sync(1, 2).reschedule(delay=60), SyncResult[int])
    assert_type(huey.sync.enqueue_many([add.s(1, 2)]), list[SyncResult[int]])
    assert_type(huey.sync.enqueue(add.s(1, 2).then(greet)), list[SyncResult[Any]])
    assert_type(huey.sync.enqueue(chord([add.s(1, 2)], greet)).get(timeout=5), str)


@huey.on_startup()
async def start() -> None: ...


@huey.on_shutdown("by name")
def stop() -> None: ...


@huey.pre_execute()
def before(task: TaskRun) -> None:
    assert_type((task.id, task.name, task.attempt, task.retries), tuple[str, str, int, int])
    raise CancelExecution("not today", retry=False)


@huey.post_execute()
async def after(task: TaskRun, value: Any, exception: BaseException | None) -> None:
    if isinstance(exception, TaskException):
        assert_type(exception.state, str)


@huey.pre_enqueue()
def before_it_is_sent(task: TaskView) -> None:
    assert_type((task.id, task.name, task.queue, task.priority), tuple[str, str, str, int])
    assert_type((task.retries, task.retry_delay, task.timeout), tuple[int, float, float | None])
    assert_type(task.expires, datetime | None)
    assert_type(task.settings, Mapping[str, Any])


@huey.signal()
def note(signal: str, task: TaskView, *arguments: Any) -> None: ...


@huey.signal(SIGNAL_COMPLETE, SIGNAL_ERROR)
async def note_the_end(signal: str, task: TaskRun, error: BaseException | None = None) -> None: ...


async def in_a_task() -> None:
    run = current_task()
    assert_type(run, TaskRun | None)
    if run is not None:
        assert_type(await run.progress(1, 10, "started"), bool)
        assert_type(run.progress_sync(1, 10, "started"), bool)


async def lifetime() -> None:
    # The decorators give handlers back unchanged.
    await start()
    stop()
    assert_type(huey.disconnect_signal(note_the_end, SIGNAL_ERROR), None)
    async with huey as application:
        assert_type(application, Huey)
        worker = application.create_worker(concurrency=10, queues=["mails"])
        await worker.run()
        await worker.stop()
    huey.immediate = not huey.immediate
    async with virtual_clock(huey) as clock:
        assert_type(clock.now(), datetime)
        assert_type(await clock.advance(timedelta(minutes=1)), None)
    async with MemoryHuey("shop", immediate=True, raise_exceptions=True) as memory:
        assert_type(memory, MemoryHuey)
