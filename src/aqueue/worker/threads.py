"""Whether this process has the threads that a worker needs."""

from __future__ import annotations

import _thread
import queue

from ..exceptions import ConfigurationError

_REPLACERS = {"gevent", "eventlet"}


def check_threads() -> None:
    """Refuse to start a worker in a process without real threads.

    Raises:
        ConfigurationError: a library has replaced threads by greenlets, which cannot run while the event loop waits.
    """
    for needed in (_thread.start_new_thread, queue.SimpleQueue):
        replacer = (needed.__module__ or "").partition(".")[0]
        if replacer in _REPLACERS:
            raise ConfigurationError(
                f"{replacer} has replaced the threads of Python, and a worker needs them: do not patch (patch_all, "
                "monkey_patch) in its process; what enqueues tasks may"
            )
