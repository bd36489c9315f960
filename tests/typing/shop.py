"""A small application as its users write it. Read by type checkers, never executed."""

from __future__ import annotations

import logging
import smtplib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from aqueue import RedisHuey, ResultTimeout, State, TaskException, TaskRun, TaskView, chord, crontab, group
from aqueue.signals import SIGNAL_ERROR, SIGNAL_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from aqueue import Call, ResultGroup, Task

huey = RedisHuey("shop", host="redis", password="secret", result_ttl=timedelta(days=1))
logger = logging.getLogger(__name__)


class Order(NamedTuple):
    number: int
    mail: str
    total: float


@huey.task(retries=5, retry_delay=10, retry_backoff=2, retry_on=(OSError, TimeoutError), timeout=30, queue="mails")
def send_mail(to: str, subject: str, *, body: str = "") -> bool:
    with smtplib.SMTP("localhost") as connection:
        connection.sendmail("shop@example.org", to, f"Subject: {subject}\n\n{body}")
    return True


@huey.task(pool="process", timeout=timedelta(minutes=5), priority=-10)
def render_invoice(order: Order) -> bytes:
    return f"{order.number}: {order.total:.2f}".encode()


@huey.task(context=True, settings={"team": "billing"})
async def bill(order: Order, task: TaskRun | None = None) -> float:
    if task is not None:
        await task.progress(1, 2, f"attempt {task.attempt}")
    return order.total


@huey.task
async def close_day(totals: list[float]) -> float:
    return sum(totals)


@huey.periodic_task(crontab(hour="3", minute="0"), misfire="skip", retries=2)
async def clean_up() -> None:
    async with huey.lock_task("clean-up", wait=5):
        logger.info("cleaning up")


@huey.signal(SIGNAL_ERROR, SIGNAL_TIMEOUT)
def alarm(signal: str, task: TaskView, error: BaseException | None = None) -> None:
    logger.error("%s of %s for %s: %r", signal, task.name, task.settings.get("team"), error)


async def place(order: Order) -> str:
    """What a web handler does."""
    result = await bill.enqueue(order)
    await send_mail.options(delay=60, priority=5, id=f"mail-{order.number}").enqueue(order.mail, "Your order")
    return result.id


async def look(task_id: str) -> dict[str, str]:
    result = huey.result(task_id)
    try:
        value = await result.get(timeout=5)
    except ResultTimeout:
        return {"state": await result.status()}
    except TaskException as error:
        return {"state": error.state, "error": str(error)}
    return {"state": State.DONE, "value": str(value)}


def place_in_a_view(order: Order) -> float:
    """What a view that cannot await does."""
    send_mail.enqueue_sync(order.mail, subject="Your order")
    return bill.enqueue_sync(order).get(timeout=10)


async def bill_all(orders: Sequence[Order]) -> float:
    bills: list[Call[float]] = [bill.s(order) for order in orders]
    totals: ResultGroup[float] = await huey.enqueue_many(bills)
    logger.info("%d bills, %.2f", len(totals), sum(await totals))
    await group([render_invoice.s(order) for order in orders]).enqueue()
    result = await chord(bills, close_day).enqueue()
    return await result.get(timeout=timedelta(minutes=1).total_seconds())


async def tomorrow(task: Task[[str, str], bool], to: str) -> datetime:
    """A helper that takes any task of a shape."""
    eta = datetime.now() + timedelta(days=1)
    await task.schedule((to, "A reminder"), eta=eta, priority=None)
    return eta


def urgent(function: Callable[[Order], Coroutine[None, None, float]]) -> Callable[[Order], object]:
    """A decorator of the shop's own."""
    return huey.task(queue="urgent", priority=100, retries=3)(function).enqueue
