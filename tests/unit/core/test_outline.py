"""Exceptions that would take too long to format are shown in short, and in time."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from aqueue.core.failures import describe_exception
from aqueue.core.outline import is_large, outline, short_text

if TYPE_CHECKING:
    from collections.abc import Callable


def nested(levels: int) -> BaseException:
    """Groups that hold the next one twice."""
    error: Exception = ValueError("innermost")
    for level in range(levels):
        error = ExceptionGroup(f"level {level}", [error, error])
    return error


def chained(length: int) -> BaseException:
    error = ValueError("first")
    for number in range(length):
        later = ValueError(number)
        later.__cause__ = error
        error = later
    return error


def deep(frames: int) -> BaseException:
    error = ValueError("deep down")
    code = compile("raise error", "deep.py", "exec")
    for _ in range(frames):
        with contextlib.suppress(ValueError):
            exec(code)
    return error


_LARGE: dict[str, Callable[[], BaseException]] = {
    "groups of shared members": lambda: nested(60),
    "groups far inside each other": lambda: nested(3000),
    "a wide group": lambda: ExceptionGroup("wide", [ValueError(number) for number in range(10_000)]),
    "a long chain": lambda: chained(5000),
    "many lines": lambda: ValueError("x\n" * 5_000_000),
    "many lines in a group": lambda: ExceptionGroup("m", [ValueError("x\n" * 5_000_000)]),
    "many frames": lambda: deep(20_000),
}


@pytest.mark.parametrize("make", _LARGE.values(), ids=_LARGE)
def test_an_exception_of_any_size_is_described_in_bounded_time(make: Callable[[], BaseException]) -> None:
    error = make()
    assert is_large(error)
    began = time.process_time()
    name, text, trace = describe_exception(error)
    assert time.process_time() - began < 0.25
    assert text.startswith(f"{name}: ")
    assert trace.startswith("[too large to be shown in full")
    assert len(trace) < 64 * 1024


def test_a_usual_exception_is_not_large() -> None:
    with pytest.raises(ValueError, match="no") as caught:
        raise ValueError("no") from chained(3)
    assert not is_large(caught.value)
    assert not is_large(ExceptionGroup("group", [ValueError("a"), ExceptionGroup("inner", [KeyError("b")])]))
    ring = ValueError("ring")
    ring.__context__ = ring
    assert not is_large(ring)


def test_an_outline_shows_each_exception_once_the_outermost_first() -> None:
    *_, outer, inner, innermost = outline(nested(8)).splitlines()
    assert outer == "ExceptionGroup: level 1 (2 sub-exceptions)"
    assert inner == "ExceptionGroup: level 0 (2 sub-exceptions)"
    assert innermost == "ValueError: innermost"
    assert outline(nested(8)).splitlines()[1] == "ExceptionGroup: level 7 (2 sub-exceptions)"


def test_an_outline_ends_with_the_frames_that_raised() -> None:
    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        raise ValueError("here")

    with pytest.raises(ValueError, match="here") as caught:
        fail(30)
    assert outline(caught.value).endswith('raise ValueError("here")\nValueError: here\n')
    assert "[Previous line repeated 16 more times]" in outline(caught.value)


def test_a_text_that_raises_is_told_as_such() -> None:
    class Evil(Exception):
        def __str__(self) -> str:
            raise SystemExit

    assert short_text(Evil()) == "test_a_text_that_raises_is_told_as_such.<locals>.Evil (its text raised SystemExit)"
