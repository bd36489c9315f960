"""The pages about the inside of aqueue say what its code says."""

from __future__ import annotations

import re
import tomllib

from aqueue.core.lifecycle import TRANSITIONS, VERDICTS, State
from aqueue.storage.redis.keys import CHANNELS, KEYS

from .pages import ROOT, blocks, rows, section

REDIS_KEYS = ROOT / "docs/redis-keys.md"
ARCHITECTURE = ROOT / "docs/architecture.md"
MODULES = ROOT / "docs/modules.md"
STATES = ROOT / "docs/state-machine.md"
DECISIONS = sorted((ROOT / "docs/adr").glob("0*.md"))
PACKAGE = ROOT / "src/aqueue"


def diagram_of_transitions() -> str:
    """The state machine as Mermaid draws it."""
    lines = ["stateDiagram-v2"]
    for state in State:
        source = "[*]" if state is State.UNKNOWN else state
        lines += (f"    {source} --> {target}" for target in State if target in TRANSITIONS[state])
        if state in VERDICTS:
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines) + "\n"


def test_the_diagram_of_states_is_the_table_of_transitions() -> None:
    (diagram,) = [block.text for block in blocks(STATES) if block.language == "mermaid"]
    assert diagram == diagram_of_transitions()


def test_every_state_and_every_move_is_explained() -> None:
    assert [row[0] for row in rows(section(STATES, "States"))] == [f"`{state}`" for state in State]
    explained = [
        (source, target)
        for sources, targets, _ in rows(section(STATES, "Moves"))
        for source in re.findall(r"`(\w+)`", sources)
        for target in re.findall(r"`(\w+)`", targets)
    ]
    moves = {(str(source), str(target)) for source, targets in TRANSITIONS.items() for target in targets}
    assert set(explained) == moves
    assert len(explained) == len(set(explained)), "a move is explained twice"


def test_every_key_and_channel_on_redis_is_explained() -> None:
    keys = [[f"`{name}`", f"`{key.type}`", key.text] for name, key in KEYS.items()]
    assert rows(section(REDIS_KEYS, "Keys")) == keys
    assert rows(section(REDIS_KEYS, "Channels")) == [[f"`{name}`", text] for name, text in CHANNELS.items()]


def test_every_module_has_its_line_under_its_room() -> None:
    lines = [
        (heading, re.findall(r"`(\S+)`", row[0])[0])
        for heading in re.findall(r"^## (.+)$", MODULES.read_text("utf-8"), re.MULTILINE)
        for row in rows(section(MODULES, heading))
    ]
    assert [line for room, line in lines if (line.rstrip("/").rpartition("/")[0] or "The ground") != room] == []
    named = [line for _, line in lines]
    assert [line for line in named if not (PACKAGE / line).exists()] == []
    # A line for a directory speaks for everything in it.
    folders = tuple(line for line in named if line.endswith("/"))
    assert sorted(name for name in _files() if name not in named and not name.startswith(folders)) == []


def test_every_room_has_its_line_in_the_architecture() -> None:
    page = [re.findall(r"`([\w/.]+)`", row[0]) for row in rows(section(ARCHITECTURE, "Rooms"))]
    headings = re.findall(r"^## (.+)$", MODULES.read_text("utf-8"), re.MULTILINE)
    assert page == [[f"{heading}/"] for heading in headings[:-1]] + [["exceptions.py", "signals.py"]]


def _files() -> list[str]:
    trivial = {"__init__.py", "_version.py", "__main__.py"}
    files = [path for kind in ("py", "sql", "lua") for path in PACKAGE.rglob(f"*.{kind}") if path.name not in trivial]
    return [path.relative_to(PACKAGE).as_posix() for path in files]


def test_the_floors_of_the_page_are_those_of_the_linter() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = configuration["tool"]["importlinter"]["contracts"]
    (contract,) = [found for found in contracts if found.get("containers") == ["aqueue"]]
    page = [re.findall(r"`(\w+)`", row[0]) for row in rows(section(ARCHITECTURE, "Floors"))]
    assert page == [layer.split(" | ") for layer in contract["layers"]]


def test_every_decision_has_the_same_four_parts() -> None:
    for decision in DECISIONS:
        text = decision.read_text("utf-8")
        assert text.startswith(f"# {decision.name[:4]} ")
        assert re.search(r"^Status: \w+", text, re.MULTILINE)
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_every_decision_stands_in_their_list() -> None:
    listed = rows((ROOT / "docs/adr/README.md").read_text("utf-8"))
    titles = [decision.read_text("utf-8").splitlines()[0].removeprefix("# ") for decision in DECISIONS]
    assert [f"[{title[:4]}]({file.name}) {title[5:]}" for title, file in zip(titles, DECISIONS, strict=True)] == [
        f"{number} {decision}" for number, decision in listed
    ]
