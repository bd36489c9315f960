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
    """A fresh interpreter that runs one call at a time. `is_idle` is True after a call has ended."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        # Nothing is sent here. The system closes it when the worker ends, in whatever way, and that ends the child.
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
        """Whether the child has ended by itself while it was idle."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def begin(self, target: Target, delivery: Delivery) -> None:
        """Let the child run the task at `target`; return when the body is about to start.

        Raises:
            ProcessDied: the child ended.
            ChildRaised: the task cannot be imported there.
        """
        self.is_idle = False
        await self._send(Request(target, delivery))
        await self._answer()

    async def finish(self, run: TaskRun) -> bytes:
        """Wait for the encoded value that the body returns, and pass its progress on through `run`.

        Raises:
            ProcessDied: the child ended.
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
        """Let the child end by itself, or kill it after a while."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.get_running_loop().sock_recv(self._socket, 1)
        except OSError:
            logger.debug("Child process %d does not end by itself", self.pid)
        finally:
            await self.kill()

    async def kill(self) -> int:
        """Kill the child with all that it started, wait until it is gone, and return its exit code.

        The code is negative for a signal. A child that has ended by itself keeps its exit code.
        """
        if self._end is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._end = asyncio.ensure_future(self._reap())
        # Shielded, because the caller may be cancelled again.
        return await asyncio.shield(self._end)

    async def _reap(self) -> int:
        # With a limiter of its own: the threads of a shared one may all be busy with tasks of the user.
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
        # If the child is gone, reading its answer shows that.
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self._socket, pack(message))

    def _close(self) -> None:
        self._socket.close()
        self._lifeline.close()


def _start(fd: int, lifeline: int) -> subprocess.Popen[bytes]:
    # A starting child cannot handle signals yet. Blocked ones are kept until it can.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        return subprocess.Popen(  # noqa: S603 - this interpreter
            _command(fd, lifeline),
            stdin=subprocess.DEVNULL,
            pass_fds=[fd, lifeline],
            # A Ctrl-C in the terminal is for the worker alone, and what a task starts can be killed with its child.
            process_group=0,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _command(fd: int, lifeline: int) -> list[str]:
    """The command line of a child that imports from the same path as this process."""
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
