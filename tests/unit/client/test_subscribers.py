"""Who hears an event: everyone who subscribed to its kind, whatever the others do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aqueue.client.subscribers import Subscribers
from aqueue.storage.protocol import CancelAsked, Due, Freed

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def subscribers() -> Subscribers:
    return Subscribers()


def test_all_subscribers_of_a_kind_hear_it_and_nobody_else(subscribers: Subscribers) -> None:
    heard: list[object] = []
    subscribers.add(Due, heard.append)
    subscribers.add(Due, heard.append)
    subscribers.add(Freed, heard.append)
    subscribers.tell(Due(5))
    subscribers.tell(CancelAsked("task"))
    assert heard == [Due(5), Due(5)]
    assert {type(event) for event in heard} == {Due}


def test_an_unsubscription_concerns_one_receiver_and_may_be_repeated(subscribers: Subscribers) -> None:
    one: list[Due] = []
    other: list[Due] = []
    unsubscribe = subscribers.add(Due, one.append)
    subscribers.add(Due, other.append)
    unsubscribe()
    unsubscribe()
    subscribers.tell(Due(5))
    assert (one, other) == ([], [Due(5)])


def test_a_receiver_that_was_unsubscribed_by_an_earlier_one_does_not_hear(subscribers: Subscribers) -> None:
    heard: list[str] = []
    ends: list[Callable[[], None]] = []

    def end_all(_: Due) -> None:
        heard.append("first")
        for end in ends:
            end()

    ends.append(subscribers.add(Due, end_all))
    ends.append(subscribers.add(Due, lambda _: heard.append("second")))
    subscribers.add(Due, lambda _: heard.append("third"))
    subscribers.tell(Due(5))
    subscribers.tell(Due(5))
    assert heard == ["first", "third", "third"]


def test_a_receiver_that_raises_keeps_nobody_from_hearing(
    subscribers: Subscribers, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Due] = []

    def fail(_: Due) -> None:
        raise ValueError("oops")

    subscribers.add(Due, fail)
    subscribers.add(Due, heard.append)
    subscribers.tell(Due(5))
    assert heard == [Due(5)]
    assert "A receiver of Due(in_ms=5) failed" in caplog.text
