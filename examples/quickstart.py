"""Declare a task, send it, await its result. Start a worker in another terminal: aqueue worker quickstart:huey"""

from __future__ import annotations

import asyncio

from aqueue import Huey

huey = Huey(
    "quickstart"
)  # AQUEUE_URL names the store; without it, the store is the file quickstart.db in this directory


@huey.task(retries=3, retry_delay=1)
async def add(a: int, b: int) -> int:
    return a + b


async def main() -> None:
    async with huey:
        result = await add.enqueue(1, 2)
        print("1 + 2 =", await result.get(timeout=30))
        sums = await add.map([(1, 1), (2, 2), (3, 3)])
        print("and so on:", await sums.get(timeout=30))


if __name__ == "__main__":
    asyncio.run(main())
