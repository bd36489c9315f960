"""Every script that a Redis server runs is a file that can be read on its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import aqueue

DIRECTORY = Path(aqueue.__file__).parent / "storage" / "redis"
SCRIPTS = sorted((DIRECTORY / "lua").glob("*.lua"))


def header(path: Path) -> list[str]:
    """The paragraphs of the comment at its top."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").removeprefix(" "))
    return "\n".join(lines).split("\n\n")


def body(path: Path) -> str:
    """What the server runs, without comments."""
    return re.sub(r"--.*", "", path.read_text("utf-8"))


@pytest.fixture(params=SCRIPTS, ids=lambda path: path.stem)
def script(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_are_scripts() -> None:
    assert {"push", "pull", "settle", "reclaim", "renew"} <= {path.stem for path in SCRIPTS}


def test_its_header_says_what_it_does(script: Path) -> None:
    purpose = header(script)[0]
    assert re.match(rf"{script.stem}: [a-z].+\.", purpose, re.DOTALL)


def test_its_header_says_what_goes_in_and_comes_out_and_what_it_costs(script: Path) -> None:
    interface = header(script)[-1]
    assert re.fullmatch(
        r"KEYS  \S.*\nARGV  1(?:-\d+)? \S.*\n(      .*\n)*Returns \S.*\. Cost: O\(.*\.", interface, re.DOTALL
    )


def test_its_header_says_why_several_writes_are_one_step(script: Path) -> None:
    """A script that only reads, or writes once, needs no reason."""
    writes = re.findall(r"redis\.p?call\('(\w+)'", body(script))
    changing = {name for name in writes if name in {"XADD", "XDEL", "XACK", "XCLAIM", "ZADD", "ZREM", "HSETNX"}}
    if len(changing) > 1:
        assert len(header(script)) >= 3


def test_every_argument_that_it_names_is_used(script: Path) -> None:
    interface, code = header(script)[-1], body(script)
    argv = interface.partition("ARGV")[2].partition("Returns")[0].partition("then")[0]
    for number in re.findall(r"(?:^|  )(\d+) ", argv):
        assert f"ARGV[{number}]" in code or "unpack(ARGV" in code, f"ARGV[{number}]"
    keys = interface.partition("KEYS")[2].partition("ARGV")[0].partition("then")[0]
    for number in re.findall(r"(?:^|  )(\d+) ", keys):
        assert f"KEYS[{number}]" in code, f"KEYS[{number}]"


def test_it_looks_into_no_payload(script: Path) -> None:
    """The cost of a task must not depend on its size, and no stranger's bytes are parsed in the server."""
    assert not re.search(r"\b(cjson|cmsgpack|struct|bit)\.", body(script))


def test_it_depends_on_the_servers_clock_and_on_no_chance(script: Path) -> None:
    assert not re.search(r"\bos\.|\bmath\.random", body(script))


def test_it_is_plain_text(script: Path) -> None:
    text = script.read_bytes()
    assert text.isascii()
    assert text.endswith(b"\n")
    assert b"\t" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_it_is_loaded(script: Path) -> None:
    sources = "\n".join(path.read_text("utf-8") for path in DIRECTORY.glob("*.py"))
    assert re.search(rf"[\"']{script.stem}[\"']", sources)
