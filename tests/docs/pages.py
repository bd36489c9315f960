"""The pages of the documentation, as tests see them: fenced blocks, links, headings and tables.

A comment directly above a fence says what its block is: ``<!-- file: tasks.py -->`` names the file that it is.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("benchmarks/*.md")]
)

_BLOCK = re.compile(
    r"^(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+)$", re.MULTILINE)


def name_of(page: Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


class Block(NamedTuple):
    """One fenced block; `line` is where its text begins, `file` the name of the file that it is."""

    language: str
    text: str
    line: int
    file: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(found["language"], found["text"], text.count("\n", 0, found.start("text")) + 1, found["file"])
        for found in _BLOCK.finditer(text)
    ]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text("utf-8"))


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Text and target of each link."""
    for found in _LINK.finditer(prose(page)):
        yield found["text"], found["target"]


def anchors(page: Path) -> set[str]:
    """The fragments by which the headings of a page can be reached."""
    return {_anchor(found["text"]) for found in _HEADING.finditer(prose(page))}


def _anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.strip().replace(" ", "-")


def section(page: Path, heading: str) -> str:
    """What stands under `heading`, up to the next heading of any level."""
    for found in _HEADING.finditer(text := page.read_text("utf-8")):
        if found["text"] == heading:
            following = _HEADING.search(text, found.end())
            return text[found.end() : following.start() if following else None]
    raise LookupError(f"{name_of(page)} has no heading {heading!r}")


def rows(text: str) -> list[list[str]]:
    """The cells of the first table in `text`, without its two head lines."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [_cells(line) for line in lines[2:]]


def tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The head and the rows of each table in `text`."""
    for found in re.finditer(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *lines = found[0].splitlines()
        yield _cells(head), [_cells(line) for line in lines]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def is_held(page: Path, cell: str) -> bool:
    """Whether `cell` names the tests that hold something, and each of them exists."""
    named = re.findall(r"\[`(\w+)`\]\(([^)]+)\)", cell)
    return bool(named) and all(name in _tests_of(page.parent / file) for name, file in named)


@functools.cache
def _tests_of(file: Path) -> frozenset[str]:
    text = file.read_text("utf-8") if file.is_file() else ""
    return frozenset(re.findall(r"^(?:async )?def ((?:test|check)_\w+)\(", text, re.MULTILINE))
