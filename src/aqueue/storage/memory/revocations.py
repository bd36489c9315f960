"""Revocations in the memory storage: what must not start, for how long, and what has to stop."""

from __future__ import annotations

from typing import NamedTuple


class _Revocation(NamedTuple):
    """Holds before `ends_ms` (0: for ever), for one task only with `once`."""

    ends_ms: int
    once: bool


class Revocations:
    """Revocations by key, see ``Storage.revoke``. `to_cancel` has the ids of the running tasks that have to stop."""

    def __init__(self) -> None:
        self._by_key: dict[str, _Revocation] = {}
        self.to_cancel: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._by_key or self.to_cancel)

    def clear(self) -> None:
        """Forget all of it."""
        self._by_key.clear()
        self.to_cancel.clear()

    def put(self, key: str, ends_ms: int, once: bool) -> None:
        self._by_key[key] = _Revocation(ends_ms, once)

    def remove(self, key: str) -> bool:
        """Remove the revocation under `key`; False when there was none."""
        return self._by_key.pop(key, None) is not None

    def holds(self, task_id: str, group: str, consume: bool) -> bool:
        """See ``Storage.revoked``."""
        if task_id in self._by_key or (consume and task_id in self.to_cancel):
            return True
        revocation = self._by_key.get(group)
        if revocation is not None and revocation.once and consume:
            del self._by_key[group]
            self.put(task_id, 0, once=True)
        return revocation is not None

    def forget(self, task_id: str) -> None:
        """The task has its verdict."""
        self._by_key.pop(task_id, None)
        self.to_cancel.discard(task_id)

    def forget_ended(self, now_ms: int) -> None:
        ended = [key for key, revocation in self._by_key.items() if 0 < revocation.ends_ms <= now_ms]
        for key in ended:
            del self._by_key[key]
