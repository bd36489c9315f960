"""The Lua files, loaded once: each is one state move, reviewable and testable alone. Some begin with a common part."""

from __future__ import annotations

import hashlib
from importlib.resources import files


class Script:
    """One Lua file, behind the `parts` that it needs, and the digest by which a server that has seen it runs it."""

    __slots__ = ("digest", "name", "source")

    def __init__(self, name: str, *parts: str) -> None:
        self.name = name
        sources = [f"parts/{part}.lua" for part in parts] + [f"{name}.lua"]
        self.source = b"".join(files(__package__).joinpath("lua", source).read_bytes() for source in sources)
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()


ACQUIRE = Script("acquire")
ADOPT = Script("adopt")
ADVANCE = Script("advance")
CANCEL = Script("cancel", "follow")
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
PUSH_WORKFLOW = Script("push_workflow")
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
SETTLE_LINKED = Script("settle_linked", "follow")
SPEND = Script("spend")
USAGE = Script("usage")
