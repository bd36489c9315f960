"""The receivers of the events that a store sends to all of its listeners."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..storage.protocol import Event

logger = logging.getLogger("aqueue.client")

E = TypeVar("E", bound="Event")


class Subscribers:
    """The receivers of each kind of event, in one event loop."""

    def __init__(self) -> None:
        self._by_kind: dict[type, dict[object, Callable[[Any], None]]] = {}

    def add(self, kind: type[E], receiver: Callable[[E], None]) -> Callable[[], None]:
        """Call `receiver` with each event of `kind`; returns a function that ends the subscription."""
        receivers = self._by_kind.setdefault(kind, {})
        subscription = object()
        receivers[subscription] = receiver

        def unsubscribe() -> None:
            receivers.pop(subscription, None)

        return unsubscribe

    def tell(self, event: Event) -> None:
        """Call each receiver of this kind of event. An exception of a receiver is logged."""
        receivers = self._by_kind.get(type(event), {})
        for subscription, receiver in list(receivers.items()):
            # An earlier receiver may have unsubscribed this one.
            if subscription in receivers:
                try:
                    receiver(event)
                except Exception:
                    logger.exception("A receiver of %s failed", event)
