"""The Lua files, loaded once: each is one state move that can be read and tested alone.

What the server gets is the file, behind the parts that its header names and the constants that they use (``GROUP``).
Each key is derived from ``KEYS[1]``, the prefix of the namespace: ``key.dead`` stands for the key of that name, and
``prefix.task`` for what all keys of that kind begin with. So a script has one text, and one digest, for all namespaces.
"""

from __future__ import annotations

import hashlib
import re
import string
from functools import cache
from importlib.resources import files
from typing import Any

from ..._version import __version__
from ...core.patience import FLIGHT_BYTES, FREIGHT_BYTES, MOST_LENT_BYTES
from ..admin import MOST_DEAD_LETTERS
from ..protocol import MOST_INPUT_BYTES, TOO_MUCH_INPUT
from .keys import GROUP, LAYOUT, NAMED, OLDEST_READER, SINGLE

# Results up to this size travel in the message that announces the verdict; a client that wants a larger one fetches it.
TOLD_BYTES = 4096

_CONSTANTS: dict[str, str | bytes | int] = {
    "FLIGHT_BYTES": FLIGHT_BYTES,
    "FREIGHT_BYTES": FREIGHT_BYTES,
    "GROUP": GROUP,
    "LAYOUT": LAYOUT,
    "MOST_DEAD_LETTERS": MOST_DEAD_LETTERS,
    "MOST_INPUT_BYTES": MOST_INPUT_BYTES,
    "MOST_LENT_BYTES": MOST_LENT_BYTES,
    "OLDEST_READER": OLDEST_READER,
    "TOLD_BYTES": TOLD_BYTES,
    "TOO_MUCH_INPUT": TOO_MUCH_INPUT,
    "VERSION": __version__,
}

_PLAIN = frozenset(string.ascii_letters + string.digits + " .,:;-_")


class Script:
    """The source that the server runs for one Lua file, and the digest by which a server finds it in its cache."""

    __slots__ = ("digest", "name", "source")

    def __init__(self, name: str, *parts: str) -> None:
        self.name = name
        text = "\n".join(map(_read, _with_parts(*(f"parts/{part}" for part in parts), name)))
        self.source = (_constants(text) + _with_keys(text)).encode("ascii")
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()

    def commands(self, prefix: str, *arguments: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The command that runs the script by its digest, and the one for a server without it in its cache."""
        tail = (1, prefix, *arguments)
        return ("EVALSHA", self.digest, *tail), ("EVAL", self.source, *tail)


@cache
def _read(name: str) -> str:
    return files(__package__).joinpath("lua", f"{name}.lua").read_text("ascii")


def _with_parts(*names: str) -> list[str]:
    """The files `names`, each after the parts that it needs."""
    found: list[str] = []
    for name in names:
        needed = re.search(r"^-- Parts: (.+)\.$", _read(name), re.MULTILINE)
        parts = needed[1].split(", ") if needed else []
        found += [*_with_parts(*(f"parts/{part}" for part in parts)), name]
    return list(dict.fromkeys(found))


def _constants(text: str) -> str:
    """Definitions of the constants that `text` uses."""
    used = [name for name in _CONSTANTS if re.search(rf"\b{name}\b", text)]
    return "".join(f"local {name} = {_literal(_CONSTANTS[name])}\n" for name in used)


def _with_keys(text: str) -> str:
    """`text` with an expression in place of each key. A table of all keys would have to be built in every call."""
    text = re.sub(r"\bkey\.(\w+)", lambda found: f"(KEYS[1] .. '{_known(found[1], SINGLE)}')", text)
    return re.sub(r"\bprefix\.(\w+)", lambda found: f"KEYS[1] .. '{_known(found[1], NAMED)}:'", text)


def _known(name: str, names: frozenset[str]) -> str:
    if name not in names:
        raise ValueError(f"{name} is not a key of aqueue")
    return name


def _literal(value: str | bytes | int) -> str:
    """`value` in Lua."""
    if isinstance(value, int):
        return str(value)
    data = value.encode() if isinstance(value, str) else value
    return "'" + "".join(chr(byte) if chr(byte) in _PLAIN else f"\\{byte:03d}" for byte in data) + "'"


ACQUIRE = Script("acquire")
ADOPT = Script("adopt")
ADVANCE = Script("advance")
CANCEL = Script("cancel")
CHECK_ENTRIES = Script("check_entries")
CHECK_LEFTOVERS = Script("check_leftovers")
CHECK_PENDING = Script("check_pending")
CHECK_RECORDS = Script("check_records")
CHECK_SCHEDULED = Script("check_scheduled")
DEAD_LETTERS = Script("dead_letters")
DELETE = Script("delete")
DROP = Script("drop")
ENDED = Script("ended")
ENVELOPES = Script("envelopes")
HOLDERS = Script("holders")
INCR = Script("incr")
JOIN = Script("join")
LAY_OUT = Script("lay_out")
LENT = Script("lent")
LOOK = Script("look")
PAUSE = Script("pause")
POP = Script("pop")
PROMOTE = Script("promote")
PULL = Script("pull")
PUSH = Script("push")
PUSH_WORKFLOW = Script("push_workflow")
PUT = Script("put")
PUT_BACK = Script("put_back")
READY = Script("ready")
RECLAIM = Script("reclaim")
RELEASE = Script("release")
RENEW = Script("renew")
REPORT = Script("report")
RESTORE = Script("restore")
RESUME = Script("resume")
RETIRE = Script("retire")
RETRY = Script("retry")
REVOKE = Script("revoke")
REVOKED = Script("revoked")
SCHEDULED = Script("scheduled")
SETTLE = Script("settle", "unlinked")
SETTLE_LINKED = Script("settle", "follow")
SPEND = Script("spend")
USAGE = Script("usage")
WAITING = Script("waiting")
