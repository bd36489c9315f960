"""Locks and semaphores, as blocks, as decorators and in threads, on every store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from aqueue import Huey, MemoryHuey, Permit, QueueUnavailable, TaskException, TaskLockedException, TaskRun, current_task
from aqueue.client import permits
from aqueue.storage.protocol import WorkerInfo

from ...tour.running import running
from ..facts import until

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def huey() -> Huey:
    return MemoryHuey("shop")


# -- on every store


async def test_of_a_thousand_no_two_are_inside_at_once(huey_on_any_store: Huey) -> None:
    inside: list[int] = []
    fences: list[int] = []
    lock = huey_on_any_store.lock_task("lock", wait=120)

    async def enter(number: int) -> None:
        async with lock as permit:
            inside.append(number)
            fences.append(permit.fence)
            await asyncio.sleep(0)
            assert inside == [number]
            inside.remove(number)

    async with huey_on_any_store:
        await asyncio.gather(*(enter(number) for number in range(1000)))
        assert not await lock.is_locked()
    assert len(fences) == 1000
    assert fences == sorted(set(fences))


async def test_a_semaphore_has_room_for_as_many_as_it_says(huey_on_any_store: Huey) -> None:
    inside: set[int] = set()
    most = 0
    semaphore = huey_on_any_store.semaphore("room", 5, wait=60)
    full = asyncio.Barrier(5)

    async def enter(number: int) -> None:
        nonlocal most
        async with semaphore as permit:
            inside.add(number)
            most = max(most, len(inside))
            assert permit.is_held
            # Each five of them are inside together.
            await full.wait()
            inside.remove(number)

    async with huey_on_any_store:
        await asyncio.gather(*(enter(number) for number in range(50)))
        assert most == 5
        assert not await huey_on_any_store.is_locked("room")


async def test_a_release_wakes_the_waiter(huey_on_any_store: Huey, monkeypatch: pytest.MonkeyPatch) -> None:
    huey = huey_on_any_store
    # Nobody who waits asks again by itself within the life of this test.
    monkeypatch.setattr(permits, "_LONGEST_REFUSAL_MS", 3_600_000)
    elsewhere = huey if isinstance(huey, MemoryHuey) else Huey(huey.name, huey._url)
    async with huey, elsewhere:
        for _ in range(3):
            held = elsewhere.lock_task("lock", ttl=3600)
            await held.acquire()
            waiting = asyncio.create_task(huey.lock_task("lock", ttl=3600, wait=30).acquire())
            line = (await huey._parts.clients.open()).permits._lines
            await until(lambda line=line: "lock" in line)
            await until((await huey._parts.clients.open())._listening.is_set)
            await held.release()
            permit = await waiting
            assert permit.is_held
            await (await huey._parts.clients.open()).permits.give_back(permit)


async def test_a_plain_function_takes_a_lock_in_its_thread(huey_on_any_store: Huey) -> None:
    huey = huey_on_any_store
    inside: list[int] = []

    @huey.task(name="work")
    def work(number: int) -> int:
        with huey.lock_task("lock", wait=60) as permit:
            inside.append(number)
            assert inside == [number]
            inside.remove(number)
        return permit.fence

    async with running(huey):
        fences = await (await work.map(list(range(20)))).get(timeout=30)
    assert len(set(fences)) == 20


# -- one lock


async def test_a_lock_is_held_by_one_at_a_time(huey: Huey) -> None:
    mine, yours = huey.lock_task("lock"), huey.lock_task("lock")
    assert repr(mine) == "<TaskLock lock>"
    async with huey:
        async with mine as permit:
            assert isinstance(permit, Permit)
            assert permit.is_held
            assert await mine.is_locked()
            assert await huey.is_locked("lock")
            with pytest.raises(TaskLockedException, match=r"^unable to acquire lock lock$"):
                await yours.acquire()
            async with huey.lock_task("other"):
                pass
        assert not permit.is_held
        assert not await yours.is_locked()
        async with yours as later:
            assert later.fence > permit.fence


async def test_a_lock_is_released_whatever_happens_inside(huey: Huey) -> None:
    async with huey:
        with pytest.raises(ZeroDivisionError):
            async with huey.lock_task("lock"):
                _ = 1 / 0
        assert not await huey.is_locked("lock")
        inside = asyncio.Event()

        async def hold() -> None:
            async with huey.lock_task("lock"):
                inside.set()
                await asyncio.Event().wait()

        holder = asyncio.create_task(hold())
        await inside.wait()
        holder.cancel()
        await asyncio.wait([holder])
        assert not await huey.is_locked("lock")


async def test_what_is_acquired_is_released_once(huey: Huey) -> None:
    lock = huey.lock_task("lock")
    async with huey:
        assert await lock.release() is False
        permit = await lock.acquire()
        assert await lock.release() is True
        assert await lock.release() is False
        assert not permit.is_held


async def test_a_lock_that_was_lost_shows_it(huey: Huey) -> None:
    lock = huey.lock_task("lock", ttl=0.3)
    async with huey:
        permit = await lock.acquire()
        assert await huey.flush_locks("lock", force=True) == {"lock"}
        await huey.lock_task("lock").acquire()
        await until(lambda: not permit.is_held)
        assert await lock.release() is False
        assert await huey.is_locked("lock")


async def test_a_lock_may_be_left_elsewhere_than_it_was_entered(huey: Huey) -> None:
    """The two halves of an async fixture may run in two tasks."""
    lock = huey.lock_task("lock")
    async with huey:
        await asyncio.create_task(lock.acquire())
        assert await lock.release()
        await asyncio.create_task(lock.__aenter__())
        await asyncio.create_task(lock.__aexit__(None, None, None))
        assert not await lock.is_locked()


async def test_each_task_leaves_what_it_entered_itself(huey: Huey) -> None:
    semaphore = huey.semaphore("room", 2)
    async with huey:
        first_inside, second_inside = asyncio.Event(), asyncio.Event()
        held: list[Permit] = []

        async def first() -> None:
            async with semaphore as permit:
                held.append(permit)
                first_inside.set()
                await second_inside.wait()

        async def second() -> None:
            await first_inside.wait()
            async with semaphore as permit:
                held.append(permit)
                second_inside.set()
                await leaving
                assert permit.is_held

        leaving = asyncio.create_task(first())
        await second()
        assert [permit.is_held for permit in held] == [False, False]
        assert semaphore._entered == {}


async def test_a_store_that_is_gone_at_the_release_does_not_undo_what_ran(
    huey: Huey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(name: str, token: str) -> bool:
        raise QueueUnavailable("down")

    async with huey:
        async with huey.lock_task("lock", ttl=5):
            shared = (await huey._parts.clients.open()).storage.shared
            monkeypatch.setattr(shared, "release", unreachable)
        assert "Lock lock will be free within 5 s: down" in caplog.text


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda huey: huey.lock_task(""), ValueError, "the name of a lock must be text of 1 to 200 characters"),
        (lambda huey: huey.lock_task(5), TypeError, "the name of a lock must be a str, not 5"),
        (lambda huey: huey.lock_task("x", ttl=0), ValueError, "ttl must be at least 0.1 seconds, not 0"),
        (lambda huey: huey.lock_task("x", ttl="5"), TypeError, "ttl must be seconds"),
        (lambda huey: huey.lock_task("x", wait=-1), ValueError, "wait must be between 0 seconds and 10 years"),
        (lambda huey: huey.semaphore("x", 0), ValueError, "the value of a semaphore must be between 1 and 1000000"),
        (lambda huey: huey.semaphore("x", True), TypeError, "the value of a semaphore must be an int, not True"),
        (lambda huey: huey.lock_task("x")(5), TypeError, "a task must be a function, not 5"),
    ],
)
def test_a_lock_that_makes_no_sense_is_refused_at_once(
    huey: Huey, make: Callable[[Huey], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make(huey)


async def test_with_does_not_block_an_event_loop(huey: Huey) -> None:
    with pytest.raises(RuntimeError, match=r"a synchronous call would block this event loop"), huey.lock_task("lock"):
        pytest.fail("it was entered")


# -- tasks


def above(huey: Huey, function: Callable[..., Any]) -> Any:
    return huey.lock_task("lock")(huey.task(name="work", context=True)(function))


def below(huey: Huey, function: Callable[..., Any]) -> Any:
    return huey.task(name="work", context=True)(huey.lock_task("lock")(function))


@pytest.mark.parametrize("declare", [above, below])
@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_a_lock_decorates_tasks_of_both_kinds_from_above_and_below(
    huey: Huey, declare: Callable[..., Any], kind: str
) -> None:
    loop = asyncio.get_running_loop()

    async def coroutine(number: int, task: TaskRun) -> list[int]:
        assert await huey.is_locked("lock")
        return [number, task.attempt]

    def plain(number: int, task: TaskRun) -> list[int]:
        assert asyncio.run_coroutine_threadsafe(huey.is_locked("lock"), loop).result()
        return [number, task.attempt]

    work = declare(huey, coroutine if kind == "coroutine" else plain)
    assert work.is_coroutine == (kind == "coroutine")
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        await work.enqueue()
    async with running(huey):
        assert await (await work.enqueue(5)).get(timeout=20) == [5, 1]
        assert not await huey.is_locked("lock")
    if kind == "plain":
        huey.sync.close()


async def test_a_guarded_function_is_still_itself(huey: Huey) -> None:
    @huey.lock_task("lock")
    async def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    assert (add.__name__, add.__doc__) == ("add", "Add.")
    async with huey:
        assert await add(1, b=2) == 3
    with pytest.raises(TypeError, match="is a generator function"):
        huey.lock_task("lock")(lambda: (yield))


async def test_a_locked_task_without_retries_has_failed(huey: Huey) -> None:
    @huey.task(name="work")
    @huey.lock_task("lock")
    async def work() -> None:
        raise AssertionError("it was entered")

    async with running(huey), huey.lock_task("lock"):
        with pytest.raises(TaskException, match="unable to acquire lock lock") as caught:
            await (await work.enqueue()).get(timeout=20)
    assert (caught.value.state, caught.value.type) == ("failed", "TaskLockedException")


async def test_a_locked_task_with_retries_waits_before_each(huey: Huey) -> None:
    attempts = []

    @huey.task(name="work", retries=50, context=True)
    async def work(task: TaskRun) -> int:
        attempts.append(task.attempt)
        async with huey.lock_task("lock", ttl=1):
            return task.attempt

    async with running(huey):
        lock = huey.lock_task("lock", ttl=1)
        await lock.acquire()
        result = await work.enqueue()
        await until(lambda: len(attempts) == 1)
        [depth] = await huey.queues.depths()
        assert depth.ready == 0, "it is not in line again at once"
        await lock.release()
        assert await result.get(timeout=20) == len(attempts)


# -- the dead


async def test_a_token_says_in_which_worker_it_is_held(huey: Huey) -> None:
    @huey.task(name="work")
    async def work() -> list[str]:
        run = current_task()
        assert run is not None
        async with huey.lock_task("lock") as permit:
            return [permit.token.rpartition("/")[0], run.delivery.receipt.consumer]

    async with running(huey) as worker:
        assert await (await work.enqueue()).get(timeout=20) == [worker.consumer] * 2
        assert (await huey.lock_task("lock").acquire()).token.startswith("/")


async def test_only_what_the_dead_hold_is_flushed(huey: Huey) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    @huey.task(name="work")
    async def work() -> None:
        async with huey.lock_task("of a live worker"), huey.semaphore("shared", 3):
            entered.set()
            await leave.wait()

    async with running(huey):
        result = await work.enqueue()
        await entered.wait()
        shared = (await huey._parts.clients.open()).storage.shared
        for name in ("of a dead worker", "of another", "shared"):
            await shared.acquire(name, f"dead.1.worker/{name}", 3, 60_000)
        await huey.lock_task("of no worker").acquire()
        await until(huey.queues.workers)
        assert await huey.flush_locks("of another", "of nobody") == {"of another"}
        assert await huey.flush_locks() == {"of a dead worker", "shared"}
        left = sorted(holder.name for holder in await shared.holders())
        assert left == ["of a live worker", "of no worker", "shared"]
        assert await huey.flush_locks(force=True) == set(left)
        assert await shared.holders() == []
        leave.set()
        await result.get(timeout=20)


@pytest.mark.parametrize(
    ("description", "seen_ms", "is_flushed"),
    [
        (b'{"lease_ms": 30000}', 29_000, False),
        (b'{"lease_ms": 30000}', 31_000, True),
        (b'{"lease_ms": 600000}', 31_000, False),
        (b"{}", 10**9, False),
        (b'{"lease_ms": null}', 10**9, False),
        (b"not ours", 10**9, False),
        (b"[]", 10**9, False),
    ],
)
async def test_a_worker_is_dead_when_it_is_silent_for_longer_than_its_lease(
    huey: Huey, monkeypatch: pytest.MonkeyPatch, description: bytes, seen_ms: int, is_flushed: bool
) -> None:
    async def workers() -> list[WorkerInfo]:
        return [WorkerInfo("host.1.worker", description, seen_ms)]

    async with huey:
        storage = (await huey._parts.clients.open()).storage
        monkeypatch.setattr(storage, "workers", workers)
        await storage.shared.acquire("lock", "host.1.worker/1", 1, 60_000)
        assert await huey.flush_locks() == ({"lock"} if is_flushed else set())
