"""The main module imports the application and all tasks, so a worker that runs main:huey knows every task."""

from __future__ import annotations

import asyncio

from config import huey  # the application object
from tasks import add  # every module with tasks


async def main() -> None:
    async with huey:
        result = await add.enqueue(1, 2)
        print(f"1 + 2 = {await result.get(timeout=30)}")


if __name__ == "__main__":
    asyncio.run(main())
