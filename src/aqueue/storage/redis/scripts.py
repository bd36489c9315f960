"""The Lua files, loaded once: each is one state move, reviewable and testable alone."""

from __future__ import annotations

import hashlib
from importlib.resources import files


class Script:
    """One Lua file: its source, and the digest by which a server that has seen it runs it."""

    __slots__ = ("digest", "name", "source")

    def __init__(self, name: str) -> None:
        self.name = name
        self.source = files(__package__).joinpath("lua", f"{name}.lua").read_bytes()
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()


ACQUIRE = Script("acquire")
ADOPT = Script("adopt")
CANCEL = Script("cancel")
DELETE = Script("delete")
ENDED = Script("ended")
ENVELOPES = Script("envelopes")
HOLDERS = Script("holders")
INCR = Script("incr")
LENT = Script("lent")
LOOK = Script("look")
POP = Script("pop")
PROMOTE = Script("promote")
PULL = Script("pull")
PUSH = Script("push")
PUT = Script("put")
PUT_BACK = Script("put_back")
READY = Script("ready")
RECLAIM = Script("reclaim")
RELEASE = Script("release")
RENEW = Script("renew")
REPORT = Script("report")
RESTORE = Script("restore")
RETIRE = Script("retire")
REVOKE = Script("revoke")
REVOKED = Script("revoked")
SCHEDULE = Script("schedule")
SCHEDULED = Script("scheduled")
SETTLE = Script("settle")
SPEND = Script("spend")
USAGE = Script("usage")
