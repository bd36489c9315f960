"""The program of a child process: it serves one request after the other until its worker stops it or ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import fcntl
import functools
import os
import select
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from ....exceptions import EncodeError
from ....tasks.context import TaskRun, set_current_task
from ....tasks.resources import is_sync_manager
from ....tasks.workflow.inputs import read_ready
from ...forks import leave_signals_in_forks
from ...logs import configure_logging
from .failure import told
from .target import find
from .wire import HEADER, STOP_SIGNALS, Begun, Progressed, Returned, pack, unpack

if TYPE_CHECKING:
    from types import FrameType

    from ....core.message import Delivery
    from ....tasks.task import Task
    from .wire import Raised, Request

_WATCH_MS = 1000


def main(fd: int, lifeline: int, logging: tuple[str, str, bool] | None) -> None:
    """Serve the requests that arrive at the socket `fd`, as long as a process holds the other end of `lifeline`."""
    if logging is not None:
        level, form, task_fields = logging
        configure_logging(level, form, task_fields=task_fields)
    _end_with(lifeline)
    _leave_signals_to_the_worker()
    connection = socket.socket(fileno=fd)
    # A process that a task starts would keep the socket open, and the worker would not notice when we end.
    connection.set_inheritable(False)
    os.register_at_fork(after_in_child=connection.close)
    # The worker may end while we answer.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        Child(connection).serve()


class Child:
    """The child's end of the connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._delivery: Delivery | None = None
        self._turn = threading.Lock()

    def serve(self) -> None:
        while (request := self._receive()) is not None:
            # In a context of its own: context variables that a task sets must not reach the next one.
            self._send(contextvars.copy_context().run(self._perform, request))

    def _perform(self, request: Request) -> Returned | Raised:
        self._delivery = request.delivery
        try:
            task = find(request.target)
            run = self._run_of(task, request.delivery)
            self._send(Begun())
            run.start_clock()
            value = _value(task, run)
        except BaseException as error:
            return told(error)
        finally:
            with self._turn:
                self._delivery = None
        try:
            return Returned(task._outbox.source.codec.encode_value(value, "result", run.id))
        except EncodeError as error:
            return told(error, final=True)

    def _run_of(self, task: Task[..., Any], delivery: Delivery) -> TaskRun:
        message, _ = read_ready(task._outbox.source.codec, delivery.id, delivery.payload)
        run = TaskRun(delivery, message, task.declared.changed(**(message.overrides or {})), self._report)
        set_current_task(run)
        return run

    async def _report(self, run: TaskRun, progress: list[Any]) -> bool:
        # This blocks the thread until the worker answers: the process has nothing else to do.
        with self._turn:
            # A thread that an earlier task left behind must not report into a later one.
            if run.delivery is not self._delivery:
                return False
            self._send(Progressed(progress))
            return bool(self._receive())

    def _send(self, message: Any) -> None:
        self._connection.sendall(pack(message))

    def _receive(self) -> Any:
        """The next message, or None if the worker has closed the connection."""
        header = self._read(HEADER.size)
        return unpack(self._read(*HEADER.unpack(header))) if header else None

    def _read(self, size: int) -> bytearray:
        """The next `size` bytes, or no bytes if the worker has closed the connection."""
        data = bytearray(size)
        view = memoryview(data)
        while view:
            count = self._connection.recv_into(view)
            if not count:
                return bytearray()
            view = view[count:]
        return data


def _value(task: Task[..., Any], run: TaskRun) -> Any:
    """Call the body of `task`, inside its resource."""
    function, resource = task.func, task._resource
    if task.declared.context:
        function = functools.partial(function, task=run)
    if resource is None:
        return function(*run.args, **run.kwargs)
    manager = resource.make()
    if is_sync_manager(manager):
        return resource.call_inside(manager, function, run.args, run.kwargs)
    # In a thread, so that the manager's event loop keeps running.
    in_thread = functools.partial(asyncio.to_thread, function)
    return asyncio.run(resource.await_inside(manager, in_thread, run.args, run.kwargs))


def _end_with(lifeline: int) -> None:
    """Kill this process, and those it has started, as soon as no process holds the other end of `lifeline`."""
    os.set_inheritable(lifeline, False)
    if sys.platform == "linux":
        # The kernel does it: C code in a task may hold the interpreter, and with it our thread, for ever.
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    worker = os.getppid()
    threading.Thread(target=_watch, args=(lifeline, worker), name="aqueue-lifeline", daemon=True).start()


def _watch(lifeline: int, worker: int) -> None:
    line = select.poll()
    line.register(lifeline, select.POLLIN)
    # A process that the worker has forked may hold the other end, too, so check whether the worker is still our parent.
    while not line.poll(_WATCH_MS) and os.getppid() == worker:
        pass
    os.killpg(0, signal.SIGKILL)


def _leave_signals_to_the_worker() -> None:
    """A supervisor may send them to all processes. We handle them: what we ignore, a task's programs ignore too."""
    before = {number: signal.signal(number, _ignore) for number in STOP_SIGNALS}
    leave_signals_in_forks(_ignore, before)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Handle a signal by doing nothing."""
