"""One child process, seen from the worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread

from ....exceptions import ProcessDied
from ...logs import logging_in_force
from .failure import ChildRaised
from .wire import HEADER, STOP_SIGNALS, Progressed, Raised, Request, Returned, pack, unpack

if TYPE_CHECKING:
    from ....core.message import Delivery
    from ....tasks.context import TaskRun
    from .target import Target
    from .wire import Answer

logger = logging.getLogger("aqueue.worker")

_STOP_SECONDS = 2.0


class ChildProcess:
    """A fresh interpreter that runs one call at a time. `is_idle` is True once it has finished a call."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        # Nothing is ever written here. When this process ends, in whatever way, it is closed, and that ends the child.
        self._lifeline, line = socket.socketpair()
        self._socket.setblocking(False)
        self._end: asyncio.Future[int] | None = None
        self.is_idle = False
        with theirs, line:
            try:
                self._process = _start(theirs.fileno(), line.fileno())
            except BaseException:
                self._close()
                raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_gone(self) -> bool:
        """Whether it has ended by itself while it was idle."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def begin(self, target: Target, delivery: Delivery) -> None:
        """Make it run the task at `target`. Returns when the body is about to start.

        Raises:
            ProcessDied: the process ended.
            ChildRaised: the process could not import the task.
        """
        self.is_idle = False
        await self._send(Request(target, delivery))
        await self._answer()

    async def finish(self, run: TaskRun) -> bytes:
        """Wait for the end of the body, and return its encoded value. Progress reports are passed to `run`.

        Raises:
            ProcessDied: the process ended.
            ChildRaised: the body raised.
        """
        while True:
            match await self._answer():
                case Progressed(progress):
                    await self._send(await run.progress(*progress))
                case Returned(value):
                    self.is_idle = True
                    return value

    async def stop(self) -> None:
        """Let it end by itself, and kill it if it does not."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.get_running_loop().sock_recv(self._socket, 1)
        except OSError:
            logger.debug("Child process %d does not end by itself; killing it", self.pid)
        finally:
            await self.kill()

    async def kill(self) -> int:
        """Kill it and the processes it has started, and wait for its end.

        Returns its exit code, which is negative for a signal. A process that has ended by itself keeps its exit code.
        """
        if self._end is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._end = asyncio.ensure_future(self._reap())
        # A caller that is cancelled while it waits here must not cancel the reaping.
        return await asyncio.shield(self._end)

    async def _reap(self) -> int:
        # With a limiter of its own: in the shared one, this could have to wait for threads of the user's tasks.
        code = await to_thread.run_sync(self._process.wait, limiter=CapacityLimiter(1))
        self._close()
        return code

    async def _answer(self) -> Answer:
        try:
            [size] = HEADER.unpack(await self._receive(HEADER.size))
            answer: Answer = unpack(await self._receive(size))
        except (EOFError, OSError):
            code = await self.kill()
            raise ProcessDied(f"child process {self.pid} {_ended(code)}") from None
        if isinstance(answer, Raised):
            self.is_idle = True
            raise ChildRaised(answer)
        return answer

    async def _receive(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        loop = asyncio.get_running_loop()
        while view:
            count = await loop.sock_recv_into(self._socket, view)
            if not count:
                raise EOFError
            view = view[count:]
        return data

    async def _send(self, message: Any) -> None:
        # If the child is gone, reading the answer finds that out.
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self._socket, pack(message))

    def _close(self) -> None:
        self._socket.close()
        self._lifeline.close()


def _start(fd: int, lifeline: int) -> subprocess.Popen[bytes]:
    # A child that is starting cannot handle signals yet. Blocked signals stay pending until it can.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        return subprocess.Popen(  # noqa: S603 - this interpreter
            _command(fd, lifeline),
            stdin=subprocess.DEVNULL,
            pass_fds=[fd, lifeline],
            # A Ctrl-C in the terminal must reach only the worker, and the processes that a task starts can be killed
            # together with its child.
            process_group=0,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _command(fd: int, lifeline: int) -> list[str]:
    """The command line of a child, which gets our import path."""
    path = [str(entry) for entry in sys.path]
    program = (
        f"import sys; sys.path[:] = {path!r}; "
        f"from aqueue.worker.execution.processes.child import main; main({fd}, {lifeline}, {logging_in_force()!r})"
    )
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *flags, "-c", program]


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    hint = "; the kernel does that when memory runs out" if code == -signal.SIGKILL else ""
    return f"was ended by signal {-code} ({signal.strsignal(-code)}){hint}"
