"""A worker process that ends when its parent process ends, in whatever way the parent ends.

Parent and child share a socket pair. The child writes to it when it is ready, and the parent writes each step of
stopping. Signals would not do: systemd, for example, sends them to both processes, and the child must not count a step
twice. If the parent ends, even by ``kill -9``, the child reads the end of the stream and stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .shutdown import Steps

OPTION = "--lifeline"

# How many seconds longer than its tasks a worker may take to stop before it is killed.
STOP_SLACK = 20.0

_READY = b"+"
_STEP = b"-"


class WorkerProcess:
    """A running ``aqueue worker``, seen from its parent."""

    def __init__(self, process: asyncio.subprocess.Process, line: socket.socket) -> None:
        self._process = process
        self._line = line

    @classmethod
    async def start(cls, arguments: Sequence[str], **settings: Any) -> WorkerProcess:
        """Start ``aqueue worker`` with `arguments`; `settings` are those of a subprocess."""
        line, theirs = socket.socketpair()
        line.setblocking(False)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "aqueue", "worker", *arguments, OPTION, str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # A Ctrl-C in the terminal must reach only the parent.
                process_group=0,
                **settings,
            )
        except BaseException:
            line.close()
            raise
        finally:
            theirs.close()
        return cls(process, line)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def is_ready(self) -> bool:
        """Wait until the worker is ready. Returns False if it ended before."""
        told = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(self._line, 1))
        ended = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait([told, ended], return_when=asyncio.FIRST_COMPLETED)
            return told.done() and told.exception() is None and told.result() == _READY
        finally:
            told.cancel()
            ended.cancel()

    async def wait(self) -> int:
        """Wait until it ends. Returns the exit code, or the negative number of the signal that killed it."""
        code = await self._process.wait()
        self._line.close()
        return code

    async def stop(self, patience: float) -> int:
        """Ask it to stop, and kill it if it still runs `patience` seconds later. Returns its exit code."""
        self.take_step()
        try:
            async with asyncio.timeout(patience):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()

    def take_step(self) -> None:
        """Take the next step of stopping (finish, interrupt, end). Works even before the worker is ready."""
        with contextlib.suppress(OSError):
            self._line.send(_STEP)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


class Lifeline:
    """The child's end, which it was given as the file descriptor `fd`.

    While the application is imported, a step or the end of the parent arrives as SIGTERM (on Linux; elsewhere it is
    noticed afterwards). No thread waits for it meanwhile, for what is imported may fork, or replace threads.
    """

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._fd = fd
        if sys.platform == "linux":
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGTERM)
            fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)

    def tell_ready(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._fd, _READY)

    def follow(self, steps: Steps, patience: float) -> None:
        """Take each step that the parent takes. When it ends, stop, and kill this process `patience` seconds later.

        This runs in a thread of its own, so a task that blocks the event loop does not block it.
        """
        if sys.platform == "linux":
            fcntl.fcntl(self._fd, fcntl.F_SETFL, fcntl.fcntl(self._fd, fcntl.F_GETFL) & ~os.O_ASYNC)
        threading.Thread(target=self._follow, args=(steps, patience), name="aqueue-lifeline", daemon=True).start()

    def _follow(self, steps: Steps, patience: float) -> None:
        taken = 0
        with contextlib.suppress(OSError):
            while os.read(self._fd, 1):
                taken += 1
                steps.take(taken)
        steps.take(max(taken, 1))
        time.sleep(patience)
        os.kill(os.getpid(), signal.SIGKILL)
