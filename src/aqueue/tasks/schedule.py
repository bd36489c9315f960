"""Periodic tasks: which ticks of a schedule must be fired now, and the state of a schedule that a store keeps.

A tick is the instant at which a schedule is due, in milliseconds since the epoch. The schedule's name and the tick
together are the id of the task that the tick fires, so a tick is one task no matter how many workers fire it. Nothing
here reads a clock or knows a store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from inspect import signature
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from ..core.clock import span_ms
from ..core.ids import check_schedule_name
from ..exceptions import DecodeError
from .cron import as_data, every, from_data, newest_tick
from .task import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ..core.codec import Codec
    from .cron import When
    from .options import Span
    from .task import Task

    ValidateDatetime: TypeAlias = Callable[[datetime], bool | Awaitable[bool]]

Misfire: TypeAlias = Literal["latest", "all", "skip"]
Overlap: TypeAlias = Literal["skip", "queue", "parallel"]

# A tick counts as missed after this time. A running worker and a responsive store need less.
ON_TIME_MS = 10_000
LARGEST_STEP = 100
# Clocks of machines may differ by this much.
_CLOCK_SKEW_MS = 60_000
# How far back a validating function is asked for the latest minute that it accepts.
_ASKED_FOR_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How missed and overlapping ticks are handled. Spans are seconds or timedeltas.

    `misfire` says which of the ticks that passed while no worker ran are fired late: the ``latest``, ``all``, or none
    (``skip``). `window` is the greatest age of such a tick. `overlap` says what happens to a tick while the previous
    run has no verdict: ``skip`` drops it, ``queue`` delays it, ``parallel`` fires it. `jitter` is the longest random
    wait between a tick and the start of its task.
    """

    misfire: Misfire = "latest"
    window: Span | None = None
    overlap: Overlap = "skip"
    jitter: Span = 0
    oldest_ms: int | None = field(init=False, repr=False, compare=False)
    jitter_ms: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_choice("misfire", self.misfire, get_args(Misfire))
        _check_choice("overlap", self.overlap, get_args(Overlap))
        window_ms = None if self.window is None else span_ms(self.window, "window")
        if self.misfire == "skip":
            window_ms = 0
        object.__setattr__(self, "oldest_ms", None if window_ms is None else max(window_ms, ON_TIME_MS))
        object.__setattr__(self, "jitter_ms", span_ms(self.jitter, "jitter"))


class Schedule:
    """A call, and when it is fired.

    The constructor's `when` has ticks, or is a function that says whether a minute is a tick. Such a function becomes
    `asked`, and the attribute `when` is then every minute.
    """

    __slots__ = ("asked", "call", "name", "policy", "when")

    def __init__(self, name: str, when: When | ValidateDatetime, call: Call[Any], policy: Policy) -> None:
        self.name = check_schedule_name(name)
        self.call = call
        self.policy = policy
        self.asked: ValidateDatetime | None = None
        check_when(when)
        if hasattr(when, "next_after"):
            self.when = when
        else:
            self.when, self.asked = every(minutes=1), when

    def __repr__(self) -> str:
        return f"<Schedule {self.name} {self.text}>"

    @property
    def text(self) -> str:
        """When it is fired, in a form for people."""
        return repr(self.when) if self.asked is None else getattr(self.asked, "__qualname__", repr(self.asked))

    @property
    def tz(self) -> str:
        """The time zone of its ticks, ``"local"`` for that of this machine."""
        return "local" if self.asked is not None else getattr(self.when, "tz", "")

    def due(self, after_ms: int, now_ms: int) -> list[int]:
        """The ticks after `after_ms` that must be fired now, the earliest first, up to ``LARGEST_STEP`` of them.

        If a function decides, these are the minutes to ask it about. Unless `misfire` is ``all``, the last minute that
        it accepts is the tick.
        """
        if self.policy.oldest_ms is not None:
            after_ms = max(after_ms, now_ms - self.policy.oldest_ms - 1)
        if self.policy.misfire == "all":
            return [*islice(self._ticks(after_ms, now_ms), 1 if self.policy.overlap == "queue" else LARGEST_STEP)]
        if self.asked is not None:
            return [*self._ticks(max(after_ms, now_ms - _ASKED_FOR_MS), now_ms)]
        newest = newest_tick(self.when, after_ms, now_ms)
        return [] if newest is None else [newest]

    def _ticks(self, after_ms: int, now_ms: int) -> Iterator[int]:
        tick = self.when.next_after(after_ms)
        while tick is not None and tick <= now_ms:
            yield tick
            tick = self.when.next_after(tick)

    def is_ahead(self, after_ms: int, now_ms: int) -> bool:
        """Whether ticks up to `after_ms` cannot have been fired by `now_ms`, so that the clock of a worker was wrong.

        Beyond the next tick, that is: a clock that is a little fast fires that one early.
        """
        if after_ms <= now_ms + _CLOCK_SKEW_MS:
            return False
        next_ms = self.when.next_after(now_ms)
        return next_ms is not None and next_ms < after_ms

    def tick(self, tick_ms: int) -> Call[Any]:
        """The call that a tick fires."""
        task_id = tick_id(self.name, tick_ms)
        jitter_ms = self.policy.jitter_ms
        # The id seeds it: a tick that several workers fire, or one worker fires again, is the same task.
        return self.run(task_id, tick_ms + Random(task_id).randint(1, jitter_ms) if jitter_ms else 0)

    def run(self, task_id: str, eta_ms: int = 0) -> Call[Any]:
        """The call for one run, due at `eta_ms` or at once."""
        call = self.call
        return Call(call.task, call.args, call.kwargs, call.options, task_id, 0, eta_ms)

    def described(self) -> dict[str, Any]:
        """The whole schedule except its name as plain data, for ``restored``.

        Raises:
            TypeError: `when` is a function, `call` is not a call, or the call has an id or a time of its own.
            ValueError: the call expires at a datetime.
        """
        call = self.call
        if not isinstance(call, Call):
            raise TypeError(f"a schedule fires a call, made with task.s(...), not {call!r}")
        if call.id is not None or call.delay_ms or call.eta_ms:
            raise TypeError(f"{call!r} has an id, a delay or an eta of its own: a schedule gives these to each run")
        options = call.options.travelling(call.task.declared)
        expires = call.options.expires
        if isinstance(expires, datetime):
            raise ValueError(f"expires must be a span, not {expires!r}: it counts from the start of each run")
        if expires is not None:
            options["expires"] = span_ms(expires, "expires") / 1000
        return {
            "when": as_data(self.when if self.asked is None else self.asked),
            "task": call.task.name,
            "args": list(call.args),
            "kwargs": call.kwargs,
            "options": options,
            "misfire": self.policy.misfire,
            "window": None if self.policy.window is None else span_ms(self.policy.window, "window") / 1000,
            "overlap": self.policy.overlap,
            "jitter": self.policy.jitter_ms / 1000,
        }


def check_when(when: object) -> None:
    """Refuse a `when` that has no ticks.

    Raises:
        TypeError: it is neither a ``When`` nor a function of one argument (maybe the decorator has no parentheses).
    """
    if isinstance(when, type) or not (hasattr(when, "next_after") or _takes_a_datetime(when)):
        raise TypeError(
            f"when must be crontab(...), cron(...), every(...) or a function that takes a datetime, not {when!r}"
        )


def _takes_a_datetime(when: object) -> bool:
    if not callable(when):
        return False
    try:
        signature(when).bind(object())
    except TypeError:
        return False
    except ValueError:
        return True  # built-in functions may have no signature
    return True


def declared_schedule(task: Task[..., Any], when: When | ValidateDatetime, policy: Policy) -> Schedule:
    """The schedule of a task that the code declares as periodic.

    Raises:
        TypeError: the task cannot be called without arguments.
    """
    try:
        call = task.s()
    except TypeError as error:
        raise TypeError(f"{task.name}: a periodic task must be callable without arguments, but {error}") from None
    return Schedule(task.name, when, call, policy)


def restored(name: str, described: dict[str, Any], task: Task[..., Any]) -> Schedule:
    """Rebuild the schedule that ``Schedule.described`` described; `task` is the task that it names.

    Raises:
        KeyError, TypeError, ValueError: another version described it, or the arguments no longer fit the task.
    """
    args, kwargs = tuple(described["args"]), described["kwargs"]
    task._check_arguments(*args, **kwargs)
    call = Call(task, args, kwargs, task.declared.changed(**described["options"]))
    policy = Policy(**{name: described[name] for name in ("misfire", "window", "overlap", "jitter")})
    return Schedule(name, from_data(described["when"]), call, policy)


class ScheduleState(NamedTuple):
    """The state of a schedule in a store.

    All ticks up to `after_ms` are settled. The last run was for the instant `last_ms` and has the id `last_id`. `added`
    describes a schedule that was added at run time, and is None for a schedule that the code declares.

    The application's codec encodes it, and may sign it, as it does with messages. Otherwise anybody who can write to
    the store could make workers run tasks that the application has not signed.
    """

    after_ms: int
    last_ms: int = 0
    last_id: str = ""
    paused: bool = False
    added: dict[str, Any] | None = None

    def encoded(self, name: str, codec: Codec) -> bytes:
        return codec.encode_value(list(self), "schedule", name)


def decoded(name: str, data: bytes, codec: Codec) -> ScheduleState | None:
    """Decode the state of the schedule `name` that ``ScheduleState.encoded`` encoded; None if `data` is empty.

    Raises:
        DecodeError: the bytes are not such a state, or a later version wrote them.
    """
    if not data:
        return None
    values = codec.decode_value(data, "schedule", name)
    fields = len(ScheduleState._fields)
    if not isinstance(values, (list, tuple)) or len(values) != fields or not isinstance(values[0], int):
        raise DecodeError(f"not the state of a schedule: {data[:100]!r}")
    return ScheduleState(*values)


def tick_id(name: str, tick_ms: int) -> str:
    """The id of the task that a tick fires. An id cannot contain the brackets that names of local functions have."""
    return f"{name.replace('<', '/').replace('>', '/')}@{tick_ms}"


def _check_choice(name: str, value: object, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise ValueError(f"{name} must be one of {', '.join(accepted)}, not {value!r}")
