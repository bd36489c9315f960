"""Values, permits and rates, all of them facts in one table: each lapses at an instant, and is forgotten after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...shared import REMEMBERED_MS, Grant, Holder, increased
from ..queries import QUERIES
from ..wakeup import FREED

if TYPE_CHECKING:
    from ..connection import Transaction

_FOR_EVER_MS = 2**62
_FORGOTTEN_AT_ONCE = 100
# Longer than a caller that was refused waits before it asks again.
_WAITING_MS = 60_000

# -- facts


class _Fact(NamedTuple):
    value: bytes | None
    number: int
    until_ms: int


def _find(transaction: Transaction, kind: str, name: str, token: str = "") -> _Fact | None:
    arguments = (transaction.namespace, kind, name, token, transaction.now_ms)
    row = transaction.execute(QUERIES["fact"], arguments).fetchone()
    return None if row is None else _Fact(*row)


def _keep(
    transaction: Transaction,
    kind: str,
    name: str,
    token: str = "",
    *,
    until_ms: int,
    number: int = 0,
    value: bytes | None = None,
) -> None:
    # More than may have been added, so that what has lapsed never piles up.
    forgotten = (transaction.namespace, transaction.now_ms, _FORGOTTEN_AT_ONCE)
    transaction.execute(QUERIES["forget_facts"], forgotten)
    transaction.execute(QUERIES["keep_fact"], (transaction.namespace, kind, name, token, until_ms, number, value))


def _drop(transaction: Transaction, kind: str, name: str, token: str = "") -> bool:
    arguments = (transaction.namespace, kind, name, token)
    return transaction.execute(QUERIES["drop_fact"], arguments).rowcount > 0


def _answer(transaction: Transaction, token: str, value: bytes | None) -> bytes | None:
    """Give `value` as the answer to a call, and to each repetition of it."""
    _keep(transaction, "answer", token, until_ms=transaction.now_ms + REMEMBERED_MS, value=value)
    return value


# -- values


def put(transaction: Transaction, key: str, value: bytes, token: str, only_if_empty: bool, ttl_ms: int) -> bool:
    answered = _find(transaction, "answer", token)
    if answered is not None:
        return bool(answered.value)
    transaction.check_room()
    if only_if_empty and _find(transaction, "value", key):
        return bool(_answer(transaction, token, b""))
    until_ms = transaction.now_ms + ttl_ms if ttl_ms else _FOR_EVER_MS
    _keep(transaction, "value", key, until_ms=until_ms, value=value)
    return bool(_answer(transaction, token, b"1"))


def get(transaction: Transaction, key: str) -> bytes | None:
    fact = _find(transaction, "value", key)
    return fact and fact.value


def pop(transaction: Transaction, key: str, token: str) -> bytes | None:
    answered = _find(transaction, "answer", token)
    if answered is not None:
        return answered.value
    fact = _find(transaction, "value", key)
    _drop(transaction, "value", key)
    return _answer(transaction, token, fact and fact.value)


def delete(transaction: Transaction, key: str, token: str) -> bool:
    return pop(transaction, key, token) is not None


def incr(transaction: Transaction, key: str, amount: int, token: str) -> bytes | None:
    answered = _find(transaction, "answer", token)
    if answered is not None:
        return answered.value
    fact = _find(transaction, "value", key) or _Fact(b"0", 0, _FOR_EVER_MS)
    total = increased(fact.value or b"", amount)
    if total is not None:
        transaction.check_room()
        _keep(transaction, "value", key, until_ms=fact.until_ms, value=total)
    return _answer(transaction, token, total)


# -- permits


def acquire(transaction: Transaction, name: str, token: str, permits: int, ttl_ms: int) -> Grant:
    if _find(transaction, "answer", token):
        return Grant(0, ttl_ms)
    held = _find(transaction, "permit", name, token)
    if held is None:
        arguments = (transaction.namespace, "permit", name, transaction.now_ms)
        [(holders,)] = transaction.execute(QUERIES["count_facts"], arguments)
        if holders >= permits:
            _wait(transaction, name)
            [(until_ms,)] = transaction.execute(QUERIES["first_fact"], arguments)
            return Grant(0, until_ms - transaction.now_ms)
    fence = held.number if held else transaction.next_number()
    _keep(transaction, "permit", name, token, until_ms=transaction.now_ms + ttl_ms, number=fence)
    return Grant(fence)


def _wait(transaction: Transaction, name: str) -> None:
    """A caller waits for a permit: the next release has to be told."""
    waiting = _find(transaction, "waiting", name)
    told = waiting.number if waiting else 0
    _keep(transaction, "waiting", name, until_ms=transaction.now_ms + _WAITING_MS, number=told)


def release(transaction: Transaction, name: str, token: str) -> bool:
    answered = _find(transaction, "answer", token)
    if answered is not None:
        return bool(answered.value)
    held = _find(transaction, "permit", name, token)
    _drop(transaction, "permit", name, token)
    waiting = _find(transaction, "waiting", name)
    if held and waiting:
        _keep(transaction, "waiting", name, until_ms=waiting.until_ms, number=transaction.next_number())
        transaction.news.add(FREED)
    return bool(_answer(transaction, token, b"1" if held else b""))


def holders(transaction: Transaction, names: tuple[str, ...]) -> list[Holder]:
    rows = transaction.execute(QUERIES["permits"], (transaction.namespace, transaction.now_ms))
    return [
        Holder(name, token, until_ms - transaction.now_ms)
        for name, token, until_ms in rows
        if not names or name in names
    ]


# -- rates


def _rate(per_ms: int) -> str:
    """The kind of the calls that a limit per `per_ms` has admitted; each lapses `per_ms` later."""
    return f"rate {per_ms}"


def spend(transaction: Transaction, name: str, token: str, limit: int, per_ms: int, sliding: bool) -> int:
    kind, now_ms = _rate(per_ms), transaction.now_ms
    if _find(transaction, kind, name, token):
        return 0
    if usage(transaction, name, per_ms, sliding) < limit:
        _keep(transaction, kind, name, token, until_ms=now_ms + per_ms)
        return 0
    if not sliding:
        return per_ms - now_ms % per_ms
    # Calls have to leave the window until it has one fewer than the limit.
    [(until_ms,)] = transaction.execute(QUERIES["late_fact"], (transaction.namespace, kind, name, limit - 1))
    return int(until_ms) - now_ms


def usage(transaction: Transaction, name: str, per_ms: int, sliding: bool) -> int:
    now_ms = transaction.now_ms
    # Of a fixed window those are left that were admitted since it began, which lapse after it ends.
    after_ms = now_ms if sliding else now_ms - now_ms % per_ms + per_ms - 1
    arguments = (transaction.namespace, _rate(per_ms), name, after_ms)
    [(used,)] = transaction.execute(QUERIES["count_facts"], arguments)
    return int(used)


def reset(transaction: Transaction, name: str, per_ms: int) -> None:
    transaction.execute(QUERIES["drop_facts"], (transaction.namespace, _rate(per_ms), name))
