"""When a failed task runs again: the retry policy, and the arithmetic of its waits."""

from random import Random
from typing import NamedTuple


class RetryPolicy(NamedTuple):
    """How often a failed task is retried, and after which wait. Times are milliseconds.

    The wait before retry number *n* (0 for the first) is ``delay_ms * backoff ** n``, at most `max_delay_ms`. `jitter`
    is the random share of it (0.1 = up to 10 % shorter or longer). A `backoff` of 0 or 1 keeps the wait constant, as in
    Huey. Only exceptions of the classes in `retry_on` are retried.
    """

    retries: int = 0
    delay_ms: int = 0
    backoff: float = 0
    jitter: float = 0
    max_delay_ms: int = 24 * 3600 * 1000
    retry_on: tuple[type[BaseException], ...] = (Exception,)

    def wait_ms(self, failures: int, random: Random) -> int:
        """Milliseconds to wait before the next run, after `failures` earlier failures of the same task."""
        wait: float = self.delay_ms
        if self.backoff and wait:
            try:
                wait *= float(self.backoff) ** failures
            except OverflowError:
                wait = self.max_delay_ms
        wait = min(wait, self.max_delay_ms)
        if self.jitter:
            wait *= 1 + self.jitter * (2 * random.random() - 1)
        return round(wait)
