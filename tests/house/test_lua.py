"""Every script that a Redis server runs is a file that can be read on its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import aqueue
from aqueue.storage.redis import scripts
from aqueue.storage.redis.scripts import Script

DIRECTORY = Path(aqueue.__file__).parent / "storage" / "redis" / "lua"
SCRIPTS = sorted(DIRECTORY.glob("*.lua"))
PARTS = sorted((DIRECTORY / "parts").glob("*.lua"))
LOADED = [script for script in vars(scripts).values() if isinstance(script, Script)]

# What a server offers, and the words of Lua that can stand before a parenthesis.
GIVEN = {"ipairs", "pairs", "tonumber", "type", "unpack", "function", "and", "or", "not", "if", "elseif", "return"}


def header(path: Path) -> list[str]:
    """The paragraphs of the comment at its top."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").removeprefix(" "))
    return "\n".join(lines).split("\n\n")


def parts_of(path: Path) -> list[str]:
    """The parts that its header names."""
    return [part for found in header(path) if found.startswith("Parts: ") for part in found[7:-1].split(", ")]


def body(path: Path) -> str:
    """What the server runs, without comments."""
    return without_comments(path.read_text("utf-8"))


def without_comments(text: str) -> str:
    return re.sub(r"--.*", "", text)


def defined_in(text: str) -> set[str]:
    """The names of local functions and variables."""
    found = set(re.findall(r"local function (\w+)", text))
    for names in re.findall(r"^local (\w+(?:, \w+)*)", text, re.MULTILINE):
        found |= set(names.split(", "))
    return found - {"function"}


@pytest.fixture(params=SCRIPTS, ids=lambda path: path.stem)
def script(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture(params=[*SCRIPTS, *PARTS], ids=lambda path: path.relative_to(DIRECTORY).with_suffix("").as_posix())
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture(params=PARTS, ids=lambda path: path.stem)
def part(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture(params=LOADED, ids=lambda script: f"{script.name}-{script.digest[:4]}")
def loaded(request: pytest.FixtureRequest) -> Script:
    script: Script = request.param
    return script


def test_there_are_scripts() -> None:
    assert {"push", "pull", "settle", "reclaim", "renew"} <= {path.stem for path in SCRIPTS}


def test_its_header_says_what_it_does(file: Path) -> None:
    purpose = header(file)[0]
    assert re.match(rf"{file.stem}: [a-z].+\.", purpose, re.DOTALL)


def test_its_header_says_what_goes_in_and_comes_out_and_what_it_costs(script: Path) -> None:
    interface = header(script)[-1]
    assert re.fullmatch(r"ARGV  \S.*\n(      .*\n)*Returns \S.*\. Cost: O\(.*\.", interface, re.DOTALL)


def test_its_header_says_why_several_writes_are_one_step(script: Path) -> None:
    """A script that only reads, or writes once, needs no reason."""
    writes = re.findall(r"redis\.p?call\('(\w+)'", body(script))
    changing = {name for name in writes if name in {"XADD", "XDEL", "XACK", "XCLAIM", "ZADD", "ZREM", "HSETNX"}}
    if len(changing) > 1 or "enter(" in body(script):
        assert len([found for found in header(script) if not found.startswith("Parts: ")]) >= 3


def test_every_argument_that_it_names_is_used(file: Path) -> None:
    interface, code = header(file)[-1], body(file)
    argv = interface.partition("ARGV")[2].partition("Returns")[0].partition("then")[0]
    for number in re.findall(r"(?:^|  )(\d+) ", argv):
        assert f"ARGV[{number}]" in code, f"ARGV[{number}]"


def test_it_gets_no_key_but_the_prefix_of_its_namespace(file: Path) -> None:
    assert not re.search(r"\bKEYS\b", body(file))


def test_every_key_that_it_names_is_in_the_table_of_keys(loaded: Script) -> None:
    assert not re.search(r"\b(key|prefix)\.", without_comments(loaded.source.decode()))


def test_every_function_that_it_calls_is_there(loaded: Script) -> None:
    text = without_comments(loaded.source.decode())
    text = re.sub(r"'[^'\n]*'", "''", text)
    called = set(re.findall(r"(?<![\w.])([a-z_]\w*)\(", text))
    assert called - defined_in(text) - GIVEN == set()


def test_every_part_that_it_names_is_used(file: Path) -> None:
    for name in parts_of(file):
        provided = DIRECTORY / "parts" / f"{name}.lua"
        names = defined_in(provided.read_text("utf-8"))
        # A part may be named because it brings another.
        for inner in parts_of(provided):
            names |= defined_in((DIRECTORY / "parts" / f"{inner}.lua").read_text("utf-8"))
        assert any(re.search(rf"\b{found}\b", body(file)) for found in names), name


def test_a_part_is_shared(part: Path) -> None:
    """What only one script needs stands in that script; `unlinked` is the other half of `follow`."""
    users = [script for script in LOADED if f"-- {part.stem}: " in script.source.decode()]
    assert len(users) >= (1 if part.stem == "unlinked" else 2)


def test_it_looks_into_no_payload(file: Path) -> None:
    """The cost of a task must not depend on its size, and no stranger's bytes are parsed in the server."""
    assert not re.search(r"\b(cjson|cmsgpack|struct|bit)\.", body(file))


def test_it_depends_on_the_servers_clock_and_on_no_chance(file: Path) -> None:
    assert not re.search(r"\bos\.|\bmath\.random", body(file))


def test_only_one_file_says_what_is_shared(script: Path) -> None:
    """The clock is read in one way, ownership is judged in one way, and a task gets in line in one way."""
    assert "'TIME'" not in body(script)
    assert "dead = true" not in body(script)
    assert not re.search(r"'XADD'[^\n]*'p'", body(script))
    assert not re.search(r"'XPENDING', \w+, GROUP, (\w+), \1", body(script))


def test_it_is_plain_text(file: Path) -> None:
    text = file.read_bytes()
    assert text.isascii()
    assert text.endswith(b"\n")
    assert b"\t" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_it_is_loaded(script: Path) -> None:
    assert script.stem in {loaded.name for loaded in LOADED}
