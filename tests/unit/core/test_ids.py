"""What can name a task, a queue or a namespace; and ids made here."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from aqueue.core.ids import check_key, check_name, check_task_id, check_task_name, new_task_id, new_token

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_task_id_is_24_hexadecimal_digits_that_begin_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    task_id = new_task_id()
    after = time.time_ns() // 1_000_000
    assert len(task_id) == 24
    assert before <= int(task_id[:11], 16) <= after
    assert check_task_id(task_id) == task_id


def test_a_token_is_8_hexadecimal_digits() -> None:
    token = new_token()
    assert len(token) == 8
    assert 0 <= int(token, 16) < 2**32


def test_ids_of_many_threads_differ() -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: new_task_id(), range(20_000)))
    assert len(set(ids)) == len(ids)


def test_a_forked_child_makes_other_ids_than_its_parent() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, new_token().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100).decode() != new_token()
    os.close(reader)
    os.close(writer)


ACCEPTED: list[tuple[Callable[[str], str], str]] = [
    (check_task_id, "A-Z:a.z/0_9@+=-"),
    (check_task_id, "x" * 200),
    (lambda value: check_name(value, "queue"), "A-z_0.9"),
    (lambda value: check_name(value, "queue"), "x" * 100),
    (check_task_name, "shop.tasks:outer.<locals>.add-1"),
    (check_task_name, "x" * 200),
]


@pytest.mark.parametrize(("check", "value"), ACCEPTED)
def test_what_is_accepted_comes_back(check: Callable[[str], str], value: str) -> None:
    assert check(value) == value


EVERYWHERE = ["", " ", "a b", "a\n", "\n", "a\x00", "\x1b[31m", "{a}", "a*", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"]
EVERYWHERE += ["\N{GRINNING FACE}", "\ud800", "x" * 201, "x" * 10_000]


@pytest.mark.parametrize("value", [*EVERYWHERE, "<a>"])
def test_what_can_be_no_id_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^id must be 1 to 200 characters from .*, not '") as caught:
        check_task_id(value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [*EVERYWHERE, "<a>", "a:b", "a/b", "x" * 101])
def test_what_can_be_no_name_of_a_queue_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^queue must be 1 to 100 characters from .*, not '") as caught:
        check_name(value, "queue")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [*EVERYWHERE, "a/b", "a@b"])
def test_what_can_be_no_name_of_a_task_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^task name must be 1 to 200 characters from .*, not '"):
        check_task_name(value)


@pytest.mark.parametrize("value", ["a", "a b\n{c}:/\x00", "\N{GRINNING FACE}", "x" * 200])
def test_any_text_can_be_a_key(value: str) -> None:
    assert check_key(value, "key") == value


@pytest.mark.parametrize("value", ["", "x" * 201, "x" * 10_000, "\ud800"])
def test_what_can_be_no_key_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^key must be text of 1 to 200 characters, not '") as caught:
        check_key(value, "key")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [None, 5, b"name", ["name"]])
@pytest.mark.parametrize(
    "check",
    [check_task_id, check_task_name, lambda value: check_name(value, "queue"), lambda value: check_key(value, "key")],
)
def test_what_is_no_text_is_refused(check: Callable[[Any], str], value: Any) -> None:
    with pytest.raises(TypeError, match="must be a str, not "):
        check(value)
